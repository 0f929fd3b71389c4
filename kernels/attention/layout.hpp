// SPDX-License-Identifier: Apache-2.0
//
// Sizes of the parts that attention is cut into, and where its scratch lies. Internal to each
// source, as mask.hpp.
//
//   tile    st, start (Bc, ld), again (Bc, V), window      what only one tile needs
//           second (Bc, ld)                                interleaved: st of the second block
//   states  Q'ᵀ (d, ld), m, l, α, sum (ld) of each block   one, two (interleaved), or all
//   S       (keys, ld) of each block                       one (flat_rows), or all
//   P       the same                                       layerwise; else it is S
//   vt      pairs of rows of V (Bc/2, d) as words           bf16: the tile that O is made of
//   O       (Br, d) of each block with states               bf16: sums, before they are rounded
#pragma once

#include "kernels/attention/attention.hpp"
#include "kernels/attention/blocks.hpp"
#include "kernels/extents.hpp"

namespace tessera::kernels {
namespace {

constexpr Index kQueryRows = 64;  // Br
constexpr Index kKeyTile = 256;   // Bc

/// Register tiles of vectors of V lanes: keys of S and rows of O (products.inl.hpp), always of two
/// vectors or their rest; and keys, vectors of S between exponentials (interleaved.inl.hpp).
constexpr int tile_rows(Index V) noexcept {
  return V == 16 ? 14 : V == 8 ? 6 : 4;
}
inline constexpr int kTileVectors = 2;
constexpr int woven_rows(Index V) noexcept {
  return V == 16 ? 12 : V == 8 ? 4 : 3;
}
constexpr int woven_vectors(Index V) noexcept {
  return V > 4 ? 2 : 1;
}

/// Cuts n rows into ⌈n/most⌉ groups of nearly equal size (a last group of 1 or 2 rows would leave
/// the FMA pipes half empty) and calls body(first, rows).
template <class Body>
inline __attribute__((always_inline)) void for_each_group(Index n, Index most,
                                                          Body&& body) noexcept {
  const Index groups = (n + most - 1) / most;
  for (Index g = 0, i = 0; g < groups; ++g) {
    const Index rows = (n - i + groups - g - 1) / (groups - g);
    body(i, rows);
    i += rows;
  }
}

/// What is carried from tile to tile for one block of rows. Parts of the caller's scratch.
struct Block {
  float* qt;           // (d, ld) scale·log₂e·Q, transposed
  float* m;            // (ld) reference of the exponents
  float* l;            // (ld) row sum so far
  float* alpha;        // (ld) 2^(m_old − m) of this tile
  float* sum;          // (ld) of this tile
  Index i0, rows, ld;  // rows [i0, i0+rows) of the task
  float* o = nullptr;  // (rows, d) sums of O, row stride ldo: the task's, or scratch
  Index ldo = 0;
};
constexpr Index block_elements(Index d) noexcept {
  return kQueryRows * (d + 4);
}
/// Rows [i0, i1) of the task with their state at p.
constexpr Block block_at(float* p, Index d, Index V, Index i0, Index i1) noexcept {
  float* const m = p + kQueryRows * d;
  return {.qt = p,
          .m = m,
          .l = m + kQueryRows,
          .alpha = m + 2 * kQueryRows,
          .sum = m + 3 * kQueryRows,
          .i0 = i0,
          .rows = i1 - i0,
          .ld = round_up(i1 - i0, V)};
}

/// What only one tile needs.
struct TileScratch {
  float* st;            // (Bc, ld)
  float* start;         // (Bc, ld) what S starts from, where it is looked up element by element
  float* again;         // (Bc, V) scores of one vector of queries
  float* window;        // (Bc + Br + 16) what S starts from, by falling difference
  float* vt = nullptr;  // (Bc/2, d) words: pairs of rows of V
};
constexpr Index tile_elements() noexcept {
  return 2 * kKeyTile * kQueryRows + 16 * kKeyTile + kKeyTile + kQueryRows + 16;
}
constexpr TileScratch split_tile(float* p) noexcept {
  float* const again = p + 2 * kKeyTile * kQueryRows;
  return {
      .st = p, .start = p + kKeyTile * kQueryRows, .again = again, .window = again + 16 * kKeyTile};
}

/// Elements of S of one block.
constexpr Index score_elements(Index Tk) noexcept {
  return round_up(Tk, 16) * kQueryRows;
}

/// Where the parts begin, in elements.
struct ScratchLayout {
  Index second, states, S, P, values, O, end;
};
/// `narrow`: of the bf16 family.
constexpr ScratchLayout scratch_layout(AttentionDataflow dataflow, Index Tq, Index Tk, Index d,
                                       bool narrow = false) noexcept {
  const Index blocks = count_blocks(Tq, kQueryRows);
  const bool layerwise = dataflow == AttentionDataflow::layerwise;
  const bool whole = layerwise || dataflow == AttentionDataflow::flat_head;
  const bool pair = dataflow == AttentionDataflow::interleaved;
  const Index states = whole || dataflow == AttentionDataflow::streaming_keys ? blocks
                       : pair                                                 ? 2
                                                                              : 1;
  const Index scores = whole ? blocks : dataflow == AttentionDataflow::flat_rows ? 1 : 0;
  ScratchLayout at{};
  at.second = tile_elements();
  at.states = at.second + (pair ? kKeyTile * kQueryRows : 0);
  at.S = at.states + states * block_elements(d);
  at.P = at.S + (layerwise ? scores * score_elements(Tk) : 0);
  at.values = at.P + scores * score_elements(Tk);
  at.O = at.values + (narrow ? round_up(kKeyTile / 2 * d, 16) : 0);
  at.end = at.O + (narrow ? states * kQueryRows * d : 0);
  return at;
}

/// Floats of scratch, a multiple of 16.
template <bool narrow>
constexpr Index attention_scratch(AttentionDataflow dataflow, Index Tq, Index Tk,
                                  Index d) noexcept {
  return scratch_layout(dataflow, Tq, Tk, d, narrow).end;
}

}  // namespace
}  // namespace tessera::kernels
