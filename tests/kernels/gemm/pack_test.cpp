// SPDX-License-Identifier: Apache-2.0
//
// Panel packing: exact for every element type, every ragged size, nothing touched outside.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/kernel_table.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/random.hpp"

namespace tessera::kernels {
namespace {

using test::Guard;
using test::GuardedBuffer;
using test::same_bits;

float widen_bf16(std::uint16_t h) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(h) << 16U);
}

/// By the definition of binary16: (−1)^s · 2^(e−15) · 1.f, denormals 2^−14 · 0.f.
float widen_f16(std::uint16_t h) {
  const int exponent = (h >> 10U) & 31;
  const int fraction = h & 1023;
  double x = 0.0;
  if (exponent == 31) {
    x = fraction != 0 ? std::nan("") : HUGE_VAL;
  } else if (exponent == 0) {
    x = std::ldexp(fraction, -24);
  } else {
    x = std::ldexp(1024 + fraction, exponent - 25);
  }
  return static_cast<float>((h & 0x8000U) != 0 ? -x : x);
}

class PackPanelTest : public testing::TestWithParam<Isa> {};
INSTANTIATE_FOR_ALL_ISAS(PackPanelTest);

/// Packs random bits of type T at every ragged size between guard pages and compares with the
/// formula.
template <class T, class Widen>
void expect_formula(const Gemm& gemm, DType type, Widen&& widen) {
  test::Random random{43};
  for (Index nr = 1; nr <= gemm.NR; ++nr) {
    for (const Index K : {1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 33}) {
      for (const Guard guard : {Guard::above, Guard::below}) {
        const Index ldw = K + 3;
        GuardedBuffer<T> w((nr - 1) * ldw + K, guard);
        for (T& x : w) x = static_cast<T>(random.bits());
        GuardedBuffer<float> panel(K * gemm.NR, guard);
        gemm.pack_panel({w.data(), type, ldw, nr, K, panel.data()});
        for (Index k = 0; k < K; ++k) {
          for (Index j = 0; j < gemm.NR; ++j) {
            const float expected = j < nr ? widen(w[j * ldw + k]) : 0.0F;
            ASSERT_TRUE(same_bits(panel[k * gemm.NR + j], expected))
                << "nr=" << nr << " K=" << K << " k=" << k << " j=" << j;
          }
        }
      }
    }
  }
}

TEST_P(PackPanelTest, F32IsCopiedBitForBit) {
  SKIP_UNLESS_SUPPORTED(GetParam());
  expect_formula<std::uint32_t>(kernels_at(GetParam()).gemm[Precision::f32], DType::f32,
                                [](std::uint32_t x) { return std::bit_cast<float>(x); });
}

TEST_P(PackPanelTest, Bf16IsTheUpperHalfOfF32) {
  SKIP_UNLESS_SUPPORTED(GetParam());
  expect_formula<std::uint16_t>(kernels_at(GetParam()).gemm[Precision::f32], DType::bf16,
                                widen_bf16);
}

TEST_P(PackPanelTest, F16IsWidenedExactly) {
  SKIP_UNLESS_SUPPORTED(GetParam());
  expect_formula<std::uint16_t>(kernels_at(GetParam()).gemm[Precision::f32], DType::f16, widen_f16);
}

TEST_P(PackPanelTest, WidensEveryHalfPrecisionValue) {
  SKIP_UNLESS_SUPPORTED(GetParam());
  const Gemm& gemm = kernels_at(GetParam()).gemm[Precision::f32];
  GuardedBuffer<std::uint16_t> w(65536);
  for (Index i = 0; i < w.size(); ++i) w[i] = static_cast<std::uint16_t>(i);
  GuardedBuffer<float> panel(w.size() * gemm.NR);
  for (const DType type : {DType::f16, DType::bf16}) {
    gemm.pack_panel({w.data(), type, w.size(), 1, w.size(), panel.data()});
    for (Index i = 0; i < w.size(); ++i) {
      const float expected = type == DType::f16 ? widen_f16(w[i]) : widen_bf16(w[i]);
      ASSERT_TRUE(same_bits(panel[i * gemm.NR], expected)) << to_string(type) << ' ' << i;
    }
  }
}

}  // namespace
}  // namespace tessera::kernels
