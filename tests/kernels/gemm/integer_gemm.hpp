// SPDX-License-Identifier: Apache-2.0
// Operands of the micro-kernels of whole numbers, and a test of one family at one level.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <optional>
#include <random>
#include <tuple>
#include <vector>

#include "tests/kernels/gemm/dense_rows.hpp"
#include "tests/kernels/gemm/integer_rows.hpp"
#include "tests/kernels/gemm/widths.hpp"
#include "tests/kernels/probe/emulated_tiles.hpp"
#include "tests/reference/quantize.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/random.hpp"

namespace tessera::kernels {

using test::Guard;
using test::GuardedBuffer;

constexpr Index round_to(Index x, Index step) {
  return ceil_div(x, step) * step;
}

/// C (M,N) = A Wᵀ of the numbers `a` (M,K) and `w` (N,K), with scales. Between the rows of A, and in those
/// behind them that a tile reads, all bits are set.
struct Operands {
  /// A ends with the rows that one tile of all its rows reads; `by_rows`: that tiles from any row on do.
  Operands(const KernelTable& table, Precision precision, Index M_, Index N_, Index K_, Guard guard,
           std::uint64_t seed, int least = -127, bool by_rows = false)
      : gemm{table.gemm[precision]},
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
    const bool is_ternary = precision == Precision::ternary;
    for (Index i = 0; i < N * K; ++i) {
      w.push_back(is_ternary ? static_cast<std::int32_t>(random() % 3) - 1 : number(random));
    }
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
  std::vector<float> result() const { return dense_rows(c, M, N, N + 5); }
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

/// With the unit of the family, amx_bf16 over emulated tiles where there is none.
class IntegerGemmTest : public testing::Test {
 protected:
  void enter(Isa isa, Precision precision) {
    table_ = test::usable_level(isa);
    if (table_ == nullptr) GTEST_SKIP() << "this CPU lacks " << to_string(isa);
    precision_ = precision;
    if (gemm().run == nullptr) GTEST_SKIP() << "this CPU cannot emulate " << to_string(precision);
    test::tile_use() = {};
    unit_.emplace(gemm());
  }
  void TearDown() override {
    if (!unit_) return;
    unit_.reset();
    EXPECT_EQ(test::tile_use().used_without, 0);
    EXPECT_EQ(test::tile_use().left, test::tile_use().entered);
  }
  const Gemm& gemm() const { return table_->gemm[precision_]; }
  const KernelTable& table() const { return *table_; }
  Precision precision() const { return precision_; }

 private:
  const KernelTable* table_ = nullptr;
  Precision precision_ = Precision::s8;
  std::optional<Entered<Gemm>> unit_;
};

}  // namespace tessera::kernels
