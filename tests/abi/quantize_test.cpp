// SPDX-License-Identifier: Apache-2.0
// Small and short vectors through tessera.h and tessera.hpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "tests/abi/demo.hpp"

namespace tessera::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<int> numbers(const std::vector<std::byte>& bytes, bool is_signed) {
  std::vector<int> all;
  for (const std::byte b : bytes) {
    const auto value = std::to_integer<std::uint8_t>(b);
    all.push_back(is_signed ? static_cast<std::int8_t>(value) : value);
  }
  return all;
}

TEST(QuantizeTest, RowsBecomeSmall) {
  const std::vector<float> values{0.0F, 10.0F, -1.0F, 5.0F, 2.0F, -3.0F, 4.0F, 0.5F,
                                  1.0F, 20.0F, 0.0F,  6.0F, 3.0F, -2.0F, 8.0F, 0.0F};
  const Matrix rows(values, 8);
  EXPECT_THAT(numbers(quantize(rows, TESSERA_VECTOR_UBINARY), false),
              ElementsAre(0b01011011, 0b11011010));
  EXPECT_THAT(numbers(quantize(rows, TESSERA_VECTOR_BINARY), true),
              ElementsAre(0b01011011 - 128, 0b11011010 - 128));
  // Of the rows themselves each column has the ends of its range; 254.99998 steps are 254.
  const std::vector<int> own = numbers(quantize(rows, TESSERA_VECTOR_UINT8), false);
  const std::vector<int> own_signed = numbers(quantize(rows, TESSERA_VECTOR_INT8), true);
  for (std::size_t i = 0; i < 16; ++i) {
    const bool is_largest = values[i] > values[(i + 8) % 16];
    EXPECT_EQ(own[i] / 254, is_largest ? 1 : 0) << i;
    EXPECT_THAT(own_signed[i], testing::AnyOf(is_largest ? 126 : -128, is_largest ? 127 : -128));
  }
  std::vector<float> ranges(16, 0.0F);
  std::fill(ranges.begin() + 8, ranges.end(), 255.0F);
  EXPECT_THAT(numbers(quantize(rows, TESSERA_VECTOR_UINT8, ranges), false),
              ElementsAre(0, 10, 0, 5, 2, 0, 4, 0, 1, 20, 0, 6, 3, 0, 8, 0));
  const std::vector<std::byte> floats = quantize(rows, TESSERA_VECTOR_F32);
  ASSERT_EQ(floats.size(), values.size() * 4);
  EXPECT_EQ(std::memcmp(floats.data(), values.data(), floats.size()), 0);
  const std::vector<std::byte> halves = quantize(rows, TESSERA_VECTOR_F16);
  ASSERT_EQ(halves.size(), values.size() * 2);
  EXPECT_EQ(std::to_integer<int>(halves[3]) << 8 | std::to_integer<int>(halves[2]), 0x4900);  // 10
}

// Sessions count subnormal numbers as zero; here they are numbers, as in numpy.
TEST(QuantizeTest, SubnormalNumbersAreNumbers) {
  const std::vector<float> tiny{1e-40F, -1e-40F, 1e-38F, 1e-45F, 2e-38F, 0.0F, -0.0F, 1.0F};
  EXPECT_THAT(numbers(quantize(Matrix(tiny, 8), TESSERA_VECTOR_UBINARY), false),
              ElementsAre(0b10111001));
  const std::vector<float> column{0.0F, 1e-37F, 5e-38F, 2e-37F};
  EXPECT_THAT(numbers(quantize(Matrix(column, 1), TESSERA_VECTOR_UINT8), false),
              ElementsAre(0, 127, 63, 254));
}

TEST(QuantizeTest, RowsMayLieApart) {
  const std::vector<float> values{1, 2, 99, 3, 4, 99, 5, 6};
  EXPECT_EQ(quantize(Matrix(values, 2, 3), TESSERA_VECTOR_UINT8),
            quantize(Matrix(std::vector<float>{1, 2, 3, 4, 5, 6}, 2), TESSERA_VECTOR_UINT8));
}

TEST(QuantizeTest, BadArgumentsAreNamedAndNothingIsWritten) {
  const std::vector<float> values(16, 1.0F);
  const Matrix rows(values, 8);
  std::array<unsigned char, 64> out{};
  out.fill(0xA5);
  const auto refused = [&](tessera_status status, const char* part) {
    EXPECT_EQ(status, TESSERA_INVALID_ARGUMENT);
    EXPECT_THAT(tessera_last_error(), HasSubstr(part));
    EXPECT_THAT(out, testing::Each(0xA5));
  };
  std::array<float, 16> ranges{};
  refused(tessera_quantize(nullptr, TESSERA_VECTOR_F16, nullptr, out.data(), 64), "rows");
  refused(tessera_quantize(&rows, static_cast<tessera_vector_type>(6), nullptr, out.data(), 64),
          "type");
  refused(tessera_quantize(&rows, TESSERA_VECTOR_F16, nullptr, out.data(), 31),
          "capacity is 31 bytes, expected at least 32");
  refused(tessera_quantize(&rows, TESSERA_VECTOR_F16, nullptr, nullptr, 64), "out");
  ranges[3] = 2.0F;
  refused(tessera_quantize(&rows, TESSERA_VECTOR_INT8, ranges.data(), out.data(), 64),
          "column 3 goes from 2 to 0");
  const std::vector<float> huge{-3e38F, 3e38F};
  const Matrix far(huge, 1);
  refused(tessera_quantize(&far, TESSERA_VECTOR_INT8, nullptr, out.data(), 64),
          "ranges of the rows: column 0 goes from -3e+38 to 3e+38");
  const Matrix three(values, 3);
  refused(tessera_quantize(&three, TESSERA_VECTOR_UBINARY, nullptr, out.data(), 64),
          "width is 3, expected a multiple of 8");
  const Matrix none(std::span<const float>{}, 8);
  refused(tessera_quantize(&none, TESSERA_VECTOR_INT8, nullptr, out.data(), 64), "ranges is NULL");
  EXPECT_EQ(tessera_quantize(&none, TESSERA_VECTOR_F16, nullptr, nullptr, 0), TESSERA_OK);
  EXPECT_THROW(quantize(rows, TESSERA_VECTOR_INT8, std::span<const float>(ranges).first(3)), Error);
}

TEST(DimsTest, AModelOfFewerColumnsIsAsCutByHand) {
  const Model whole(kDemo), cut(kDemo, {.dims = 24});
  Session all(whole), first(cut);
  const std::vector<float> wide = all.embed(kTexts[0]), narrow = first.embed(kTexts[0]);
  ASSERT_EQ(narrow.size(), 24U);
  double squares = 0.0;
  for (std::size_t i = 0; i < 24; ++i)
    squares += static_cast<double>(wide[i]) * static_cast<double>(wide[i]);
  for (std::size_t i = 0; i < 24; ++i) {
    EXPECT_NEAR(static_cast<double>(narrow[i]), static_cast<double>(wide[i]) / std::sqrt(squares),
                1e-6);
  }
  tessera_model_options options = TESSERA_MODEL_OPTIONS_INIT;
  tessera_model* model = nullptr;
  options.dims = -1;
  EXPECT_EQ(tessera_model_open(kDemo.c_str(), &options, &model), TESSERA_INVALID_ARGUMENT);
  EXPECT_THAT(tessera_last_error(), HasSubstr("dims is -1"));
  options.dims = 100'000;
  EXPECT_EQ(tessera_model_open(kDemo.c_str(), &options, &model), TESSERA_INVALID_ARGUMENT);
  EXPECT_THAT(tessera_last_error(), HasSubstr("dims: got 100000, expected 1 to"));
  EXPECT_EQ(model, nullptr);
}

}  // namespace
}  // namespace tessera::test
