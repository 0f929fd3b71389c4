// SPDX-License-Identifier: Apache-2.0
//
// Weights that are stored as whole numbers of 8 bits, a scale for each row of the tensor:
//
//   w[n,k] = q[n,k] · scale[n]                                          -128 <= q <= 127, scale >= 0
//
// What a directory calls them stands in models/quantization.hpp; a Checkpoint holds the scales of its tensors.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/types.hpp"

namespace tessera {

/// Elements [begin, begin + n) of a tensor as f32; `q` is the first of them.
///
///   to[i] = q[i] · scales[(begin + i) / length]
///
/// Shapes    q (n) · scales (rows of the tensor) · to (n); rows of `length` elements
void widen_scaled(const std::int8_t* q, std::span<const float> scales, Index length, Index begin,
                  Index n, float* to);

/// Elements of rows of `factors`, (K), the first of them element `begin` of the tensor; nothing where there
/// are no factors.
///
///   to[i] = to[i] · factors[(begin + i) mod K]
void multiply_columns(std::span<const float> factors, Index begin, std::span<float> to);

/// A row of floats as whole numbers: the numbers and the scale that Precision::s8 packs it as, at every
/// level (kernels/rows/rows.hpp, QuantizeRows).
class RowQuantizer {
 public:
  /// Fills q (K). The scale: 0 of a row that counts as zeros, NaN where a value is not finite.
  float quantize(std::span<const float> row, std::int8_t* q);
  /// The same with the step, of max |w_k|/127 and those that are 2 % to 70 % smaller, with which the row is
  /// nearest; what is larger than 127 steps becomes 127. The largest step of those that are equally near.
  ///
  ///   scale = argmin_s Σ_k (w_k − s·q_k)²      q_k = ⌊clamp(w_k/s, −127, 127)⌉      Choukroun et al. 2019
  float quantize_clipped(std::span<const float> row, std::int8_t* q);

 private:
  std::vector<std::int16_t> numbers_;  // as the baseline writes a row
};

}  // namespace tessera
