// SPDX-License-Identifier: Apache-2.0
//
// The ternary checkpoints that ship: text to ids to embedding or logits at int8, as
// scripts/ternary_reference.py computed them in f64 with sums in integers; and rows through single
// linears, whose numbers and sums are met exactly (models/demo/expected-ternary.json).
#include <gtest/gtest.h>
#include <simdjson.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <string>

#include "models/package.hpp"
#include "runtime/session/session.hpp"
#include "runtime/weights/packed_weights.hpp"
#include "tests/golden/compare_run.hpp"
#include "tests/kernels/gemm/integer_rows.hpp"
#include "tests/kernels/probe/emulated_tiles.hpp"
#include "tests/support/isa.hpp"

namespace tessera::test {
namespace {

const std::filesystem::path kDemo = std::filesystem::path(TESSERA_SOURCE_DIR) / "models/demo";

struct TernaryCase {
  const char* directory;
  const char* output;  ///< of the program
  const char* key;     ///< in expected-ternary.json
  double most;         ///< difference of an element: README.md of models/demo, of 200 texts in f32
};

class DemoTernaryTest : public testing::TestWithParam<std::tuple<Isa, TernaryCase>> {};

std::vector<float> floats(const simdjson::dom::element& values) {
  std::vector<float> all;
  for (const double x : simdjson::dom::array(values)) all.push_back(static_cast<float>(x));
  return all;
}

std::vector<std::int32_t> integers(const simdjson::dom::element& values) {
  std::vector<std::int32_t> all;
  for (const std::int64_t x : simdjson::dom::array(values)) {
    all.push_back(static_cast<std::int32_t>(x));
  }
  return all;
}

TEST_P(DemoTernaryTest, TextsGiveTheNumbersOfTheReference) {
  const auto& [isa, demo] = GetParam();
  if (!can_run(isa, Precision::s8)) GTEST_SKIP() << "this CPU lacks " << to_string(isa);
  const models::Package package = models::open_package(kDemo / demo.directory);
  ASSERT_TRUE(package.tokenizer.has_value()) << package.tokenizer_problem;
  const auto model = Model::create(package.program, package.checkpoint,
                                   {.isa = isa,
                                    .kernels = kernels_for(isa),
                                    .outputs = {demo.output},
                                    .precision = Precision::s8});
  const auto session = Session::create(
      model, {.max_rows = package.max_tokens, .max_sequences = 1, .threads = 1, .outputs = {}});
  simdjson::dom::parser parser;
  const simdjson::dom::object all = parser.load((kDemo / "expected-ternary.json").string());
  int texts = 0;
  double worst = 0.0, worst_angle = 0.0;
  for (const simdjson::dom::object text : simdjson::dom::array(all[demo.directory]["texts"])) {
    const text::Encoding encoding =
        package.tokenizer->encode(std::string_view(text["text"]),
                                  {.max_length = static_cast<std::size_t>(package.max_tokens)});
    const std::vector<std::int32_t> ids = integers(text["ids"]);
    ASSERT_EQ(encoding.ids, ids);
    const std::vector<std::int32_t> offsets{0, static_cast<std::int32_t>(ids.size())};
    session->run({.ids = ids, .types = {}, .offsets = offsets});
    const std::span<const float> got = session->output(demo.output).row(0);
    const std::vector<float> expected = floats(text[demo.key]);
    ASSERT_EQ(got.size(), expected.size());
    const double d = distance(got, expected), turned = angle(got, expected);
    worst = std::max(worst, d), worst_angle = std::max(worst_angle, turned);
    ++texts;
  }
  EXPECT_GE(texts, 8);
  RecordProperty("worst", std::to_string(worst));
  RecordProperty("worst_angle", std::to_string(worst_angle));
  // Attention in bf16 moves activations by more than f32 does: more of them are rounded otherwise.
  const kernels::KernelTable& table = *usable_level(isa);
  const bool is_wide = table.attention[Precision::bf16].run == nullptr;
  EXPECT_LE(is_wide ? worst : worst_angle, is_wide ? demo.most : kInt8.most)
      << "element " << worst << ", angle " << worst_angle;
}

INSTANTIATE_TEST_SUITE_P(AllIsas, DemoTernaryTest,
                         testing::Combine(testing::ValuesIn(kAllIsas),
                                          testing::Values(TernaryCase{"text-ternary", "embedding",
                                                                      "embedding", 1.3e-4},
                                                          TernaryCase{"text-sections-ternary",
                                                                      "logits", "logits", 3.8e-3})),
                         [](const auto& p) {
                           std::string name = std::string(to_string(std::get<0>(p.param))) + "_" +
                                              std::get<1>(p.param).directory;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

class DemoTernaryLinearTest : public testing::TestWithParam<Isa> {};
INSTANTIATE_FOR_ALL_ISAS(DemoTernaryLinearTest);

/// One row as the kernels of a level read it, and its product with the panels of one linear.
struct OneRow {
  OneRow(const kernels::KernelTable& table, const std::vector<float>& x)
      : K(std::ssize(x)),
        type(kernels::type_of(table)),
        row(static_cast<std::size_t>(scale_offset(K, type)) + sizeof scale) {
    const kernels::Gemm& gemm = table.gemm[Precision::s8];
    row.resize(row.size() * static_cast<std::size_t>(gemm.rows_read));
    table.quantize({.x = x.data(),
                    .type = DType::f32,
                    .ldx = K,
                    .y = row.data(),
                    .y_bytes = std::ssize(row),
                    .M = 1,
                    .N = K});
    std::memcpy(&scale, row.data() + scale_offset(K, type), sizeof scale);
    for (Index k = 0; k < K; ++k) q.push_back(kernels::number_at(table, row.data(), k));
  }

  /// `bias` null: the sums as such.
  std::vector<float> product(const kernels::Gemm& gemm, const LoadedParameter& w,
                             const float* bias) const {
    std::vector<float> c(static_cast<std::size_t>(w.rows));
    const kernels::Entered<kernels::Gemm> unit(gemm);
    gemm.run({.a = row.data(),
              .lda = scale_offset(K, DType::s8),
              .b = w.panels + gemm.panel_offset(0),
              .ldb = gemm.panel_bytes(K),
              .c = c.data(),
              .ldc = w.rows,
              .mr = 1,
              .nr = w.rows,
              .kc = K,
              .bias = bias,
              .heads = w.panels,
              .row_scales = bias == nullptr ? nullptr : &scale,
              .row_scale_step = 1});
    return c;
  }

  Index K;
  DType type;
  float scale = 0.0F;
  std::vector<std::int32_t> q;
  std::vector<std::byte> row;
};

TEST_P(DemoTernaryLinearTest, NumbersAndSumsAreThoseOfTheReference) {
  const kernels::KernelTable* const table = usable_level(GetParam());
  if (table == nullptr) GTEST_SKIP() << "this CPU lacks " << to_string(GetParam());
  const kernels::Gemm& gemm = table->gemm[Precision::s8];
  const models::Package package = models::open_package(kDemo / "text-ternary");
  simdjson::dom::parser parser;
  const simdjson::dom::object all = parser.load((kDemo / "expected-ternary.json").string());
  int linears = 0;
  for (const simdjson::dom::object each : simdjson::dom::array(all["text-ternary"]["linears"])) {
    const std::string name{std::string_view(each["linear"])};
    const std::vector<float> x = floats(each["x"]), y = floats(each["y"]);
    const std::vector<std::int32_t> sums = integers(each["sums"]);
    Program program;
    program.add_parameter({.name = name,
                           .kind = ParameterKind::matrix,
                           .rows = std::ssize(sums),
                           .cols = std::ssize(x),
                           .sources = {{name + ".weight", std::ssize(sums)}},
                           .precision = Precision::s8});
    program.add_parameter({.name = name,
                           .kind = ParameterKind::vector,
                           .rows = std::ssize(sums),
                           .cols = 1,
                           .sources = {{name + ".bias", std::ssize(sums)}}});
    const PackedWeights weights(program, package.checkpoint, *table);

    const OneRow row(*table, x);
    EXPECT_EQ(row.q, integers(each["q"])) << name;
    EXPECT_EQ(row.scale, static_cast<float>(double(each["s"]))) << name;
    std::vector<std::int32_t> got;
    for (const float bits : row.product(gemm, weights[0], nullptr)) {
      got.push_back(std::bit_cast<std::int32_t>(bits));
    }
    EXPECT_EQ(got, sums) << name;
    const std::vector<float> result = row.product(gemm, weights[0], weights[1].data);
    for (std::size_t n = 0; n < y.size(); ++n) {  // four roundings
      ASSERT_NEAR(result[n], y[n], 5e-7F * std::max(1.0F, std::abs(y[n]))) << name << " " << n;
    }
    ++linears;
  }
  EXPECT_EQ(linears, 3);
}

}  // namespace
}  // namespace tessera::test
