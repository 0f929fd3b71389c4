// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/half.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace tessera {
namespace {

constexpr std::uint32_t kInfinity = 0x7C00;

/// What a half is, by its definition.
double value_of(std::uint32_t half) {
  const double sign = (half & 0x8000U) != 0 ? -1.0 : 1.0;
  const auto exponent = static_cast<int>(half >> 10U & 31U),
             fraction = static_cast<int>(half & 1023U);
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(1024 + fraction, exponent - 25);
}

TEST(HalfTest, EveryHalfIsItselfAgain) {
  for (std::uint32_t half = 0; half < 0x10000; ++half) {
    const auto bits = static_cast<std::uint16_t>(half);
    const float x = float_of_half(bits);
    if ((half & 0x7FFFU) > kInfinity) {
      EXPECT_TRUE(std::isnan(x));
      EXPECT_TRUE(std::isnan(float_of_half(half_of(x))));
      continue;
    }
    EXPECT_EQ(half_of(x), bits);
    if ((half & 0x7FFFU) < kInfinity) {
      EXPECT_EQ(static_cast<double>(x), value_of(half));
    }
  }
}

// Between two neighbours: below the middle the lower, above it the upper, at it the even one.
TEST(HalfTest, RoundsToTheNearestAndToEven) {
  for (std::uint32_t half = 0; half < kInfinity; ++half) {
    const double low = value_of(half);
    const double high = half + 1 == kInfinity ? 65536.0 : value_of(half + 1);
    const auto middle = static_cast<float>((low + high) / 2);  // exact: one bit more
    const std::uint32_t even = (half & 1U) == 0 ? half : half + 1;
    EXPECT_EQ(half_of(middle), even) << half;
    EXPECT_EQ(half_of(std::nextafter(middle, 0.0F)), half) << half;
    EXPECT_EQ(half_of(std::nextafter(middle, 1e9F)), half + 1) << half;
    EXPECT_EQ(half_of(-middle), even | 0x8000U) << half;
  }
}

TEST(HalfTest, WhatIsTooLargeOrTooSmall) {
  EXPECT_EQ(half_of(65519.996F), 0x7BFF);
  EXPECT_EQ(half_of(65520.0F), kInfinity);
  EXPECT_EQ(half_of(1e30F), kInfinity);
  EXPECT_EQ(half_of(-std::numeric_limits<float>::infinity()), 0xFC00);
  EXPECT_EQ(half_of(1e-45F), 0);
  EXPECT_EQ(half_of(-1e-30F), 0x8000);
  EXPECT_EQ(half_of(0x1p-25F), 0);
  EXPECT_EQ(half_of(0x1.000002p-25F), 1);
}

}  // namespace
}  // namespace tessera
