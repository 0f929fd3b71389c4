// SPDX-License-Identifier: Apache-2.0
//
// P and V of a key tile as the second product reads them: words of E, each with KR keys.
//
//   f32    P and V as they are
//   bf16   P[j] and P[j+1] of a query in one word, rounded; V[j,n] and V[j+1,n] likewise.
//          j even; beyond the last key is 0
//
// Weaving a tile of V costs 5 instructions per 16 words, beside 64 multiplications of each.
#pragma once

#include "kernels/attention/layout.hpp"
#include "kernels/attention/mask.hpp"
#include "kernels/gemm/elements.inl.hpp"
#include "kernels/simd/simd.inl.hpp"

namespace tessera::kernels {
namespace {

struct ValueWords {
  const float* v;  // (⌈bc/KR⌉, d) words
  Index ldv;
};

/// P (bc, ld) becomes pairs (⌈bc/2⌉, ld), in place.
template <class A, class E>
void pair_keys(float* pt, Index ld, Index bc) noexcept {
  for (Index j = 0; j < bc; j += 2) {
    const float *low = pt + j * ld, *high = low + ld;
    float* to = pt + j / 2 * ld;
    for (Index i = 0; i < ld; i += kLanes<A>) {
      const F32<A> last = j + 1 < bc ? load<A>(high + i) : splat<A>(0.0F);
      store<A>(to + i, E::pair(load<A>(low + i), last));
    }
  }
}

/// vt (⌈bc/2⌉, d): rows j0 + j and j0 + j + 1 of V, woven.
template <class A, class E>
void pair_values(const AttentionTask& t, float* vt, const KeyTile& tile) noexcept {
  const auto* v = static_cast<const std::uint16_t*>(t.v) + tile.j0 * t.ldv;
  for (Index j = 0; j < tile.bc; j += 2, v += 2 * t.ldv) {
    const std::uint16_t* next = j + 1 < tile.bc ? v + t.ldv : nullptr;
    float* to = vt + j / 2 * t.d;
    for_each_vector<A>(
        t.d, [&](Index n, Index lanes) __attribute__((always_inline)) {
          store_n<A>(to + n, lanes, E::weave(v + n, next == nullptr ? nullptr : next + n, lanes));
        });
  }
}

/// Of a tile whose P is pt (bc, ld), or, if it is `of_words`, (⌈bc/KR⌉, ld).
template <class A, class E>
TESSERA_INLINE ValueWords values_of(const AttentionTask& t, const TileScratch& s, float* pt,
                                    Index ld, const KeyTile& tile, bool of_words) noexcept {
  if constexpr (E::kKR == 1) {
    return {static_cast<const float*>(t.v) + tile.j0 * t.ldv, t.ldv};
  } else {
    if (!of_words) pair_keys<A, E>(pt, ld, tile.bc);
    pair_values<A, E>(t, s.vt, tile);
    return {s.vt, t.d};
  }
}

}  // namespace
}  // namespace tessera::kernels
