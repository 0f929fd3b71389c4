// SPDX-License-Identifier: Apache-2.0
//
// Streaming attention of two blocks of rows at a time: the exponentials of one stand in the
// instruction stream of the other's score products, and overwrite their scores in place.
//
// One vector of exponentials follows every second element of d. The register tile leaves room for
// them: 12x2 accumulators of 32 zmm, 4x2 of 16 ymm, 3x1 of 16 xmm. Softmax is the plain online one:
// m moves with every tile. MAS-Attention (Shakerdargah et al. 2024) has two execution units for the
// two streams; here it is one core's out-of-order window.
#pragma once

#include "kernels/attention/tile.inl.hpp"

namespace tessera::kernels {
namespace {

/// P = 2^(S − m) of a whole tile, one vector after another, key by key; Σ P per query.
template <class A, class E>
struct Exponentials {
  float* at = nullptr;  // next vector of S
  Index left = 0;       // vectors
  Index i = 0, ld = 0;
  const float* m = nullptr;  // (ld)
  float* sum = nullptr;      // (ld)

  TESSERA_INLINE void one() noexcept {
    const F32<A> p = exp2_of<A, E>(load<A>(at) - load<A>(m + i));
    store<A>(at, p);
    store<A>(sum + i, load<A>(sum + i) + p);
    at += kLanes<A>;
    i = i + kLanes<A> == ld ? 0 : i + kLanes<A>;
    --left;
  }
  void drain() noexcept {
    while (left > 0) one();
  }
};

/// Finish::store of products.inl.hpp with `e` between the steps.
template <class A, class E, int mr, int NV>
__attribute__((noinline)) void woven_tile(const Scores& t, Index j0, Index i0,
                                          Exponentials<A, E>& job) noexcept {
  constexpr Index V = kLanes<A>;
  const Index d = t.d, ld = t.ld, ldk = t.ldk, lds = t.lds;
  Exponentials<A, E> e = job;
  Tile<A, mr, NV> c;  // (mr, NV·V)
#pragma GCC unroll 4
  for (int v = 0; v < NV; ++v) {
#pragma GCC unroll 16
    for (int j = 0; j < mr; ++j) {
      c[j][v] = t.init == nullptr || E::kScalesScores
                    ? splat<A>(0.0F)
                    : load<A>(t.init + (j0 + j) * t.ldi + i0 + v * V);
    }
  }
  constexpr int kGroup = 3, kGroups = (mr + kGroup - 1) / kGroup;
  const float* k[static_cast<std::size_t>(kGroups)];
#pragma GCC unroll 16
  for (int g = 0; g < kGroups; ++g) k[g] = t.k + (j0 + g * kGroup) * ldk;  // (mr, d)
  const float* q = t.qt + i0;                                              // (d, NV·V)
  for (Index n = 0; n < d; ++n) {
    typename E::Factor b[static_cast<std::size_t>(NV)];
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) b[v] = E::factor_of(load<A>(q + v * V));
#pragma GCC unroll 16
    for (int j = 0; j < mr; ++j) {
      const typename E::Factor a = E::splat(k[j / kGroup][j % kGroup * ldk]);
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) c[j][v] = E::mul_add(a, b[v], c[j][v]);
    }
#pragma GCC unroll 8
    for (int g = 0; g < kGroups; ++g) {
      ++k[g];
      asm("" : "+r"(k[g]));
    }
    q += ld;
    if (n % (2 / E::kKR) == 0 && e.left > 0) e.one();
  }
  job = e;
  if constexpr (E::kScalesScores) {
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) {
#pragma GCC unroll 16
      for (int j = 0; j < mr; ++j) {
        const F32<A> init =
            t.init == nullptr ? splat<A>(0.0F) : load<A>(t.init + (j0 + j) * t.ldi + i0 + v * V);
        c[j][v] = mul_add<A>(splat<A>(t.c), c[j][v], init);
      }
    }
  }
  float* const top = t.top + i0;
  float* const st = t.st + j0 * lds + i0;
#pragma GCC unroll 4
  for (int v = 0; v < NV; ++v) {
    F32<A> max = load<A>(top + v * V);
#pragma GCC unroll 16
    for (int j = 0; j < mr; ++j) {
      max = vmax<A>(c[j][v], max);
      store<A>(st + j * lds + v * V, c[j][v]);
    }
    store<A>(top + v * V, max);
  }
}

/// Sᵀ of a tile in t.st, its maximum in t.top, and what waits.
template <class A, class E>
void woven_scores(const Block& b, const Scores& t, Index bc, Exponentials<A, E>& waiting) noexcept {
  constexpr Index V = kLanes<A>;
  constexpr int most = woven_rows(V), NV = woven_vectors(V);
  for (Index i = 0; i < b.ld; ++i) t.top[i] = kLowest;
  for_each_group(bc, most, [&](Index j, Index rows) {
    with_rows<most>(
        rows, [&]<int mr>() __attribute__((always_inline)) {
          Index i = 0;
          for (; i + NV * V <= b.ld; i += NV * V) woven_tile<A, E, mr, NV>(t, j, i, waiting);
          for (; i < b.ld; i += V) woven_tile<A, E, mr, 1>(t, j, i, waiting);
        });
  });
  waiting.drain();
}

/// m' = max(m, rowmax S), α = 2^(m − m'), l = α l; the exponentials of the tile are to be done.
template <class A, class E>
TESSERA_INLINE Exponentials<A, E> begin_exponentials(const Block& b, float* st, Index bc) noexcept {
  for (Index i = 0; i < b.ld; i += kLanes<A>) {
    const F32<A> m_old = load<A>(b.m + i);
    const F32<A> m = vmax<A>(load<A>(b.alpha + i), m_old);  // from the maximum of the tile
    const F32<A> alpha = exp2<A>(m_old - m);
    store<A>(b.m + i, m);
    store<A>(b.alpha + i, alpha);
    store<A>(b.l + i, alpha * load<A>(b.l + i));
  }
  return {st, bc * b.ld / kLanes<A>, 0, b.ld, b.m, b.l};
}

}  // namespace
}  // namespace tessera::kernels
