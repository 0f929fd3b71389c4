// SPDX-License-Identifier: Apache-2.0
//
// Attention with rows of S complete before softmax: no running maximum, no rescaling.
//
//   S = Q' Kᵀ + log₂e·bias    (Tq, Tk)  all visible keys of a block, tile by tile
//   P = 2^(S − max S)         (Tq, Tk)  in place, or into a second matrix (layerwise)
//   O = P V / Σ P             (Tq, d)
//
// flat_rows does the three for one block of Br rows before the next (FLAT, R granularity: Br rows
// of S live); flat_head does each for the whole head (head granularity); layerwise the same with P
// written beside S, as separate operators would. A block's S is (keys, Br), the keys of its tiles
// one after another, so that hidden tiles take no memory.  Kao et al. 2021 (FLAT).
#pragma once

#include "kernels/attention/tile.inl.hpp"

namespace tessera::kernels {
namespace {

/// S of a tile into st (bc, ld); its maximum into b.m.
template <class A, class E>
void tile_scores(const AttentionTask& t, const Block& b, const TileScratch& s, float* st,
                 const KeyTile& tile) noexcept {
  Scores product = scores_of<A, E>(t, b, s, tile);
  product.st = st;
  masked_scores<A, E>(t, b, product, tile.j0, tile.bc);
  for (Index i = 0; i < b.ld; i += kLanes<A>)
    store<A>(b.m + i, vmax<A>(load<A>(product.top + i), load<A>(b.m + i)));
}

/// P = 2^(S − m), l = Σ P. pt may be st.
template <class A, class E>
void block_softmax(const Block& b, const float* st, float* pt, Index keys) noexcept {
  for (Index i = 0; i < b.ld; i += kLanes<A>) {
    const F32<A> m = load<A>(b.m + i);
    F32<A> sum = splat<A>(0.0F);
    for (Index j = 0; j < keys; ++j) {
      const F32<A> p = exp2_of<A, E>(load<A>(st + j * b.ld + i) - m);
      store<A>(pt + j * b.ld + i, p);
      sum = sum + p;
    }
    store<A>(b.l + i, sum);
  }
}

}  // namespace
}  // namespace tessera::kernels
