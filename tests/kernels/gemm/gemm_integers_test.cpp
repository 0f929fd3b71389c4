// SPDX-License-Identifier: Apache-2.0
//
// The micro-kernels of whole numbers at every level: the integers of the reference, all of them, on
// every tile shape between unmapped pages; and what is made of them.
#include <cmath>
#include <limits>

#include "tests/kernels/gemm/integer_gemm.hpp"
#include "tests/reference/activation.hpp"
#include "tests/reference/bf16.hpp"
#include "tests/support/compare.hpp"

namespace tessera::kernels {
namespace {

using test::bit_identical;

class GemmIntegersTest : public IntegerGemmTest,
                         public testing::WithParamInterface<std::tuple<Isa, Precision>> {
 protected:
  void SetUp() override { enter(std::get<0>(GetParam()), std::get<1>(GetParam())); }
};
INSTANTIATE_TEST_SUITE_P(AllIsas, GemmIntegersTest,
                         testing::Combine(testing::ValuesIn(kAllIsas),
                                          testing::Values(Precision::s8, Precision::ternary)),
                         [](const auto& p) {
                           return std::string(to_string(std::get<0>(p.param))) + "_" +
                                  to_string(std::get<1>(p.param));
                         });

TEST_P(GemmIntegersTest, SumsAreTheIntegersOfTheReferenceOnEveryTileBetweenGuardPages) {
  for (const Index K : {1, 2, 3, 4, 5, 15, 16, 17, 64, 255}) {
    for (const Index N : widths(gemm().NR)) {
      for (const Index M : heights(gemm().MR)) {
        const Guard guard = (M + N) % 2 == 0 ? Guard::above : Guard::below;
        Operands x(table(), precision(), M, N, K, guard, static_cast<std::uint64_t>(K * 1000 + N));
        gemm().run(x.tile(false));
        ASSERT_EQ(x.sums(), x.expected()) << "M=" << M << " N=" << N << " K=" << K;
      }
    }
  }
}

TEST_P(GemmIntegersTest, ExtremeNumbersDoNotSaturateOrOverflow) {
  const Index N = gemm().NR + 1;
  for (const Index K : {Index{2}, Index{64}, Index{4097}, Index{16384}, kMostIntegerDepth}) {
    const bool is_ternary = precision() == Precision::ternary;
    const int least = is_ternary ? -1 : -128, most = is_ternary ? 1 : 127;
    for (const Index M : {Index{2}, std::min<Index>(18, gemm().MR)}) {
      for (const auto& [of_a, of_w] : {std::pair{-128, least}, std::pair{-128, most},
                                       std::pair{127, least}, std::pair{127, most}}) {
        Operands x(table(), precision(), M, N, K, Guard::above, 5);
        std::fill(x.a.begin(), x.a.end(), of_a);
        std::fill(x.w.begin(), x.w.end(), of_w);
        x.fill(table());
        gemm().run(x.tile(false));
        const std::int64_t sum = K * of_a * of_w;
        ASSERT_EQ(x.sums(), std::vector<std::int64_t>(static_cast<std::size_t>(M * N), sum))
            << "M=" << M << " K=" << K << ' ' << of_a << ' ' << of_w;
      }
    }
  }
}

TEST_P(GemmIntegersTest, SplitsOfRowsColumnsAndDepthGiveTheSameBits) {
  const Index NR = gemm().NR, N = 5 * NR + NR / 2, K = std::max<Index>(77, 3 * gemm().KR + 13);
  for (const Index M : heights(gemm().MR)) {
    Operands whole(table(), precision(), M, N, K, Guard::above, 7, -128);
    gemm().run(whole.tile(true));
    for (const Index mr : {Index{1}, Index{2}, Index{3}, M}) {
      for (const Index panels : {1, 2, 3}) {
        for (const Index groups : {1, 2, 7, 19, 39}) {
          const Index kc = groups * gemm().KR;
          Operands split(table(), precision(), M, N, K, Guard::below, 7, -128, true);
          for (Index i = 0; i < M; i += mr) {
            for (Index j = 0; j < N; j += panels * NR) {
              for (Index k = 0; k < K; k += kc) {
                const bool last = k + kc >= K;
                GemmTile s = split.tile(last);
                const std::byte* const panel = split.panels.data() + j / NR * split.ldb;
                s.a = split.rows.data() + (i * split.lda + k) * gemm().bits.a / 8;
                s.b = panel + gemm().panel_offset(k);
                s.heads = panel;
                s.c += i * s.ldc + j;
                s.mr = std::min(mr, M - i);
                s.nr = std::min(panels * NR, N - j);
                s.kc = std::min(kc, K - k);
                s.accumulate = k > 0;
                if (last) s.bias += j, s.row_scales += i;
                gemm().run(s);
              }
            }
          }
          ASSERT_TRUE(bit_identical(split.result(), whole.result()))
              << "M=" << M << " mr=" << mr << " panels=" << panels << " kc=" << kc;
        }
      }
    }
  }
}

TEST_P(GemmIntegersTest, HintsMayPointAnywhereAndChangeNothing) {
  const Index NR = gemm().NR, N = 5 * NR + NR / 2, K = 77;
  for (const Index M : heights(gemm().MR)) {
    for (const bool scaled : {false, true}) {
      const auto run_with = [&](bool resident, bool runs_ahead) {
        Operands x(table(), precision(), M, N, K, Guard::above, 23, -128);
        GemmTile t = x.tile(scaled);
        t.resident = resident;
        if (runs_ahead) {
          t.ahead = x.panels.end() - 1;  // into the unmapped page
          t.ahead_bytes = 4 * K * NR;
        }
        gemm().run(t);
        if (!scaled) {
          EXPECT_EQ(x.sums(), x.expected()) << "M=" << M;
        }
        return x.result();
      };
      const std::vector<float> plain = run_with(false, false);
      ASSERT_TRUE(bit_identical(run_with(true, false), plain)) << "M=" << M;
      ASSERT_TRUE(bit_identical(run_with(false, true), plain)) << "M=" << M;
      ASSERT_TRUE(bit_identical(run_with(true, true), plain)) << "M=" << M;
    }
  }
}

/// Sums apart from C between calls over K, and epilogues that wait for the next call: the bits of one
/// call each, whatever streams.
TEST_P(GemmIntegersTest, SumsApartAndLaterEpiloguesGiveTheSameBits) {
  const Index MR = gemm().MR, NR = gemm().NR, N = 4 * NR + 7, K = 200;
  for (const Index M : {2 * MR + 2, 2 * MR + 5}) {
    Operands x(table(), precision(), M, N, K, Guard::above, 17, -128, true);
    const GuardedBuffer<float> residual = test::random_normal(M * N, 8);
    for (const auto& [is_narrow, panels] : {std::pair{false, Index{1}}, std::pair{false, Index{3}},
                                            std::pair{true, Index{1}}, std::pair{true, Index{3}}}) {
      std::vector<float> results[2];
      for (const bool later : {false, true}) {
        const Index ld = panels * NR, ldn = N + 3;
        GuardedBuffer<float> c(M * N), sums(MR * ld);
        GuardedBuffer<std::uint16_t> narrow((M - 1) * ldn + N);
        LaterEpilogue waiting;
        for (Index j = 0; j < N; j += panels * NR) {
          for (Index i = 0; i < M; i += MR) {
            const Index kc = later ? round_to(64, gemm().KR) : K;
            for (Index k = 0; k < K; k += kc) {
              const bool last = k + kc >= K;
              GemmTile t = x.tile(last);
              const std::byte* const panel = x.panels.data() + j / NR * x.ldb;
              t.a = x.rows.data() + (i * x.lda + k) * gemm().bits.a / 8;
              t.b = panel + gemm().panel_offset(k);
              t.heads = panel;
              t.mr = std::min(MR, M - i);
              t.nr = std::min(panels * NR, N - j);
              t.kc = std::min(kc, K - k);
              t.accumulate = k > 0;
              t.c = last ? c.data() + i * N + j : sums.data();
              t.ldc = last ? N : ld;
              t.sums = sums.data();
              t.lds = ld;
              if (last) {
                t.bias += j, t.row_scales += i;
                t.activation = is_narrow ? Activation::gelu_erf : Activation::none;
                if (is_narrow) t.narrow = narrow.data() + i * ldn + j, t.ldn = ldn;
                if (!is_narrow) t.residual = residual.data() + i * N + j, t.ldr = N;
              }
              t.streams = j == 0 ? GemmOperand::a : GemmOperand::b;
              t.later = later ? &waiting : nullptr;
              gemm().run(t);
            }
          }
        }
        if (gemm().finish != nullptr) gemm().finish(waiting);
        for (Index i = 0; i < M; ++i) {
          for (Index j = 0; j < N; ++j) {
            results[later].push_back(is_narrow ? reference::widen_bf16(narrow[i * ldn + j])
                                               : c[i * N + j]);
          }
        }
      }
      ASSERT_TRUE(bit_identical(results[0], results[1]))
          << (is_narrow ? "bf16" : "f32") << ", panels " << panels;
    }
  }
}

/// Rows beyond mr are read by a unit, and whatever is there changes nothing.
TEST_P(GemmIntegersTest, ARowDoesNotDependOnItsNeighbours) {
  const Index M = gemm().MR, N = gemm().NR + 3, K = 133;
  Operands x(table(), precision(), M, N, K, Guard::above, 11);
  gemm().run(x.tile(true));
  const std::vector<float> before = x.result();
  for (std::int32_t i = 0; i < (M - 1) * K; ++i) x.a[static_cast<std::size_t>(i)] = i % 251 - 125;
  x.fill(table());
  for (Index i = 0; i + 1 < M; ++i) x.row_scales[i] = std::numeric_limits<float>::quiet_NaN();
  gemm().run(x.tile(true));
  const std::vector<float> after = x.result();
  const auto last = static_cast<std::ptrdiff_t>((M - 1) * N);
  EXPECT_TRUE(
      bit_identical({after.begin() + last, after.end()}, {before.begin() + last, before.end()}));
  EXPECT_TRUE(M == 1 || std::isnan(after[0]));
}

/// What an activation of whole numbers may be off by: that of bf16 results (math_bf16.inl.hpp), where there
/// is a reciprocal of 14 bits.
double error_of(Activation activation, double x, Isa isa) {
  if (activation == Activation::none || activation == Activation::relu) return 0;
  if (isa == Isa::baseline || isa == Isa::avx2 || isa == Isa::avx_vnni) return 0;
  return activation == Activation::gelu_erf ? 4.3e-6 : 1.2e-4 * std::max(std::abs(x), 1.0);
}

/// f32(sum) · (row · column) + bias in three or four roundings, then act and residual; rounded where
/// bf16 is written.
TEST_P(GemmIntegersTest, EpiloguesMatchTheReference) {
  const Index NR = gemm().NR, K = 40;
  for (const Index N : {NR / 2, NR, NR + 3, 4 * NR + 1}) {
    for (const Index M : {Index{1}, Index{2}, gemm().MR}) {
      for (const Activation activation :
           {Activation::none, Activation::gelu_erf, Activation::relu, Activation::silu}) {
        for (const bool narrow : {false, true}) {
          for (const bool adds : {false, true}) {
            Operands x(table(), precision(), M, N, K, Guard::above, 3);
            const GuardedBuffer<float> residual = test::random_normal(M * N, 8);
            GuardedBuffer<std::uint16_t> half(M * N);
            GemmTile t = x.tile(true);
            t.activation = activation;
            if (adds) t.residual = residual.data(), t.ldr = N;
            if (narrow) t.narrow = half.data(), t.ldn = N;
            gemm().run(t);
            const std::vector<std::int64_t> sums = x.expected();
            for (Index i = 0; i < M; ++i) {
              for (Index j = 0; j < N; ++j) {
                const auto at = static_cast<std::size_t>(i * N + j);
                const double scale =
                    static_cast<double>(x.row_scales[i]) *
                    static_cast<double>(x.column_scales[static_cast<std::size_t>(j)]);
                const double y =
                    static_cast<double>(sums[at]) * scale + static_cast<double>(x.bias[j]);
                const double expected = reference::activate(activation, y) +
                                        (adds ? static_cast<double>(residual[i * N + j]) : 0.0);
                const double got = static_cast<double>(
                    narrow ? reference::widen_bf16(half[i * N + j]) : x.c[i * (N + 5) + j]);
                const double size = std::abs(static_cast<double>(sums[at]) * scale) +
                                    std::abs(static_cast<double>(x.bias[j])) + std::abs(expected) +
                                    1;
                ASSERT_NEAR(
                    got, expected,
                    size * (narrow ? 0x1p-7 : 0x1p-20) + error_of(activation, y, table().isa))
                    << "M=" << M << " N=" << N << " i=" << i << " j=" << j << ' '
                    << to_string(activation) << (narrow ? " bf16" : "") << (adds ? " adds" : "");
              }
            }
          }
        }
      }
    }
  }
}

/// Without a bias, scales of rows that lie apart, the residual in C: the bits of the same with a bias of
/// zeros, scales side by side and the residual elsewhere.
TEST_P(GemmIntegersTest, EpiloguesOfWhatIsNotThereOrLiesElsewhereGiveTheSameBits) {
  const Index NR = gemm().NR, K = 40;
  for (const Index N : {NR / 2, NR, 4 * NR + 1}) {
    for (const Index M : heights(gemm().MR)) {
      for (const Activation activation : {Activation::none, Activation::gelu_erf}) {
        Operands plain(table(), precision(), M, N, K, Guard::above, 3),
            apart(table(), precision(), M, N, K, Guard::above, 3);
        const GuardedBuffer<float> residual = test::random_normal(M * N, 8);
        for (float& bias : plain.bias) bias = -0.0F;
        GemmTile t = plain.tile(true);
        t.activation = activation;
        t.residual = residual.data(), t.ldr = N;
        gemm().run(t);

        GuardedBuffer<float> scales(2 * M - 1);
        for (Index i = 0; i < M; ++i) scales[2 * i] = apart.row_scales[i];
        t = apart.tile(true);
        t.activation = activation;
        t.bias = nullptr;
        t.row_scales = scales.data(), t.row_scale_step = 2;
        for (Index i = 0; i < M; ++i) {
          for (Index j = 0; j < N; ++j) t.c[i * t.ldc + j] = residual[i * N + j];
        }
        t.residual = t.c, t.ldr = t.ldc;
        gemm().run(t);
        ASSERT_TRUE(test::bit_identical(apart.result(), plain.result()))
            << "M=" << M << " N=" << N << ' ' << to_string(activation);
      }
    }
  }
}

}  // namespace
}  // namespace tessera::kernels
