// SPDX-License-Identifier: Apache-2.0
//
// Attention with rows of S complete before softmax: no running maximum, no rescaling.
//
//   S = Q' Kᵀ + log₂e·bias    (Tq, Tk)  all visible keys of a block, tile by tile
//   P = 2^(S − max S)         (Tq, Tk)  in place, or into a second matrix (layerwise)
//   O = P V / Σ P             (Tq, d)
//
// flat_rows does the three for one block of Br rows before the next (FLAT, R granularity: Br rows
// of S live); flat_head does each for the whole head (H granularity); layerwise the same with P
// written beside S, as separate operators would. A block's S is (keys, Br), the keys of its tiles
// one after another, so that hidden tiles take no memory.  Kao et al. 2021 (FLAT).
#pragma once

#include "kernels/attention/streaming.inl.hpp"

namespace tessera::kernels {
namespace {

/// S of a block into st (keys, ld); its maximum into b.m. Returns the number of keys.
template <class A>
Index block_scores(const AttentionTask& t, const Block& b, const TileScratch& s,
                   float* st) noexcept {
  Index keys = 0;
  for (KeyTiles tiles = key_tiles(t, b.i0, b.rows); tiles.valid(); tiles.next()) {
    const Index j0 = tiles.begin(), bc = tiles.end() - j0;
    Scores product = scores_of(t, b, s, j0, bc, tiles.full());
    product.st = st + keys * b.ld;
    masked_scores<A>(t, b, product, j0, bc, tiles.full());
    for (Index i = 0; i < b.ld; i += kLanes<A>)
      store<A>(b.m + i, vmax<A>(load<A>(product.top + i), load<A>(b.m + i)));
    keys += bc;
  }
  if (t.stats != nullptr) t.stats->words += keys * b.ld;
  return keys;
}

/// P = 2^(S − m), l = Σ P. pt may be st.
template <class A>
void block_softmax(const AttentionTask& t, const Block& b, const float* st, float* pt,
                   Index keys) noexcept {
  for (Index i = 0; i < b.ld; i += kLanes<A>) {
    const F32<A> m = load<A>(b.m + i);
    F32<A> sum = splat<A>(0.0F);
    for (Index j = 0; j < keys; ++j) {
      const F32<A> p = exp2<A>(load<A>(st + j * b.ld + i) - m);
      store<A>(pt + j * b.ld + i, p);
      sum = sum + p;
    }
    store<A>(b.l + i, sum);
  }
  if (t.stats != nullptr) t.stats->words += 2 * keys * b.ld;
}

template <class A>
void block_values(const AttentionTask& t, const Block& b, const float* pt) noexcept {
  KeyTiles tiles = key_tiles(t, b.i0, b.rows);
  if (!tiles.valid()) return zero_rows(t, b.i0, b.i0 + b.rows);
  reciprocal_of_sums<A>(b, b.sum);
  Index keys = 0;
  for (bool first = true; tiles.valid(); first = false) {
    const Index j0 = tiles.begin(), bc = tiles.end() - j0;
    const bool full = tiles.full();
    tiles.next();
    add_values<A>(t, b, pt + keys * b.ld, b.ld, j0, bc, full, first ? Start::zero : Start::kept,
                  tiles.valid() ? nullptr : b.sum);
    keys += bc;
  }
  if (t.stats != nullptr) t.stats->words += keys * b.ld;
}

template <class A>
void row_complete(const AttentionTask& t) noexcept {
  const TileScratch s = split_tile(t.scratch);
  float* const state = t.scratch + tile_elements();
  const bool whole = t.dataflow != AttentionDataflow::flat_rows;
  const Index block_cells = round_up(t.Tk, 16) * kQueryRows;
  const Index blocks = count_blocks(t.Tq, kQueryRows);
  float* const S = state + (whole ? blocks : 1) * block_elements(t.d);
  float* const P = t.dataflow == AttentionDataflow::layerwise ? S + blocks * block_cells : S;
  const auto state_of = [&](Index i0, Index i1, Index n, bool start) {
    float* at = state + (whole ? n : 0) * block_elements(t.d);
    return start ? start_block<A>(t, at, i0, i1) : block_at<A>(t, at, i0, i1);
  };
  const auto visible_keys = [&](const Block& b) {
    Index keys = 0;
    for (KeyTiles tiles = key_tiles(t, b.i0, b.rows); tiles.valid(); tiles.next())
      keys += tiles.end() - tiles.begin();
    return keys;
  };
  if (!whole) {
    return for_each_block<A>(t.Tq, kQueryRows, [&](Index i0, Index i1) {
      const Block b = state_of(i0, i1, 0, true);
      const Index keys = block_scores<A>(t, b, s, S);
      block_softmax<A>(t, b, S, S, keys);
      block_values<A>(t, b, S);
    });
  }
  Index n = 0;
  for_each_block<A>(t.Tq, kQueryRows, [&](Index i0, Index i1) {
    block_scores<A>(t, state_of(i0, i1, n, true), s, S + n * block_cells);
    ++n;
  });
  n = 0;
  for_each_block<A>(t.Tq, kQueryRows, [&](Index i0, Index i1) {
    const Block b = state_of(i0, i1, n, false);
    block_softmax<A>(t, b, S + n * block_cells, P + n * block_cells, visible_keys(b));
    ++n;
  });
  n = 0;
  for_each_block<A>(t.Tq, kQueryRows, [&](Index i0, Index i1) {
    block_values<A>(t, state_of(i0, i1, n, false), P + n * block_cells);
    ++n;
  });
}

}  // namespace
}  // namespace tessera::kernels
