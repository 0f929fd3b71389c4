// SPDX-License-Identifier: Apache-2.0
//
// The micro-kernel of whole numbers at every level: the integers of the reference, all of them, on
// every tile shape between unmapped pages; what it makes of them; and its packing. amx_bf16 over
// emulated tiles where there is no unit.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <optional>
#include <random>
#include <vector>

#include "tests/kernels/gemm/integer_rows.hpp"
#include "tests/kernels/gemm/widths.hpp"
#include "tests/kernels/probe/emulated_tiles.hpp"
#include "tests/reference/activation.hpp"
#include "tests/reference/bf16.hpp"
#include "tests/reference/quantize.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/random.hpp"

namespace tessera::kernels {
namespace {

using test::bit_identical;
using test::Guard;
using test::GuardedBuffer;

constexpr Index round_to(Index x, Index step) {
  return ceil_div(x, step) * step;
}

/// C (M,N) = A Wᵀ of the numbers `a` (M,K) and `w` (N,K), with scales. Between the rows of A, and in those
/// behind them that a tile reads, all bits are set.
struct Operands {
  /// A ends with the rows that one tile of all its rows reads; `by_rows`: that tiles from any row on do.
  Operands(const KernelTable& table, Index M_, Index N_, Index K_, Guard guard, std::uint64_t seed,
           int least = -127, bool by_rows = false)
      : gemm{table.gemm[Precision::s8]},
        M{M_},
        N{N_},
        K{K_},
        lda{round_to(K_, gemm.KR) + gemm.KR},
        ldb{gemm.panel_bytes(K_)},
        rows(((by_rows ? M_ + gemm.rows_read - 1 : round_to(M_, gemm.rows_read)) - 1) * lda *
                     gemm.bits.a / 8 +
                 with_zeros(K_) * gemm.bits.a / 8,
             guard),
        panels(ceil_div(N_, gemm.NR) * ldb, guard),
        bias{test::random_normal(N_, seed + 2, guard)},
        row_scales{test::random_normal(M_, seed + 3, guard)},
        c((M_ - 1) * (N_ + 5) + N_, guard) {
    std::mt19937_64 random{seed};
    std::uniform_int_distribution<std::int32_t> number{least, 127};
    for (Index i = 0; i < M * K; ++i) a.push_back(number(random));
    for (Index i = 0; i < N * K; ++i) w.push_back(number(random));
    fill(table);
  }
  /// A and the panels from `a` and `w`.
  void fill(const KernelTable& table) {
    for (Index i = 0; i < M; ++i) {
      store_numbers(table, a.data() + i * K, K, rows.data() + i * lda * gemm.bits.a / 8);
    }
    const GuardedBuffer<float> scales = test::random_normal(N, 11);
    column_scales.assign(scales.begin(), scales.end());
    const std::vector<std::int8_t> stored(w.begin(), w.end());
    for (Index j = 0; j < N; j += gemm.NR) {
      gemm.pack_panel({.w = stored.data() + j * K,
                       .type = DType::s8,
                       .ldw = K,
                       .nr = std::min(gemm.NR, N - j),
                       .K = K,
                       .panel = panels.data() + j / gemm.NR * ldb,
                       .scales = column_scales.data() + j});
    }
  }

  /// Sums of whole numbers as such; with `scaled` what is made of them.
  GemmTile tile(bool scaled) {
    return {.a = rows.data(),
            .lda = lda,
            .b = panels.data() + gemm.panel_offset(0),
            .ldb = ldb,
            .c = c.data(),
            .ldc = N + 5,
            .mr = M,
            .nr = N,
            .kc = K,
            .bias = scaled ? bias.data() : nullptr,
            .heads = panels.data(),
            .row_scales = scaled ? row_scales.data() : nullptr,
            .row_scale_step = 1};
  }
  std::vector<float> result() const {
    std::vector<float> dense;
    for (Index i = 0; i < M; ++i) {
      for (Index j = 0; j < N; ++j) dense.push_back(c[i * (N + 5) + j]);
      for (Index j = N; j < N + 5 && i + 1 < M; ++j) {
        EXPECT_EQ(std::bit_cast<std::uint32_t>(c[i * (N + 5) + j]), 0xFFFFFFFFU) << "a gap";
      }
    }
    return dense;
  }
  std::vector<std::int64_t> sums() const {
    std::vector<std::int64_t> all;
    for (const float bits : result()) all.push_back(std::bit_cast<std::int32_t>(bits));
    return all;
  }
  std::vector<std::int64_t> expected() const { return reference::integer_gemm(a, w, M, N, K); }

  const Gemm& gemm;
  Index M, N, K, lda, ldb;
  std::vector<std::int32_t> a, w;
  std::vector<float> column_scales;
  GuardedBuffer<std::byte> rows, panels;
  GuardedBuffer<float> bias, row_scales, c;
};

class GemmS8Test : public testing::TestWithParam<Isa> {
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
  const Gemm& gemm() const { return table_->gemm[Precision::s8]; }
  const KernelTable& table() const { return *table_; }

 private:
  const KernelTable* table_ = nullptr;
  std::optional<Entered<Gemm>> unit_;
};
INSTANTIATE_FOR_ALL_ISAS(GemmS8Test);

TEST_P(GemmS8Test, SumsAreTheIntegersOfTheReferenceOnEveryTileBetweenGuardPages) {
  for (const Index K : {1, 2, 3, 4, 5, 15, 16, 17, 64, 255}) {
    for (const Index N : widths(gemm().NR)) {
      for (const Index M : heights(gemm().MR)) {
        const Guard guard = (M + N) % 2 == 0 ? Guard::above : Guard::below;
        Operands x(table(), M, N, K, guard, static_cast<std::uint64_t>(K * 1000 + N));
        gemm().run(x.tile(false));
        ASSERT_EQ(x.sums(), x.expected()) << "M=" << M << " N=" << N << " K=" << K;
      }
    }
  }
}

TEST_P(GemmS8Test, ExtremeNumbersDoNotSaturateOrOverflow) {
  const Index N = gemm().NR + 1;
  for (const Index K : {Index{2}, Index{64}, Index{4097}, Index{16384}, kMostIntegerDepth}) {
    for (const auto& [of_a, of_w] :
         {std::pair{-128, -128}, std::pair{-128, 127}, std::pair{127, -128}, std::pair{127, 127}}) {
      Operands x(table(), 2, N, K, Guard::above, 5);
      std::fill(x.a.begin(), x.a.end(), of_a);
      std::fill(x.w.begin(), x.w.end(), of_w);
      x.fill(table());
      gemm().run(x.tile(false));
      const std::int64_t sum = K * of_a * of_w;
      ASSERT_EQ(x.sums(), std::vector<std::int64_t>(static_cast<std::size_t>(2 * N), sum))
          << "K=" << K << ' ' << of_a << ' ' << of_w;
    }
  }
}

TEST_P(GemmS8Test, SplitsOfRowsColumnsAndDepthGiveTheSameBits) {
  const Index NR = gemm().NR, N = 5 * NR + NR / 2, K = std::max<Index>(77, 3 * gemm().KR + 13);
  for (const Index M : heights(gemm().MR)) {
    Operands whole(table(), M, N, K, Guard::above, 7, -128);
    gemm().run(whole.tile(true));
    for (const Index mr : {Index{1}, Index{2}, Index{3}, M}) {
      for (const Index panels : {1, 2, 3}) {
        for (const Index groups : {1, 2, 7, 19, 39}) {
          const Index kc = groups * gemm().KR;
          Operands split(table(), M, N, K, Guard::below, 7, -128, true);
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

/// Sums apart from C between calls over K, and epilogues that wait for the next call: the bits of one
/// call each, whatever streams.
TEST_P(GemmS8Test, SumsApartAndLaterEpiloguesGiveTheSameBits) {
  const Index MR = gemm().MR, NR = gemm().NR, M = 2 * MR + 5, N = 4 * NR + 7, K = 200;
  Operands x(table(), M, N, K, Guard::above, 17, -128, true);
  const GuardedBuffer<float> residual = test::random_normal(M * N, 8);
  for (const bool is_narrow : {false, true}) {
    for (const Index panels : {1, 3}) {
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
TEST_P(GemmS8Test, ARowDoesNotDependOnItsNeighbours) {
  const Index M = gemm().MR, N = gemm().NR + 3, K = 133;
  Operands x(table(), M, N, K, Guard::above, 11);
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

/// f32(sum) · (row · column) + bias in three or four roundings, then act and residual; rounded where
/// bf16 is written.
TEST_P(GemmS8Test, EpiloguesMatchTheReference) {
  const Index NR = gemm().NR, K = 40;
  for (const Index N : {NR / 2, NR, NR + 3, 4 * NR + 1}) {
    for (const Index M : {Index{1}, Index{2}, gemm().MR}) {
      for (const Activation activation :
           {Activation::none, Activation::gelu_erf, Activation::relu}) {
        for (const bool narrow : {false, true}) {
          for (const bool adds : {false, true}) {
            Operands x(table(), M, N, K, Guard::above, 3);
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
                ASSERT_NEAR(got, expected, size * (narrow ? 0x1p-7 : 0x1p-20))
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

/// A weight is quantised as a row of activations is; its numbers are seen by multiplying with ones.
TEST_P(GemmS8Test, PacksTheNumbersOfTheReferenceFromEveryType) {
  const Index NR = gemm().NR;
  for (const Index K : {1, 3, 4, 31, 64, 65, 130}) {
    for (const Index nr : {Index{1}, NR - 1, NR}) {
      const Index ldw = K + 3;
      GuardedBuffer<float> w = test::random_normal((nr - 1) * ldw + K, 21, Guard::above);
      if (nr > 2) {
        for (Index k = 0; k < K; ++k) w[ldw + k] = 0.0F;
        w[2 * ldw + K / 2] = std::numeric_limits<float>::quiet_NaN();
      }
      GuardedBuffer<std::uint16_t> half(w.size(), Guard::above);
      for (Index i = 0; i < w.size(); ++i) half[i] = reference::to_bf16(w[i]);
      for (const DType type : {DType::f32, DType::bf16}) {
        GuardedBuffer<std::byte> panel(gemm().panel_bytes(K), Guard::above);
        gemm().pack_panel({.w = type == DType::f32 ? static_cast<const void*>(w.data())
                                                   : static_cast<const void*>(half.data()),
                           .type = type,
                           .ldw = ldw,
                           .nr = nr,
                           .K = K,
                           .panel = panel.data()});
        const auto* scales = reinterpret_cast<const float*>(panel.data());
        for (Index k = 0; k < K; ++k) {  // unit vectors pick row k
          std::vector<std::int32_t> unit(static_cast<std::size_t>(K));
          unit[static_cast<std::size_t>(k)] = 1;
          const Index lda = round_to(with_zeros(K), gemm().KR);
          GuardedBuffer<std::byte> a(gemm().rows_read * lda * gemm().bits.a / 8);
          store_numbers(table(), unit.data(), K, a.data());
          GuardedBuffer<float> c(NR);
          gemm().run({.a = a.data(),
                      .lda = lda,
                      .b = panel.data() + gemm().panel_offset(0),
                      .c = c.data(),
                      .ldc = NR,
                      .mr = 1,
                      .nr = NR,
                      .kc = K,
                      .heads = panel.data()});
          for (Index j = 0; j < NR; ++j) {
            reference::QuantizedRow expected;
            if (j < nr) {
              std::vector<float> row;
              for (Index i = 0; i < K; ++i) {
                row.push_back(type == DType::f32 ? w[j * ldw + i]
                                                 : reference::widen_bf16(half[j * ldw + i]));
              }
              expected = reference::quantize(row);
            } else {
              expected.q.resize(static_cast<std::size_t>(K));
            }
            ASSERT_EQ(std::bit_cast<std::int32_t>(c[j]), expected.q[static_cast<std::size_t>(k)])
                << "K=" << K << " k=" << k << " j=" << j;
            if (std::isnan(expected.scale)) {
              ASSERT_TRUE(std::isnan(scales[j]));
            } else {
              ASSERT_EQ(scales[j], expected.scale);
            }
          }
        }
      }
    }
  }
}

/// What the instruction reads as a tile lies in one piece: 16 columns of a group of 64 k, fours of k
/// side by side; and sums begin at nothing.
TEST_P(GemmS8Test, PanelsOfAUnitAreTiles) {
  if (gemm().rows_read == 1) GTEST_SKIP() << "no unit";
  const Index NR = gemm().NR, KR = gemm().KR;
  ASSERT_EQ(std::pair(NR, KR), std::pair(Index{32}, Index{64}));
  for (const Index K : {1, 63, 64, 65, 130}) {
    for (const Index nr : {Index{1}, Index{16}, Index{17}, NR}) {
      std::mt19937_64 random{static_cast<std::uint64_t>(K)};
      GuardedBuffer<std::int8_t> w(nr * K), panel(gemm().panel_bytes(K));
      for (std::int8_t& q : w) q = static_cast<std::int8_t>(random());
      const std::vector<float> scales(static_cast<std::size_t>(nr), 0.5F);
      gemm().pack_panel({.w = w.data(),
                         .type = DType::s8,
                         .ldw = K,
                         .nr = nr,
                         .K = K,
                         .panel = panel.data(),
                         .scales = scales.data()});
      for (Index i = 4 * NR; i < 8 * NR; ++i) ASSERT_EQ(panel[i], 0) << "first sums";
      for (Index k = 0; k < round_to(K, KR); ++k) {
        for (Index j = 0; j < NR; ++j) {
          const Index tile = k / 64 * 2 + j / 16, row = k % 64 / 4, column = j % 16;
          ASSERT_EQ(panel[gemm().panel_offset(0) + tile * 1024 + row * 64 + column * 4 + k % 4],
                    j < nr && k < K ? w[j * K + k] : 0)
              << "K=" << K << " nr=" << nr << " k=" << k << " j=" << j;
        }
      }
    }
  }
}

/// Four products of tiles a round, each 16 x 16 x 64 bytes.
TEST(TilesProbeTest, CountsItsProductsAndGivesTheUnitBack) {
  const Probe& probe = test::usable_level(Isa::amx_bf16)->probe;
  test::tile_use() = {};
  EXPECT_EQ(probe.products[Precision::bf16](3), 3 * 4 * 2.0 * 16 * 16 * 32);
  EXPECT_EQ(probe.products[Precision::s8](3), 3 * 4 * 2.0 * 16 * 16 * 64);
  EXPECT_EQ(test::tile_use().used_without, 0);
  EXPECT_EQ(test::tile_use().left, test::tile_use().entered);
}

}  // namespace
}  // namespace tessera::kernels
