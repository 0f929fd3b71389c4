// SPDX-License-Identifier: Apache-2.0
// IEEE 754 binary16, a number at a time.
#pragma once

#include <bit>
#include <cstdint>

namespace tessera {

/// The nearest, ties to even; infinity from 65520 on; NaN stays NaN. The same in any float environment.
constexpr std::uint16_t half_of(float x) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const auto sign = static_cast<std::uint16_t>(bits >> 16U & 0x8000U);
  const std::uint32_t magnitude = bits & 0x7FFF'FFFFU;
  const auto rounded = [](std::uint32_t m, std::uint32_t shift) {
    return (m + (1U << (shift - 1)) - 1 + (m >> shift & 1U)) >> shift;
  };
  std::uint32_t half = 0;
  if (magnitude > 0x7F80'0000U) {
    half = 0x7E00U;  // NaN
  } else if (magnitude >= 0x4780'0000U) {
    half = 0x7C00U;  // 65536 and more
  } else if (magnitude >= 0x3880'0000U) {
    half = rounded(magnitude - 0x3800'0000U, 13);  // 2^−14 and more: another bias
  } else if (const std::uint32_t exponent = magnitude >> 23U; exponent >= 102) {
    half = rounded((magnitude & 0x7F'FFFFU) | 0x80'0000U, 126 - exponent);  // in steps of 2^−24
  }
  return static_cast<std::uint16_t>(sign | half);
}

constexpr float float_of_half(std::uint16_t half) noexcept {
  const std::uint32_t exponent = half >> 10U & 0x1FU, fraction = half & 0x3FFU;
  const float sign = (half & 0x8000U) != 0 ? -1.0F : 1.0F;
  if (exponent == 0) return sign * static_cast<float>(fraction) * 0x1p-24F;
  const std::uint32_t biased = exponent == 31 ? 255U : exponent + 112U;
  return sign * std::bit_cast<float>(biased << 23U | fraction << 13U);
}

}  // namespace tessera
