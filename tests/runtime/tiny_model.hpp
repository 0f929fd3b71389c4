// SPDX-License-Identifier: Apache-2.0
// A one-layer encoder with random weights, and the same computation in plain double loops.
#pragma once

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/weights/checkpoint.hpp"
#include "tests/runtime/op_model.hpp"

namespace tessera::test {

struct TinyShape {
  Index vocab = 50, positions = 64, types = 2, heads = 3, head_dim = 8, inner = 37;
  bool relative_bias = false;
  Index hidden() const { return heads * head_dim; }
};

/// Row-major double matrices by parameter name, filled with random values that floats represent.
using Weights = std::map<std::string, std::vector<double>>;

class TinyModel {
 public:
  explicit TinyModel(const TinyShape& shape, std::uint64_t variant = 0)
      : shape_(shape), model_(variant) {
    build();
    for (const auto& [name, tensor] : model_.tensors()) {
      weights_[name].assign(tensor.data.begin(), tensor.data.end());
    }
    checkpoint_ = model_.checkpoint();
  }

  const TinyShape& shape() const { return shape_; }
  const std::filesystem::path& path() const { return model_.path(); }
  const Program& program() const { return model_.program(); }
  std::shared_ptr<const Checkpoint> checkpoint() const { return checkpoint_; }
  const Weights& weights() const { return weights_; }

  /// last_hidden_state (T, H) of one sequence, in double.
  std::vector<double> reference(const std::vector<std::int32_t>& ids,
                                const std::vector<std::int32_t>& types) const {
    const Index T = std::ssize(ids), H = shape_.hidden(), d = shape_.head_dim;
    std::vector<double> x(static_cast<std::size_t>(T * H));
    for (Index t = 0; t < T; ++t) {
      for (Index n = 0; n < H; ++n) {
        at(x, t, n, H) = w("words", ids[static_cast<std::size_t>(t)], n, H) +
                         w("positions", t, n, H) +
                         w("types", types[static_cast<std::size_t>(t)], n, H);
      }
    }
    x = layer_norm(x, T);
    const std::vector<double> qkv = linear(x, T, H, "qkv", 3 * H);
    std::vector<double> context(static_cast<std::size_t>(T * H), 0.0);
    for (Index h = 0; h < shape_.heads; ++h) {
      for (Index i = 0; i < T; ++i) {
        std::vector<double> s(static_cast<std::size_t>(T));
        double m = -1e300, l = 0;
        for (Index j = 0; j < T; ++j) {
          double dot = 0;
          for (Index n = 0; n < d; ++n) {
            dot += cat(qkv, i, h * d + n, 3 * H) * cat(qkv, j, H + h * d + n, 3 * H);
          }
          double& score = s[static_cast<std::size_t>(j)];
          score = dot / std::sqrt(static_cast<double>(d));
          if (shape_.relative_bias) score += w("buckets", bucket(j - i), h, shape_.heads);
          m = std::max(m, score);
        }
        for (double& score : s) l += score = std::exp(score - m);
        for (Index j = 0; j < T; ++j) {
          for (Index n = 0; n < d; ++n) {
            at(context, i, h * d + n, H) +=
                s[static_cast<std::size_t>(j)] / l * cat(qkv, j, 2 * H + h * d + n, 3 * H);
          }
        }
      }
    }
    x = layer_norm(sum(linear(context, T, H, "out", H), x), T);
    std::vector<double> inner = linear(x, T, H, "up", shape_.inner);
    for (double& y : inner) y = 0.5 * y * (1 + std::erf(y / std::sqrt(2.0)));
    return layer_norm(sum(linear(inner, T, shape_.inner, "down", H), x), T);
  }

 private:
  static constexpr Index kReach = 63;
  static Index bucket(Index difference) { return std::clamp<Index>(difference + 4, 0, 8); }

  static double& at(std::vector<double>& x, Index i, Index j, Index cols) {
    return x[static_cast<std::size_t>(i * cols + j)];
  }
  static double cat(const std::vector<double>& x, Index i, Index j, Index cols) {
    return x[static_cast<std::size_t>(i * cols + j)];
  }
  double w(const std::string& name, Index i, Index j, Index cols) const {
    return cat(weights_.at(name), i, j, cols);
  }

  static std::vector<double> sum(std::vector<double> a, const std::vector<double>& b) {
    for (std::size_t i = 0; i < a.size(); ++i) a[i] += b[i];
    return a;
  }

  std::vector<double> linear(const std::vector<double>& x, Index T, Index K,
                             const std::string& name, Index N) const {
    std::vector<double> y(static_cast<std::size_t>(T * N));
    for (Index t = 0; t < T; ++t) {
      for (Index n = 0; n < N; ++n) {
        double& out = at(y, t, n, N);
        out = weights_.at(name + ".bias")[static_cast<std::size_t>(n)];
        for (Index k = 0; k < K; ++k) out += cat(x, t, k, K) * w(name, n, k, K);
      }
    }
    return y;
  }

  std::vector<double> layer_norm(std::vector<double> x, Index T) const {
    const Index H = shape_.hidden();
    for (Index t = 0; t < T; ++t) {
      double mean = 0, var = 0;
      for (Index n = 0; n < H; ++n) mean += at(x, t, n, H) / static_cast<double>(H);
      for (Index n = 0; n < H; ++n)
        var += std::pow(at(x, t, n, H) - mean, 2) / static_cast<double>(H);
      for (Index n = 0; n < H; ++n) {
        const auto i = static_cast<std::size_t>(n);
        at(x, t, n, H) = (at(x, t, n, H) - mean) / std::sqrt(var + 1e-5) * weights_.at("gamma")[i] +
                         weights_.at("beta")[i];
      }
    }
    return x;
  }

  ParameterId parameter(const std::string& name, ParameterKind kind, Index rows, Index cols = 1) {
    return model_.parameter(name, kind, rows, cols, 0.3F, name == "gamma" ? 1.0F : 0.0F);
  }

  ValueId add_linear(const std::string& name, ValueId in, Index K, Index N) {
    const ValueId out = program_.add_value(name, kTokens, N);
    program_.ops.emplace_back(LinearOp{.in = in,
                                       .weight = parameter(name, ParameterKind::matrix, N, K),
                                       .bias = parameter(name + ".bias", ParameterKind::vector, N),
                                       .out = out});
    return out;
  }
  ValueId add_norm(const std::string& name, ValueId in) {
    const ValueId out = program_.add_value(name, kTokens, shape_.hidden());
    program_.ops.emplace_back(
        LayerNormOp{.in = in, .gamma = gamma_, .beta = beta_, .eps = 1e-5F, .out = out});
    return out;
  }
  ValueId add_sum(const std::string& name, ValueId a, ValueId b) {
    const ValueId out = program_.add_value(name, kTokens, shape_.hidden());
    program_.ops.emplace_back(AddOp{.a = a, .b = b, .out = out});
    return out;
  }

  void build() {
    const Index H = shape_.hidden();
    program_.inputs = TokenSpec{.vocab_size = shape_.vocab,
                                .type_vocab_size = shape_.types,
                                .position_rows = shape_.positions,
                                .max_tokens = shape_.positions};
    gamma_ = parameter("gamma", ParameterKind::vector, H);
    beta_ = parameter("beta", ParameterKind::vector, H);
    const ValueId embedded = program_.add_value("embedded", kTokens, H);
    program_.ops.emplace_back(EmbeddingOp{
        .terms = {{parameter("words", ParameterKind::table, shape_.vocab, H), TokenInput::ids},
                  {parameter("positions", ParameterKind::table, shape_.positions, H),
                   TokenInput::positions},
                  {parameter("types", ParameterKind::table, shape_.types, H), TokenInput::types}},
        .out = embedded});
    const ValueId x = add_norm("embedded.norm", embedded);
    const ValueId qkv = add_linear("qkv", x, H, 3 * H);
    const ValueId context = program_.add_value("context", kTokens, H);
    AttentionOp attention =
        self_attention(qkv, context, shape_.heads, shape_.head_dim,
                       static_cast<float>(1 / std::sqrt(static_cast<double>(shape_.head_dim))));
    if (shape_.relative_bias) {
      Parameter bias{.name = "buckets",
                     .kind = ParameterKind::bias,
                     .rows = shape_.heads,
                     .cols = 2 * kReach + 1,
                     .sources = {{"buckets", 9}},
                     .gather = {}};
      for (Index r = -kReach; r <= kReach; ++r)
        bias.gather.push_back(static_cast<std::int32_t>(bucket(r)));
      attention.position = RelativeBias{program_.add_parameter(bias)};
      model_.tensor("buckets", 9, shape_.heads, 0.3F);
    }
    program_.ops.emplace_back(attention);
    const ValueId mid = add_norm("mid.norm", add_sum("mid", add_linear("out", context, H, H), x));
    const ValueId up = add_linear("up", mid, H, shape_.inner);
    const ValueId act = program_.add_value("act", kTokens, shape_.inner);
    program_.ops.emplace_back(
        ActivationOp{.in = up, .activation = Activation::gelu_erf, .out = act});
    const ValueId last =
        add_norm("last", add_sum("end", add_linear("down", act, shape_.inner, H), mid));
    program_.outputs = {{"hidden_states.0", x}, {"last_hidden_state", last}};
    for (const Pooling pooling : {Pooling::first, Pooling::last, Pooling::mean, Pooling::max,
                                  Pooling::mean_sqrt_len, Pooling::weighted_mean}) {
      const ValueId pooled =
          program_.add_value(std::string("pooled.") + to_string(pooling), kSequences, H);
      program_.ops.emplace_back(PoolOp{.pooling = pooling, .in = last, .out = pooled});
      program_.outputs.push_back({std::string("pooled.") + to_string(pooling), pooled});
    }
  }

  TinyShape shape_;
  OpModel model_;
  Program& program_ = model_.program();
  ParameterId gamma_ = kNone, beta_ = kNone;
  Weights weights_;
  std::shared_ptr<const Checkpoint> checkpoint_;
};

}  // namespace tessera::test
