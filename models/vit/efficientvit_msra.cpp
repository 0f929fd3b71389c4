// SPDX-License-Identifier: Apache-2.0
//
// EfficientViT (Liu et al. 2023), M0 to M5: maps of cells between depthwise convolutions, and attention in
// windows whose heads are a cascade: each sees its own channels and what the head before it made of its
// own. Batch norms are folded into the convolutions at load. Ports timm's efficientvit_msra.py; the maps
// are those of the native image size.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

#include "models/heads.hpp"
#include "models/vit/vit_like.hpp"

namespace tessera::models {
namespace {

constexpr std::size_t kStages = 3;
constexpr Index kStemStride = 16, kMostImage = 1 << 16, kMostSize = 1 << 16;
constexpr Index kMostWindow = 32;  ///< a bias for every pair of its cells: 4 MiB of indices a head

/// What a variant's function in timm passes on, by stage but for the kernels, which are by head.
struct Variant {
  std::array<Index, kStages> embed_dim, depth, heads;
  std::array<Index, 4> kernels;
};
constexpr std::array<Variant, 6> kVariants{
    Variant{{64, 128, 192}, {1, 2, 3}, {4, 4, 4}, {5, 5, 5, 5}},
    Variant{{128, 144, 192}, {1, 2, 3}, {2, 3, 3}, {7, 5, 3, 3}},
    Variant{{128, 192, 224}, {1, 2, 3}, {4, 3, 2}, {7, 5, 3, 3}},
    Variant{{128, 240, 320}, {1, 2, 3}, {4, 3, 4}, {5, 5, 5, 5}},
    Variant{{128, 256, 384}, {1, 2, 3}, {4, 4, 4}, {7, 5, 3, 3}},
    Variant{{192, 288, 384}, {1, 3, 4}, {3, 3, 4}, {7, 5, 3, 3}}};

struct Sizes {
  Index image = 0, channels = 0;
  std::vector<Index> embed_dim, key_dim, depth, heads, window, kernels;
};

/// The variant's own sizes, or those of model_args.
Sizes read_sizes(const Config& config, const std::string& architecture) {
  const Variant& variant = kVariants[static_cast<std::size_t>(architecture.back() - '0')];
  const Config args = config.object("model_args");
  for (const auto& [key, value] : args.shown_members()) {
    const std::array known{"img_size",  "in_chans",    "embed_dim", "key_dim",    "depth",
                           "num_heads", "window_size", "kernels",   "global_pool"};
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      args.unsupported(key, fmt::format("no such key; {}", fmt::join(known, ", ")));
    }
  }
  for (const Config* each : {&config, &args}) {
    if (each->string("global_pool", "avg") != "avg") each->unsupported("global_pool", "\"avg\"");
  }
  const auto by_stage = [&](const char* key, const std::array<Index, kStages>& fallback,
                            Index most) {
    std::vector<Index> list = args.integers(key, {fallback.begin(), fallback.end()}, 1, most);
    if (list.size() != kStages) args.wrong(key, fmt::format("{} numbers, one a stage", kStages));
    return list;
  };
  Sizes sizes{.image = args.integer("img_size", 224, kStemStride, kMostImage),
              .channels = args.integer("in_chans", 3, 1, 1024),
              .embed_dim = by_stage("embed_dim", variant.embed_dim, kMostSize),
              .key_dim = by_stage("key_dim", {16, 16, 16}, kMostSize),
              .depth = by_stage("depth", variant.depth, 1024),
              .heads = by_stage("num_heads", variant.heads, kMostSize),
              .window = by_stage("window_size", {7, 7, 7}, kMostImage),
              .kernels = args.integers("kernels", {variant.kernels.begin(), variant.kernels.end()},
                                       1, 255)};
  if (sizes.image % kStemStride != 0) {
    args.unsupported("img_size", fmt::format("a multiple of {}", kStemStride));
  }
  if (sizes.embed_dim[0] < 8) args.wrong("embed_dim", "8 channels in the first stage, or more");
  for (const Index kernel : sizes.kernels) {
    if (kernel % 2 == 0) args.unsupported("kernels", "odd numbers");
  }
  const Index heads = *std::max_element(sizes.heads.begin(), sizes.heads.end());
  if (std::ssize(sizes.kernels) < heads) {
    args.wrong("kernels", fmt::format("{} numbers, one a head", heads));
  }
  for (std::size_t i = 0; i < kStages; ++i) {
    if (sizes.embed_dim[i] % sizes.heads[i] != 0) {
      args.wrong("num_heads",
                 fmt::format("divisors of embed_dim, {} in stage {}", sizes.embed_dim[i], i));
    }
    const Index head_dim = sizes.embed_dim[i] / sizes.heads[i];
    if (sizes.key_dim[i] > head_dim) {
      args.unsupported("key_dim",
                       fmt::format("at most embed_dim / num_heads, {} in stage {}", head_dim, i));
    }
  }
  // What the preprocessor makes of an image is what the model takes.
  const Config trained = config.object("pretrained_cfg");
  const std::vector<Index> input{sizes.channels, sizes.image, sizes.image};
  if (trained.integers("input_size", input, 1, kMostImage) != input) {
    trained.unsupported("input_size",
                        fmt::format("[{}], that of the model", fmt::join(input, ", ")));
  }
  return sizes;
}

/// "label_names", or LABEL_i.
Dim read_classes(BuildContext& context) {
  const Config& config = context.config;
  const Dim classes{config.integer("num_classes", 1000, 0, 1'000'000), "num_classes"};
  std::vector<std::string> labels = config.strings("label_names");
  if (!labels.empty() && std::ssize(labels) != classes.size) {
    config.wrong("label_names", fmt::format("{} names (num_classes)", classes.size));
  }
  for (Index i = std::ssize(labels); i < classes.size; ++i)
    labels.push_back(fmt::format("LABEL_{}", i));
  context.package.labels = std::move(labels);
  return classes;
}

class Stages {
 public:
  Stages(Builder& builder, const Sizes& sizes) : b_(builder), sizes_(sizes) {}

  /// Four convolutions of 3 x 3 with stride 2.                              PatchEmbedding
  ValueId stem() {
    const auto width = [&](Index part) { return Dim{sizes_.embed_dim[0] / part, "embed_dim"}; };
    ValueId x = b_.norm_patch_embed("stem.1", "patch_embed.conv1", width(8), Activation::relu);
    for (Index i = 2, part = 4; i <= 4; ++i, part /= 2) {
      const std::string name = fmt::format("stem.{}", i);
      x = b_.norm_convolution(name, x, fmt::format("patch_embed.conv{}", i), width(part),
                              width(2 * part), kThree, half_of(name, x),
                              i == 4 ? Activation::none : Activation::relu);
    }
    map_ = sizes_.image / kStemStride;
    return x;
  }

  /// x = self.blocks(self.downsample(x))                                    EfficientVitStage
  ValueId stage(std::size_t i, ValueId x) {
    const std::string name = fmt::format("stage.{}", i), tensor = fmt::format("stages.{}.", i);
    const Dim width{sizes_.embed_dim[i], "embed_dim"};
    if (i > 0) {
      const Dim before{sizes_.embed_dim[i - 1], "embed_dim"};
      const std::string down = tensor + "downsample.";
      x = residuals(name + ".before", x, down + "res1.0", down + "res1.1", before);
      x = merge(name + ".merge", x, down + "patchmerge.", before, width);
      x = residuals(name + ".after", x, down + "res2.0", down + "res2.1", width);
    }
    window_space_ = -1;
    for (Index d = 0; d < sizes_.depth[i]; ++d) {
      // x = self.ffn1(self.dw1(self.mixer(self.ffn0(self.dw0(x)))))        EfficientVitBlock
      const std::string block = fmt::format("{}.block.{}", name, d),
                        t = fmt::format("{}blocks.{}.", tensor, d);
      x = residuals(block + ".0", x, t + "dw0", t + "ffn0", width);
      x = mixer(block, i, x, t + "mixer.m.attn.");
      x = residuals(block + ".1", x, t + "dw1", t + "ffn1", width);
    }
    return x;
  }

 private:
  /// The space of the map of x with 2 x 2 cells as one.
  SpaceId half_of(const std::string& name, ValueId x) {
    return b_.add_space({.name = name, .parent = b_.space(x), .rule = RowRule::grid, .n = 2});
  }

  /// x = x + dw(x); x = x + ffn(x)
  ValueId residuals(const std::string& name, ValueId x, const std::string& dw,
                    const std::string& ffn, const Dim& width) {
    x = b_.norm_depthwise(name + ".dw", x, dw + ".m", width, kThree, {.adds_input = true});
    // x = self.pw2(self.act(self.pw1(x)))                                      FFN
    const Dim inner{2 * width.size, width.key};
    const ValueId in = b_.norm_linear(name + ".in", x, ffn + ".m.pw1", inner, width);
    const ValueId active = b_.activation(name + ".act", in, Activation::relu);
    const ValueId out = b_.norm_linear(name + ".out", active, ffn + ".m.pw2", width, inner);
    return b_.add(name + ".sum", x, out);
  }

  /// x = self.conv3(self.se(self.act(self.conv2(self.act(self.conv1(x))))))  PatchMerging
  ValueId merge(const std::string& name, ValueId x, const std::string& tensor, const Dim& width,
                const Dim& out) {
    const Dim inner{4 * width.size, width.key};
    const ValueId wide = b_.norm_linear(name + ".wide", x, tensor + "conv1", inner, width);
    const ValueId active = b_.activation(name + ".act", wide, Activation::relu);
    const SpaceId to = half_of(name, x);
    map_ = (map_ - 1) / 2 + 1;
    const ValueId small = b_.norm_depthwise(name + ".dw", active, tensor + "conv2", inner, kThree,
                                            {.to = to, .activation = Activation::relu});
    // x * sigmoid(fc2(relu(fc1(x.mean((2, 3))))))                          SqueezeExcite
    const Dim squeezed{std::max<Index>(8, (inner.size / 4 + 4) / 8 * 8), width.key};
    const ValueId mean = b_.pool(name + ".mean", small, Pooling::mean);
    const ValueId fc1 = b_.pointwise(name + ".fc1", mean, tensor + "se.fc1", squeezed, inner);
    const ValueId squeeze = b_.activation(name + ".squeeze", fc1, Activation::relu);
    const ValueId fc2 = b_.pointwise(name + ".fc2", squeeze, tensor + "se.fc2", inner, squeezed);
    const ValueId excite = b_.activation(name + ".excite", fc2, Activation::sigmoid);
    const ValueId scaled = b_.scale_rows(name + ".scaled", small, excite);
    return b_.norm_linear(name + ".out", scaled, tensor + "conv3", out, inner);
  }

  /// x + the attention of its windows; of the map where that is no larger than one.
  ///                                          LocalWindowAttention, CascadedGroupAttention
  ValueId mixer(const std::string& name, std::size_t i, ValueId x, const std::string& tensor) {
    const Dim width{sizes_.embed_dim[i], "embed_dim"};
    const bool cuts = map_ > sizes_.window[i];
    const Index side = cuts ? sizes_.window[i] : map_;
    if (cuts && window_space_ < 0) {
      window_space_ = b_.add_space({.name = fmt::format("windows.{}", i),
                                    .parent = b_.space(x),
                                    .rule = RowRule::grid_windows,
                                    .n = side});
    }
    const ValueId in = cuts ? b_.window_rows(name + ".windows", x, window_space_) : x;
    ValueId heads = cascade(name, i, side, in, tensor);
    if (cuts) heads = b_.window_rows(name + ".map", heads, b_.space(x));
    // x = self.proj(torch.cat(feats_out, 1)), a ReLU and a ConvNorm
    const ValueId active = b_.activation(name + ".act", heads, Activation::relu);
    const ValueId out = b_.norm_linear(name + ".proj", active, tensor + "proj.1", width, width);
    return b_.add(name + ".sum", x, out);
  }

  /// The heads side by side.
  ValueId cascade(const std::string& name, std::size_t i, Index side, ValueId in,
                  const std::string& tensor) {
    const Dim heads{sizes_.heads[i], "num_heads"}, key{sizes_.key_dim[i], "key_dim"};
    const Dim width{sizes_.embed_dim[i] / heads.size, "embed_dim"};  // of a head
    const std::string table = tensor + "attention_biases";
    const Dim buckets{side * side, ""};
    (void)b_.weights().find(table, {heads, buckets});  // before there is an index of all pairs
    const std::vector<std::int32_t> gather = pairs(side);
    std::vector<ValueId> outs;
    for (Index h = 0; h < heads.size; ++h) {
      const std::string head = fmt::format("{}.head.{}", name, h);
      // feat = feats_in[0]; then feat = feat + feats_in[i]
      const ValueId feat = heads.size == 1 ? in
                           : h == 0        ? b_.first_columns(head + ".in", in, width.size)
                                    : b_.add_columns(head + ".in", outs.back(), in, h * width.size);
      const Dim qkv_width{2 * key.size + width.size, "key_dim"};
      const ValueId qkv = b_.norm_linear(head + ".qkv", feat, fmt::format("{}qkvs.{}", tensor, h),
                                         qkv_width, width);
      // q = self.dws[i](q). It is as wide as v: zeros, which whatever the columns behind k are makes 0.
      const Dim kernel{sizes_.kernels[static_cast<std::size_t>(h)], "kernels"};
      const ValueId q = b_.norm_depthwise(head + ".q", qkv, fmt::format("{}dws.{}", tensor, h), key,
                                          kernel, {.out_width = width.size});
      outs.push_back(b_.attention_of(
          head + ".context",
          {.q = {q, 0},
           .k = {qkv, key.size},
           .v = {qkv, 2 * key.size},
           .heads = 1,
           .kv_heads = 1,
           .head_dim = width.size,
           .scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(key.size))),
           .position = PairBias{b_.pair_bias_of_head(table, heads, buckets, h, gather)}}));
    }
    return heads.size == 1 ? outs.front() : b_.concat(name + ".heads", outs);
  }

  /// |dy| * side + |dx| of every pair of cells.
  static std::vector<std::int32_t> pairs(Index side) {
    std::vector<std::int32_t> index;
    const Index T = side * side;
    for (Index q = 0; q < T; ++q) {
      for (Index k = 0; k < T; ++k) {
        const Index dy = std::abs(q / side - k / side), dx = std::abs(q % side - k % side);
        index.push_back(static_cast<std::int32_t>(dy * side + dx));
      }
    }
    return index;
  }

  const Dim kThree{.size = 3, .key = {}};
  Builder& b_;
  const Sizes& sizes_;
  Index map_ = 0;              // cells of a side
  SpaceId window_space_ = -1;  // of the stage; -1: none yet
};

}  // namespace

ValueId build_efficientvit_msra(BuildContext& context) {
  Builder& b = context.builder;
  Package& package = context.package;
  const Config& config = context.config;
  const Sizes sizes = read_sizes(config, package.architecture);
  for (std::size_t i = 0, map = static_cast<std::size_t>(sizes.image / kStemStride); i < kStages;
       ++i, map = (map - 1) / 2 + 1) {
    if (std::min(static_cast<Index>(map), sizes.window[i]) <= kMostWindow) continue;
    config.object("model_args")
        .unsupported("window_size",
                     fmt::format("at most {}: every pair of cells has a bias", kMostWindow));
  }
  const Dim classes = read_classes(context);
  if (classes.size == 0 && b.weights().has("head.linear.weight")) {
    config.wrong("num_classes", "1 or more: the checkpoint has a head");
  }
  package.task = classes.size == 0 ? Task::features : Task::sequence_classification;
  for (const Index depth : sizes.depth) package.layers += depth;
  package.hidden = sizes.embed_dim.back();
  package.heads = sizes.heads.back();
  package.intermediate = 2 * package.hidden;
  package.maps_are_channels_first = true;
  const ImageSpec images{.channels = sizes.channels,
                         .height = sizes.image,
                         .width = sizes.image,
                         .patch_height = 2,
                         .patch_width = 2,
                         .pads = true,
                         .before = 1};
  package.program.inputs = images;
  package.program.spaces[kTokens].native = {images.grid_rows(), images.grid_cols()};

  Stages stages(b, sizes);
  ValueId x = stages.stem();
  b.output("hidden_states.0", x);
  for (std::size_t i = 0; i < kStages; ++i) {
    x = stages.stage(i, x);
    b.output(fmt::format("hidden_states.{}", i + 1), x);
  }
  b.output("last_hidden_state", x);
  // x = self.global_pool(x); return self.head(x)
  const ValueId pooled = b.pool("pooled", x, Pooling::mean);
  b.output("pooler_output", pooled);
  if (classes.size > 0) {
    b.output("logits",
             b.batch_normed_linear("head", pooled, "head", classes, {package.hidden, "embed_dim"}));
  }
  output_embedding(context, pooled, "mean of the last map");
  return x;
}

}  // namespace tessera::models
