// SPDX-License-Identifier: Apache-2.0
//
// Widening, gather-sum and pooling at every level, every tail between guard pages.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/kernel_table.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/rows.hpp"
#include "tests/support/tolerance.hpp"

namespace tessera::kernels {
namespace {

using test::Guard;
using test::GuardedBuffer;
using test::Rows;
using test::same_bits;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

float widened(DType type, std::uint16_t h) {
  if (type == DType::bf16) return std::bit_cast<float>(static_cast<std::uint32_t>(h) << 16U);
  // binary16: (−1)^s · 2^(e−15) · 1.f, denormals 2^−14 · 0.f
  const int exponent = (h >> 10U) & 31, fraction = h & 1023;
  const double magnitude = exponent == 31  ? (fraction != 0 ? std::nan("") : HUGE_VAL)
                           : exponent == 0 ? std::ldexp(fraction, -24)
                                           : std::ldexp(1024 + fraction, exponent - 25);
  return static_cast<float>((h & 0x8000U) != 0 ? -magnitude : magnitude);
}

class EmbeddingPoolingTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    SKIP_UNLESS_SUPPORTED(GetParam());
    table = &kernels_at(GetParam());
  }
  const KernelTable* table = nullptr;
};
INSTANTIATE_FOR_ALL_ISAS(EmbeddingPoolingTest);

TEST_P(EmbeddingPoolingTest, WidenIsExactForAllSixteenBitPatterns) {
  for (const DType type : {DType::f16, DType::bf16}) {
    GuardedBuffer<std::uint16_t> x(1 << 16);
    GuardedBuffer<float> y(1 << 16);
    for (Index i = 0; i < x.size(); ++i) x[i] = static_cast<std::uint16_t>(i);
    table->widen(x.data(), type, y.data(), x.size());
    for (Index i = 0; i < x.size(); ++i) {
      ASSERT_TRUE(same_bits(y[i], widened(type, x[i]))) << to_string(type) << " " << i;
    }
  }
}

TEST_P(EmbeddingPoolingTest, WidenTouchesNothingBeyondItsTail) {
  for (Index n = 1; n <= 50; ++n) {
    for (const Guard guard : {Guard::above, Guard::below}) {
      GuardedBuffer<std::uint16_t> h(n, guard);
      for (Index i = 0; i < n; ++i) h[i] = static_cast<std::uint16_t>(0x3C00 + i);
      const GuardedBuffer<float> x = test::random_normal(n, 1, guard);
      GuardedBuffer<float> y(n, guard);
      for (const DType type : {DType::f16, DType::bf16}) {
        table->widen(h.data(), type, y.data(), n);
        for (Index i = 0; i < n; ++i) ASSERT_EQ(y[i], widened(type, h[i]));
      }
      table->widen(x.data(), DType::f32, y.data(), n);
      for (Index i = 0; i < n; ++i) ASSERT_EQ(y[i], x[i]);
    }
  }
}

TEST_P(EmbeddingPoolingTest, GatherSumAddsTermsInOrder) {
  constexpr Index rows = 9, M = 4;
  for (const Index N : {1, 3, 4, 5, 8, 15, 16, 17, 31, 33, 64, 100, 384}) {
    for (const Guard guard : {Guard::above, Guard::below}) {
      const GuardedBuffer<float> words = test::random_normal(rows * N, 1, guard);
      GuardedBuffer<std::uint16_t> halves(rows * N, guard), brains(rows * N, guard);
      test::Random random{2};
      for (Index i = 0; i < rows * N; ++i) {
        halves[i] = static_cast<std::uint16_t>(random.bits() & 0xBFFFU);  // finite: exponent < 16
        brains[i] = static_cast<std::uint16_t>(random.bits() & 0xBFFFU);
      }
      GuardedBuffer<std::int32_t> ids(M, guard), positions(M, guard);
      for (Index i = 0; i < M; ++i) {
        ids[i] = static_cast<std::int32_t>((i * 5) % rows);
        positions[i] = static_cast<std::int32_t>(rows - 1 - i);
      }
      GuardedBuffer<std::int8_t> whole(rows * N, guard);
      for (Index i = 0; i < rows * N; ++i) whole[i] = static_cast<std::int8_t>(random.bits());
      const GuardedBuffer<float> scales = test::random_normal(rows, 3, guard);
      const EmbeddingTerm of_whole[1] = {
          {whole.data(), DType::s8, positions.data(), 0, scales.data()}};
      Rows w(M, N, 3, guard);
      table->embedding(of_whole, 1, w.data(), w.ld(), M, N);
      for (Index i = 0; i < M; ++i) {
        for (Index j = 0; j < N; ++j) {
          const Index row = positions[i];
          ASSERT_TRUE(same_bits(w(i, j), static_cast<float>(whole[row * N + j]) * scales[row]));
        }
      }
      ASSERT_TRUE(w.gaps_untouched());
      const EmbeddingTerm terms[4] = {{words.data(), DType::f32, ids.data()},
                                      {halves.data(), DType::f16, positions.data()},
                                      {brains.data(), DType::bf16, ids.data()},
                                      {words.data(), DType::f32, nullptr, 1}};
      for (Index n_terms = 1; n_terms <= 4; ++n_terms) {
        Rows y(M, N, 3, guard);
        table->embedding(terms, n_terms, y.data(), y.ld(), M, N);
        for (Index i = 0; i < M; ++i) {
          for (Index j = 0; j < N; ++j) {
            float sum = words[ids[i] * N + j];
            if (n_terms > 1) sum += widened(DType::f16, halves[positions[i] * N + j]);
            if (n_terms > 2) sum += widened(DType::bf16, brains[ids[i] * N + j]);
            if (n_terms > 3) sum += words[N + j];
            ASSERT_TRUE(same_bits(y(i, j), sum)) << "N=" << N << " i=" << i << " j=" << j;
          }
        }
        ASSERT_TRUE(y.gaps_untouched());
      }
    }
  }
}

/// |ŷ − y| ≤ γ_{T+1}·Σ|w x|/Σw + γ_{T+1}|y|: one chain for the sum, one for the weights, one
/// division.
TEST_P(EmbeddingPoolingTest, WeightedMeanMatchesReference) {
  for (const Index N : {1, 4, 7, 16, 17, 33, 63, 64, 65, 128, 129, 384}) {
    for (const Index T : {1, 2, 3, 17, 200}) {
      for (const bool weighted : {false, true}) {
        const Guard guard = N % 2 == 0 ? Guard::above : Guard::below;
        Rows x(T, N, 2, guard);
        x.fill_normal(static_cast<std::uint64_t>(N + T));
        const GuardedBuffer<float> w = test::random_uniform(T, 0.0F, 2.0F, 4, guard);
        GuardedBuffer<float> y(N, guard);
        table->weighted_mean(x.data(), x.ld(), weighted ? w.data() : nullptr, T, N, y.data());
        std::vector<double> value, bound;
        for (Index j = 0; j < N; ++j) {
          double sum = 0, magnitude = 0, total = 0;
          for (Index i = 0; i < T; ++i) {
            const double weight = weighted ? static_cast<double>(w[i]) : 1.0;
            sum += weight * static_cast<double>(x(i, j));
            magnitude += weight * std::abs(static_cast<double>(x(i, j)));
            total += weight;
          }
          value.push_back(sum / total);
          bound.push_back(test::gamma(T + 1) * (magnitude / total + std::abs(sum / total)));
        }
        ASSERT_TRUE(test::near_elementwise(
            y, value, [&](Index j) { return bound[static_cast<std::size_t>(j)]; }))
            << "N=" << N << " T=" << T;
      }
    }
  }
}

TEST_P(EmbeddingPoolingTest, MaxOfRowsIsExactAndPassesNan) {
  for (const Index N : {1, 4, 7, 16, 17, 33, 64, 65, 129, 384}) {
    for (const Index T : {1, 2, 3, 17}) {
      const Guard guard = N % 2 == 0 ? Guard::above : Guard::below;
      Rows x(T, N, 2, guard);
      x.fill_normal(static_cast<std::uint64_t>(N + T));
      x(T / 2, N - 1) = kNan;
      GuardedBuffer<float> y(N, guard);
      table->max_rows(x.data(), x.ld(), T, N, y.data());
      for (Index j = 0; j + 1 < N; ++j) {
        float expected = x(0, j);
        for (Index i = 1; i < T; ++i) expected = std::fmax(expected, x(i, j));
        ASSERT_EQ(y[j], expected);
      }
      ASSERT_TRUE(std::isnan(y[N - 1])) << "N=" << N << " T=" << T;
    }
  }
}

}  // namespace
}  // namespace tessera::kernels
