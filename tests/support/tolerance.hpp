// SPDX-License-Identifier: Apache-2.0
//
// Tolerances with their derivations (Higham, Accuracy and Stability of Numerical Algorithms, 2nd
// ed., ch. 3).
//
//   u = 2⁻²⁴              unit roundoff of f32, round to nearest
//   γ_n = n·u/(1 − n·u)   bound of the relative error of n successive roundings
//
//   dot product of length K in one chain    |ĉ − c| ≤ γ_K·Σ|a_k b_k|         with FMA: K roundings
//                                           |ĉ − c| ≤ γ_{K+1}·Σ|a_k b_k|     multiply, then add
//   plus an initial value and a final addition: two roundings more, on |init| and |residual|
//   underflow: each operation may lose up to η = 2⁻¹⁴⁹ absolutely (gradual underflow)
#pragma once

#include <algorithm>
#include <cmath>

#include "kernels/types.hpp"

namespace tessera::test {

inline constexpr double kUnitRoundoff = 0x1p-24;
inline constexpr double kSmallestDenormal = 0x1p-149;

/// γ_n
constexpr double gamma(Index n) noexcept {
  const double nu = static_cast<double>(n) * kUnitRoundoff;
  return nu / (1.0 - nu);
}

/// Of one element init + Σ a_k b_k + residual, computed as one f32 chain.
/// `magnitude` = |init| + Σ|a_k b_k| + |residual|, in double.
constexpr double gemm_tolerance(Index K, double magnitude) noexcept {
  return gamma(K + 3) * magnitude + static_cast<double>(2 * K + 3) * kSmallestDenormal;
}

/// Distance between neighbouring f32 around |x|: the unit of an "ulp" claim. At least the smallest
/// denormal.
inline double ulp_of(double x) noexcept {
  const double magnitude = std::abs(x);
  if (!(magnitude > 0x1p-126)) return kSmallestDenormal;
  return std::ldexp(1.0, std::min(std::ilogb(magnitude), 127) - 23);
}

/// |got − expected| in ulps of `expected`; 0 if both are NaN or the same infinity, ∞ if only one
/// is.
inline double ulp_error(float got, double expected) noexcept {
  const double g = static_cast<double>(got);
  if (std::isnan(g) || std::isnan(expected)) {
    return std::isnan(g) && std::isnan(expected) ? 0.0 : HUGE_VAL;
  }
  if (g == expected) return 0.0;
  if (std::isinf(expected)) return HUGE_VAL;
  if (std::isinf(g)) return std::abs(expected) > 0x1.fffffep127 ? 0.0 : HUGE_VAL;
  return std::abs(g - expected) / ulp_of(expected);
}

}  // namespace tessera::test
