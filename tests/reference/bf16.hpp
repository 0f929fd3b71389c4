// SPDX-License-Identifier: Apache-2.0
//
// bf16 the obvious way: of the two bf16 numbers around x the nearer one, of two equally near ones
// the one whose last bit is 0.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "kernels/types.hpp"

namespace tessera::reference {

inline float widen_bf16(std::uint16_t h) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(h) << 16U);
}

/// Precondition: x is not NaN.
inline std::uint16_t to_bf16(float x) {
  const auto toward_zero = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(x) >> 16U);
  if (std::isinf(x)) return toward_zero;
  const auto away = static_cast<std::uint16_t>(toward_zero + 1U);  // infinite beyond the largest
  const double value = std::abs(static_cast<double>(x));
  const double below = std::abs(static_cast<double>(widen_bf16(toward_zero)));
  const double above = (toward_zero & 0x7FFFU) == 0x7F7F
                           ? 0x1p128  // what would come after the largest
                           : std::abs(static_cast<double>(widen_bf16(away)));
  const double down = value - below, up = above - value;
  if (down != up) return down < up ? toward_zero : away;
  return toward_zero % 2 == 0 ? toward_zero : away;
}

/// x as a product of `precision` takes it, f32 or bf16.
inline double factor(float x, Precision precision) {
  return static_cast<double>(precision == Precision::bf16 ? widen_bf16(to_bf16(x)) : x);
}

}  // namespace tessera::reference
