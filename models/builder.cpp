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
  const Extent extent = program_.values[static_cast<std::size_t>(in)].extent;
  return program_.add_value(name, extent, width);
}

ParameterId Builder::add_once(Parameter parameter) {
  std::string key = fmt::format("{}", static_cast<int>(parameter.kind));
  for (const Source& source : parameter.sources) key += '\n' + source.tensor;
  const auto known = known_.find(key);
  if (known != known_.end()) return known->second;
  const ParameterId id = program_.add_parameter(std::move(parameter));
  known_.emplace(std::move(key), id);
  return id;
}

ParameterId Builder::matrix(const std::string& name, const std::vector<std::string>& tensors,
                            const Dim& rows_each, const Dim& cols) {
  Parameter p{.name = name, .kind = ParameterKind::matrix, .sources = {}, .gather = {}};
  for (const std::string& tensor : tensors) {
    p.sources.push_back({weights_.find(tensor, {rows_each, cols}), rows_each.size});
    p.rows += rows_each.size;
  }
  p.cols = cols.size;
  return add_once(std::move(p));
}

ParameterId Builder::vector(const std::string& name, const std::vector<std::string>& tensors,
                            const Dim& rows_each) {
  Parameter p{.name = name, .kind = ParameterKind::vector, .sources = {}, .gather = {}};
  for (const std::string& tensor : tensors) {
    p.sources.push_back({weights_.find(tensor, {rows_each}), rows_each.size});
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
  op.out = program_.add_value(name, Extent::rows, width.size);
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::stacked_linear(const std::string& name, ValueId in,
                                const std::vector<std::string>& tensors, const Dim& out_each,
                                const Dim& in_width) {
  std::vector<std::string> weights, biases;
  for (const std::string& tensor : tensors) {
    weights.push_back(tensor + ".weight");
    biases.push_back(tensor + ".bias");
  }
  const Index out_width = out_each.size * static_cast<Index>(tensors.size());
  LinearOp op{.in = in,
              .weight = matrix(name + ".weight", weights, out_each, in_width),
              .bias = vector(name + ".bias", biases, out_each),
              .out = like(name, in, out_width)};
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::linear(const std::string& name, ValueId in, const std::string& tensor,
                        const Dim& out, const Dim& in_width, bool has_bias) {
  return linear_of(name, in, tensor + ".weight", has_bias ? tensor + ".bias" : std::string(), out,
                   in_width);
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

ValueId Builder::layer_norm(const std::string& name, ValueId in, const std::string& tensor,
                            const Dim& width, float eps) {
  LayerNormOp op{.in = in,
                 .gamma = vector(name + ".gamma", {tensor + ".weight"}, width),
                 .beta = vector(name + ".beta", {tensor + ".bias"}, width),
                 .eps = eps,
                 .out = like(name, in, width.size)};
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::attention(const std::string& name, ValueId qkv, Index heads, Index head_dim,
                           ParameterId bias) {
  AttentionOp op{.qkv = qkv,
                 .out = like(name, qkv, heads * head_dim),
                 .heads = heads,
                 .head_dim = head_dim,
                 .scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim))),
                 .bias = bias};
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::activation(const std::string& name, ValueId in, Activation activation) {
  if (activation == Activation::none) return in;
  ActivationOp op{.in = in, .activation = activation, .out = like(name, in, width(in))};
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::add(const std::string& name, ValueId a, ValueId b) {
  AddOp op{.a = a, .b = b, .out = like(name, a, width(a))};
  program_.ops.emplace_back(op);
  return op.out;
}

ValueId Builder::pool(const std::string& name, ValueId in, Pooling pooling) {
  PoolOp op{
      .pooling = pooling, .in = in, .out = program_.add_value(name, Extent::sequences, width(in))};
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

ValueId Builder::l2_normalize(const std::string& name, ValueId in, float eps) {
  L2NormalizeOp op{.in = in, .eps = eps, .out = like(name, in, width(in))};
  program_.ops.emplace_back(op);
  return op.out;
}

ParameterId Builder::relative_bias(const std::string& tensor, const Dim& buckets, const Dim& heads,
                                   std::vector<std::int32_t> gather) {
  const Index distances = std::ssize(gather);
  Parameter p{.name = tensor,
              .kind = ParameterKind::bias,
              .rows = heads.size,
              .cols = distances,
              .sources = {{weights_.find(tensor, {buckets, heads}), buckets.size}},
              .gather = std::move(gather)};
  return add_once(std::move(p));
}

}  // namespace tessera::models
