// SPDX-License-Identifier: Apache-2.0
// What is compared is what a run computes, it is whole, and the layer that is off is named.
#include "tessera/measure/against.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/kernel_table.hpp"
#include "tests/golden/stored.hpp"
#include "tests/models/checkpoint_copy.hpp"
#include "tests/support/isa.hpp"

namespace tessera {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using PackagePointer = std::shared_ptr<const models::Package>;
constexpr MeteredOptions::Rates kNominal = MeteredOptions::Rates::nominal;

PackagePointer open(const std::string& golden_case) {
  return std::make_shared<const models::Package>(
      models::open_package(test::kGoldenData / golden_case));
}

/// 23 rows in three sequences, or three images.
BatchShape shape_of(const models::Package& package) {
  const ImageSpec* images = package.program.images();
  return images == nullptr ? BatchShape{23, 3} : BatchShape{3 * images->native_rows(), 3};
}

EncoderOptions options_of(PrecisionOption precision, Isa isa) {
  EncoderOptions options;
  options.precision = precision;
  options.model.isa = isa;
  options.session.threads = 2;
  return options;
}

std::vector<HeldValue> held(const PackagePointer& package, const EncoderOptions& options) {
  MeteredModel metered(package, options, shape_of(*package),
                       {.rates = kNominal, .holds_states = true});
  return held_values(metered);
}

std::vector<float> elements_of(TensorView<const float> view) {
  std::vector<float> elements;
  for (Index i = 0; i < view.rows; ++i) {
    elements.insert(elements.end(), view.row(i).begin(), view.row(i).end());
  }
  return elements;
}

class AgainstTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override { SKIP_UNLESS_SUPPORTED(GetParam()); }
  /// The precisions that this level has.
  std::vector<PrecisionOption> precisions() const {
    std::vector<PrecisionOption> all;
    for (const PrecisionOption option : kPrecisionOptions) {
      const Precision precision = precision_to_ask(option);
      if (option == PrecisionOption::automatic) continue;
      if (kernels::kernels_at(GetParam()).gemm[precision].run != nullptr) all.push_back(option);
    }
    return all;
  }
};
INSTANTIATE_FOR_ALL_ISAS(AgainstTest);

// Heads on one row, a mean, maps, windows, experts, norms before and after.
constexpr const char* kCases[] = {"bert-model",       "bert-seqcls",   "vit-imgcls",
                                  "swin-imgcls",      "splade-bert",   "nomic-embed-v2-moe",
                                  "modernbert-model", "siglip-vision", "efficientvit-msra-model"};

TEST_P(AgainstTest, LookingAtARunChangesNoBitOfIt) {
  for (const char* name : kCases) {
    const PackagePointer package = open(name);
    for (const PrecisionOption precision : precisions()) {
      SCOPED_TRACE(std::string(name) + " " + to_string(precision));
      const EncoderOptions options = options_of(precision, GetParam());
      MeteredModel plain(package, options, shape_of(*package), {.rates = kNominal});
      MeteredModel shown(package, options, shape_of(*package),
                         {.rates = kNominal, .holds_states = true});
      ASSERT_EQ(plain.session().program().ops.size(), shown.session().program().ops.size());
      plain.run(nullptr, 1);
      shown.run(nullptr, 1);
      const std::string output = main_output(package->program);
      EXPECT_EQ(elements_of(plain.session().output(output)),
                elements_of(shown.session().output(output)));
    }
  }
}

// Of all states, asked for as outputs; those of a layer that is computed for one row each are not.
TEST_P(AgainstTest, WhatIsHeldIsTheState) {
  for (const char* name : {"bert-model", "modernbert-model", "swin-imgcls"}) {
    SCOPED_TRACE(name);
    const PackagePointer package = open(name);
    EncoderOptions options = options_of(PrecisionOption::fp32, GetParam());
    const std::vector<HeldValue> values = held(package, options);
    for (const Output& output : package->program.outputs) {
      options.session.outputs.push_back(output.name);
    }
    MeteredModel asked(package, options, shape_of(*package), {.rates = kNominal});
    asked.run(nullptr, 1);
    int states = 0;
    for (const HeldValue& value : values) {
      for (const std::string& each : value.names) {
        if (package->program.find_output(each) == kNone) continue;  // within the layer
        states += each.starts_with("hidden_states.") ? 1 : 0;
        EXPECT_EQ(value.elements, elements_of(asked.session().output(each))) << each;
      }
    }
    EXPECT_GE(states, 2);
  }
}

TEST_P(AgainstTest, BlocksOfRowsAreWholeInMemory) {
  const PackagePointer package = open("bert-model");
  for (const PrecisionOption precision : precisions()) {
    EncoderOptions options = options_of(precision, GetParam());
    options.session.row_blocks = 0;
    const std::vector<HeldValue> op_by_op = held(package, options);
    for (const Index rows : {5, 16}) {
      for (const int threads : {1, 2}) {
        options.session.row_blocks = rows;
        options.session.threads = threads;
        const std::vector<HeldValue> in_blocks = held(package, options);
        ASSERT_EQ(in_blocks.size(), op_by_op.size());
        for (const Compared& each : compare_held(in_blocks, op_by_op)) {
          EXPECT_FALSE(each.difference.is_any()) << each.value;
        }
      }
    }
  }
}

/// bert-model with one element of a weight changed.
PackagePointer changed(const std::string& tensor, float to) {
  test::CheckpointCopy copy("bert-model");
  copy.tensors.at(tensor).data[5] = to;
  return std::make_shared<const models::Package>(copy.open());
}

TEST_P(AgainstTest, TheLayerOfAChangedWeightIsTheFirstThatIsOff) {
  const EncoderOptions options = options_of(PrecisionOption::fp32, GetParam());
  const auto layers = static_cast<int>(open("bert-model")->layers);
  ASSERT_GE(layers, 2);
  const std::vector<HeldValue> before = held(
      std::make_shared<const models::Package>(test::CheckpointCopy("bert-model").open()), options);
  for (int layer = 0; layer < layers; ++layer) {
    const std::string tensors = "encoder.layer." + std::to_string(layer),
                      values = "layer." + std::to_string(layer);
    const auto expect_first = [&](const std::string& tensor, const std::string& value) {
      Against against;
      against.values = compare_held(held(changed(tensors + tensor, 2), options), before);
      ASSERT_NE(against.first_off(), nullptr) << tensor;
      EXPECT_EQ(against.first_off()->value, values + value);
      bool is_off = false;  // and what comes behind it is off, too
      for (const Compared& each : against.values) {
        is_off |= each.value == values + value;
        EXPECT_EQ(each.difference.worst > 0, is_off) << each.value;
      }
    };
    expect_first(".attention.self.value.weight", ".attention_norm");
    expect_first(".output.dense.weight", ".out");
  }
}

TEST_P(AgainstTest, ANaNIsReported) {
  const PackagePointer package =
      changed("encoder.layer.1.output.dense.bias", std::numeric_limits<float>::quiet_NaN());
  for (const PrecisionOption precision : precisions()) {
    if (precision == PrecisionOption::fp32) continue;
    const Against against = make_against(package, options_of(precision, GetParam()),
                                         PrecisionOption::fp32, shape_of(*package), kNominal);
    for (const Compared& each : against.values) {
      const bool is_behind = each.value == "layer.1.out" || each.value.starts_with("embedding.");
      if (!is_behind) continue;
      EXPECT_TRUE(std::isnan(each.difference.worst)) << each.value;
      EXPECT_GT(each.difference.not_finite[0], 0U);
      EXPECT_GT(each.difference.not_finite[1], 0U);
    }
    EXPECT_THAT(against_text(against), HasSubstr("are NaN or infinite"));
    EXPECT_THAT(against_json(against), HasSubstr(R"("worst_one_minus_cos":null)"));
  }
}

// The last layer of a classifier is one row per sequence, in fp32; the one before it is whole.
TEST_P(AgainstTest, ALayerThatIsComputedForOneRowHasThatRow) {
  const PackagePointer package = open("bert-seqcls");
  const std::string last = "layer." + std::to_string(package->layers - 1);
  for (const PrecisionOption precision : precisions()) {
    if (precision == PrecisionOption::fp32) continue;
    const Against against = make_against(package, options_of(precision, GetParam()),
                                         PrecisionOption::fp32, shape_of(*package), kNominal);
    EXPECT_EQ(against.sides[0].precision, precision_to_ask(precision));
    EXPECT_EQ(against.sides[1].precision, Precision::f32);
    std::vector<std::string> values;
    for (const Compared& each : against.values) {
      values.push_back(each.value);
      const bool is_pooled = each.value.starts_with(last) || each.names.front() == "logits" ||
                             each.value.starts_with("pool");
      EXPECT_EQ(each.rows, is_pooled ? 3 : 23) << each.value;
    }
    EXPECT_THAT(values, Contains(last + ".out"));
    for (const Product& product : against.sides[0].products) {
      if (product.name == last + ".qkv" || product.name == "layer.0.out") {
        EXPECT_EQ(product.precision, precision_to_ask(precision)) << product.name;
      } else if (product.name == last + ".out") {
        EXPECT_EQ(product.precision, Precision::f32);
      }
    }
    for (const Product& product : against.sides[1].products) {
      EXPECT_EQ(product.precision, Precision::f32) << product.name;
    }
  }
}

TEST(AgainstOfOneTest, ThePrecisionThatAutoComesToMayBeTheOther) {
  const PackagePointer package = open("bert-model");  // stored in 32 bits
  EncoderOptions options;
  options.precision = PrecisionOption::automatic;
  EXPECT_THAT(test::error_of([&] {
                make_against(package, options, PrecisionOption::fp32, {9, 1}, kNominal);
              }),
              HasSubstr("against: got auto and fp32, which are both fp32 here, expected two"));
}

TEST(AgainstOfOneTest, AStateWithinAnOpIsNamedAndLeftOut) {
  const PackagePointer package = open("vit-imgcls");
  EncoderOptions options;
  options.precision = PrecisionOption::bf16;
  const Against against =
      make_against(package, options, PrecisionOption::fp32, shape_of(*package), kNominal);
  EXPECT_THAT(against.not_held, ElementsAre("hidden_states.2"));
  EXPECT_THAT(against_text(against), HasSubstr("needed for no output): hidden_states.2\n"));
}

}  // namespace
}  // namespace tessera
