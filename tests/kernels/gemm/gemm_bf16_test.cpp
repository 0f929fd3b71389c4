// SPDX-License-Identifier: Apache-2.0
//
// The bf16 micro-kernel of every level against a double reference, on every tile shape, between
// unmapped pages; its packing; and results written as bf16, at every precision.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <optional>
#include <vector>

#include "kernels/kernel_table.hpp"
#include "tests/kernels/gemm/dense_rows.hpp"
#include "tests/kernels/gemm/widths.hpp"
#include "tests/kernels/probe/emulated_tiles.hpp"
#include "tests/reference/bf16.hpp"
#include "tests/reference/gemm.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/random.hpp"
#include "tests/support/tolerance.hpp"

namespace tessera::kernels {
namespace {

using reference::to_bf16;
using reference::widen_bf16;
using test::bit_identical;
using test::Guard;
using test::GuardedBuffer;

constexpr std::uint16_t kNaN = 0x7FC0;

constexpr Index round_up(Index x, Index step) {
  return ceil_div(x, step) * step;
}

/// Rows of bf16 with NaN between them, and their values; `more` rows of NaN behind them.
struct HalfRows {
  HalfRows(Index rows, Index n, Index ld_, Guard guard, std::uint64_t seed, Index more = 0)
      : ld{ld_},
        halves((rows + more - 1) * ld_ + n, guard),
        values(static_cast<std::size_t>(rows * n)) {
    test::Random random{seed};
    std::fill(halves.begin(), halves.end(), kNaN);
    for (Index i = 0; i < rows; ++i) {
      for (Index j = 0; j < n; ++j) {
        const std::uint16_t h = to_bf16(random.normal());
        halves[i * ld + j] = h;
        values[static_cast<std::size_t>(i * n + j)] = widen_bf16(h);
      }
    }
  }
  Index ld;
  GuardedBuffer<std::uint16_t> halves;
  std::vector<float> values;  // (rows, n)
};

/// C (M,N) = A (M,K) Wᵀ in bf16.
struct Operands {
  /// A ends with the rows that one tile of all its rows reads; `by_rows`: that tiles from any row on do.
  Operands(const Gemm& gemm, Index M_, Index N_, Index K_, Guard guard, std::uint64_t seed,
           bool by_rows = false)
      : M{M_},
        N{N_},
        K{K_},
        panel_bytes{gemm.panel_bytes(K_)},
        a(M_, K_, round_up(K_ + 2, gemm.KR), guard, seed,
          by_rows ? gemm.rows_read - 1 : round_up(M_, gemm.rows_read) - M_),
        w(N_, K_, K_, guard, seed + 1),
        panels(ceil_div(N_, gemm.NR) * panel_bytes, guard),
        bias{test::random_normal(N_, seed + 2, guard)},
        c((M_ - 1) * (N_ + 5) + N_, guard) {
    for (Index j = 0; j < N; j += gemm.NR) {
      gemm.pack_panel({w.halves.data() + j * K, DType::bf16, K, std::min(gemm.NR, N - j), K,
                       panels.data() + j / gemm.NR * panel_bytes});
    }
  }

  GemmTile tile() {
    return {.a = a.halves.data(),
            .lda = a.ld,
            .b = panels.data(),
            .ldb = panel_bytes,
            .c = c.data(),
            .ldc = N + 5,
            .mr = M,
            .nr = N,
            .kc = K,
            .bias = bias.data()};
  }
  std::vector<float> result() const { return dense_rows(c, M, N, N + 5); }

  Index M, N, K, panel_bytes;
  HalfRows a, w;
  GuardedBuffer<std::byte> panels;
  GuardedBuffer<float> bias, c;
};

/// Every level; amx_bf16 over emulated tiles where there is no unit.
class GemmBf16Test : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    table_ = test::usable_level(GetParam());
    if (table_ == nullptr) GTEST_SKIP() << "this CPU lacks " << to_string(GetParam());
    test::tile_use() = {};
    unit_.emplace(gemm());
  }
  void TearDown() override {
    unit_.reset();
    EXPECT_EQ(test::tile_use().used_without, 0);
    EXPECT_EQ(test::tile_use().left, test::tile_use().entered);
  }
  const Gemm& gemm() const { return table_->gemm[Precision::bf16]; }
  const KernelTable& table() const { return *table_; }

 private:
  const KernelTable* table_ = nullptr;
  std::optional<Entered<Gemm>> unit_;
};
INSTANTIATE_FOR_ALL_ISAS(GemmBf16Test);

// Products of bf16 are exact in f32 but for underflow; their sum is one chain of K roundings, each
// of a product and a sum at once (FMA, VDPBF16PS) or of the sum alone (baseline). VDPBF16PS takes
// denormal results for 0: an error of 2⁻¹²⁶ each at most.
TEST_P(GemmBf16Test, MatchesReferenceOnEveryTileBetweenGuardPages) {
  for (const Index K : {1, 2, 3, 4, 15, 16, 17, 64, 255}) {
    for (const Index N : widths(gemm().NR)) {
      for (const Index M : heights(gemm().MR)) {
        const Guard guard = (M + N) % 2 == 0 ? Guard::above : Guard::below;
        Operands x(gemm(), M, N, K, guard, static_cast<std::uint64_t>(K * 1000 + N));
        gemm().run(x.tile());
        const reference::GemmResult expected =
            reference::gemm(x.a.values.data(), K, x.w.values.data(), K, x.bias.data(), M, N, K);
        ASSERT_TRUE(test::near_elementwise(
            x.result(), expected.value,
            [&](Index i) {
              return test::gemm_tolerance(K, expected.magnitude[static_cast<std::size_t>(i)]) +
                     static_cast<double>(K) * 0x1p-126;
            }))
            << "M=" << M << " N=" << N << " K=" << K;
      }
    }
  }
}

TEST_P(GemmBf16Test, SplitsOfRowsColumnsAndDepthGiveTheSameBits) {
  const Index NR = gemm().NR, N = 5 * NR + NR / 2, K = 77;
  for (const Index M : heights(gemm().MR)) {
    Operands whole(gemm(), M, N, K, Guard::above, 7);
    gemm().run(whole.tile());
    for (const Index mr : {Index{1}, Index{2}, Index{3}, M}) {
      for (const Index panels : {1, 2, 3}) {
        for (const Index groups : {1, 2, 7, 38, 39}) {
          const Index kc = groups * gemm().KR;
          Operands split(gemm(), M, N, K, Guard::below, 7, true);
          for (Index i = 0; i < M; i += mr) {
            for (Index j = 0; j < N; j += panels * NR) {
              for (Index k = 0; k < K; k += kc) {
                GemmTile s = split.tile();
                s.a = split.a.halves.data() + i * split.a.ld + k;
                s.b = split.panels.data() + j / NR * split.panel_bytes + gemm().panel_bytes(k);
                s.c += i * s.ldc + j;
                s.mr = std::min(mr, M - i);
                s.nr = std::min(panels * NR, N - j);
                s.kc = std::min(kc, K - k);
                s.accumulate = k > 0;
                s.bias = k == 0 ? split.bias.data() + j : nullptr;
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

/// Sums apart from C between calls over K, and epilogues that wait for the next call: the bits of one
/// call each, whatever streams.
TEST_P(GemmBf16Test, SumsApartAndLaterEpiloguesGiveTheSameBits) {
  const Index MR = gemm().MR, NR = gemm().NR, M = 2 * MR + 5, N = 2 * NR + 7, K = 200;
  const Index ld = round_up(NR, 16), ldn = N + 3;
  Operands x(gemm(), M, N, K, Guard::above, 17, true);
  for (const Activation activation : {Activation::none, Activation::gelu_erf}) {
    std::vector<std::uint16_t> results[2];
    for (const bool later : {false, true}) {
      GuardedBuffer<std::uint16_t> narrow((M - 1) * ldn + N);
      GuardedBuffer<float> sums(MR * ld);
      LaterEpilogue waiting;
      for (Index j = 0; j < N; j += NR) {
        for (Index i = 0; i < M; i += MR) {
          const Index kc = later ? round_up(64, gemm().KR) : K;
          for (Index k = 0; k < K; k += kc) {
            GemmTile t = x.tile();
            t.a = x.a.halves.data() + i * x.a.ld + k;
            t.b = x.panels.data() + j / NR * x.panel_bytes + gemm().panel_bytes(k);
            t.mr = std::min(MR, M - i);
            t.nr = std::min(NR, N - j);
            t.kc = std::min(kc, K - k);
            t.bias = k == 0 ? x.bias.data() + j : nullptr;
            t.accumulate = k > 0;
            t.c = sums.data();
            t.ldc = ld;
            t.sums = sums.data();
            t.lds = ld;
            if (k + kc >= K) {
              t.activation = activation;
              t.narrow = narrow.data() + i * ldn + j;
              t.ldn = ldn;
            }
            t.streams = j == 0 ? GemmOperand::a : GemmOperand::b;
            t.later = later ? &waiting : nullptr;
            gemm().run(t);
          }
        }
      }
      if (gemm().finish != nullptr) gemm().finish(waiting);
      for (Index i = 0; i < M; ++i) {
        for (Index j = 0; j < N; ++j) results[later].push_back(narrow[i * ldn + j]);
      }
    }
    ASSERT_EQ(results[0], results[1]) << to_string(activation);
  }
}

TEST_P(GemmBf16Test, ARowDoesNotDependOnItsNeighbours) {
  const Index M = gemm().MR, N = gemm().NR + 3, K = 33;
  Operands x(gemm(), M, N, K, Guard::above, 11);
  gemm().run(x.tile());
  const std::vector<float> before = x.result();
  for (Index i = 0; i + 1 < M; ++i) {  // all rows but the last become NaN
    for (Index k = 0; k < K; ++k) x.a.halves[i * x.a.ld + k] = kNaN;
  }
  gemm().run(x.tile());
  const std::vector<float> after = x.result();
  const auto last = static_cast<std::ptrdiff_t>((M - 1) * N);
  EXPECT_TRUE(
      bit_identical({after.begin() + last, after.end()}, {before.begin() + last, before.end()}));
  EXPECT_TRUE(std::isnan(after[0]));
}

TEST_P(GemmBf16Test, PanelsHoldPairsRoundedToNearestEven) {
  const Index NR = gemm().NR, KR = gemm().KR, T = KR == 32 ? 16 : NR;  // tiles of 16 columns
  test::Random random{43};
  for (Index nr = 1; nr <= NR; ++nr) {
    for (const Index K : {1, 2, 3, 4, 7, 8, 15, 16, 17, 33}) {
      for (const Guard guard : {Guard::above, Guard::below}) {
        const Index ldw = K + 3;
        GuardedBuffer<float> w((nr - 1) * ldw + K, guard);
        GuardedBuffer<std::uint16_t> halves((nr - 1) * ldw + K, guard);
        for (Index i = 0; i < w.size(); ++i) {
          w[i] = random.normal();
          halves[i] = static_cast<std::uint16_t>(random.bits());  // NaN too: copied
        }
        const Index elements = gemm().panel_bytes(K) / 2;
        EXPECT_EQ(elements, round_up(K, gemm().KR) * NR);
        GuardedBuffer<std::uint16_t> of_f32(elements, guard), of_bf16(elements, guard);
        gemm().pack_panel({w.data(), DType::f32, ldw, nr, K, of_f32.data()});
        gemm().pack_panel({halves.data(), DType::bf16, ldw, nr, K, of_bf16.data()});
        for (Index k = 0; k < round_up(K, gemm().KR); ++k) {
          for (Index j = 0; j < NR; ++j) {
            const Index at =
                j / T * T * KR + k / KR * KR * NR + (k % KR / 2 * T + j % T) * 2 + k % 2;
            const bool inside = j < nr && k < K;
            ASSERT_EQ(of_f32[at], inside ? to_bf16(w[j * ldw + k]) : 0)
                << K << ' ' << k << ' ' << j;
            ASSERT_EQ(of_bf16[at], inside ? halves[j * ldw + k] : 0) << K << ' ' << k << ' ' << j;
          }
        }
      }
    }
  }
}

/// `narrow` gets what C would have had, rounded, and C is left alone. Without an activation it is bit for
/// bit that; with one, activate_for_bf16() has an error of its own (math_test).
TEST_P(GemmBf16Test, ANarrowResultIsTheWideOneRounded) {
  for (const Precision precision : {Precision::f32, Precision::bf16}) {
    const Gemm& gemm = table().gemm[precision];
    const Index K = 18, lda = round_up(K, gemm.KR);
    test::Random random{3};
    for (const Index N : widths(gemm.NR)) {
      for (const Index M : heights(gemm.MR)) {
        GuardedBuffer<float> a = test::random_normal(M * lda, 5), w = test::random_normal(N * K, 6);
        GuardedBuffer<std::uint16_t> halves(round_up(M, gemm.rows_read) * lda);
        for (Index i = 0; i < M * lda; ++i) halves[i] = to_bf16(a[i]);
        GuardedBuffer<std::byte> panels(ceil_div(N, gemm.NR) * gemm.panel_bytes(K));
        for (Index j = 0; j < N; j += gemm.NR) {
          gemm.pack_panel({w.data() + j * K, DType::f32, K, std::min(gemm.NR, N - j), K,
                           panels.data() + j / gemm.NR * gemm.panel_bytes(K)});
        }
        const GuardedBuffer<float> residual = test::random_normal(M * N, 7);
        for (const Activation activation : {Activation::none, Activation::gelu_erf}) {
          for (const bool adds : {false, true}) {
            const Guard guard = (M + N) % 2 == 0 ? Guard::above : Guard::below;
            GuardedBuffer<float> c(M * N, guard), untouched(M * N, guard);
            const Index ldn = N + 3;
            GuardedBuffer<std::uint16_t> narrow((M - 1) * ldn + N, guard);
            GemmTile t{.a = precision == Precision::f32 ? static_cast<const void*>(a.data())
                                                        : halves.data(),
                       .lda = lda,
                       .b = panels.data(),
                       .ldb = gemm.panel_bytes(K),
                       .c = c.data(),
                       .ldc = N,
                       .mr = M,
                       .nr = N,
                       .kc = K,
                       .residual = adds ? residual.data() : nullptr,
                       .ldr = N,
                       .activation = activation};
            gemm.run(t);
            t.c = untouched.data();
            t.narrow = narrow.data();
            t.ldn = ldn;
            gemm.run(t);
            for (Index i = 0; i < M; ++i) {
              for (Index j = 0; j < ldn && i * ldn + j < narrow.size(); ++j) {
                const std::uint16_t got = narrow[i * ldn + j];
                const auto where = [&] {
                  return fmt::format("{} M={} N={} i={} j={}", to_string(precision), M, N, i, j);
                };
                if (j >= N || activation == Activation::none) {
                  ASSERT_EQ(got, j < N ? to_bf16(c[i * N + j]) : 0xFFFF) << where();
                  continue;
                }
                const float y = c[i * N + j];  // |x| ≤ 50: sums of 18 products of normal numbers
                ASSERT_NEAR(widen_bf16(got), y, 0x1p-8F * std::abs(y) + 50 * 1.2e-4F) << where();
              }
            }
            for (const float x : untouched) {
              ASSERT_EQ(std::bit_cast<std::uint32_t>(x), 0xFFFFFFFFU);
            }
          }
        }
      }
    }
  }
}

class NarrowTest : public testing::TestWithParam<Isa> {};
INSTANTIATE_FOR_ALL_ISAS(NarrowTest);

/// Every upper half with the lower halves at which rounding changes: ties, and their neighbours.
TEST_P(NarrowTest, RoundsEveryValueToNearestEven) {
  SKIP_UNLESS_SUPPORTED(GetParam());
  std::vector<float> x;
  for (std::uint32_t upper = 0; upper < 0x10000U; ++upper) {
    for (const std::uint32_t lower : {0x0000U, 0x0001U, 0x7FFFU, 0x8000U, 0x8001U, 0xFFFFU}) {
      x.push_back(std::bit_cast<float>(upper << 16U | lower));
    }
  }
  std::vector<std::uint16_t> y(x.size());
  const auto n = std::ssize(x);
  kernels_at(GetParam()).narrow(x.data(), n, y.data(), n, 1, n);
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (std::isnan(x[i])) {
      EXPECT_TRUE(std::isnan(widen_bf16(y[i]))) << i;
    } else {
      ASSERT_EQ(y[i], to_bf16(x[i])) << std::hexfloat << static_cast<double>(x[i]);
    }
  }
}

TEST_P(NarrowTest, RowsOfEveryWidthBetweenGuardPages) {
  SKIP_UNLESS_SUPPORTED(GetParam());
  for (Index N = 1; N <= 35; ++N) {
    for (const Guard guard : {Guard::above, Guard::below}) {
      const Index M = 3, ldx = N + 2, ldy = N + 3;
      GuardedBuffer<float> x = test::random_normal((M - 1) * ldx + N, 9, guard);
      GuardedBuffer<std::uint16_t> y((M - 1) * ldy + N, guard);
      kernels_at(GetParam()).narrow(x.data(), ldx, y.data(), ldy, M, N);
      for (Index i = 0; i < M; ++i) {
        for (Index j = 0; j < ldy && i * ldy + j < y.size(); ++j) {
          ASSERT_EQ(y[i * ldy + j], j < N ? to_bf16(x[i * ldx + j]) : 0xFFFF) << N;
        }
      }
    }
  }
}

}  // namespace
}  // namespace tessera::kernels
