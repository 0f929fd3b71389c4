// SPDX-License-Identifier: Apache-2.0
//
// What the calls of a block prefetch: with panels inside, the rows of the next tile and the columns of the next
// block, each once, and in the last block what comes after the linear. The family here computes nothing.
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "runtime/execute/gemm.hpp"

namespace tessera {
namespace {

constexpr Index kMR = 4, kNR = 8;

struct Call {
  const void* a;
  const void* b;
  const char* begin;  // of what it prefetches
  const char* end;
};
std::vector<Call> calls;

/// Elements of A of `bits_a`, of B of 32 bits.
kernels::Gemm recorder(Index bits_a) {
  return {.run =
              [](const kernels::GemmTile& t) noexcept {
                const char* ahead = static_cast<const char*>(t.ahead);
                calls.push_back({t.a, t.b, ahead, ahead + t.ahead_bytes});
              },
          .MR = kMR,
          .NR = kNR,
          .bits = {.a = bits_a, .b = 32, .c = 32}};
}

/// Bytes of [begin, begin + bytes) that the calls prefetch; one that several prefetch counts as often.
Index prefetched(const std::vector<Call>& by, const void* begin, Index bytes) {
  const char* const from = static_cast<const char*>(begin);
  Index sum = 0;
  for (const Call& call : by) {
    if (call.begin == nullptr) continue;
    sum += std::max<Index>(0, std::min(call.end, from + bytes) - std::max(call.begin, from));
  }
  return sum;
}

struct Problem {
  kernels::Gemm gemm;
  Index M, N, K, lda, row_bytes;
  std::vector<std::byte> a;
  std::vector<float> b, c, after;

  Problem(Index rows, Index columns, Index depth, Index stride, Index bits_a = 32)
      : gemm(recorder(bits_a)),
        M(rows),
        N(columns),
        K(depth),
        lda(stride),
        row_bytes(stride * bits_a / 8),
        a(static_cast<std::size_t>(rows * row_bytes)),
        b(static_cast<std::size_t>((columns + kNR - 1) / kNR * kNR * depth)),
        c(static_cast<std::size_t>(rows * columns)),
        after(static_cast<std::size_t>(kNR * depth)) {}

  execute::GemmOperands operands() {
    return {.gemm = gemm,
            .a = a.data(),
            .lda = lda,
            .panels = b.data(),
            .c = c.data(),
            .ldc = N,
            .N = N,
            .K = K,
            .after = after.data(),
            .after_bytes = Index{sizeof(float)} * kNR * K};
  }
  std::vector<Call> run(const LoopNest& nest) {
    calls.clear();
    execute::run_gemm(operands(), nest, M);
    return calls;
  }
  const std::byte* row(Index i) const { return a.data() + i * row_bytes; }
  /// The calls whose rows begin at row i.
  std::vector<Call> of_rows(const std::vector<Call>& all, Index i) const {
    std::vector<Call> some;
    for (const Call& call : all) {
      if (call.a == row(i)) some.push_back(call);
    }
    return some;
  }
};

TEST(AheadTest, PanelsInsidePrefetchTheRowsOfTheNextTileAndTheColumnsOfTheNextBlock) {
  for (const auto& [M, bits_a] : {std::pair<Index, Index>{32, 32}, {61, 16}, {61, 8}, {400, 32}}) {
    for (const Index col_blocks : {1, 2, 3, 7}) {
      Problem x(M, 7 * kNR, 48, 52, bits_a);
      const std::vector<Call> all = x.run({LoopOrder::ws_os_a, 1, col_blocks, 1});
      const Index tiles = (M + kMR - 1) / kMR;
      ASSERT_EQ(static_cast<Index>(all.size()), tiles * 7);
      std::size_t at = 0;
      for (Index block = 0; block < col_blocks; ++block) {
        const Range panels = piece({0, 7}, block, col_blocks);
        const std::size_t size = static_cast<std::size_t>(tiles * panels.size());
        const std::vector<Call> of_block(all.begin() + static_cast<std::ptrdiff_t>(at),
                                         all.begin() + static_cast<std::ptrdiff_t>(at + size));
        at += size;
        for (Index t = 0; t + 1 < tiles; ++t) {
          const Range rows = piece({0, M}, t, tiles), next = piece({0, M}, t + 1, tiles);
          const std::vector<Call> of_tile = x.of_rows(of_block, rows.begin);
          const Index bytes = next.size() * x.row_bytes;
          const Index got = prefetched(of_tile, x.row(next.begin), bytes);
          EXPECT_EQ(prefetched(of_tile, x.a.data(), std::ssize(x.a)), got) << "and no other";
          // One panel inside: a call that prefetches columns leaves its rows out.
          if (panels.size() > 1) {
            EXPECT_EQ(got, bytes) << M << " rows, tile " << t << " of block " << block;
          } else {
            EXPECT_TRUE(got == bytes || got == 0) << got;
          }
        }
        const Range next =
            block + 1 < col_blocks ? piece({0, 7}, block + 1, col_blocks) : Range{7, 7};
        const Index panel = Index{sizeof(float)} * kNR * x.K;
        for (Index p = next.begin; p < std::min(next.end, panels.end + panels.size()); ++p) {
          EXPECT_GE(prefetched(of_block, x.b.data() + p * kNR * x.K, panel), panel)
              << M << " rows, panel " << p << " of " << col_blocks << " blocks";
        }
        const Index after = prefetched(of_block, x.after.data(), panel);
        EXPECT_EQ(after > 0, block + 1 == col_blocks) << after;
      }
    }
  }
}

TEST(AheadTest, RowsOfAWiderMatrixAndFewTilesAreLeftToTheHardware) {
  const auto rows_of = [](Problem& x) {
    return prefetched(x.run({LoopOrder::ws_os_a, 1, 2, 1}), x.a.data(), std::ssize(x.a));
  };
  Problem narrow(40, 64, 48, 48), wide(40, 64, 48, 96), few(7 * kMR, 64, 48, 48);
  EXPECT_GT(rows_of(narrow), 0);
  EXPECT_EQ(rows_of(wide), 0);
  EXPECT_EQ(rows_of(few), 0);
}

TEST(AheadTest, RowTilesInsidePrefetchTheNextPanelAlone) {
  Problem x(40, 64, 48, 48);
  const std::vector<Call> all = x.run({LoopOrder::is_os_a, 1, 1, 1});
  EXPECT_EQ(prefetched(all, x.a.data(), std::ssize(x.a)), 0);
  const Index panel = Index{sizeof(float)} * kNR * x.K;
  for (Index p = 1; p < 8; ++p) {
    EXPECT_EQ(prefetched(all, x.b.data() + p * kNR * x.K, panel), panel) << p;
  }
  EXPECT_EQ(prefetched(all, x.after.data(), panel), panel);
}

}  // namespace
}  // namespace tessera
