// SPDX-License-Identifier: Apache-2.0
#include "tessera/measure/difference.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace tessera {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Rows of two, `stride` apart.
Difference of(const std::vector<float>& a, const std::vector<float>& b, Index stride = 2) {
  const auto view = [&](const std::vector<float>& x) {
    return TensorView<const float>{
        .data = x.data(), .rows = std::ssize(x) / stride, .cols = 2, .stride = stride};
  };
  return difference_of(view(a), view(b));
}

TEST(DifferenceTest, EqualRowsAreExactlyEqual) {
  const std::vector<float> x{0.1F, 0.7F, -3e-30F, 1e-38F, 3e38F, 1e38F};
  const Difference d = of(x, x);
  EXPECT_EQ(d.worst, 0);
  EXPECT_EQ(d.mean, 0);
  EXPECT_EQ(d.most, 0);
  EXPECT_EQ(d.relative, 0);
  EXPECT_FALSE(d.is_any());
}

TEST(DifferenceTest, AnglesAndElementsAreThoseOfEachRow) {
  const Difference d = of({1, 0, 0, 2, 1, 1}, {1, 0, 3, 0, -4, -4});
  EXPECT_DOUBLE_EQ(d.worst, 2);  // opposite
  EXPECT_EQ(d.worst_row, 2);
  EXPECT_DOUBLE_EQ(d.mean, 1);  // (0 + 1 + 2)/3
  EXPECT_EQ(d.most, 5);
  EXPECT_EQ(d.relative, 1.25);
  EXPECT_TRUE(d.is_any());
}

// 1 - cos(t) = t²/2 - …: 5e-15, of which 1 - a·b/(|a||b|) would keep one digit.
TEST(DifferenceTest, SmallAnglesKeepTheirDigits) {
  const auto angle = 1e-7F;
  const Difference d = of({1, 0}, {1, angle});
  EXPECT_NEAR(d.worst, 5e-15, 1e-21);
}

TEST(DifferenceTest, ColumnsBeyondTheWidthAreNotLookedAt) {
  EXPECT_FALSE(of({1, 2, kNaN, 3, 4, 7}, {1, 2, 5, 3, 4, kNaN}, 3).is_any());
}

TEST(DifferenceTest, ZerosAreEqualToZerosAlone) {
  EXPECT_FALSE(of({0, 0}, {0, -0.0F}).is_any());
  const Difference gone = of({0, 0, 3, 0}, {0, 2, 3, 0});
  EXPECT_EQ(gone.worst, 1);
  EXPECT_EQ(gone.worst_row, 0);
  const Difference came = of({0, 2}, {0, 0});
  EXPECT_EQ(came.worst, 1);
  EXPECT_TRUE(std::isinf(came.relative));
}

TEST(DifferenceTest, WhatIsNotFiniteIsCountedAndNeverHidden) {
  const Difference one = of({1, 0, kNaN, 0, 0, 1}, {1, 0, 1, 0, 1, 0});
  EXPECT_TRUE(std::isnan(one.worst));
  EXPECT_EQ(one.worst_row, 1);
  EXPECT_TRUE(std::isnan(one.mean));
  EXPECT_TRUE(std::isnan(one.most));
  EXPECT_TRUE(std::isnan(one.relative));
  EXPECT_TRUE(one.is_any());
  EXPECT_EQ(one.not_finite[0], 1U);
  EXPECT_EQ(one.not_finite[1], 0U);
  // The same in both is no agreement.
  for (const float bad : {kNaN, kInfinity}) {
    const Difference both = of({bad, 0}, {bad, 0});
    EXPECT_TRUE(std::isnan(both.worst));
    EXPECT_TRUE(both.is_any());
    EXPECT_EQ(both.not_finite[0] + both.not_finite[1], 2U);
  }
  EXPECT_TRUE(std::isnan(of({kInfinity, 0}, {0, 0}).worst));
}

}  // namespace
}  // namespace tessera
