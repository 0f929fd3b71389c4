// SPDX-License-Identifier: Apache-2.0
//
// The loop orders of one linear, C (M,N) = A (M,K) · Bᵀ, over the packed panels of B
// (docs/DATAFLOW.md, "Loop orders", draws them). Up to three block loops around two tile loops; a
// tile is one call of the micro-kernel.
//
//   order      block loops, outer → inner     tile loops               stays while it is used
//   IS-OS(a)   m(MC)  n(panel)  k(KC)         row tiles                MC×K of A
//   IS-OS(b)   m(MC)  k(KC)                   panels, row tiles        MC×N of C
//   WS-OS(a)   n(NC)  m(tile)   k(KC)         panels                   K×NC of B
//   WS-OS(b)   n(NC)  k(KC)                   row tiles, panels        M×NC of C
//   2-D OS     m(MC)  n(NC)     k(KC)         panels, row tiles        MC×NC of C
//
// Blocks are given by their number, and the pieces of an extent are nearly equal: there is no
// ragged edge that would want an order of its own. 128 rows are ten tiles of 12 or 13 rows, not
// nine of 14 and one of 2. The classical IS, WS and OS are IS-OS(b), WS-OS(b) and 2-D OS with one
// square tile of each matrix resident.
//
// Every order gives the same bits: an element is one chain over k = 0 … K−1, and a chain that is
// continued from C rounds like one that stayed in a register.
#pragma once

#include <compare>
#include <cstdint>

#include "kernels/gemm/gemm.hpp"

namespace tessera {

enum class LoopOrder : std::uint8_t { is_os_a, is_os_b, ws_os_a, ws_os_b, os_2d };
inline constexpr LoopOrder kLoopOrders[] = {LoopOrder::is_os_a, LoopOrder::is_os_b,
                                            LoopOrder::ws_os_a, LoopOrder::ws_os_b,
                                            LoopOrder::os_2d};
/// "IS-OS(a)", …
const char* to_string(LoopOrder order) noexcept;
/// "is_os_a", …, as options spell it.
const char* option_name(LoopOrder order) noexcept;

struct LinearShape {
  Index M, N, K;

  friend auto operator<=>(const LinearShape&, const LinearShape&) = default;
};

/// MC = ⌈M/row_blocks⌉ rows, NC = ⌈panels/col_blocks⌉·NR columns, KC = ⌈K/k_blocks⌉.
struct LoopNest {
  LoopOrder order = LoopOrder::is_os_a;
  Index row_blocks = 1, col_blocks = 1, k_blocks = 1;

  friend bool operator==(const LoopNest&, const LoopNest&) = default;
};

constexpr Index ceil_div(Index a, Index b) noexcept {
  return (a + b - 1) / b;
}

struct Range {
  Index begin, end;
  constexpr Index size() const noexcept { return end - begin; }
};

/// The i-th of n nearly equal pieces of `range`: their sizes are ⌊extent/n⌋ or ⌈extent/n⌉.
constexpr Range piece(Range range, Index i, Index n) noexcept {
  const Index extent = range.size();
  return {range.begin + extent * i / n, range.begin + extent * (i + 1) / n};
}

/// The i-th of n blocks of the rows [0, M): pieces of rows, or of tiles of MR rows (`whole_tiles`, as in
/// for_each_tile; a block may then be empty).
constexpr Range row_block(Index M, Index i, Index n, Index MR, bool whole_tiles) noexcept {
  if (!whole_tiles) return piece({0, M}, i, n);
  const Range tiles = piece({0, ceil_div(M, MR)}, i, n);
  return {tiles.begin * MR < M ? tiles.begin * MR : M, tiles.end * MR < M ? tiles.end * MR : M};
}

/// One call of the micro-kernel: rows m of C at the columns of `panels`, over k. It may prefetch
/// its share, number `share` of `shares`, of what the block reads next: panel `next_panel` at
/// `next_k`; −1 where that lies beyond the block. Panels inside: `next_m` are the rows that come after
/// these, over the same k; else, and behind the last rows, empty.
struct TileStep {
  Range m, panels, k;
  Index share, shares;
  Index next_panel;
  Range next_k;
  Range next_m;
};

/// Whether the sums of a panel are kept apart between chunks of K: C is bf16, or the residual's memory.
constexpr bool keeps_sums(bool c_is_no_place, const LoopNest& nest) noexcept {
  return c_is_no_place && nest.k_blocks > 1;
}

/// Whether a tile of rows goes through the panels before the next one does (WS); else panels are outside.
constexpr bool goes_by_rows(LoopOrder order) noexcept {
  return order == LoopOrder::ws_os_a || order == LoopOrder::ws_os_b;
}

/// The operand whose pieces pass while those of the other are used again: a unit loads them without
/// keeping them in L1. Row tiles inside: A; panels inside, or a single tile of rows: B.
constexpr kernels::GemmOperand streamed_operand(const LoopNest& nest, Index rows,
                                                Index MR) noexcept {
  return !goes_by_rows(nest.order) && rows > MR ? kernels::GemmOperand::a : kernels::GemmOperand::b;
}

/// Visits the tiles of one block (rows × panels, all of K) in the order of `nest`. The loops over
/// the blocks themselves are the caller's: blocks are what threads share out. Rows are cut in near equal
/// pieces, or, `whole_tiles`, MR at a time: a unit takes as long for half a tile as for a whole one.
template <class Visit>
void for_each_tile(const LoopNest& nest, Range rows, Range panels, Index K, Index MR, Index KR,
                   bool whole_tiles, Visit&& visit) noexcept {
  const Index tiles = ceil_div(rows.size(), MR), k_blocks = nest.k_blocks;
  const auto k_chunk = [&](Index kb) {  // whole groups of KR rows of a panel
    const Range groups = piece({0, ceil_div(K, KR)}, kb, k_blocks);
    return Range{groups.begin * KR, groups.end * KR < K ? groups.end * KR : K};
  };
  const auto rows_of = [&](Index t) {
    if (t == tiles) return Range{rows.end, rows.end};
    if (!whole_tiles) return piece(rows, t, tiles);
    const Index begin = rows.begin + t * MR;
    return Range{begin, begin + MR < rows.end ? begin + MR : rows.end};
  };
  // Tile t of the rows at panel p and chunk kb; the tiles of these rows share what comes next.
  const auto tile = [&](Index t, Index p, Index kb, Index next_panel, Index next_kb) {
    visit(TileStep{.m = rows_of(t),
                   .panels = {p, p + 1},
                   .k = k_chunk(kb),
                   .share = t,
                   .shares = tiles,
                   .next_panel = next_panel,
                   .next_k = k_chunk(next_kb),
                   .next_m = goes_by_rows(nest.order) ? rows_of(t + 1) : Range{0, 0}});
  };
  const auto row_tiles = [&](Index p, Index kb, Index next_panel, Index next_kb) {
    for (Index t = 0; t < tiles; ++t) {
      tile(t, p, kb, next_panel < panels.end ? next_panel : -1, next_kb);
    }
  };
  // What follows a block of B is the same panel at the next chunk of K, or in the next block.
  const auto all_panels = [&](Index t, Index kb) {
    const bool last = kb + 1 == k_blocks;
    for (Index p = panels.begin; p < panels.end; ++p) {
      tile(t, p, kb, last ? -1 : p, last ? 0 : kb + 1);
    }
  };
  if (tiles == 0) return;
  if (tiles == 1 && k_blocks == 1) {  // few rows: the micro-kernel takes several panels at a time
    return visit(TileStep{.m = rows,
                          .panels = panels,
                          .k = {0, K},
                          .share = 0,
                          .shares = 1,
                          .next_panel = -1,
                          .next_k = {0, K},
                          .next_m = {rows.end, rows.end}});
  }
  switch (nest.order) {
    case LoopOrder::is_os_a:
      for (Index p = panels.begin; p < panels.end; ++p) {
        for (Index kb = 0; kb < k_blocks; ++kb) {
          const bool last = kb + 1 == k_blocks;
          row_tiles(p, kb, last ? p + 1 : p, last ? 0 : kb + 1);
        }
      }
      return;
    case LoopOrder::is_os_b:
    case LoopOrder::os_2d:
      for (Index kb = 0; kb < k_blocks; ++kb) {
        for (Index p = panels.begin; p < panels.end; ++p) {
          const bool wrap = p + 1 == panels.end && kb + 1 < k_blocks;
          row_tiles(p, kb, wrap ? panels.begin : p + 1, wrap ? kb + 1 : kb);
        }
      }
      return;
    case LoopOrder::ws_os_a:
      for (Index t = 0; t < tiles; ++t) {
        for (Index kb = 0; kb < k_blocks; ++kb) all_panels(t, kb);
      }
      return;
    case LoopOrder::ws_os_b:
      for (Index kb = 0; kb < k_blocks; ++kb) {
        for (Index t = 0; t < tiles; ++t) all_panels(t, kb);
      }
      return;
  }
}

}  // namespace tessera
