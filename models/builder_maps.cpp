// SPDX-License-Identifier: Apache-2.0
// What the builder writes of maps: spaces, windows, convolutions and the batch norms behind them.
#include <utility>

#include "models/builder.hpp"

namespace tessera::models {
namespace {

const Dim kOne{.size = 1, .key = {}};

}  // namespace

SpaceId Builder::add_space(Space space) {
  program_.spaces.push_back(std::move(space));
  return static_cast<SpaceId>(program_.spaces.size() - 1);
}

SpaceId Builder::space(ValueId value) const {
  return program_.values[at(value)].space;
}

ValueId Builder::window_rows(const std::string& name, ValueId in, SpaceId to) {
  WindowRowsOp op{.in = in, .out = program_.add_value(name, to, width(in))};
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::merge_cells(const std::string& name, ValueId in, SpaceId to) {
  const Index n = program_.spaces[at(to)].n;
  MergeCellsOp op{.in = in, .out = program_.add_value(name, to, n * n * width(in))};
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::scale_rows(const std::string& name, ValueId in, ValueId scale) {
  ScaleRowsOp op{.in = in, .scale = scale, .out = like(name, in, width(in))};
  program_.ops.emplace_back(op);
  return op.out;
}

ParameterId Builder::window_bias(const std::string& tensor, const Dim& heads, WindowBias window) {
  const Index n = window.n, span = 2 * n - 1;
  const Dim hidden{window.hidden, ""}, two{2, ""}, distances{span * span, "window_size"};
  const bool computes = window.hidden > 0;
  Parameter p{
      .name = tensor,
      .kind = ParameterKind::pair_bias,
      .cols = n * n * n * n,
      .sources = {computes ? Source{weights_.find(tensor, {heads, hidden}), heads.size}
                           : Source{weights_.find(tensor, {distances, heads}), distances.size}},
      .window = std::move(window)};
  p.rows = variants_of(p) * heads.size;
  if (computes) {
    p.window.weight = weights_.find(p.window.weight, {hidden, two});
    p.window.bias = weights_.find(p.window.bias, {hidden});
    return add_once(std::move(p));
  }
  // table[(dy + n - 1) * (2 n - 1) + dx + n - 1], d = query - key
  for (Index q = 0; q < n * n; ++q) {
    for (Index k = 0; k < n * n; ++k) {
      const Index dy = q / n - k / n + n - 1, dx = q % n - k % n + n - 1;
      p.gather.push_back(static_cast<std::int32_t>(dy * span + dx));
    }
  }
  return add_once(std::move(p));
}

ValueId Builder::cosine(const std::string& name, ValueId qkv, const HeadCounts& heads,
                        const std::string& scale) {
  const Dim one{1, ""};
  const ParameterId of_q =
      add_once({.name = name + ".scale",
                .kind = ParameterKind::vector,
                .rows = heads.q * heads.dim,
                .sources = {{weights_.find(scale, {{heads.q, "num_heads"}, one, one}), heads.q}},
                .repeats = heads.dim});
  const ParameterId of_k = add_once({.name = name + ".ones",
                                     .kind = ParameterKind::vector,
                                     .rows = heads.dim,
                                     .sources = {{.tensor = {}, .rows = heads.dim}},
                                     .offset = 1.0F});
  // x / max(|x|, eps) = x / (√dim · √(mean x² + eps²/dim)), but where |x| is eps itself.  F.normalize
  constexpr float kEps = kNormalizeEps;
  RotateOp op{.in = qkv,
              .out = like(name, qkv, width(qkv)),
              .q = {.first = 0, .count = heads.q, .gamma = of_q},
              .k = {.first = heads.q * heads.dim, .count = heads.kv, .gamma = of_k},
              .head_dim = heads.dim,
              .eps = kEps * kEps / static_cast<float>(heads.dim)};
  program_.ops.emplace_back(op);
  return op.out;
}

BatchNorm Builder::batch_norm(const std::string& tensor, const Dim& width) const {
  return {.gamma = weights_.find(tensor + ".weight", {width}),
          .beta = weights_.find(tensor + ".bias", {width}),
          .mean = weights_.find(tensor + ".running_mean", {width}),
          .variance = weights_.find(tensor + ".running_var", {width}),
          .eps = kBatchNormEps};
}

ParameterId Builder::norm_bias(const std::string& name, const std::string& tensor,
                               const Dim& width) {
  return add_once({.name = name + ".bias",
                   .kind = ParameterKind::vector,
                   .rows = width.size,
                   .sources = {{.tensor = {}, .rows = width.size}},  // the convolution has none
                   .batch_norm = batch_norm(tensor + ".bn", width)});
}

ValueId Builder::norm_patch_embed(const std::string& name, const std::string& tensor,
                                  const Dim& width, Activation activation) {
  const ImageSpec& images = *program_.images();
  const Dim channels{images.channels, "in_chans"}, height{images.before + images.patch_height, ""},
      across{images.before + images.patch_width, ""};
  const std::string weight =
      weights_.find(tensor + ".conv.weight", {width, channels, height, across});
  PatchEmbedOp op{.weight = add_once({.name = name + ".weight",
                                      .kind = ParameterKind::matrix,
                                      .rows = width.size,
                                      .cols = images.patch_elements(),
                                      .sources = {{.tensor = weight, .rows = width.size}},
                                      .batch_norm = batch_norm(tensor + ".bn", width)}),
                  .bias = norm_bias(name, tensor, width),
                  .activation = activation,
                  .out = program_.add_value(name, kTokens, width.size)};
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::norm_linear(const std::string& name, ValueId in, const std::string& tensor,
                             const Dim& out, const Dim& in_width) {
  const std::string weight = weights_.find(tensor + ".conv.weight", {out, in_width, kOne, kOne});
  LinearOp op{.in = in,
              .weight = add_once({.name = name + ".weight",
                                  .kind = ParameterKind::matrix,
                                  .rows = out.size,
                                  .cols = in_width.size,
                                  .sources = {{.tensor = weight, .rows = out.size}},
                                  .batch_norm = batch_norm(tensor + ".bn", out)}),
              .bias = norm_bias(name, tensor, out),
              .out = like(name, in, out.size)};
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::norm_convolution(const std::string& name, ValueId in, const std::string& tensor,
                                  const Dim& out, const Dim& in_width, const Dim& taps, SpaceId to,
                                  Activation activation) {
  const std::string weight = weights_.find(tensor + ".conv.weight", {out, in_width, taps, taps});
  GridConvolutionOp op{.in = in,
                       .weight = add_once({.name = name + ".weight",
                                           .kind = ParameterKind::matrix,
                                           .rows = out.size,
                                           .cols = in_width.size * taps.size * taps.size,
                                           .sources = {{.tensor = weight, .rows = out.size}},
                                           .batch_norm = batch_norm(tensor + ".bn", out),
                                           .taps = taps.size * taps.size}),
                       .bias = norm_bias(name, tensor, out),
                       .taps = taps.size,
                       .activation = activation,
                       .out = program_.add_value(name, to, out.size)};
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::norm_depthwise(const std::string& name, ValueId in, const std::string& tensor,
                                const Dim& channels, const Dim& taps, const DepthwiseTerms& terms) {
  const std::string weight = weights_.find(tensor + ".conv.weight", {channels, kOne, taps, taps});
  const SpaceId to = terms.to < 0 ? space(in) : terms.to;
  DepthwiseOp op{
      .in = {in, terms.first},
      .weight = add_once({.name = name + ".weight",
                          .kind = ParameterKind::rows,
                          .rows = taps.size * taps.size,
                          .cols = channels.size,
                          .sources = {{.tensor = weight, .rows = channels.size}},
                          .transposed = true,
                          .batch_norm = batch_norm(tensor + ".bn", channels),
                          .adds_input = terms.adds_input}),
      .bias = norm_bias(name, tensor, channels),
      .taps = taps.size,
      .activation = terms.activation,
      .out = program_.add_value(name, to, terms.out_width == 0 ? channels.size : terms.out_width)};
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::batch_normed_linear(const std::string& name, ValueId in, const std::string& tensor,
                                     const Dim& out, const Dim& in_width) {
  const std::string weight = weights_.find(tensor + ".linear.weight", {out, in_width});
  BatchNorm norm = batch_norm(tensor + ".bn", in_width);
  norm.comes_first = true;
  norm.weight = weight;
  LinearOp op{
      .in = in,
      .weight = add_once({.name = name + ".weight",
                          .kind = ParameterKind::matrix,
                          .rows = out.size,
                          .cols = in_width.size,
                          .sources = {{.tensor = weight, .rows = out.size}},
                          .batch_norm = norm}),
      .bias = add_once(
          {.name = name + ".bias",
           .kind = ParameterKind::vector,
           .rows = out.size,
           .sources = {{.tensor = weights_.find(tensor + ".linear.bias", {out}), .rows = out.size}},
           .batch_norm = norm}),
      .out = like(name, in, out.size)};
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::pointwise(const std::string& name, ValueId in, const std::string& tensor,
                           const Dim& out, const Dim& in_width) {
  const std::string weight = weights_.find(tensor + ".weight", {out, in_width, kOne, kOne});
  LinearOp op{.in = in,
              .weight = add_once({.name = name + ".weight",
                                  .kind = ParameterKind::matrix,
                                  .rows = out.size,
                                  .cols = in_width.size,
                                  .sources = {{.tensor = weight, .rows = out.size}}}),
              .bias = vector(name + ".bias", {tensor + ".bias"}, out),
              .out = like(name, in, out.size)};
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::attention_of(const std::string& name, const AttentionOp& op) {
  AttentionOp written = op;
  written.out = like(name, op.q.value, op.heads * op.head_dim);
  program_.ops.emplace_back(written);
  return written.out;
}

ParameterId Builder::pair_bias_of_head(const std::string& tensor, const Dim& heads,
                                       const Dim& buckets, Index head,
                                       std::vector<std::int32_t> gather) {
  const Index pairs = std::ssize(gather);
  return add_once({.name = tensor,
                   .kind = ParameterKind::pair_bias,
                   .rows = 1,
                   .cols = pairs,
                   .sources = {{.tensor = weights_.find(tensor, {heads, buckets}),
                                .rows = buckets.size,
                                .first_row = head * buckets.size,
                                .tensor_rows = heads.size * buckets.size}},
                   .gather = std::move(gather)});
}

}  // namespace tessera::models
