// SPDX-License-Identifier: Apache-2.0
// An encoder of several layers with random weights.
#pragma once

#include <cmath>
#include <string>

#include "runtime/program/rewrites.hpp"
#include "tests/runtime/op_model.hpp"

namespace tessera::test {

struct LayersShape {
  int layers = 3;
  bool pre_norm = false;
  Index heads = 2, head_dim = 32, inner = 200, positions = 64;
  kernels::AttentionMask mask{};
  bool turned = false;  ///< rotary positions instead of a table's
  enum Norms {
    none,
    one,
    each
  } norms{};  ///< of Q and K before they turn: gammas of all heads, or of each
  bool neighbours = false;
  bool gated = false, second = false;  ///< the feed-forward; as GatedOp::second
  Index kv_heads = 0;                  ///< 0: as many as heads
  Index keys() const { return (kv_heads == 0 ? heads : kv_heads) * head_dim; }
  Index hidden() const { return heads * head_dim; }
};

/// embedding → norm → layers of attention and feed-forward, norms after (BERT) or before (ViT) → mean.
class LayersModel {
 public:
  explicit LayersModel(const LayersShape& shape) : shape_(shape) { build(); }

  const Program& program() const { return model_.program(); }
  Program fused() const { return fuse_epilogues(program()); }
  std::shared_ptr<const Model> create(Precision precision = Precision::f32,
                                      std::optional<Isa> isa = {},
                                      const kernels::KernelTable* kernels = nullptr) const {
    return Model::create(program(), model_.checkpoint(),
                         {.isa = isa, .kernels = kernels, .precision = precision});
  }

 private:
  Program& p() { return model_.program(); }

  ParameterId vector(const std::string& name, Index rows, float mean) {
    return model_.parameter(name, ParameterKind::vector, rows, 1, 0.3F, mean);
  }
  ValueId linear(const std::string& name, ValueId in, Index K, Index N,
                 Activation activation = Activation::none) {
    ValueId out = p().add_value(name, kTokens, N);
    p().ops.emplace_back(
        LinearOp{.in = in,
                 .weight = model_.parameter(name + ".weight", ParameterKind::matrix, N, K, 0.2F),
                 .bias = vector(name + ".bias", N, 0),
                 .out = out});
    if (activation == Activation::none) return out;
    const ValueId active = p().add_value(name + ".act", kTokens, N);
    p().ops.emplace_back(ActivationOp{.in = out, .activation = activation, .out = active});
    return active;
  }
  ValueId turn(const std::string& name, ValueId in) {
    const Index d = shape_.head_dim, heads = shape_.heads;
    Rotation rotation;
    rotation.neighbours = shape_.neighbours;
    for (Index j = 0; j < d / 2; ++j)
      rotation.frequencies.push_back(1.0F / static_cast<float>(1 + j));
    const ValueId out = p().add_value(name, kTokens, shape_.hidden() + 2 * shape_.keys());
    RotateOp op{.in = in,
                .out = out,
                .q = {.first = 0, .count = heads},
                .k = {.first = shape_.hidden(), .count = shape_.keys() / d},
                .head_dim = d,
                .eps = 1e-5F,
                .rotation = p().add_rotation(rotation)};
    if (shape_.norms != LayersShape::none) {
      const bool each = shape_.norms == LayersShape::each;
      op.q.gamma = vector(name + ".q", each ? heads * d : d, 1);
      op.k.gamma = vector(name + ".k", each ? shape_.keys() : d, 1);
    }
    p().ops.emplace_back(op);
    return out;
  }
  ValueId gate(const std::string& name, ValueId in) {
    const ValueId out = p().add_value(name, kTokens, shape_.inner);
    p().ops.emplace_back(
        GatedOp{.in = in, .activation = Activation::gelu_erf, .out = out, .second = shape_.second});
    return out;
  }
  ValueId norm(const std::string& name, ValueId in) {
    const ValueId out = p().add_value(name, kTokens, shape_.hidden());
    p().ops.emplace_back(LayerNormOp{.in = in,
                                     .gamma = vector(name + ".gamma", shape_.hidden(), 1),
                                     .beta = vector(name + ".beta", shape_.hidden(), 0),
                                     .eps = 1e-5F,
                                     .out = out});
    return out;
  }
  ValueId sum(const std::string& name, ValueId a, ValueId b) {
    const ValueId out = p().add_value(name, kTokens, shape_.hidden());
    p().ops.emplace_back(AddOp{.a = a, .b = b, .out = out});
    return out;
  }

  void build() {
    const Index H = shape_.hidden();
    p().inputs = TokenSpec{
        .vocab_size = 50, .position_rows = shape_.positions, .max_tokens = shape_.positions};
    ValueId x = p().add_value("embedded", kTokens, H);
    p().ops.emplace_back(EmbeddingOp{
        .terms = {{model_.parameter("words", ParameterKind::table, 50, H), TokenInput::ids},
                  {model_.parameter("positions", ParameterKind::table, shape_.positions, H),
                   TokenInput::positions}},
        .out = x});
    if (!shape_.pre_norm) x = norm("embedded.norm", x);
    for (int l = 0; l < shape_.layers; ++l) {
      const std::string n = "layer." + std::to_string(l) + ".";
      const ValueId in = shape_.pre_norm ? norm(n + "norm1", x) : x;
      ValueId qkv = linear(n + "qkv", in, H, H + 2 * shape_.keys());
      if (shape_.turned) qkv = turn(n + "turned", qkv);
      const ValueId context = p().add_value(n + "context", kTokens, H);
      AttentionOp attention =
          self_attention(qkv, context, shape_.heads, shape_.head_dim,
                         static_cast<float>(1 / std::sqrt(static_cast<double>(shape_.head_dim))));
      attention.mask = shape_.mask;
      attention.kv_heads = shape_.keys() / shape_.head_dim;
      attention.v.first = H + shape_.keys();
      p().ops.emplace_back(attention);
      x = sum(n + "mid", linear(n + "out", context, H, H), x);
      if (!shape_.pre_norm) x = norm(n + "mid.norm", x);
      const ValueId y = shape_.pre_norm ? norm(n + "norm2", x) : x;
      const ValueId up = shape_.gated ? gate(n + "gate", linear(n + "up", y, H, 2 * shape_.inner))
                                      : linear(n + "up", y, H, shape_.inner, Activation::gelu_erf);
      x = sum(n + "end", linear(n + "down", up, shape_.inner, H), x);
      if (!shape_.pre_norm) x = norm(n + "end.norm", x);
    }
    const ValueId pooled = p().add_value("mean", kSequences, H);
    p().ops.emplace_back(PoolOp{.pooling = Pooling::mean, .in = x, .out = pooled});
    p().outputs = {{"last_hidden_state", x}, {"embedding", pooled}};
  }

  LayersShape shape_;
  OpModel model_;
};

}  // namespace tessera::test
