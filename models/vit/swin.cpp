// SPDX-License-Identifier: Apache-2.0
//
// Swin (Liu et al. 2021) and Swin V2 (Liu et al. 2022): stages of attention within windows of a map of
// cells, every other block's windows of the rolled map; between stages 2 x 2 cells become one. Ports
// transformers v4.57 modeling_swin.py and modeling_swinv2.py.
//
//           block                          scores                               between stages
//   V1      x + attention(norm(x)), ...    q·k/√d + table[distance]             merge, norm, reduction
//   V2      x + norm(attention(x)), ...    cos(q,k)·exp(scale) + b(distance)    merge, reduction, norm
//
// Images of any size. Cells beyond a map that fill its last windows are zeros where q, k and v are
// computed of them, and take part as keys.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "models/heads.hpp"
#include "models/vit/vit_like.hpp"

namespace tessera::models {
namespace {

constexpr Index kMostStages = 16, kMostBlocks = 1024, kMostHeads = 65536;
/// Of a window: 2^16 pairs of cells, times the heads, are held for every block.
constexpr Index kMostWindow = 64;
/// SwinPatchEmbeddings and SwinPatchMerging leave nn.LayerNorm its default.
constexpr float kMapNormEps = 1e-5F;
/// nn.Linear(2, 512) of Swinv2SelfAttention's continuous_position_bias_mlp.
constexpr Index kBiasHidden = 512;

struct SwinConfig {
  bool is_v2 = false, qkv_bias = true;
  Index embed_dim = 0, window = 0;
  std::vector<Index> depths, heads, trained_windows;  // by stage
  double mlp_ratio = 0;
  Activation activation = Activation::none;
  float norm_eps = 0;

  Index stages() const { return std::ssize(depths); }
  Dim width(Index stage) const { return {embed_dim << stage, "embed_dim"}; }
};

/// A stage: its map, and the windows of even and of odd blocks over it.
struct Stage {
  SpaceId map = kTokens, windows = kNone, rolled = kNone;
  Dim width;
  Index heads = 0, window = 0, shift = 0, trained = 0;
};

std::vector<Index> by_stage(const Config& config, const char* key, const std::vector<Index>& absent,
                            Index stages, Index min, Index max) {
  std::vector<Index> list = config.integers(key, absent, min, max);
  if (std::ssize(list) != stages) {
    config.wrong(key, fmt::format("an array of {} numbers, as \"depths\" is", stages));
  }
  return list;
}

SwinConfig read_swin_config(BuildContext& context, bool is_v2) {
  const Config& config = context.config;
  refuse_unsupported(config, "absolute");
  if (config.boolean("use_absolute_embeddings", false)) {
    config.unsupported("use_absolute_embeddings", "false");
  }
  SwinConfig swin{.is_v2 = is_v2,
                  .qkv_bias = config.boolean("qkv_bias", true),
                  .embed_dim = config.integer("embed_dim", 96, 1, kMostHeads),
                  .window = config.integer("window_size", 7, 1, kMostWindow),
                  .depths = config.integers("depths", {2, 2, 6, 2}, 1, kMostBlocks),
                  .heads = {},
                  .trained_windows = {},
                  .mlp_ratio = config.number("mlp_ratio", 4.0, 0.0),
                  .activation = config.activation("hidden_act", "gelu"),
                  .norm_eps = static_cast<float>(config.number("layer_norm_eps", 1e-5, 0.0))};
  const Index stages = swin.stages();
  if (stages < 1 || stages > kMostStages) {
    config.wrong("depths", fmt::format("an array of 1 to {} numbers", kMostStages));
  }
  swin.heads = by_stage(config, "num_heads", {3, 6, 12, 24}, stages, 1, kMostHeads);
  for (Index s = 0; s < stages; ++s) {
    const Index width = swin.width(s).size;
    if (width % swin.heads[static_cast<std::size_t>(s)] == 0) continue;
    config.wrong("num_heads", fmt::format("a divisor of the width of each stage, embed_dim times "
                                          "2^stage, which is {} of stage {}",
                                          width, s));
  }
  if (is_v2) {
    const std::vector<Index> zeros(swin.depths.size(), 0);
    swin.trained_windows =
        by_stage(config, "pretrained_window_sizes", zeros, stages, 0, kMostWindow);
    if (std::ranges::count(swin.trained_windows, 1) > 0) {
      config.wrong("pretrained_window_sizes", "0 or 2 and more: distances are divided by one less");
    }
  }
  const auto inner = static_cast<double>(swin.embed_dim) * swin.mlp_ratio;
  if (inner < 1.0 || swin.mlp_ratio > 1024) {
    config.wrong("mlp_ratio", "a ratio from 1/embed_dim to 1024");
  }
  return swin;
}

/// The native size as V1 takes it: a map of any stage is no smaller than the window.
void require_windows(const Config& config, const SwinConfig& swin, ImageSpec& images) {
  // A side of a map is ⌈pixels / (patch·2^s)⌉, and window cells or more.
  const Index last = Index{1} << (swin.stages() - 1);
  images.least_height = images.patch_height * last * (swin.window - 1) + 1;
  images.least_width = images.patch_width * last * (swin.window - 1) + 1;
  if (images.height >= images.least_height && images.width >= images.least_width) return;
  config.wrong(
      "window_size",
      fmt::format("at most the smaller side of the last stage's map of an image of {} x {}",
                  images.height, images.width));
}

ImageSpec read_swin_images(const Config& config, const SwinConfig& swin) {
  ImageSpec images = read_image_spec(config, {.patch_size = 4});
  images.pads = true;
  images.sizes = ImageSizes::any;
  if (!swin.is_v2) require_windows(config, swin, images);
  // The rows of the native map in whole patches, as the config class counts them.
  const Index rows = images.height / images.patch_height;
  if (rows >> (swin.stages() - 1) < 1) {
    config.wrong("depths", fmt::format("fewer stages: {} halve a map of {} rows to none",
                                       swin.stages(), rows));
  }
  return images;
}

Stage make_stage(Builder& b, const SwinConfig& swin, Index s, SpaceId map) {
  const auto i = static_cast<std::size_t>(s);
  const ImageSpec& images = *b.program().images();
  Stage stage{.map = map,
              .width = swin.width(s),
              .heads = swin.heads[i],
              .window = swin.window,
              .shift = swin.window / 2};
  if (swin.is_v2) {
    // window_size = input_resolution if it is no larger; then shift_size = 0      Swinv2Layer
    const Index native = (images.height / images.patch_height) >> s;
    if (native <= swin.window) stage.window = native, stage.shift = 0;
    const Index trained = swin.trained_windows[i];
    stage.trained = trained > 0 ? trained : stage.window;
  }
  const std::string name = fmt::format("stage.{}.", s);
  Space windows{
      .name = name + "windows", .parent = map, .rule = RowRule::grid_windows, .n = stage.window};
  stage.windows = stage.rolled = b.add_space(windows);
  if (stage.shift > 0 && swin.depths[i] > 1) {
    windows.name = name + "rolled";
    windows.shift = stage.shift;
    windows.rolls_small = swin.is_v2;  // V1 asks the map of each image, V2 the native one
    stage.rolled = b.add_space(windows);
  }
  return stage;
}

class Blocks {
 public:
  Blocks(BuildContext& context, const SwinConfig& swin) : b_(context.builder), swin_(swin) {}

  /// hidden_states = x + attention(...); return hidden_states + mlp(...)     SwinLayer, Swinv2Layer
  ValueId block(const std::string& name, const std::string& prefix, const Stage& stage, bool is_odd,
                ValueId x) const {
    const auto norm = [&](const char* value, ValueId in, const char* tensor) {
      return b_.layer_norm(name + value, in, prefix + tensor, stage.width, swin_.norm_eps);
    };
    const bool v2 = swin_.is_v2;
    const ValueId n = v2 ? x : norm(".attention_norm", x, "layernorm_before");
    ValueId attended = attention(name, prefix, stage, is_odd ? stage.rolled : stage.windows, n);
    if (v2) attended = norm(".attention_norm", attended, "layernorm_before");
    const ValueId y = b_.add(name + ".attention_sum", attended, x);

    const auto inner = static_cast<Index>(static_cast<double>(stage.width.size) * swin_.mlp_ratio);
    const Dim F{inner, "mlp_ratio"};
    const ValueId m = v2 ? y : norm(".ffn_norm", y, "layernorm_after");
    const ValueId wide =
        b_.linear(name + ".ffn_in", m, prefix + "intermediate.dense", F, stage.width);
    const ValueId active = b_.activation(name + ".ffn_act", wide, swin_.activation);
    ValueId narrow = b_.linear(name + ".ffn_out", active, prefix + "output.dense", stage.width, F);
    if (v2) narrow = norm(".ffn_norm", narrow, "layernorm_after");
    return b_.add(name + ".out", narrow, y);
  }

 private:
  /// Rows go back to the map before the projection, which then computes nothing for cells beyond it.
  ValueId attention(const std::string& name, const std::string& prefix, const Stage& stage,
                    SpaceId windows, ValueId x) const {
    const Dim& C = stage.width;
    const HeadCounts heads{stage.heads, stage.heads, C.size / stage.heads};
    const std::string self = prefix + "attention.self.";
    const ValueId cells = b_.window_rows(name + ".windows", x, windows);
    const bool bias = swin_.qkv_bias;
    ValueId qkv = b_.stacked_linear(name + ".qkv", cells,
                                    {{self + "query", C, bias},
                                     {self + "key", C, bias && !swin_.is_v2},
                                     {self + "value", C, bias}},
                                    C);
    AttentionTerms terms{.position = PairBias{bias_of(self, stage, windows)}};
    if (swin_.is_v2) {
      // normalize(query) @ normalize(key) * clamp(logit_scale, max=log(100)).exp()
      qkv = b_.cosine(name + ".cosine", qkv, heads, self + "logit_scale");
      terms.scale = 1.0F / static_cast<float>(heads.dim);
    }
    const ValueId in_windows = b_.attention(name + ".context", qkv, heads, terms);
    const ValueId context = b_.window_rows(name + ".context_rows", in_windows, stage.map);
    return b_.linear(name + ".attention_output", context, prefix + "attention.output.dense", C, C);
  }

  ParameterId bias_of(const std::string& self, const Stage& stage, SpaceId windows) const {
    const Dim heads{stage.heads, "num_heads"};
    WindowBias window{.n = stage.window, .shift = b_.program().spaces[at(windows)].shift};
    if (!swin_.is_v2) return b_.window_bias(self + "relative_position_bias_table", heads, window);
    const std::string mlp = self + "continuous_position_bias_mlp.";
    window.weight = mlp + "0.weight";
    window.bias = mlp + "0.bias";
    window.hidden = kBiasHidden;
    window.trained = stage.trained;
    return b_.window_bias(mlp + "2.weight", heads, window);
  }

  Builder& b_;
  const SwinConfig& swin_;
};

/// SwinPatchMerging, Swinv2PatchMerging: the cells of the next stage.
ValueId merged(BuildContext& context, const SwinConfig& swin, Index s, SpaceId to, ValueId x) {
  Builder& b = context.builder;
  const std::string name = fmt::format("stage.{}.", s);
  const std::string prefix = fmt::format("{}encoder.layers.{}.downsample.", context.prefix, s);
  const Dim four{4 * swin.width(s).size, "embed_dim"}, C = swin.width(s + 1);
  ValueId cells = b.merge_cells(name + "merged", x, to);
  if (!swin.is_v2) {
    cells = b.layer_norm(name + "merge_norm", cells, prefix + "norm", four, kMapNormEps);
  }
  cells = b.linear(name + "out", cells, prefix + "reduction", C, four, {.has_bias = false});
  if (!swin.is_v2) return cells;
  return b.layer_norm(name + "out_norm", cells, prefix + "norm", C, kMapNormEps);
}

ValueId build(BuildContext& context, bool is_v2) {
  Builder& b = context.builder;
  const SwinConfig swin = read_swin_config(context, is_v2);
  const ImageSpec images = read_swin_images(context.config, swin);
  Package& package = context.package;
  package.program.inputs = images;
  package.program.spaces[at(kTokens)].native = images.grid_of(images.height, images.width);
  const Dim last_width = swin.width(swin.stages() - 1);
  package.hidden = last_width.size;
  package.intermediate = static_cast<Index>(static_cast<double>(last_width.size) * swin.mlp_ratio);
  package.layers = std::accumulate(swin.depths.begin(), swin.depths.end(), Index{0});
  package.heads = swin.heads.back();

  // embeddings = self.norm(self.patch_embeddings(pixel_values))                  SwinEmbeddings
  const std::string e = context.prefix + "embeddings.";
  const ValueId patches = b.patch_embed("embeddings.patches",
                                        {.weight = e + "patch_embeddings.projection.weight",
                                         .bias = e + "patch_embeddings.projection.bias",
                                         .special = {}},
                                        swin.width(0));
  ValueId x = b.layer_norm("embeddings.out", patches, e + "norm", swin.width(0), kMapNormEps);
  std::vector<ValueId> states{x};
  const Blocks blocks(context, swin);
  SpaceId map = kTokens;
  for (Index s = 0; s < swin.stages(); ++s) {
    const Stage stage = make_stage(b, swin, s, map);
    for (Index i = 0; i < swin.depths[static_cast<std::size_t>(s)]; ++i) {
      x = blocks.block(fmt::format("stage.{}.block.{}", s, i),
                       fmt::format("{}encoder.layers.{}.blocks.{}.", context.prefix, s, i), stage,
                       i % 2 == 1, x);
    }
    if (s + 1 < swin.stages()) {
      map = b.add_space(
          {.name = fmt::format("stage.{}", s + 1), .parent = map, .rule = RowRule::grid, .n = 2});
      x = merged(context, swin, s, map, x);
    }
    states.push_back(x);
  }
  output_states(context, states);
  // sequence_output = self.layernorm(...); pooled_output = mean(sequence_output)       SwinModel
  const ValueId last =
      b.layer_norm("last_hidden_state", x, context.prefix + "layernorm", last_width, swin.norm_eps);
  const ValueId pooled = b.pool("pooler.out", last, Pooling::mean);
  b.output("last_hidden_state", last);
  b.output("pooler_output", pooled);
  if (package.task == Task::sequence_classification) classify_pooled(context, pooled, last_width);
  output_embedding(context, pooled, "mean of the last map's cells");
  return last;
}

}  // namespace

ValueId build_swin(BuildContext& context) {
  return build(context, false);
}

ValueId build_swinv2(BuildContext& context) {
  return build(context, true);
}

}  // namespace tessera::models
