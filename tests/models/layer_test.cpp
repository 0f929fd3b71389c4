// SPDX-License-Identifier: Apache-2.0
//
// One encoder layer with each of its options: which ops it has, over which parameters. What the
// families make of it is compared with the reference by the golden cases; the combinations here are
// those of families to come, too (ModernBERT: no norm first, gated, no biases, windows and global
// layers in turn).
#include "models/layer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/encoder.hpp"
#include "runtime/weights/checkpoint.hpp"
#include "tests/models/checkpoint_copy.hpp"
#include "tests/support/temporary.hpp"

namespace tessera::test {
namespace {

using models::Builder;
using models::Layer;
using models::LayerOptions;
using models::NormPlace;
using testing::ElementsAre;

constexpr Index kHidden = 8, kWide = 12, kHeads = 2;
constexpr models::LayerTensors kTensors{.query = "q",
                                        .key = "k",
                                        .value = "v",
                                        .attention_output = "o",
                                        .attention_norm = "norm1",
                                        .ffn_in = "in",
                                        .ffn_out = "out",
                                        .ffn_norm = "norm2"};

class LayerTest : public testing::Test {
 protected:
  LayerTest() {
    Tensors tensors{{"table", random_tensor({10, kHidden}, 1)}};
    const auto add = [&](const std::string& name, const std::vector<std::int64_t>& shape) {
      tensors["l." + name] = random_tensor(shape, tensors.size());
    };
    for (const char* name : {"q", "k", "v", "o"}) {
      add(name + std::string(".weight"), {kHidden, kHidden});
      add(name + std::string(".bias"), {kHidden});
    }
    for (const char* name : {"norm1", "norm2"}) {
      add(name + std::string(".weight"), {kHidden});
      add(name + std::string(".bias"), {kHidden});
    }
    add("qkv.weight", {3 * kHidden, kHidden});
    add("in.weight", {kWide, kHidden});
    add("in.bias", {kWide});
    add("in2.weight", {2 * kWide, kHidden});
    add("out.weight", {kHidden, kWide});
    add("out.bias", {kHidden});
    add("lambda", {kHidden});
    write_tensors(directory_.path() / "model.safetensors", tensors);
    checkpoint_ = std::make_unique<Checkpoint>(Checkpoint::open(directory_.path()));
    weights_ = std::make_unique<models::WeightMap>(*checkpoint_, "test", "", "config.json");
    program_.inputs = TokenSpec{.vocab_size = 10, .max_tokens = 64};
    layer_.options = {.hidden = {kHidden, "hidden_size"},
                      .intermediate = {kWide, "intermediate_size"},
                      .heads = kHeads,
                      .norm_eps = 1e-5F};
  }

  /// Builds the layer over an embedding; its ops, without the embedding.
  std::vector<std::string> ops() {
    Builder b(program_, *weights_);
    const ValueId x = b.embedding("x", {{"table", TokenInput::ids, {10, ""}}}, {kHidden, ""});
    b.output("y", models::encoder_layer(b, "layer", layer_, x));
    check(program_);
    EXPECT_EQ(program_.values.back().name, "layer.out");
    std::vector<std::string> names;
    for (const Op& op : program_.ops) names.emplace_back(name_of(op));
    names.erase(names.begin());
    return names;
  }

  const Parameter* parameter(std::string_view name) const {
    for (const Parameter& p : program_.parameters) {
      if (p.name == name) return &p;
    }
    return nullptr;
  }

  void norms(NormPlace attention, NormPlace ffn) {
    layer_.options.attention_norm = attention;
    layer_.options.ffn_norm = ffn;
  }

  test::TemporaryDirectory directory_;
  std::unique_ptr<Checkpoint> checkpoint_;
  std::unique_ptr<models::WeightMap> weights_;
  Program program_;
  Layer layer_{.options = {}, .tensors = kTensors, .prefix = "l."};
};

TEST_F(LayerTest, NormsComeAfterUnlessSaidOtherwise) {
  EXPECT_THAT(ops(), ElementsAre("linear", "attention", "linear", "add", "layer_norm",  //
                                 "linear", "activation", "linear", "add", "layer_norm"));
}

TEST_F(LayerTest, NormsComeBefore) {
  norms(NormPlace::before, NormPlace::before);
  EXPECT_THAT(ops(), ElementsAre("layer_norm", "linear", "attention", "linear", "add", "layer_norm",
                                 "linear", "activation", "linear", "add"));
}

TEST_F(LayerTest, NormsAreLeftOut) {
  norms(NormPlace::none, NormPlace::none);
  EXPECT_THAT(ops(), ElementsAre("linear", "attention", "linear", "add",  //
                                 "linear", "activation", "linear", "add"));
}

TEST_F(LayerTest, ModernBertsFirstLayerIsOptions) {
  norms(NormPlace::none, NormPlace::before);
  LayerOptions& o = layer_.options;
  o.gated = true;
  o.biases = {.query = false,
              .key = false,
              .value = false,
              .attention_output = false,
              .ffn_in = false,
              .ffn_out = false,
              .norms = false};
  o.attention = {.position = Alibi{}, .mask = {.left = 3, .right = 3}};
  layer_.tensors.qkv = "qkv";
  layer_.tensors.ffn_in = "in2";
  EXPECT_THAT(ops(), ElementsAre("linear", "attention", "linear", "add",  //
                                 "layer_norm", "linear", "gated", "linear", "add"));
  EXPECT_EQ(parameter("layer.qkv.weight")->sources.size(), 1U);
  EXPECT_EQ(parameter("layer.qkv.weight")->rows, 3 * kHidden);
  for (const Parameter& p : program_.parameters) {  // a beta of zeros is all that is left
    const bool is_beta = p.name == "layer.ffn_norm.beta";
    EXPECT_FALSE(p.name.ends_with(".bias")) << p.name;
    EXPECT_EQ(p.sources.front().tensor.empty(), is_beta) << p.name;
  }
  const auto& attention = std::get<AttentionOp>(program_.ops[2]);
  EXPECT_TRUE(std::holds_alternative<Alibi>(attention.position));
  EXPECT_EQ(attention.mask, o.attention.mask);
}

TEST_F(LayerTest, LayerScaleIsMultipliedIntoTheLinearBeforeIt) {
  layer_.tensors.attention_scale = "lambda";
  ops();
  EXPECT_EQ(parameter("layer.attention_output.weight")->row_scale, "l.lambda");
  EXPECT_EQ(parameter("layer.attention_output.bias")->row_scale, "l.lambda");
  EXPECT_EQ(parameter("layer.ffn_out.weight")->row_scale, "");
}

TEST_F(LayerTest, OneMissingBiasIsZerosInTheStack) {
  layer_.options.biases.key = false;
  ops();
  const std::vector<Source>& sources = parameter("layer.qkv.bias")->sources;
  ASSERT_EQ(sources.size(), 3U);
  EXPECT_EQ(sources[0].tensor, "l.q.bias");
  EXPECT_EQ(sources[1].tensor, "");
}

TEST_F(LayerTest, EveryLayerMayDiffer) {
  models::Config config = models::Config::parse("{}", "config.json");
  models::Package package;
  package.layers = 4;
  Builder b(package.program, *weights_);
  models::BuildContext context{.config = config, .builder = b, .package = package};
  const ValueId x = b.embedding("x", {{"table", TokenInput::ids, {10, ""}}}, {kHidden, ""});
  models::encoder_stack(
      context,
      [&](Index i) {
        Layer layer = layer_;
        if (i % 2 == 1) layer.options.attention.mask = {.left = 2, .right = 2};
        return layer;
      },
      x);
  std::vector<bool> windows;
  for (const Op& op : package.program.ops) {
    if (const auto* o = std::get_if<AttentionOp>(&op)) {
      windows.push_back(o->mask != kernels::AttentionMask{});
    }
  }
  EXPECT_THAT(windows, ElementsAre(false, true, false, true));
  EXPECT_NE(package.program.find_output("hidden_states.4"), kNone);
  EXPECT_EQ(package.program.find_output("hidden_states.5"), kNone);
}

}  // namespace
}  // namespace tessera::test
