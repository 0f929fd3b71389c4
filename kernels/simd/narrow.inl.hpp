// SPDX-License-Identifier: Apache-2.0
//
// f32 to bf16, rounded to nearest, ties to even; the same bits at every level. NaN stays NaN, what
// rounds beyond the largest bf16 becomes infinite.
//
//   bits + 0x7FFF + (bit 16), upper half         (NaN: the upper half with the quiet bit)
#pragma once

#include <bit>

#include "kernels/simd/simd.inl.hpp"

namespace tessera::kernels {
namespace {

TESSERA_INLINE std::uint16_t to_bf16(float x) noexcept {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
  if (x != x) return static_cast<std::uint16_t>((bits >> 16U) | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16U) & 1U)) >> 16U);
}

/// Stores the first n lanes (1 ≤ n ≤ kLanes) of x as bf16. Memory beyond n is not touched.
template <class A>
TESSERA_INLINE void store_bf16_n(std::uint16_t* p, Index n, F32<A> x) noexcept {
  if (n == kLanes<A>) return Words<A>::store_bf16(p, x);
  std::uint16_t lanes[16];
  Words<A>::store_bf16(lanes, x);
  for (Index i = 0; i < n; ++i) p[i] = lanes[i];
}

/// A word whose lower half is the bf16 element at p and whose upper half is 0; p[1] is not read.
TESSERA_INLINE float first_half(const void* p) noexcept {
  return std::bit_cast<float>(std::uint32_t{*static_cast<const std::uint16_t*>(p)});
}

}  // namespace
}  // namespace tessera::kernels
