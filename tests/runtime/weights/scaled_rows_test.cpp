// SPDX-License-Identifier: Apache-2.0
// Rows as whole numbers whose step is the nearest, beside one found in double.
#include "runtime/weights/scaled_rows.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <limits>

#include "tests/support/random.hpp"

namespace tessera::test {
namespace {

struct Quantized {
  std::vector<std::int8_t> q;
  float scale = 0;
};

Quantized quantized(const std::vector<float>& row, bool clips) {
  Quantized result{std::vector<std::int8_t>(row.size()), 0};
  RowQuantizer quantizer;
  result.scale = clips ? quantizer.quantize_clipped(row, result.q.data())
                       : quantizer.quantize(row, result.q.data());
  return result;
}

double squared_error(const std::vector<float>& row, const Quantized& as) {
  double sum = 0;
  for (std::size_t k = 0; k < row.size(); ++k) {
    const double rest =
        static_cast<double>(row[k]) - static_cast<double>(as.scale) * static_cast<double>(as.q[k]);
    sum += rest * rest;
  }
  return sum;
}

/// The least error of the 36 steps, in double.
double least_error(const std::vector<float>& row) {
  double m = 0, least = std::numeric_limits<double>::infinity();
  for (const float w : row) m = std::max(m, std::abs(static_cast<double>(w)));
  for (int i = 0; i < 36; ++i) {
    const double scale = m / 127 * (1 - 0.02 * i);
    double sum = 0;
    for (const float w : row) {
      const double q = std::clamp(std::nearbyint(static_cast<double>(w) / scale), -127.0, 127.0);
      sum += std::pow(static_cast<double>(w) - scale * q, 2);
    }
    least = std::min(least, sum);
  }
  return least;
}

std::vector<float> normal_row(Random& random, std::size_t K) {
  std::vector<float> row(K);
  for (float& w : row) w = random.normal();
  return row;
}

TEST(RowQuantizerTest, ClippedRowsHaveTheLeastErrorOfAllSteps) {
  Random random{3};
  int clipped = 0;
  for (const std::size_t K : {1U, 2U, 7U, 64U, 255U, 256U, 257U, 768U, 3072U}) {
    for (int i = 0; i < 20; ++i) {
      std::vector<float> row = normal_row(random, K);
      for (float& w : row) w = w * std::abs(w) * 1e-3F;  // long tails
      const Quantized plain = quantized(row, false), clips = quantized(row, true);
      const double least = least_error(row);
      const double digits = 1e-12 * squared_error(row, {std::vector<std::int8_t>(K), 0.0F});
      EXPECT_NEAR(squared_error(row, clips), least, 1e-4 * least + digits) << "K " << K;
      EXPECT_LE(squared_error(row, clips), squared_error(row, plain) * (1 + 1e-4) + digits);
      clipped += clips.scale < plain.scale;
      if (clips.scale == plain.scale) {
        EXPECT_EQ(clips.q, plain.q);
      }
    }
  }
  EXPECT_GT(clipped, 10);
}

/// Prints how little: D-104 says it.
TEST(RowQuantizerTest, RowsOfNormalNumbersGainLittle) {
  Random random{5};
  for (const std::size_t K : {768U, 3072U}) {
    double plain = 0, clips = 0;
    for (int i = 0; i < 200; ++i) {
      const std::vector<float> row = normal_row(random, K);
      plain += squared_error(row, quantized(row, false));
      clips += squared_error(row, quantized(row, true));
    }
    std::printf("[ CLIPPED  ] K %zu: %.1f %% less squared error\n", K, 100 * (1 - clips / plain));
    EXPECT_LT(clips, plain);
    EXPECT_GT(clips, 0.9 * plain);
  }
}

TEST(RowQuantizerTest, AStepIsKeptWhereNothingIsNearer) {
  std::vector<float> row{127.0F, -3.0F, 0.0F, 64.0F};  // whole numbers already
  EXPECT_EQ(quantized(row, true).scale, 1.0F);
  EXPECT_EQ(quantized(row, true).q, (std::vector<std::int8_t>{127, -3, 0, 64}));
  row.assign(1000, 0.5F);
  row[7] = 100.0F;  // one that most others would be nothing beside
  const Quantized clips = quantized(row, true);
  EXPECT_GE(clips.scale, 0.29F * 100.0F / 127.0F);
  EXPECT_LE(squared_error(row, clips), squared_error(row, quantized(row, false)));
}

TEST(RowQuantizerTest, RowsOfZerosAndOfWhatIsNotFiniteAreNotClipped) {
  std::vector<float> row(33, 0.0F);
  EXPECT_EQ(quantized(row, true).scale, 0.0F);
  EXPECT_EQ(quantized(row, true).q, std::vector<std::int8_t>(33, 0));
  row[5] = 0x1p-120F;
  EXPECT_EQ(quantized(row, true).scale, 0.0F);
  for (const float bad : {HUGE_VALF, -HUGE_VALF, std::nanf("")}) {
    row[5] = bad;
    EXPECT_TRUE(std::isnan(quantized(row, true).scale)) << bad;
  }
  row[5] = 3e38F;  // whose square is no number
  row[6] = 1e38F;
  EXPECT_TRUE(std::isfinite(quantized(row, true).scale));
  EXPECT_EQ(quantized(row, true).q, quantized(row, false).q);
}

}  // namespace
}  // namespace tessera::test
