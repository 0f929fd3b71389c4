// SPDX-License-Identifier: Apache-2.0
//
// The contracts of image resizing: fixed-point sums of bytes, and a transposition.
#pragma once

#include "kernels/types.hpp"

namespace tessera::kernels {

/// Fraction bits of the weights, and rows that the horizontal pass takes together.
inline constexpr int kResampleBits = 22;
inline constexpr Index kResampleRows = 16;

/// out[i] = clip((2²¹ + Σ_t weights[t]·in[t·ldi + i]) ≫ 22, 0, 255) for i < n: `taps` rows of n
/// bytes into one.
///
/// Preconditions  Σ_t |weights[t]|·255 + 2²¹ < 2³¹
/// Exact          integers: every level gives the same bytes
struct ResampleTask {
  const std::uint8_t* in;  // (taps, n), row stride ldi
  Index ldi;
  const std::int32_t* weights;  // (taps), scaled by 2²²
  Index taps;
  std::uint8_t* out;  // (n)
  Index n;
};
using ResampleBytes = void (*)(const ResampleTask&) noexcept;

/// out[j, i] = in[i, j]: in (M,N), out (N,M), bytes with row strides ldi and ldo.
using TransposeBytes = void (*)(const std::uint8_t* in, Index ldi, std::uint8_t* out, Index ldo,
                                Index M, Index N) noexcept;

}  // namespace tessera::kernels
