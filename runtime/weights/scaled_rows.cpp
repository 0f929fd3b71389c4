// SPDX-License-Identifier: Apache-2.0
#include "runtime/weights/scaled_rows.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <numeric>

#include "kernels/kernel_table.hpp"

namespace tessera {
namespace {

constexpr int kSteps = 36;
constexpr float kStepOfSteps = 0.02F;

/// w/s as a whole number up to 127, ties to even. Precondition: |w/s| < 2^22. Compared as integers, of which
/// compilers make vectors.
inline std::int32_t nearest(float w, float inverse) {
  constexpr float kRounds = 0x1.8p23F;  // adding it leaves the number in the lowest bits
  const std::int32_t q =
      std::bit_cast<std::int32_t>(w * inverse + kRounds) - std::bit_cast<std::int32_t>(kRounds);
  const std::int32_t least = q < -127 ? -127 : q;
  return least > 127 ? 127 : least;
}

/// Σ_k (w_k − s·q_k)²
double squared_error(std::span<const float> row, float scale) {
  constexpr std::size_t kBlock = 256, kLanes = 8;  // loops that a compiler makes vectors of
  const float inverse = 1.0F / scale;
  double error = 0;
  for (std::size_t begin = 0; begin < row.size(); begin += kBlock) {
    const std::size_t n = std::min(kBlock, row.size() - begin);
    std::array<float, kBlock> squares{};
    for (std::size_t k = 0; k < n; ++k) {
      const float w = row[begin + k], rest = w - scale * static_cast<float>(nearest(w, inverse));
      squares[k] = rest * rest;
    }
    std::array<float, kLanes> sums{};
    for (std::size_t k = 0; k < kBlock; k += kLanes) {
      for (std::size_t lane = 0; lane < kLanes; ++lane) sums[lane] += squares[k + lane];
    }
    error += static_cast<double>(std::accumulate(sums.begin(), sums.end(), 0.0F));
  }
  return error;
}

}  // namespace

void widen_scaled(const std::int8_t* q, std::span<const float> scales, Index length, Index begin,
                  Index n, float* to) {
  for (Index i = 0; i < n;) {
    const Index row = (begin + i) / length;
    const Index end = std::min(n, (row + 1) * length - begin);
    const float scale = scales[static_cast<std::size_t>(row)];
    for (; i < end; ++i) to[i] = static_cast<float>(q[i]) * scale;
  }
}

void multiply_columns(std::span<const float> factors, Index begin, std::span<float> to) {
  if (factors.empty()) return;
  std::size_t k = static_cast<std::size_t>(begin) % factors.size();
  for (float& x : to) {
    x *= factors[k];
    k = k + 1 == factors.size() ? 0 : k + 1;
  }
}

float RowQuantizer::quantize(std::span<const float> row, std::int8_t* q) {
  const auto K = static_cast<Index>(row.size());
  const Index scale_at = scale_offset(K, DType::s16) / size_of(DType::s16);
  numbers_.resize(static_cast<std::size_t>(scale_at) + sizeof(float) / sizeof(std::int16_t));
  kernels::kernels_at(Isa::baseline)
      .quantize({.x = row.data(),
                 .type = DType::f32,
                 .ldx = K,
                 .y = numbers_.data(),
                 .y_bytes = static_cast<Index>(numbers_.size() * sizeof(std::int16_t)),
                 .M = 1,
                 .N = K});
  for (Index k = 0; k < K; ++k) {
    q[k] = static_cast<std::int8_t>(numbers_[static_cast<std::size_t>(k)]);
  }
  float scale = 0.0F;
  std::memcpy(&scale, numbers_.data() + scale_at, sizeof scale);
  return scale;
}

float RowQuantizer::quantize_clipped(std::span<const float> row, std::int8_t* q) {
  const float whole = quantize(row, q);
  if (!(whole > 0.0F)) return whole;
  float best = whole;
  double least = squared_error(row, whole);
  for (int i = 1; i < kSteps; ++i) {
    const float scale = whole * (1.0F - kStepOfSteps * static_cast<float>(i));
    const double error = squared_error(row, scale);
    if (error < least) least = error, best = scale;
  }
  if (best == whole) return whole;
  for (std::size_t k = 0; k < row.size(); ++k) {
    q[k] = static_cast<std::int8_t>(nearest(row[k], 1.0F / best));
  }
  return best;
}

}  // namespace tessera
