// SPDX-License-Identifier: Apache-2.0
// Factors of columns: which channels get some, and that no product changes.
#include "runtime/weights/input_factors.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "tests/support/random.hpp"

namespace tessera {
namespace {

using testing::IsEmpty;

constexpr std::size_t kChannels = 64;
constexpr float kInf = std::numeric_limits<float>::infinity(),
                kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> ones() {
  return std::vector<float>(kChannels, 1.0F);
}

TEST(InputFactorsTest, ALargeChannelAndItsColumnMeetHalfway) {
  std::vector<float> a = ones();
  a[7] = 64.0F;
  const std::vector<float> f = balanced_factors(a, ones());
  ASSERT_EQ(f.size(), kChannels);
  for (std::size_t k = 0; k < kChannels; ++k) EXPECT_EQ(f[k], k == 7 ? 0.125F : 1.0F) << k;
}

TEST(InputFactorsTest, AColumnOfSmallWeightsTellsOfALargeChannel) {
  std::vector<float> w = ones();
  w[3] = 1.0F / 100.0F;
  const std::vector<float> f = balanced_factors(ones(), w);
  ASSERT_EQ(f.size(), kChannels);
  EXPECT_EQ(f[3], 0.125F);
  EXPECT_EQ(f[4], 1.0F);
  EXPECT_THAT(balanced_factors(ones(), w, true), IsEmpty()) << "it was seen not to be";
}

TEST(InputFactorsTest, ALargeColumnOfASmallChannelGoesTheOtherWay) {
  std::vector<float> a = ones(), w = ones();
  a[5] = 1.0F / 32.0F;
  w[5] = 32.0F;
  EXPECT_EQ(balanced_factors(a, w)[5], 32.0F);
}

TEST(InputFactorsTest, WhatIsNearlyEvenStaysAsItIs) {
  const test::GuardedBuffer<float> random = test::random_normal(2 * kChannels, 3);
  std::vector<float> a, w;
  for (std::size_t k = 0; k < kChannels; ++k) {
    a.push_back(3.0F + 0.3F * random[static_cast<Index>(k)]);
    w.push_back(1.0F + 0.1F * random[static_cast<Index>(kChannels + k)]);
  }
  EXPECT_THAT(balanced_factors(a, w), IsEmpty());
  a[9] = 0.05F;  // a channel that says little takes no steps from the others
  EXPECT_THAT(balanced_factors(a, w), IsEmpty());
  a[9] = 60.0F;
  EXPECT_EQ(balanced_factors(a, w).size(), kChannels);
}

TEST(InputFactorsTest, FactorsAreBoundedPowersOfTwoWhateverTheNumbers) {
  constexpr float kMost = std::numeric_limits<float>::max(),
                  kLeast = std::numeric_limits<float>::denorm_min();
  for (const float hostile : {0.0F, kInf, kNan, kMost, kLeast, -1.0F}) {
    for (const bool of_a : {true, false}) {
      std::vector<float> a = ones(), w = ones();
      a[1] = w[2] = 100.0F;
      (of_a ? a : w)[3] = hostile;
      for (const float f : balanced_factors(a, w)) {
        int exponent = 0;
        EXPECT_EQ(std::frexp(f, &exponent), 0.5F) << hostile;
        EXPECT_LE(std::abs(exponent - 1), 8) << hostile;
      }
    }
  }
  EXPECT_THAT(balanced_factors(std::vector<float>(kChannels, kNan), ones()), IsEmpty());
  EXPECT_THAT(balanced_factors(std::vector<float>(kChannels, 0.0F), ones()), IsEmpty());
  EXPECT_THAT(balanced_factors(ones(), std::vector<float>(kChannels, 0.0F)), IsEmpty());
}

TEST(InputFactorsTest, ColumnsCountInTheLargestOfEachRow) {
  const std::vector<float> rows{1.0F,   -4.0F, 2.0F,   // in quarters
                                100.0F, 0.0F,  50.0F,  // in hundredths
                                kInf,   1.0F,  1.0F};  // not at all
  std::vector<float> w(3, 0.0F);
  raise_columns(rows, w);
  EXPECT_EQ(w, (std::vector<float>{1.0F, 1.0F, 0.5F}));
}

TEST(InputFactorsTest, NoDigitOfAProductChanges) {
  const test::GuardedBuffer<float> random = test::random_normal(2 * kChannels, 4);
  std::vector<float> x(random.begin(), random.begin() + kChannels),
      w(random.begin() + kChannels, random.end()), f;
  test::Random exponents{5};
  for (std::size_t k = 0; k < kChannels; ++k) {
    f.push_back(std::ldexp(1.0F, static_cast<int>(exponents.integer(-8, 8))));
  }
  std::vector<float> divided = w;
  divide_columns(divided, f);
  for (std::size_t k = 0; k < kChannels; ++k) EXPECT_EQ(x[k] * f[k] * divided[k], x[k] * w[k]);
  divide_columns(divided, {});
  EXPECT_EQ(divided[5] * f[5], w[5]);
}

}  // namespace
}  // namespace tessera
