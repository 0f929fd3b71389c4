// SPDX-License-Identifier: Apache-2.0
// Ternary weights at every level: the bits of Precision::s8 on the same weights, and the packing.
#include <algorithm>
#include <set>

#include "kernels/gemm/ternary_codes.hpp"
#include "tests/kernels/gemm/integer_gemm.hpp"
#include "tests/support/compare.hpp"

namespace tessera::kernels {
namespace {

class GemmTernaryTest : public IntegerGemmTest, public testing::WithParamInterface<Isa> {
 protected:
  void SetUp() override { enter(GetParam(), Precision::ternary); }
};
INSTANTIATE_FOR_ALL_ISAS(GemmTernaryTest);

TEST_P(GemmTernaryTest, ResultsAreTheBitsOfS8OnTheSameWeights) {
  for (const Index K : {1, 5, 64, 387}) {
    for (const Index N : {Index{1}, gemm().NR, 3 * gemm().NR + 7}) {
      for (const Index M : heights(gemm().MR)) {
        Operands ternary(table(), Precision::ternary, M, N, K, Guard::above, 9);
        Operands whole(table(), Precision::s8, M, N, K, Guard::above, 9);
        whole.a = ternary.a;
        whole.w = ternary.w;
        whole.fill(table());
        for (const Activation activation : {Activation::none, Activation::gelu_erf}) {
          for (Operands* x : {&ternary, &whole}) {
            for (Index i = 0; i < M; i += x->gemm.MR) {
              GemmTile t = x->tile(true);
              t.activation = activation;
              if (K == 5) t.bias = nullptr;
              t.a = x->rows.data() + i * x->lda * x->gemm.bits.a / 8;
              t.c += i * t.ldc;
              t.row_scales += i;
              t.mr = std::min(x->gemm.MR, M - i);
              x->gemm.run(t);
            }
          }
          ASSERT_TRUE(test::bit_identical(ternary.result(), whole.result()))
              << "M=" << M << " N=" << N << " K=" << K << ' ' << to_string(activation);
        }
      }
    }
  }
}

/// Calls over K that are decoded in several chunks each, and go on from C or from sums apart.
TEST_P(GemmTernaryTest, ChunksGoOnFromWhatWasSummed) {
  const Index KR = gemm().KR, first = 70 * KR, K = 210 * KR - 1, N = gemm().NR + 5, M = gemm().MR;
  for (const bool apart : {false, true}) {
    Operands whole(table(), Precision::ternary, M, N, K, Guard::above, 4);
    whole.gemm.run(whole.tile(true));
    Operands split(table(), Precision::ternary, M, N, K, Guard::above, 4);
    GuardedBuffer<float> sums(M * N);
    GemmTile t = split.tile(false);
    t.kc = first;
    if (apart) t.c = sums.data(), t.ldc = N;
    split.gemm.run(t);
    t = split.tile(true);
    t.a = split.rows.data() + first * split.gemm.bits.a / 8;
    t.b = split.panels.data() + split.gemm.panel_offset(first);
    t.kc = K - first;
    t.accumulate = true;
    if (apart) t.sums = sums.data(), t.lds = N;
    split.gemm.run(t);
    ASSERT_TRUE(test::bit_identical(split.result(), whole.result())) << (apart ? "apart" : "in C");
  }
}

TEST_P(GemmTernaryTest, AWeightTakesFiveThirdsOfABit) {
  const Index K = 768, NR = gemm().NR;
  EXPECT_EQ(gemm().rows_bytes(K) * 8 * 3, NR * K * 5);
  EXPECT_EQ(gemm().panel_bytes(K), gemm().rows_bytes(K) + 8 * NR);
  for (Index k = 1; k < 40; ++k) EXPECT_EQ(gemm().panel_bytes(k) % 4, 0) << "heads are floats";
}

/// Every weight of a panel alone is what its code says, and every code occurs.
TEST_P(GemmTernaryTest, PanelsHoldTheCodesOfTheReference) {
  const Index NR = gemm().NR, V = NR / kTritsOfCode;
  const Index T = 32 / gemm().bits.a, C = V * T;  // of a word of A
  std::set<int> seen;
  for (const Index K : {1, 3, 30, 129}) {
    for (const Index nr : {Index{1}, V, NR - 1, NR}) {
      Operands x(table(), Precision::ternary, 1, nr, K, Guard::above,
                 static_cast<std::uint64_t>(K));
      const auto* const rows =
          reinterpret_cast<const unsigned char*>(x.panels.data() + gemm().panel_offset(0));
      for (Index k = 0; k < round_to(K, gemm().KR); ++k) {
        for (Index c = 0; c < V; ++c) {
          int expected = 0;
          for (Index v = 2; v >= 0; --v) {
            const Index j = v * V + c;
            const bool is_there = j < nr && k < K;
            expected = 3 * expected + 1 + (is_there ? x.w[static_cast<std::size_t>(j * K + k)] : 0);
          }
          const auto* const row = rows + k / T * C * 5 / 8;
          const Index i = c * T + k % T;
          const int low = row[i % (C / 2)] >> (i < C / 2 ? 0 : 4) & 15;
          const int high = row[C / 2 + i / 8] >> (i % 8) & 1;
          ASSERT_EQ(low + 16 * high, expected) << "K=" << K << " nr=" << nr << " k=" << k;
          seen.insert(expected);
        }
      }
    }
  }
  EXPECT_EQ(seen.size(), 27U);
}

}  // namespace
}  // namespace tessera::kernels
