// SPDX-License-Identifier: Apache-2.0
//
// Comparisons that report the worst element, not the first hundred.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <span>

#include "kernels/types.hpp"

namespace tessera::test {

/// Are both NaN, or the same bits? (The payload of a NaN is not part of any contract.)
inline bool same_bits(float x, float y) noexcept {
  if (std::isnan(x) || std::isnan(y)) return std::isnan(x) && std::isnan(y);
  return std::bit_cast<std::uint32_t>(x) == std::bit_cast<std::uint32_t>(y);
}

inline testing::AssertionResult bit_identical(std::span<const float> got,
                                              std::span<const float> expected) {
  if (got.size() != expected.size()) {
    return testing::AssertionFailure() << "size " << got.size() << ", expected " << expected.size();
  }
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (!same_bits(got[i], expected[i])) {
      return testing::AssertionFailure() << "element " << i << " is " << std::hexfloat << got[i]
                                         << ", expected " << expected[i];
    }
  }
  return testing::AssertionSuccess();
}

/// |got[i] − expected[i]| ≤ tolerance(i) for every i; NaN and infinities must agree exactly.
template <class Tolerance>
testing::AssertionResult near_elementwise(std::span<const float> got,
                                          std::span<const double> expected, Tolerance&& tolerance) {
  if (got.size() != expected.size()) {
    return testing::AssertionFailure() << "size " << got.size() << ", expected " << expected.size();
  }
  std::size_t worst = 0;
  double worst_ratio = 0.0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double g = static_cast<double>(got[i]);
    const double e = expected[i];
    double ratio = 0.0;
    if (std::isnan(g) || std::isnan(e)) {
      ratio = std::isnan(g) && std::isnan(e) ? 0.0 : HUGE_VAL;
    } else if (g != e) {
      const double t = tolerance(static_cast<Index>(i));
      ratio = std::isinf(e) || !(t > 0.0) ? HUGE_VAL : std::abs(g - e) / t;
    }
    if (ratio > worst_ratio) {
      worst_ratio = ratio;
      worst = i;
    }
  }
  if (worst_ratio <= 1.0) return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << "element " << worst << " is " << got[worst] << ", expected " << expected[worst] << ": "
         << worst_ratio << " times its tolerance of " << tolerance(static_cast<Index>(worst));
}

}  // namespace tessera::test
