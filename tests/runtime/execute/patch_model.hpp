// SPDX-License-Identifier: Apache-2.0
// Patch embedding alone, and the same as a convolution in plain double loops.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "runtime/weights/checkpoint.hpp"
#include "tests/reference/bf16.hpp"
#include "tests/runtime/op_model.hpp"
#include "tests/support/tolerance.hpp"

namespace tessera::test {

using reference::factor;

struct PatchShape {
  Index channels = 3, side = 28, patch_height = 7, patch_width = 7, width = 24;
  Index special = 2, positioned = 1;
  bool bias = true, positions = true;
  ImageSizes sizes = ImageSizes::on_asking;
  PositionResize resize = PositionResize::bicubic;
};

class PatchModel {
 public:
  explicit PatchModel(const PatchShape& shape) : shape_(shape) {
    Program& p = model_.program();
    const ImageSpec images{.channels = shape.channels,
                           .height = shape.side,
                           .width = shape.side,
                           .patch_height = shape.patch_height,
                           .patch_width = shape.patch_width,
                           .special_tokens = shape.special,
                           .sizes = shape.sizes,
                           .resize = shape.resize};
    p.inputs = images;
    const Index N = shape.width, K = images.patch_elements();
    PatchEmbedOp op{.weight = model_.parameter("weight", ParameterKind::matrix, N, K, 0.3F),
                    .positioned = shape.positioned,
                    .out = kNone};
    if (shape.bias) op.bias = model_.parameter("bias", ParameterKind::vector, N);
    if (shape.special > 0) {
      op.special = model_.parameter("special", ParameterKind::rows, shape.special, N);
    }
    if (shape.positions) {
      const Index rows = shape.positioned + images.grid_rows() * images.grid_cols();
      op.positions = model_.parameter("positions", ParameterKind::rows, rows, N);
    }
    model_.add("rows", kTokens, N, op);
  }

  const Program& program() const { return model_.program(); }
  std::shared_ptr<const Checkpoint> checkpoint() const { return model_.checkpoint(); }
  std::unique_ptr<Session> session(Isa isa, Index rows, Index sequences, int threads = 1,
                                   Precision precision = Precision::f32) const {
    return model_.session(isa, rows, sequences, threads, precision);
  }

  /// Rows (special + patches, N) of one image, and a bound of the error of each element. bf16: patches of at least 64
  /// elements are rounded, and the weight is.
  void reference(const Image& image, std::vector<double>& value, std::vector<double>& bound,
                 Precision asked = Precision::f32) const {
    const Precision precision =
        shape_.channels * shape_.patch_height * shape_.patch_width < 64 ? Precision::f32 : asked;
    const Index N = shape_.width, PH = shape_.patch_height, PW = shape_.patch_width;
    const Index grid_rows = image.height / PH, grid_cols = image.width / PW;
    const auto at = [&](const char* name, Index i) {
      return static_cast<double>(model_[name][static_cast<std::size_t>(i)]);
    };
    for (Index s = 0; s < shape_.special; ++s) {
      const bool positioned = shape_.positions && s < shape_.positioned;
      for (Index n = 0; n < N; ++n) {
        value.push_back(at("special", s * N + n) + (positioned ? at("positions", s * N + n) : 0));
        bound.push_back(kUnitRoundoff * std::abs(value.back()));
      }
    }
    for (Index i = 0; i < grid_rows; ++i) {
      for (Index j = 0; j < grid_cols; ++j) {
        for (Index n = 0; n < N; ++n) {
          double sum = shape_.bias ? at("bias", n) : 0.0, magnitude = std::abs(sum);
          Index k = 0;
          for (Index c = 0; c < shape_.channels; ++c) {
            for (Index y = i * PH; y < (i + 1) * PH; ++y) {
              for (Index x = j * PW; x < (j + 1) * PW; ++x, ++k) {
                const auto element = static_cast<std::size_t>(n * shape_.channels * PH * PW + k);
                const double product =
                    factor(image.planes[(c * image.height + y) * image.width + x], precision) *
                    factor(model_["weight"][element], precision);
                sum += product;
                magnitude += std::abs(product);
              }
            }
          }
          double size = 0.0;
          const double position =
              shape_.positions ? interpolated(i, j, n, grid_rows, grid_cols, size) : 0.0;
          value.push_back(sum + position);
          // 32 roundings at most in an interpolated position of up to 5 x 5 taps and their weights.
          bound.push_back(gemm_tolerance(k, magnitude + std::abs(position)) + gamma(64) * size);
        }
      }
    }
  }

 private:
  /// Weight of place `from` of n for place `to` of m, by the definition, edge places gathered.
  double axis_weight(Index from, Index to, Index n, Index m) const {
    const double ratio = static_cast<double>(n) / static_cast<double>(m);
    const double c = (static_cast<double>(to) + 0.5) * ratio;
    const bool smooth = shape_.resize == PositionResize::bicubic_antialiased;
    const double s = smooth ? std::max(1.0, ratio) : 1.0, a = smooth ? -0.5 : -0.75;
    const auto k = [a](double x) {
      x = std::abs(x);
      if (x < 1) return (a + 2) * x * x * x - (a + 3) * x * x + 1;
      return x < 2 ? a * x * x * x - 5 * a * x * x + 8 * a * x - 4 * a : 0.0;
    };
    double weight = 0, total = 0;
    const Index far = static_cast<Index>(std::ceil(2 * s)) + 1, middle = static_cast<Index>(c);
    for (Index y = middle - far; y <= middle + far; ++y) {
      const bool inside = y >= 0 && y < n;
      if (smooth && !inside) continue;
      const double w = k((static_cast<double>(y) + 0.5 - c) / s);
      total += w;
      if (std::clamp<Index>(y, 0, n - 1) == from) weight += w;
    }
    return weight / total;
  }

  double interpolated(Index i, Index j, Index n, Index rows, Index cols, double& size) const {
    const Index from_rows = shape_.side / shape_.patch_height;
    const Index from_cols = shape_.side / shape_.patch_width;
    double sum = 0;
    for (Index y = 0; y < from_rows; ++y) {
      for (Index x = 0; x < from_cols; ++x) {
        const Index row = shape_.positioned + y * from_cols + x;
        const double term =
            axis_weight(y, i, from_rows, rows) * axis_weight(x, j, from_cols, cols) *
            static_cast<double>(
                model_["positions"][static_cast<std::size_t>(row * shape_.width + n)]);
        sum += term;
        size += std::abs(term);
      }
    }
    return sum;
  }

  PatchShape shape_;
  OpModel model_;
};

}  // namespace tessera::test
