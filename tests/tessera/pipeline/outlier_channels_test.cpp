// SPDX-License-Identifier: Apache-2.0
// Channels that are 60 to 100 times the others: int8 with factors of columns holds in every row, without not.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iterator>

#include "models/package.hpp"
#include "runtime/program/input_factors.hpp"
#include "runtime/session/parts.hpp"
#include "tessera/pipeline/calibration.hpp"
#include "tests/golden/stored.hpp"
#include "tests/models/checkpoint_copy.hpp"
#include "tests/support/temporary.hpp"
#include "tests/tessera/outlier_model.hpp"

namespace tessera::test {
namespace {

using Rows = std::vector<std::vector<float>>;

constexpr double kHolds = 0.995;

struct OutlierCase {
  const char* name;
  Outliers kind;
  bool compensated;
  float scale;         ///< of the weights: how much a layer adds to the residual
  bool holds_at_load;  ///< the weights alone tell of the outliers
};

std::vector<TokenSequence> random_texts(std::uint64_t seed) {
  Random random{seed};
  std::vector<TokenSequence> texts(12);
  for (TokenSequence& text : texts) {
    const Index length = random.integer(4, 24);
    for (Index i = 0; i < length; ++i) {
      text.ids.push_back(static_cast<std::int32_t>(random.integer(1, kOutlierWords - 1)));
    }
  }
  return texts;
}

/// last_hidden_state, a row for each token.
Rows states(const std::shared_ptr<const models::Package>& package,
            std::span<const TokenSequence> texts, PrecisionOption precision,
            const std::filesystem::path& cache = {}) {
  EncoderOptions options{.session = {.outputs = {"last_hidden_state"}}};
  options.precision = precision;
  options.model.packed_cache = cache;
  TextEncoder encoder(package, options);
  std::vector<Rows> of_texts(texts.size());
  encoder.run(texts, [&](std::size_t index, ::tessera::Results results) {
    for (Index i = 0; i < results[0].rows; ++i) {
      of_texts[index].emplace_back(results[0].row(i).begin(), results[0].row(i).end());
    }
  });
  Rows rows;
  for (Rows& each : of_texts) std::move(each.begin(), each.end(), std::back_inserter(rows));
  return rows;
}

/// Without the outliers, which are nearly all of a row's length.
Rows others_of(Rows rows) {
  for (std::vector<float>& row : rows) {
    for (const OutlierChannel& each : kOutlierChannels) row[each.channel] = 0.0F;
  }
  return rows;
}

class OutlierChannelsTest : public testing::TestWithParam<OutlierCase> {
 protected:
  void SetUp() override {
    write_outlier_model(directory_.path(), GetParam().kind, GetParam().compensated,
                        GetParam().scale);
  }
  std::shared_ptr<const models::Package> open() const {
    return std::make_shared<const models::Package>(models::open_package(directory_.path()));
  }
  /// The least cosine of a row with fp32: of all channels, and of the others.
  struct Worst {
    double all, others;
  };
  Worst worst(const std::shared_ptr<const models::Package>& package, PrecisionOption precision) {
    const std::vector<TokenSequence> texts = random_texts(1);
    const Rows right = states(package, texts, PrecisionOption::fp32),
               rows = states(package, texts, precision);
    const Worst worst{worst_cosine(rows, right), worst_cosine(others_of(rows), others_of(right))};
    std::printf("[  COSINE  ] %-22s %.5f, others %.5f\n", GetParam().name, worst.all, worst.others);
    return worst;
  }

  const TemporaryDirectory directory_;
};

/// What the checkpoint would ask for without outliers: 1 of every channel.
TensorFactors all_ones(const models::Package& package) {
  TensorFactors factors = tensor_factors({&package, 1}, {});
  for (auto& [tensor, f] : factors.of) f.clear();
  return factors;
}

TEST_P(OutlierChannelsTest, EveryRowHoldsWithFactorsAndSomeDoesNotWithout) {
  const auto bare = open();
  set_factors(*bare, all_ones(*bare));
  const Worst without = worst(bare, PrecisionOption::int8);

  const Worst at_load = worst(open(), PrecisionOption::int8);
  if (GetParam().holds_at_load) {
    EXPECT_GE(at_load.all, kHolds);
    EXPECT_GE(at_load.others, kHolds);
  }

  const auto measured = open();
  const std::vector<TokenSequence> other_texts = random_texts(2);
  set_factors(*measured,
              tensor_factors({measured.get(), 1}, {}, measure_columns(*measured, other_texts)));
  const Worst calibrated = worst(measured, PrecisionOption::int8);
  EXPECT_GE(calibrated.all, kHolds);
  EXPECT_GE(calibrated.others, kHolds);
  EXPECT_LT(without.others, kHolds) << "without factors";
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, OutlierChannelsTest,
    testing::Values(OutlierCase{"gamma_compensated", Outliers::gamma, true, 0.045F, true},
                    OutlierCase{"beta_compensated", Outliers::beta, true, 0.08F, true},
                    OutlierCase{"residual_compensated", Outliers::residual, true, 0.05F, true},
                    // The columns say nothing of the outliers, nor do the norms: only texts do.
                    OutlierCase{"residual", Outliers::residual, false, 0.027F, false}),
    [](const auto& p) { return p.param.name; });

/// A norm that writes whole numbers itself is measured as one behind which a narrow op does.
TEST(MeasureColumnsTest, ValuesOfNormsAreAmongThem) {
  const models::Package package = models::open_package(kGoldenData / "modernbert-model");
  const MeasuredColumns columns = measure_columns(package, random_texts(3));
  const Program whole = model_program(package.program, {.precision = Precision::s8});
  std::size_t norms = 0;
  for (const Op& op : whole.ops) {
    const std::optional<FactoredValue> factored = factored_value(op);
    if (!factored) continue;
    norms += std::holds_alternative<LayerNormOp>(op) ? 1U : 0U;
    EXPECT_TRUE(columns.contains(whole.values[at(factored->value)].name))
        << whole.values[at(factored->value)].name;
  }
  EXPECT_GT(norms, 1U);
}

class OutlierModelTest : public testing::Test {
 protected:
  void SetUp() override { write_outlier_model(directory_ / "model", Outliers::gamma, true); }
  std::shared_ptr<const models::Package> open() const {
    return std::make_shared<const models::Package>(models::open_package(directory_ / "model"));
  }
  const TemporaryDirectory directory_;
};

TEST_F(OutlierModelTest, ARowOfInt8DependsOnItselfAlone) {
  const auto package = open();
  const std::vector<TokenSequence> texts = random_texts(3);
  Rows alone;
  for (const TokenSequence& text : texts) {
    Rows rows = states(package, {&text, 1}, PrecisionOption::int8);
    std::move(rows.begin(), rows.end(), std::back_inserter(alone));
  }
  EXPECT_TRUE(states(package, texts, PrecisionOption::int8) == alone);
}

TEST_F(OutlierModelTest, PackedWeightsOfAFileHaveTheirFactors) {
  const auto package = open();
  const std::vector<TokenSequence> texts = random_texts(4);
  const Rows expected = states(package, texts, PrecisionOption::int8);
  const std::filesystem::path cache = directory_ / "cache";
  EXPECT_TRUE(states(package, texts, PrecisionOption::int8, cache) == expected) << "packed";
  ASSERT_FALSE(std::filesystem::is_empty(cache));
  EXPECT_TRUE(states(package, texts, PrecisionOption::int8, cache) == expected) << "read";
}

TEST_F(OutlierModelTest, WeightsThatReadTheSameRowsCannotHaveOtherFactors) {
  const auto package = open();
  TensorFactors factors = tensor_factors({package.get(), 1}, {});
  ASSERT_TRUE(factors.differ.empty());
  std::vector<float>& f = factors.of.at("encoder.layer.1.attention.self.key.weight");
  f.assign(kOutlierHidden, 1.0F);
  f[9] = 2.0F;
  set_factors(*package, factors);
  const std::string problem =
      error_of([&] { main_rows(package, random_texts(5), PrecisionOption::int8); });
  EXPECT_NE(problem.find("self.key.weight\" are others than those of"), std::string::npos)
      << problem;
}

TEST(NoOutlierChannelsTest, FactorsAreNotForModelsWithoutThem) {
  const TemporaryDirectory directory;
  write_outlier_model(directory.path(), Outliers::none, false);
  const models::Package package = models::open_package(directory.path());
  const TensorFactors factors = tensor_factors({&package, 1}, {});
  EXPECT_EQ(factors.of.size(), 6U * kOutlierLayers);
  for (const auto& [tensor, f] : factors.of) EXPECT_TRUE(f.empty()) << tensor;
  EXPECT_TRUE(factors.differ.empty());
}

}  // namespace
}  // namespace tessera::test
