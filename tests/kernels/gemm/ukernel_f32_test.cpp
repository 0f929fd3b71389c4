// SPDX-License-Identifier: Apache-2.0
//
// The GEMM micro-kernel of every level against a double reference, on every tile shape, with every
// operand between unmapped pages; and the bit-exactness that the contract promises for every way to
// split a GEMM.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/kernel_table.hpp"
#include "tests/kernels/gemm/widths.hpp"
#include "tests/reference/gemm.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/random.hpp"
#include "tests/support/tolerance.hpp"

namespace tessera::kernels {
namespace {

using test::bit_identical;
using test::Guard;
using test::GuardedBuffer;
using test::random_normal;

/// Operands of one C (M,N) = A (M,K) Wᵀ, each buffer as long as its last element and not longer.
/// Rows of A, C and residual have NaN gaps between them, which must neither be read nor written.
struct Operands {
  Operands(const Gemm& gemm, Index M_, Index N_, Index K_, Guard guard, std::uint64_t seed)
      : M{M_},
        N{N_},
        K{K_},
        lda{K_ + 3},
        ldc{N_ + 5},
        ldr{N_ + 2},
        ldb{K_ * gemm.NR},
        a((M_ - 1) * lda + K_, guard),
        w{random_normal(N_ * K_, seed + 1)},
        panels(ceil_div(N_, gemm.NR) * ldb, guard),
        bias{random_normal(N_, seed + 2, guard)},
        residual((M_ - 1) * ldr + N_, guard),
        c((M_ - 1) * ldc + N_, guard) {
    fill_rows(a, M, K, lda, seed);
    fill_rows(residual, M, N, ldr, seed + 3);
    for (Index j = 0; j < N; j += gemm.NR) {
      gemm.pack_panel({w.data() + j * K, DType::f32, K, std::min(gemm.NR, N - j), K,
                       panels.data() + j / gemm.NR * ldb});
    }
  }

  static void fill_rows(GuardedBuffer<float>& x, Index rows, Index n, Index ld,
                        std::uint64_t seed) {
    test::Random random{seed};
    for (Index i = 0; i < rows; ++i) {
      for (Index j = 0; j < n; ++j) x[i * ld + j] = random.normal();
    }
  }

  GemmTile tile() {
    GemmTile t{};
    t.a = a.data();
    t.lda = lda;
    t.b = panels.data();
    t.ldb = ldb * Index{sizeof(float)};
    t.c = c.data();
    t.ldc = ldc;
    t.mr = M;
    t.nr = N;
    t.kc = K;
    return t;
  }

  /// C without its gaps; fails if a gap was written.
  std::vector<float> result() const {
    std::vector<float> dense;
    for (Index i = 0; i < M; ++i) {
      for (Index j = 0; j < N; ++j) dense.push_back(c[i * ldc + j]);
      for (Index j = N; j < ldc && i + 1 < M; ++j) {
        EXPECT_EQ(std::bit_cast<std::uint32_t>(c[i * ldc + j]), 0xFFFFFFFFU) << "gap of row " << i;
      }
    }
    return dense;
  }

  Index M, N, K, lda, ldc, ldr, ldb;
  GuardedBuffer<float> a;         // (M,K)
  GuardedBuffer<float> w;         // (N,K)
  GuardedBuffer<float> panels;    // (⌈N/NR⌉, K, NR)
  GuardedBuffer<float> bias;      // (N)
  GuardedBuffer<float> residual;  // (M,N)
  GuardedBuffer<float> c;         // (M,N)
};

constexpr Index kDepths[] = {1, 2, 3, 15, 16, 17, 64, 255};

class GemmUkernelTest : public testing::TestWithParam<Isa> {};
INSTANTIATE_FOR_ALL_ISAS(GemmUkernelTest);

TEST_P(GemmUkernelTest, MatchesReferenceOnEveryTileBetweenGuardPages) {
  SKIP_UNLESS_SUPPORTED(GetParam());
  const Gemm& gemm = kernels_at(GetParam()).gemm[Precision::f32];
  for (const Index K : kDepths) {
    for (const Index N : widths(gemm.NR)) {
      for (Index M = 1; M <= gemm.MR; ++M) {
        const Guard guard = (M + N) % 2 == 0 ? Guard::above : Guard::below;
        Operands x(gemm, M, N, K, guard, static_cast<std::uint64_t>(K * 1000 + N));
        GemmTile t = x.tile();
        t.bias = x.bias.data();
        gemm.run(t);
        const reference::GemmResult expected =
            reference::gemm(x.a.data(), x.lda, x.w.data(), K, x.bias.data(), M, N, K);
        ASSERT_TRUE(test::near_elementwise(
            x.result(), expected.value,
            [&](Index i) {
              return test::gemm_tolerance(K, expected.magnitude[static_cast<std::size_t>(i)]);
            }))
            << "M=" << M << " N=" << N << " K=" << K;
      }
    }
  }
}

TEST_P(GemmUkernelTest, IsOneChainOfRoundingsPerElement) {
  SKIP_UNLESS_SUPPORTED(GetParam());
  const Gemm& gemm = kernels_at(GetParam()).gemm[Precision::f32];
  const bool fused = GetParam() != Isa::baseline;
  const Index M = gemm.MR;
  const Index N = 2 * gemm.NR + 1;
  const Index K = 67;
  Operands x(gemm, M, N, K, Guard::above, 5);
  GemmTile t = x.tile();
  t.bias = x.bias.data();
  gemm.run(t);
  std::vector<float> expected;
  for (Index i = 0; i < M; ++i) {
    for (Index j = 0; j < N; ++j) {
      float sum = x.bias[j];
      for (Index k = 0; k < K; ++k) {
        const float aik = x.a[i * x.lda + k];
        const float wjk = x.w[j * K + k];
        sum = fused ? std::fma(aik, wjk, sum) : sum + aik * wjk;
      }
      expected.push_back(sum);
    }
  }
  EXPECT_TRUE(bit_identical(x.result(), expected));
}

TEST_P(GemmUkernelTest, SplitsOfRowsColumnsAndDepthGiveTheSameBits) {
  SKIP_UNLESS_SUPPORTED(GetParam());
  const Gemm& gemm = kernels_at(GetParam()).gemm[Precision::f32];
  const Index N = 5 * gemm.NR + gemm.NR / 2;
  const Index K = 77;
  for (Index M = 1; M <= gemm.MR; ++M) {
    Operands whole(gemm, M, N, K, Guard::above, 7);
    GemmTile t = whole.tile();
    t.bias = whole.bias.data();
    t.residual = whole.residual.data();
    t.ldr = whole.ldr;
    t.activation = Activation::gelu_erf;
    gemm.run(t);
    for (const Index mr : {Index{1}, Index{2}, Index{3}, M}) {
      for (const Index panels : {1, 2, 3}) {
        for (const Index kc : {1, 4, 13, 76, 77}) {
          Operands split(gemm, M, N, K, Guard::below, 7);
          for (Index i = 0; i < M; i += mr) {
            for (Index j = 0; j < N; j += panels * gemm.NR) {
              for (Index k = 0; k < K; k += kc) {
                GemmTile s = split.tile();
                s.a = split.a.data() + i * split.lda + k;
                s.b = split.panels.data() + j / gemm.NR * split.ldb + k * gemm.NR;
                s.c += i * split.ldc + j;
                s.mr = std::min(mr, M - i);
                s.nr = std::min(panels * gemm.NR, N - j);
                s.kc = std::min(kc, K - k);
                s.accumulate = k > 0;
                if (k == 0) s.bias = split.bias.data() + j;
                if (k + kc >= K) {
                  s.activation = Activation::gelu_erf;
                  s.residual = split.residual.data() + i * split.ldr + j;
                  s.ldr = split.ldr;
                }
                gemm.run(s);
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

TEST_P(GemmUkernelTest, HintsMayPointAnywhereAndChangeNothing) {
  SKIP_UNLESS_SUPPORTED(GetParam());
  const Gemm& gemm = kernels_at(GetParam()).gemm[Precision::f32];
  const Index N = 2 * gemm.NR + 1;
  const Index K = 50;
  for (Index M = 1; M <= gemm.MR; ++M) {
    Operands plain(gemm, M, N, K, Guard::above, 19);
    gemm.run(plain.tile());
    Operands resident(gemm, M, N, K, Guard::above, 19);
    GemmTile r = resident.tile();
    r.resident = true;
    gemm.run(r);
    ASSERT_TRUE(bit_identical(resident.result(), plain.result())) << "M=" << M;
    for (const Index ahead_n : {Index{0}, Index{1}, K * gemm.NR}) {
      Operands hinted(gemm, M, N, K, Guard::above, 19);
      GemmTile t = hinted.tile();
      t.ahead = hinted.panels.end() - 1;  // runs into the unmapped page
      t.ahead_bytes = 4 * ahead_n;
      gemm.run(t);
      ASSERT_TRUE(bit_identical(hinted.result(), plain.result())) << "M=" << M;
    }
  }
}

TEST_P(GemmUkernelTest, ARowDoesNotDependOnItsNeighbours) {
  SKIP_UNLESS_SUPPORTED(GetParam());
  const Gemm& gemm = kernels_at(GetParam()).gemm[Precision::f32];
  const Index M = gemm.MR;
  const Index N = gemm.NR + 3;
  const Index K = 33;
  Operands x(gemm, M, N, K, Guard::above, 11);
  gemm.run(x.tile());
  const std::vector<float> before = x.result();
  for (Index i = 0; i + 1 < M; ++i) {  // all rows but the last become NaN
    for (Index k = 0; k < K; ++k) x.a[i * x.lda + k] = std::nanf("");
  }
  gemm.run(x.tile());
  const std::vector<float> after = x.result();
  const auto last = static_cast<std::ptrdiff_t>((M - 1) * N);
  EXPECT_TRUE(
      bit_identical({after.begin() + last, after.end()}, {before.begin() + last, before.end()}));
  EXPECT_TRUE(M == 1 || std::isnan(after[0]));
}

TEST_P(GemmUkernelTest, AccumulatesIntoC) {
  SKIP_UNLESS_SUPPORTED(GetParam());
  const Gemm& gemm = kernels_at(GetParam()).gemm[Precision::f32];
  const Index K = 19;
  for (const Index N : widths(gemm.NR)) {
    for (Index M = 1; M <= gemm.MR; ++M) {
      Operands x(gemm, M, N, K, Guard::above, 13);
      Operands::fill_rows(x.c, M, N, x.ldc, 17);
      const GuardedBuffer<float> init = x.c.clone();
      GemmTile t = x.tile();
      t.accumulate = true;
      gemm.run(t);
      reference::GemmResult expected =
          reference::gemm(x.a.data(), x.lda, x.w.data(), K, nullptr, M, N, K);
      for (Index i = 0; i < M * N; ++i) {
        const auto e = static_cast<std::size_t>(i);
        const double c0 = static_cast<double>(init[i / N * x.ldc + i % N]);
        expected.value[e] += c0;
        expected.magnitude[e] += std::abs(c0);
      }
      ASSERT_TRUE(test::near_elementwise(x.result(), expected.value,
                                         [&](Index i) {
                                           return test::gemm_tolerance(
                                               K, expected.magnitude[static_cast<std::size_t>(i)]);
                                         }))
          << "M=" << M << " N=" << N;
    }
  }
}

struct Epilogue {
  bool bias, accumulate, residual, in_place;
  Activation activation;
};

/// act and + residual are exactly the table's own activation and an f32 addition, in this order.
TEST_P(GemmUkernelTest, EpilogueIsActivationThenResidual) {
  SKIP_UNLESS_SUPPORTED(GetParam());
  const KernelTable& table = kernels_at(GetParam());
  const Gemm& gemm = table.gemm[Precision::f32];
  const Index K = 17;
  std::vector<Epilogue> combinations;
  for (const bool bias : {false, true}) {
    for (const bool accumulate : {false, true}) {
      for (const bool residual : {false, true}) {
        for (const bool in_place : {false, true}) {
          for (const Activation activation :
               {Activation::none, Activation::gelu_erf, Activation::gelu_tanh,
                Activation::gelu_quick, Activation::relu, Activation::tanh, Activation::silu,
                Activation::sigmoid}) {
            combinations.push_back({bias, accumulate, residual, in_place, activation});
          }
        }
      }
    }
  }
  for (const Epilogue& e : combinations) {
    if (table.activation == nullptr && e.activation != Activation::none) continue;
    for (const Index N : {gemm.NR - 1, gemm.NR, 5 * gemm.NR + 1}) {
      for (const Index M : {Index{1}, Index{2}, gemm.MR}) {
        Operands plain(gemm, M, N, K, Guard::above, 23);
        Operands::fill_rows(plain.c, M, N, plain.ldc, 29);
        Operands x(gemm, M, N, K, Guard::below, 23);
        Operands::fill_rows(x.c, M, N, x.ldc, 29);
        const GuardedBuffer<float> c0 = x.c.clone();

        GemmTile p = plain.tile();
        if (e.bias) p.bias = plain.bias.data();
        p.accumulate = e.accumulate;
        gemm.run(p);
        if (e.activation != Activation::none) {
          table.activation(e.activation, plain.c.data(), plain.ldc, plain.c.data(), plain.ldc, M,
                           N);
        }
        std::vector<float> expected = plain.result();
        if (e.residual) {
          for (Index i = 0; i < M * N; ++i) {
            const float r =
                e.in_place ? c0[i / N * x.ldc + i % N] : x.residual[i / N * x.ldr + i % N];
            expected[static_cast<std::size_t>(i)] += r;
          }
        }

        GemmTile t = x.tile();
        if (e.bias) t.bias = x.bias.data();
        t.accumulate = e.accumulate;
        t.activation = e.activation;
        if (e.residual) {
          t.residual = e.in_place ? x.c.data() : x.residual.data();
          t.ldr = e.in_place ? x.ldc : x.ldr;
        }
        gemm.run(t);
        ASSERT_TRUE(bit_identical(x.result(), expected))
            << "M=" << M << " N=" << N << " bias=" << e.bias << " accumulate=" << e.accumulate
            << " residual=" << e.residual << " in_place=" << e.in_place << ' '
            << to_string(e.activation);
      }
    }
  }
}

TEST_P(GemmUkernelTest, GeluMatchesItsFormula) {
  SKIP_UNLESS_SUPPORTED(GetParam());
  const Gemm& gemm = kernels_at(GetParam()).gemm[Precision::f32];
  const Index M = gemm.MR;
  const Index N = gemm.NR + 1;
  const Index K = 40;
  Operands x(gemm, M, N, K, Guard::above, 31);
  GemmTile t = x.tile();
  t.activation = Activation::gelu_erf;
  gemm.run(t);
  const reference::GemmResult z =
      reference::gemm(x.a.data(), x.lda, x.w.data(), K, nullptr, M, N, K);
  std::vector<double> expected;
  for (const double v : z.value) expected.push_back(0.5 * v * (1.0 + std::erf(v / std::sqrt(2.0))));
  EXPECT_TRUE(test::near_elementwise(x.result(), expected, [&](Index i) {
    const auto e = static_cast<std::size_t>(i);
    // |gelu'| ≤ 1.13; error of gelu itself as stated in kernels/simd/math.inl.hpp
    return 1.13 * test::gemm_tolerance(K, z.magnitude[e]) +
           2.1e-7 * std::max(1.0, std::abs(z.value[e]));
  }));
}

TEST_P(GemmUkernelTest, NanAndInfinityPropagateToTheirRowAndColumnOnly) {
  SKIP_UNLESS_SUPPORTED(GetParam());
  const Gemm& gemm = kernels_at(GetParam()).gemm[Precision::f32];
  const Index M = gemm.MR;
  const Index N = 3 * gemm.NR - 1;
  const Index K = 21;
  const float inf = HUGE_VALF;
  Operands x(gemm, M, N, K, Guard::above, 37);
  x.a[0 * x.lda + 5] = inf;                  // row 0: ±inf by the sign of w
  x.a[(M - 1) * x.lda + 7] = std::nanf("");  // last row: NaN
  const Index j = gemm.NR + 2;               // one column of the second panel
  x.panels[j / gemm.NR * x.ldb + 9 * gemm.NR + j % gemm.NR] = std::nanf("");
  gemm.run(x.tile());
  const std::vector<float> c = x.result();
  for (Index i = 0; i < M; ++i) {
    for (Index n = 0; n < N; ++n) {
      const float value = c[static_cast<std::size_t>(i * N + n)];
      if (i == M - 1 || n == j) {
        EXPECT_TRUE(std::isnan(value)) << i << ',' << n;
      } else if (i == 0) {
        EXPECT_EQ(value, x.w[n * K + 5] > 0.0F ? inf : -inf) << n;
      } else {
        EXPECT_TRUE(std::isfinite(value)) << i << ',' << n;
      }
    }
  }
}

TEST_P(GemmUkernelTest, InfinityTimesZeroIsNanAndOverflowIsInfinity) {
  SKIP_UNLESS_SUPPORTED(GetParam());
  const Gemm& gemm = kernels_at(GetParam()).gemm[Precision::f32];
  Operands x(gemm, 1, 2, 3, Guard::above, 41);
  const float a[] = {HUGE_VALF, 1e38F, 1e38F};
  const float w[] = {0.0F, 1.0F, 1.0F, 1.0F, 10.0F, 10.0F};  // (2,3)
  std::copy(a, a + 3, x.a.begin());
  gemm.pack_panel({w, DType::f32, 3, 2, 3, x.panels.data()});
  gemm.run(x.tile());
  EXPECT_TRUE(std::isnan(x.c[0]));
  EXPECT_EQ(x.c[1], HUGE_VALF);
  x.a[0] = 0.0F;
  gemm.run(x.tile());
  EXPECT_EQ(x.c[0], 2e38F);
  EXPECT_EQ(x.c[1], HUGE_VALF);
}

}  // namespace
}  // namespace tessera::kernels
