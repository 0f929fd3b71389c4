// SPDX-License-Identifier: Apache-2.0
//
// Streaming attention of one head: O = softmax(scale·QKᵀ + bias) V over key tiles of Bc, in log2
// units.
//
//   Q' = scale·log₂e·Q                (Tq, d)   once per block, transposed
//   m  = maximum over the first keys  (Tq)      reference of the exponents, raised only when needed
//   P  = 2^(Q' Kᵀ + log₂e·bias − m)   (Tq, Bc)  stored as Pᵀ, key by key
//   l  = α l + rowsum P               (Tq)      row sum so far
//   O  = α O + P V                    (Tq, d)   α = 1, or 2^(m_old − m) where m was raised
//   after the last tile: O = O / l
//
// Query-stationary: Q', m, l, O of a block stay, K and V stream. Key-stationary: a tile of K and V
// stays, the blocks stream, and m, l, O of all of them are carried. Under a mask only the tiles of
// a block's runs are visited. A row's arithmetic depends on d, Tk, the ISA and, under a mask, on
// where its block begins: queries are lanes of vectors, every sum is one chain over k or over the
// keys in order. A row with l = 0 (all scores −inf) has O = 0. NaN in a row of Q, or in any visible
// K or V, reaches O. Milakov & Gimelshein 2018 (online softmax); Dao et al. 2022 (FlashAttention).
#pragma once

#include "kernels/attention/blocks.hpp"
#include "kernels/attention/tile.inl.hpp"

namespace tessera::kernels {
namespace {

/// Calls body(i0, i1) for blocks of at most Br rows.
template <class A, class Body>
TESSERA_INLINE void for_each_block(Index Tq, Index Br, Body&& body) noexcept {
  const Index blocks = count_blocks(Tq, Br);
  for (Index n = 0; n < blocks; ++n) {
    body(first_row(Tq, blocks, kLanes<A>, n), first_row(Tq, blocks, kLanes<A>, n + 1));
  }
}

template <class A>
void streaming(const AttentionTask& t) noexcept {
  const TileScratch s = split_tile(t.scratch);
  for_each_block<A>(t.Tq, kQueryRows, [&](Index i0, Index i1) {
    KeyTiles tiles = key_tiles(t, i0, i1 - i0);
    if (!tiles.valid()) return zero_rows(t, i0, i1);
    const Block b = start_block<A>(t, t.scratch + tile_elements(), i0, i1);
    for (bool first = true; tiles.valid(); first = false) {
      const Index j0 = tiles.begin(), bc = tiles.end() - j0;
      const bool full = tiles.full();
      tiles.next();
      attend_tile<A>(t, b, s, j0, bc, full, first, !tiles.valid());
    }
  });
}

/// The blocks' states stand one after another behind the tile's scratch.
template <class A>
void streaming_keys(const AttentionTask& t) noexcept {
  const TileScratch s = split_tile(t.scratch);
  const auto state = [&](Index block) {
    return t.scratch + tile_elements() + block * block_elements(t.d);
  };
  Index block = 0;
  for_each_block<A>(t.Tq, kQueryRows, [&](Index i0, Index i1) {
    start_block<A>(t, state(block++), i0, i1);
    zero_rows(t, i0, i1);
  });
  const Index tiles = (t.Tk + kKeyTile - 1) / kKeyTile;
  for (Index tile = 0; tile < tiles; ++tile) {
    const Index k0 = t.Tk * tile / tiles, k1 = t.Tk * (tile + 1) / tiles;
    block = 0;
    for_each_block<A>(t.Tq, kQueryRows, [&](Index i0, Index i1) {
      const Block b = block_at<A>(t, state(block++), i0, i1);
      const Index q_lo = t.q_begin + i0, q_hi = t.q_begin + i1 - 1;
      const Index first_key = next_run(t.mask, q_lo, q_hi, 0, t.Tk).begin;
      for (Index j = k0; j < k1;) {  // the block's runs in these keys
        const KeyRun run = next_run(t.mask, q_lo, q_hi, j, k1);
        if (run.begin == run.end) break;
        const bool full = all_visible(t.mask, run.begin - q_hi, run.end - 1 - q_lo);
        attend_tile<A>(t, b, s, run.begin, run.end - run.begin, full, run.begin == first_key,
                       false);
        j = run.end;
      }
    });
  }
  block = 0;
  for_each_block<A>(t.Tq, kQueryRows, [&](Index i0, Index i1) {
    const Block b = block_at<A>(t, state(block++), i0, i1);
    reciprocal_of_sums<A>(b, b.sum);
    for (Index i = 0; i < b.rows; ++i) {
      float* o = t.o + (i0 + i) * t.ldo;
      const F32<A> w = splat<A>(b.sum[i]);
      for_each_vector<A>(
          t.d, [&](Index n, Index lanes) __attribute__((always_inline)) {
            store_n<A>(o + n, lanes, load_n<A>(o + n, lanes) * w);
          });
    }
    if (t.stats != nullptr) t.stats->words += 2 * b.rows * t.d;
  });
}

}  // namespace
}  // namespace tessera::kernels
