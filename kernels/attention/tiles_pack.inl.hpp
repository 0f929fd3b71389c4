// SPDX-License-Identifier: Apache-2.0
//
// Q, K and V as tiles of a matrix unit, all bf16:
//
//   Q (Tq,d)   (strips, ⌈d/32⌉, 2) tiles of 16 rows × 32 k           as it lies; 0 beyond d
//   K (Tk,d)   (⌈Tk/16⌉, ⌈d/32⌉)   tiles of 16 pairs of k × 16 keys  transposed words; 0 beyond d
//   V (Tk,d)   (⌈Tk/32⌉, ⌈d/16⌉)   tiles of 16 pairs of keys × 16 columns; 0 beyond Tk and d
//
// K beyond Tk is the last key once more: its scores are hidden. Q is copied so that its rows, which may
// lie a page apart, are neighbours, and because what follows d in memory may be NaN.
#pragma once

#include "kernels/attention/pack_queries.inl.hpp"
#include "kernels/attention/tiles_layout.hpp"

namespace tessera::kernels {
namespace {

template <class A>
TESSERA_INLINE void fill_words(float* p, Index n, float x) noexcept {
  for_each_vector<A>(
      n, [&](Index i, Index lanes)
             __attribute__((always_inline)) { store_n<A>(p + i, lanes, splat<A>(x)); });
}

/// Rows [0, rows) of q, row stride ldq elements. Rows of a tile beyond them stay as they are: nothing
/// of them is read from the products.
template <class A>
void pack_query_tiles(const std::uint16_t* q, Index ldq, Index rows, Index d, char* to) noexcept {
  const Index steps = depth_tiles(d);
  for (Index i = 0; i < rows; ++i) {
    char* row = to + i / kStripRows * steps * 2048 + i % kStripRows * 64;
    for (Index s = 0; s < steps; ++s) {
      const Index words = min_of(16, d / 2 - 16 * s);
      float* at = reinterpret_cast<float*>(row + s * 2048);
      const float* from = reinterpret_cast<const float*>(q + i * ldq + 32 * s);
      for (Index v = 0; v < 16; v += kLanes<A>) {
        const Index n = min_of(kLanes<A>, words - v);
        store<A>(at + v, n > 0 ? load_n<A>(from + v, n) : splat<A>(0.0F));
      }
    }
  }
}

/// Keys [j0, j1), j0 a multiple of 64; `to` has the tiles of key 0.
template <class A, class E>
void pack_key_tiles(const std::uint16_t* k, Index ldk, Index j0, Index j1, Index d,
                    float* to) noexcept {
  const Index words = d / 2, steps = depth_tiles(d);
  for (Index j = j0; j < round_up(j1, 32); j += 16) {
    float* tiles = to + j / 16 * steps * kTileWords;
    const Index from = min_of(j, j1 - 1);
    pack_queries<A, E>(reinterpret_cast<const float*>(k + from * ldk), ldk / 2,
                       min_of(16, j1 - from), words, 1.0F, tiles, 16);
    fill_words<A>(tiles + words * 16, (steps * 16 - words) * 16, 0.0F);
  }
}

/// Values [j0, j1), j0 a multiple of 64; `to` has the tiles of key 0.
template <class A, class E>
void pack_value_tiles(const std::uint16_t* v, Index ldv, Index j0, Index j1, Index d,
                      float* to) noexcept {
  constexpr Index V = kLanes<A>;
  const Index columns = column_tiles(d);
  for (Index j = j0; j < round_up(j1, 32); j += 2) {
    float* row = to + (j / 32 * columns) * kTileWords + j % 32 / 2 * 16;
    const std::uint16_t *low = v + j * ldv, *high = j + 1 < j1 ? low + ldv : nullptr;
    for (Index n = 0; n < columns * 16; n += V) {
      const Index lanes = j < j1 ? min_of(V, d - n) : 0;
      F32<A> words = splat<A>(0.0F);
      if (lanes > 0) words = E::weave(low + n, high == nullptr ? nullptr : high + n, lanes);
      store<A>(row + n / 16 * kTileWords + n % 16, words);
    }
  }
}

}  // namespace
}  // namespace tessera::kernels
