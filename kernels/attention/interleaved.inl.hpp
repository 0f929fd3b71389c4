// SPDX-License-Identifier: Apache-2.0
//
// Streaming attention of two blocks of rows at a time, a and b: the exponentials of one stand in
// the instruction stream of the other's score products, and overwrite their scores in place.
//
//   S_a(0)
//   per key tile t:   S_b(t) with P_a(t) = 2^(S_a − m_a) between its multiplications;  O_a += P_a V
//                     S_a(t+1) with P_b(t) likewise;                                   O_b += P_b V
//
// One vector of exponentials follows every second step over d. The register tile leaves room for
// them: 12x2 accumulators of 32 zmm, 4x2 of 16 ymm, 3x1 of 16 xmm. Softmax is the plain online one:
// m moves with every tile. Both blocks walk the tiles that either of them sees. MAS-Attention
// (Shakerdargah et al. 2024) has two execution units for the two streams; here it is one core's
// out-of-order window.
#pragma once

#include "kernels/attention/streaming.inl.hpp"

namespace tessera::kernels {
namespace {

template <class A>
inline constexpr int kWovenRows = kIsAvx512<A> ? 12
                                  : kIsAvx2<A> ? 4
                                               : 3;

/// P = 2^(S − m) of a whole tile, one vector after another, key by key; Σ P per query.
template <class A>
struct Exponentials {
  float* at;   // next vector of S
  Index left;  // vectors
  Index i, ld;
  const float* m;  // (ld)
  float* sum;      // (ld)

  TESSERA_INLINE void one() noexcept {
    const F32<A> p = exp2<A>(load<A>(at) - load<A>(m + i));
    store<A>(at, p);
    store<A>(sum + i, load<A>(sum + i) + p);
    at += kLanes<A>;
    i = i + kLanes<A> == ld ? 0 : i + kLanes<A>;
    --left;
  }
};

/// Finish::store of products.inl.hpp with `e` between the steps.
template <class A, int mr, int NV>
__attribute__((noinline)) void woven_tile(const Scores& t, Index j0, Index i0,
                                          Exponentials<A>& job) noexcept {
  constexpr Index V = kLanes<A>;
  const Index d = t.d, ld = t.ld, ldk = t.ldk, lds = t.lds;
  Exponentials<A> e = job;
  Tile<A, mr, NV> c;  // (mr, NV·V)
#pragma GCC unroll 4
  for (int v = 0; v < NV; ++v) {
#pragma GCC unroll 16
    for (int j = 0; j < mr; ++j) {
      c[j][v] =
          t.init == nullptr ? splat<A>(0.0F) : load<A>(t.init + (j0 + j) * t.ldi + i0 + v * V);
    }
  }
  constexpr int kGroup = 3, kGroups = (mr + kGroup - 1) / kGroup;
  const float* k[static_cast<std::size_t>(kGroups)];
#pragma GCC unroll 16
  for (int g = 0; g < kGroups; ++g) k[g] = t.k + (j0 + g * kGroup) * ldk;  // (mr, d)
  const float* q = t.qt + i0;                                              // (d, NV·V)
  for (Index n = 0; n < d; ++n) {
    Vectors<A, NV> b;
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) b[v] = load<A>(q + v * V);
#pragma GCC unroll 16
    for (int j = 0; j < mr; ++j) {
      const F32<A> a = splat<A>(k[j / kGroup][j % kGroup * ldk]);
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) c[j][v] = mul_add<A>(a, b[v], c[j][v]);
    }
#pragma GCC unroll 8
    for (int g = 0; g < kGroups; ++g) {
      ++k[g];
      asm("" : "+r"(k[g]));
    }
    q += ld;
    if (n % 2 == 0 && e.left > 0) e.one();
  }
  job = e;
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

/// m' = max(m, rowmax S), α = 2^(m − m'), l = α l; the exponentials of the tile are to be done.
template <class A>
TESSERA_INLINE Exponentials<A> begin_exponentials(const Block& b, const Scores& t,
                                                  Index bc) noexcept {
  for (Index i = 0; i < b.ld; i += kLanes<A>) {
    const F32<A> m_old = load<A>(b.m + i);
    const F32<A> m = vmax<A>(load<A>(t.top + i), m_old);
    const F32<A> alpha = exp2<A>(m_old - m);
    store<A>(b.m + i, m);
    store<A>(b.alpha + i, alpha);
    store<A>(b.l + i, alpha * load<A>(b.l + i));
  }
  return {t.st, bc * b.ld / kLanes<A>, 0, b.ld, b.m, b.l};
}

template <class A>
void interleaved_pair(const AttentionTask& t, const TileScratch& s, float* second, float* state,
                      Index i0, Index i1) noexcept {
  const Index mid = i0 + first_row(i1 - i0, 2, kLanes<A>, 1);
  KeyTiles tiles = key_tiles(t, i0, i1 - i0);
  if (!tiles.valid()) return zero_rows(t, i0, i1);
  const Block block[2] = {start_block<A>(t, state, i0, mid),
                          start_block<A>(t, state + block_elements(t.d), mid, i1)};
  TileScratch part[2] = {s, s};
  part[1].st = second;
  Exponentials<A> waiting{nullptr, 0, 0, 0, nullptr, nullptr};
  const auto multiply = [&](int n, Index j0, Index bc, bool full) {  // S_n, other exponentials
    const Block& b = block[n];
    const Scores product = scores_of(t, b, part[n], j0, bc, full);
    for (Index i = 0; i < b.ld; ++i) product.top[i] = kLowest;
    for_each_group(bc, kWovenRows<A>, [&](Index j, Index rows) {
      with_rows<kWovenRows<A>>(
          rows, [&]<int mr>() __attribute__((always_inline)) {
            constexpr Index V = kLanes<A>;
            Index i = 0;
            if constexpr (kLanes < A >> 4) {
              for (; i + 2 * V <= b.ld; i += 2 * V) woven_tile<A, mr, 2>(product, j, i, waiting);
            }
            for (; i < b.ld; i += V) woven_tile<A, mr, 1>(product, j, i, waiting);
          });
    });
    if (t.stats != nullptr) t.stats->score_cells += bc * b.ld;
    while (waiting.left > 0) waiting.one();
    return product;
  };
  const auto add = [&](int n, Index j0, Index bc, bool full, bool first, bool last) {
    const Block& b = block[n];
    if (last) reciprocal_of_sums<A>(b, b.sum);
    add_values<A>(t, b, part[n].st, b.ld, j0, bc, full, first ? Start::zero : Start::scaled,
                  last ? b.sum : nullptr);
  };
  const bool two = i1 > mid;
  Index j0 = tiles.begin(), bc = tiles.end() - j0;
  bool full = tiles.full();
  Scores a = multiply(0, j0, bc, full);
  for (bool first = true, last = false; !last; first = false) {
    tiles.next();
    last = !tiles.valid();
    // α, sums and scores of a block live until its values are added
    waiting = begin_exponentials<A>(block[0], a, bc);
    Scores b = a;
    if (two) b = multiply(1, j0, bc, full);
    while (waiting.left > 0) waiting.one();
    add(0, j0, bc, full, first, last);
    if (two) waiting = begin_exponentials<A>(block[1], b, bc);
    const Index j = j0, c = bc;
    const bool f = full;
    if (!last) {
      j0 = tiles.begin();
      bc = tiles.end() - j0;
      full = tiles.full();
      a = multiply(0, j0, bc, full);
    }
    while (waiting.left > 0) waiting.one();
    if (two) add(1, j, c, f, first, last);
  }
}

template <class A>
void interleaved(const AttentionTask& t) noexcept {
  const TileScratch s = split_tile(t.scratch);
  float* const second = t.scratch + tile_elements();  // (Bc, ld)
  for_each_block<A>(t.Tq, 2 * kQueryRows, [&](Index i0, Index i1) {
    interleaved_pair<A>(t, s, second, second + kKeyTile * kQueryRows, i0, i1);
  });
}

}  // namespace
}  // namespace tessera::kernels
