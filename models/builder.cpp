// SPDX-License-Identifier: Apache-2.0
#include "models/builder.hpp"

#include <fmt/format.h>

#include <cmath>
#include <utility>

namespace tessera::models {

Index Builder::width(ValueId value) const {
  return program_.values[static_cast<std::size_t>(value)].width;
}

ValueId Builder::like(const std::string& name, ValueId in, Index width) {
  const SpaceId space = program_.values[static_cast<std::size_t>(in)].space;
  return program_.add_value(name, space, width);
}

ParameterId Builder::add_once(Parameter parameter) {
  std::string key = fmt::format("{}", static_cast<int>(parameter.kind));
  for (const Source& source : parameter.sources) {
    key += fmt::format("\n{} {} {}", source.tensor, source.first_row, source.rows);
  }
  if (!parameter.row_scale.empty()) key += "\n* " + parameter.row_scale;
  if (parameter.transposed) key += "\ntransposed";
  if (parameter.minus.rows > 0) {
    key += fmt::format("\n- {} {}", parameter.minus.tensor, parameter.minus.first_row);
  }
  if (parameter.kind == ParameterKind::distances) key += "\n" + parameter.projection.weight;
  if (parameter.repeats > 0) key += fmt::format("\nexp of each, {} times", parameter.repeats);
  if (parameter.window.n > 0) {
    key += fmt::format("\nwindow {} shift {}", parameter.window.n, parameter.window.shift);
  }
  if (const BatchNorm& norm = parameter.batch_norm; !norm.gamma.empty()) {
    key += fmt::format("\nbatch norm {} {}", norm.gamma, norm.weight);
  }
  if (parameter.adds_input) key += "\nadds its input";
  if (parameter.offset != 0.0F) key += fmt::format("\n+ {}", parameter.offset);
  const auto known = known_.find(key);
  if (known != known_.end()) return known->second;
  const ParameterId id = program_.add_parameter(std::move(parameter));
  known_.emplace(std::move(key), id);
  return id;
}

ParameterId Builder::matrix(const std::string& name, const std::vector<std::string>& tensors,
                            const Dim& rows_each, const Dim& cols, const std::string& scale) {
  Parameter p{.name = name, .kind = ParameterKind::matrix, .sources = {}, .gather = {}};
  if (!scale.empty()) p.row_scale = weights_.find(scale, {rows_each});
  for (const std::string& tensor : tensors) {
    p.sources.push_back({weights_.find(tensor, {rows_each, cols}), rows_each.size});
    p.rows += rows_each.size;
  }
  p.cols = cols.size;
  return add_once(std::move(p));
}

ParameterId Builder::vector(const std::string& name, const std::vector<std::string>& tensors,
                            const Dim& rows_each, const std::string& scale, float offset) {
  Parameter p{.name = name, .kind = ParameterKind::vector, .sources = {}, .gather = {}};
  p.offset = offset;
  if (!scale.empty()) p.row_scale = weights_.find(scale, {rows_each});
  for (const std::string& tensor : tensors) {  // an empty name: zeros
    p.sources.push_back(
        {tensor.empty() ? tensor : weights_.find(tensor, {rows_each}), rows_each.size});
    p.rows += rows_each.size;
  }
  return add_once(std::move(p));
}

ValueId Builder::embedding(const std::string& name, std::initializer_list<EmbeddingTerm> terms,
                           const Dim& width) {
  return embedding(name, std::vector<EmbeddingTerm>(terms), width);
}

ValueId Builder::embedding(const std::string& name, const std::vector<EmbeddingTerm>& terms,
                           const Dim& width) {
  EmbeddingOp op{.terms = {}, .out = kNone};
  for (const EmbeddingTerm& term : terms) {
    Parameter p{.name = term.tensor,
                .kind = ParameterKind::table,
                .rows = term.rows.size,
                .cols = width.size,
                .sources = {{weights_.find(term.tensor, {term.rows, width}), term.rows.size}},
                .gather = {}};
    op.terms.push_back({add_once(std::move(p)), term.input});
  }
  op.out = program_.add_value(name, kTokens, width.size);
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::picked_embedding(const std::string& name, PickedRows rows, Index width) {
  const ParameterId table = add_once({.name = rows.tensor,
                                      .kind = ParameterKind::table,
                                      .rows = rows.rows,
                                      .cols = width,
                                      .sources = {{rows.tensor, rows.stored_rows}},
                                      .gather = std::move(rows.gather),
                                      .row_scale = std::move(rows.row_scale)});
  const ValueId out = program_.add_value(name, kTokens, width);
  program_.ops.emplace_back(EmbeddingOp{.terms = {{table, TokenInput::ids}}, .out = out});
  return out;
}

ValueId Builder::token_weights(const std::string& name, const std::string& tensor,
                               const Dim& rows) {
  const ParameterId table = add_once({.name = tensor,
                                      .kind = ParameterKind::table,
                                      .rows = rows.size,
                                      .cols = 1,
                                      .sources = {{weights_.find(tensor, {rows}), rows.size}},
                                      .gather = {}});
  const ValueId out = program_.add_value(name, kTokens, 1);
  program_.ops.emplace_back(EmbeddingOp{.terms = {{table, TokenInput::ids}}, .out = out});
  return out;
}

ValueId Builder::stacked_linear(const std::string& name, ValueId in,
                                const std::vector<std::string>& tensors, const Dim& out_each,
                                const Dim& in_width, const std::vector<bool>& has_bias) {
  std::vector<std::string> weights, biases;
  bool any_bias = false;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const bool biased = has_bias.empty() || has_bias[i];
    any_bias |= biased;
    weights.push_back(tensors[i] + ".weight");
    biases.push_back(biased ? tensors[i] + ".bias" : std::string());
  }
  const Index out_width = out_each.size * static_cast<Index>(tensors.size());
  LinearOp op{.in = in,
              .weight = matrix(name + ".weight", weights, out_each, in_width),
              .bias = any_bias ? vector(name + ".bias", biases, out_each) : kNone,
              .out = like(name, in, out_width)};
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::stacked_linear(const std::string& name, ValueId in,
                                const std::vector<Stacked>& parts, const Dim& in_width) {
  Parameter weight{.name = name + ".weight",
                   .kind = ParameterKind::matrix,
                   .cols = in_width.size,
                   .sources = {}},
      bias{.name = name + ".bias", .kind = ParameterKind::vector, .sources = {}};
  bool any_bias = false;
  for (const Stacked& part : parts) {
    const bool whole = part.tensor_rows == 0;
    const Dim rows{whole ? part.out.size : part.tensor_rows, part.out.key};
    Source source{.tensor = weights_.find(part.tensor + ".weight", {rows, in_width}),
                  .rows = part.out.size,
                  .first_row = part.first_row,
                  .tensor_rows = part.tensor_rows};
    weight.sources.push_back(source);
    weight.rows += part.out.size;
    any_bias |= part.has_bias;
    source.tensor = part.has_bias ? weights_.find(part.tensor + ".bias", {rows}) : std::string();
    if (!part.has_bias) source = {.tensor = {}, .rows = part.out.size};  // zeros
    bias.sources.push_back(source);
    bias.rows += part.out.size;
  }
  const Index width = weight.rows;
  LinearOp op{.in = in,
              .weight = add_once(std::move(weight)),
              .bias = any_bias ? add_once(std::move(bias)) : kNone,
              .out = like(name, in, width)};
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::linear(const std::string& name, ValueId in, const std::string& tensor,
                        const Dim& out, const Dim& in_width, const LinearTerms& terms) {
  LinearOp op{
      .in = in,
      .weight = matrix(name + ".weight", {tensor + ".weight"}, out, in_width, terms.scale),
      .bias = terms.has_bias ? vector(name + ".bias", {tensor + ".bias"}, out, terms.scale) : kNone,
      .out = like(name, in, out.size)};
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::linear_of(const std::string& name, ValueId in, const std::string& weight_tensor,
                           const std::string& bias_tensor, const Dim& out, const Dim& in_width) {
  LinearOp op{.in = in,
              .weight = matrix(name + ".weight", {weight_tensor}, out, in_width),
              .bias = bias_tensor.empty() ? kNone : vector(name + ".bias", {bias_tensor}, out),
              .out = like(name, in, out.size)};
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::part_of_linear(const std::string& name, ValueId in,
                                const std::string& weight_tensor, const std::string& bias_tensor,
                                Index first, Index count, Index of, const Dim& out_each,
                                const Dim& in_width) {
  const Dim all{.size = of * out_each.size, .key = out_each.key};
  const auto part = [&](ParameterKind kind, const std::string& tensor) {
    return add_once({.name = tensor,
                     .kind = kind,
                     .rows = count * out_each.size,
                     .cols = kind == ParameterKind::matrix ? in_width.size : 1,
                     .sources = {{.tensor = kind == ParameterKind::matrix
                                                ? weights_.find(tensor, {all, in_width})
                                                : weights_.find(tensor, {all}),
                                  .rows = count * out_each.size,
                                  .first_row = first * out_each.size,
                                  .tensor_rows = all.size}}});
  };
  LinearOp op{.in = in,
              .weight = part(ParameterKind::matrix, weight_tensor),
              .bias = part(ParameterKind::vector, bias_tensor),
              .out = like(name, in, count * out_each.size)};
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::one_row_of_linear(const std::string& name, ValueId in, const std::string& tensor,
                                   const Dim& rows, Index row, std::optional<Index> minus,
                                   const Dim& in_width) {
  const auto source = [&](Index first) {
    return Source{.tensor = weights_.find(tensor, {rows, in_width}),
                  .rows = 1,
                  .first_row = first,
                  .tensor_rows = rows.size};
  };
  Parameter weight{.name = name + ".weight",
                   .kind = ParameterKind::matrix,
                   .rows = 1,
                   .cols = in_width.size,
                   .sources = {source(row)}};
  if (minus) weight.minus = source(*minus);
  LinearOp op{.in = in, .weight = add_once(std::move(weight)), .out = like(name, in, 1)};
  program_.ops.emplace_back(op);
  return op.out;
}

ParameterId Builder::rows(const std::string& name, std::vector<Source> sources, Index width) {
  Parameter p{.name = name,
              .kind = ParameterKind::rows,
              .rows = 0,
              .cols = width,
              .sources = std::move(sources)};
  for (const Source& source : p.sources) p.rows += source.rows;
  return add_once(std::move(p));
}

ValueId Builder::patch_embed(const std::string& name, const PatchTensors& tensors,
                             const Dim& width) {
  const ImageSpec& images = *program_.images();
  const Dim channels{images.channels, "num_channels"};
  const Dim height{images.patch_height, "patch_size"}, across{images.patch_width, "patch_size"};
  const ParameterId weight = add_once(
      {.name = name + ".weight",
       .kind = ParameterKind::matrix,
       .rows = width.size,
       .cols = images.patch_elements(),
       .sources = {{.tensor = weights_.find(tensors.weight, {width, channels, height, across}),
                    .rows = width.size}}});
  PatchEmbedOp op{.weight = weight, .positioned = tensors.positioned, .out = kNone};
  if (!tensors.bias.empty()) op.bias = vector(name + ".bias", {tensors.bias}, width);
  if (!tensors.special.empty()) op.special = rows(name + ".special", tensors.special, width.size);
  if (!tensors.positions.tensor.empty()) {
    op.positions = rows(name + ".positions", {tensors.positions}, width.size);
  }
  op.out = program_.add_value(name, kTokens, width.size);
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::broadcast(const std::string& name, const Source& row, Index width) {
  BroadcastOp op{.row = rows(name + ".row", {row}, width),
                 .out = program_.add_value(name, kSequences, width)};
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::norm(const std::string& name, ValueId in, const std::string& tensor,
                      const Dim& width, const NormTerms& terms) {
  const bool has_beta = terms.has_beta && !terms.of_squares;
  LayerNormOp op{.in = in,
                 .gamma = vector(name + ".gamma", {tensor + ".weight"}, width, {}, terms.offset),
                 .beta = vector(name + ".beta", {has_beta ? tensor + ".bias" : ""}, width),
                 .eps = terms.eps,
                 .out = like(name, in, width.size),
                 .of_squares = terms.of_squares};
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::layer_norm(const std::string& name, ValueId in, const std::string& tensor,
                            const Dim& width, float eps, bool has_beta) {
  return norm(name, in, tensor, width, {.eps = eps, .has_beta = has_beta});
}

namespace {

float scale_of(Index head_dim) {
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim)));
}

}  // namespace

ValueId Builder::attention(const std::string& name, ValueId qkv, Index heads, Index head_dim,
                           const AttentionTerms& terms) {
  AttentionOp op =
      self_attention(qkv, like(name, qkv, heads * head_dim), heads, head_dim, scale_of(head_dim));
  op.position = terms.position;
  op.mask = terms.mask;
  if (terms.scale != 0.0F) op.scale = terms.scale;
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::attention(const std::string& name, ValueId qkv, const HeadCounts& heads,
                           const AttentionTerms& terms) {
  if (heads.q == heads.kv) return attention(name, qkv, heads.q, heads.dim, terms);
  AttentionOp op{.q = {qkv, 0},
                 .k = {qkv, heads.q * heads.dim},
                 .v = {qkv, (heads.q + heads.kv) * heads.dim},
                 .out = like(name, qkv, heads.q * heads.dim),
                 .heads = heads.q,
                 .kv_heads = heads.kv,
                 .head_dim = heads.dim,
                 .scale = terms.scale != 0.0F ? terms.scale : scale_of(heads.dim),
                 .mask = terms.mask,
                 .position = terms.position};
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::attention(const std::string& name, ValueId q, ValueId k, ValueId v, Index heads,
                           const AttentionTerms& terms) {
  const Index head_dim = width(q) / heads;
  AttentionOp op{.q = {q, 0},
                 .k = {k, 0},
                 .v = {v, 0},
                 .out = like(name, q, width(q)),
                 .heads = heads,
                 .kv_heads = heads,
                 .head_dim = head_dim,
                 .scale = terms.scale != 0.0F ? terms.scale : scale_of(head_dim),
                 .mask = terms.mask,
                 .position = terms.position};
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::rotate(const std::string& name, ValueId qkv, const HeadCounts& heads,
                        const RotateTerms& terms) {
  const auto gamma = [&](const std::string& tensor) {
    return tensor.empty() ? kNone
                          : vector(tensor, {tensor + ".weight"}, {heads.dim, "head_dim"}, {},
                                   terms.norm.offset);
  };
  RotateOp op{.in = qkv,
              .out = like(name, qkv, width(qkv)),
              .q = {.first = 0, .count = heads.q, .gamma = gamma(terms.q_norm)},
              .k = {.first = heads.q * heads.dim, .count = heads.kv, .gamma = gamma(terms.k_norm)},
              .head_dim = heads.dim,
              .eps = terms.norm.eps,
              .rotation = terms.rotation};
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::attention_pool(const std::string& name, ValueId q, ValueId kv, Index heads,
                                Index head_dim) {
  const AttentionOp op = pooling_attention(q, kv, like(name, q, heads * head_dim), heads, head_dim,
                                           scale_of(head_dim));
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::activation(const std::string& name, ValueId in, Activation activation) {
  if (activation == Activation::none) return in;
  ActivationOp op{.in = in, .activation = activation, .out = like(name, in, width(in))};
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::gated(const std::string& name, ValueId in, Activation activation, bool second) {
  GatedOp op{
      .in = in, .activation = activation, .out = like(name, in, width(in) / 2), .second = second};
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::add(const std::string& name, ValueId a, ValueId b, float scale) {
  AddOp op{.a = a, .b = b, .out = like(name, a, width(a)), .scale = scale};
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::pool(const std::string& name, ValueId in, Pooling pooling, Index skip,
                      std::int32_t id) {
  PoolOp op{.pooling = pooling,
            .in = in,
            .out = program_.add_value(name, kSequences, width(in)),
            .skip = skip,
            .id = id};
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::pooled_linear(const std::string& name, const LinearOp& linear,
                               Activation activation, RowReduction over) {
  PooledLinearOp op{.in = linear.in,
                    .weight = linear.weight,
                    .bias = linear.bias,
                    .out = program_.add_value(name, kSequences, width(linear.out)),
                    .activation = activation,
                    .over = over};
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::experts(const std::string& name, ValueId in, const ExpertTerms& terms,
                         const Dim& inner, const Dim& width) {
  const Dim count{terms.experts, "num_experts"}, all{terms.experts * inner.size, inner.key};
  ExpertsOp op{
      .in = in,
      .scores = linear(name + ".scores", in, terms.router, count, width, {.has_bias = false}),
      .up = {},
      .down = {},
      .bias = terms.bias.empty() ? kNone : vector(name + ".bias", {terms.bias}, width),
      .top = terms.top,
      .activation = terms.activation,
      .out = like(name, in, width.size)};
  const std::string up = weights_.find(terms.up, {all, width}),
                    down = weights_.find(terms.down, {all, width});
  for (Index e = 0; e < terms.experts; ++e) {
    const auto of_expert = [&](const std::string& tensor) {
      return Source{.tensor = tensor,
                    .rows = inner.size,
                    .first_row = e * inner.size,
                    .tensor_rows = all.size};
    };
    op.up.push_back(add_once({.name = fmt::format("{}.up.{}", name, e),
                              .kind = ParameterKind::matrix,
                              .rows = inner.size,
                              .cols = width.size,
                              .sources = {of_expert(up)}}));
    op.down.push_back(add_once({.name = fmt::format("{}.down.{}", name, e),
                                .kind = ParameterKind::matrix,
                                .rows = width.size,
                                .cols = inner.size,
                                .sources = {of_expert(down)},
                                .transposed = true}));
  }
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::largest_by_id(const std::string& name, ValueId in, std::int32_t from_id) {
  const Index vocabulary = require_tokens(program_).vocab_size;
  LargestByIdOp op{
      .in = in, .out = program_.add_value(name, kSequences, vocabulary), .from_id = from_id};
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::concat(const std::string& name, const std::vector<ValueId>& in) {
  Index total = 0;
  for (const ValueId value : in) total += width(value);
  ConcatOp op{.in = in, .out = like(name, in[0], total)};
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::first_columns(const std::string& name, ValueId in, Index columns) {
  ConcatOp op{.in = {in}, .out = like(name, in, columns)};
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::add_columns(const std::string& name, ValueId a, ValueId b, Index first) {
  AddOp op{.a = a, .b = b, .out = like(name, a, width(a)), .first = first};
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::l2_normalize(const std::string& name, ValueId in, float eps) {
  L2NormalizeOp op{.in = in, .eps = eps, .out = like(name, in, width(in))};
  program_.ops.emplace_back(op);
  return op.out;
}

ParameterId Builder::distances(const std::string& name, const DistanceTensors& tensors,
                               const Dim& rows, const Dim& width, Index heads,
                               const std::vector<std::int32_t>& gather) {
  const bool norm = !tensors.norm.empty();
  return add_once(
      {.name = name + " of distances",
       .kind = ParameterKind::distances,
       .rows = rows.size,
       .cols = width.size,
       .sources = {{weights_.find(tensors.rows, {rows, width}), rows.size}},
       .gather = gather,
       .projection = {
           .weight = weights_.find(tensors.linear + ".weight", {width, width}),
           .bias = weights_.find(tensors.linear + ".bias", {width}),
           .width = width.size,
           .heads = heads,
           .gamma = norm ? weights_.find(tensors.norm + ".weight", {width}) : std::string(),
           .beta = norm ? weights_.find(tensors.norm + ".bias", {width}) : std::string(),
           .eps = tensors.eps}});
}

ValueId Builder::mask_rows(const std::string& name, ValueId in) {
  MaskRowsOp op{.in = in, .out = like(name, in, width(in))};
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::convolution(const std::string& name, ValueId in, const std::string& tensor,
                             const Dim& out, const Dim& in_width, const Dim& taps) {
  const ParameterId weight =
      add_once({.name = name + ".weight",
                .kind = ParameterKind::matrix,
                .rows = out.size,
                .cols = in_width.size * taps.size,
                .sources = {{weights_.find(tensor + ".weight", {out, in_width, taps}), out.size}}});
  ConvolutionOp op{.in = in,
                   .weight = weight,
                   .bias = vector(name + ".bias", {tensor + ".bias"}, out),
                   .taps = taps.size,
                   .out = like(name, in, out.size)};
  program_.ops.emplace_back(op);
  return op.out;
}

ParameterId Builder::relative_bias(const std::string& tensor, const Dim& buckets, const Dim& heads,
                                   std::vector<std::int32_t> gather) {
  return gathered(ParameterKind::bias, tensor, buckets, heads, std::move(gather));
}

ParameterId Builder::pair_bias(const std::string& tensor, const Dim& buckets, const Dim& heads,
                               std::vector<std::int32_t> gather) {
  return gathered(ParameterKind::pair_bias, tensor, buckets, heads, std::move(gather));
}

ParameterId Builder::gathered(ParameterKind kind, const std::string& tensor, const Dim& buckets,
                              const Dim& heads, std::vector<std::int32_t> gather) {
  const Index entries = std::ssize(gather);
  Parameter p{.name = tensor,
              .kind = kind,
              .rows = heads.size,
              .cols = entries,
              .sources = {{weights_.find(tensor, {buckets, heads}), buckets.size}},
              .gather = std::move(gather)};
  return add_once(std::move(p));
}

}  // namespace tessera::models
