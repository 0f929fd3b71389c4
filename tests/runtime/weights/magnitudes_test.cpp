// SPDX-License-Identifier: Apache-2.0
#include "runtime/weights/magnitudes.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace tessera {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

template <class T>
bool below(const std::vector<T>& values, DType type, float limit = kInfinity) {
  return all_below(reinterpret_cast<const std::byte*>(values.data()), type, std::ssize(values),
                   limit);
}

TEST(MagnitudesTest, OneValueAtAnyPlaceOfAnyLengthIsSeen) {
  for (std::size_t n = 1; n < 80; ++n) {
    for (std::size_t at = 0; at < n; ++at) {
      for (const float bad : {kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN(),
                              -std::numeric_limits<float>::quiet_NaN()}) {
        std::vector<float> values(n, -std::numeric_limits<float>::max());
        EXPECT_TRUE(below(values, DType::f32));
        values[at] = bad;
        EXPECT_FALSE(below(values, DType::f32)) << n << " " << at;
      }
    }
  }
  EXPECT_TRUE(below(std::vector<float>{}, DType::f32));
}

TEST(MagnitudesTest, TheLimitItselfIsNotBelow) {
  constexpr float kLimit = 0x1.FFp127F;
  const float last = std::nextafter(kLimit, 0.0F);
  EXPECT_TRUE(below<float>({last, -last, 0.0F, -0.0F, 1e-45F}, DType::f32, kLimit));
  EXPECT_FALSE(below<float>({0.0F, kLimit}, DType::f32, kLimit));
  EXPECT_FALSE(below<float>({-kLimit, 0.0F}, DType::f32, kLimit));
}

TEST(MagnitudesTest, AllNumbersOfSixteenBits) {
  for (const DType type : {DType::f16, DType::bf16}) {
    const std::uint32_t exponent = type == DType::f16 ? 0x7C00 : 0x7F80;
    for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
      std::vector<std::uint16_t> values(37, 0x8001);
      values[bits % values.size()] = static_cast<std::uint16_t>(bits);
      EXPECT_EQ(below(values, type), (bits & exponent) != exponent) << bits;
    }
  }
}

}  // namespace
}  // namespace tessera
