// SPDX-License-Identifier: Apache-2.0
//
// Streaming attention for up to Br query rows of one head: O = softmax(scale·QKᵀ + bias) V, over
// key tiles of Bc, in log2 units.
//
//   Q' = scale·log₂e·Q                      (Tq, d)   once per block, transposed
//   S  = Q' Kᵀ + log₂e·bias                 (Tq, Bc)  stored as Sᵀ, key by key
//   m' = max(m, rowmax S)                   (Tq)      row maximum so far
//   P  = 2^(S − m')                         (Tq, Bc)  in place of S
//   α  = 2^(m − m')                         (Tq)      corrects what was accumulated under the old
//   maximum l  = α l + rowsum P                     (Tq)      row sum so far O  = α O + P V (Tq, d)
//   after the last tile: O = O / l
//
// α multiplies O where the tile product loads it, one multiplication for Bc FMAs, so skipping it
// while the maximum stays (FlashAttention-4's conditional rescale) would gain nothing here; 1·O is
// exact. A row's arithmetic depends on d, Tk and the ISA alone: queries are lanes of vectors, every
// sum is one chain over k or over the keys in order, and tiles of keys start at multiples of Bc. A
// row with l = 0 (all scores −inf) has O = 0. NaN in a row of Q, or in any K or V, reaches O. Live
// words: d·Br + Bc·Br of scratch, and Bc·(2d) of K and V per tile. Milakov & Gimelshein 2018
// (online softmax); Dao et al. 2022 (FlashAttention).
#pragma once

#include "kernels/attention/pack_queries.inl.hpp"
#include "kernels/attention/products.inl.hpp"
#include "kernels/kernel_table.hpp"
#include "kernels/math.inl.hpp"

namespace tessera::kernels {
namespace {

constexpr Index kQueryRows = 96;     // Br
constexpr Index kResidentKeys = 64;  // K and V of d = 64 are then 32 KiB: not worth prefetching
constexpr float kLog2E = 1.44269504F;
constexpr float kLowest = -3.40282347e38F;  // stands for −inf in m: S − m is then −inf, not NaN

/// Bc
constexpr Index key_tile(Index /*d*/) noexcept {
  return 128;
}

/// Parts of the caller's scratch, in floats, each a multiple of 16.
struct AttentionScratch {
  float* qt;        // (d, ld)
  float* st;        // (Bc, ld)
  float* m;         // (Br)
  float* l;         // (Br)
  float* alpha;     // (Br)
  float* tile_max;  // (Br), at the end 1/l
  float* window;    // (Bc + Br + 16) biases of the differences in a tile, descending
};

constexpr Index attention_scratch_elements(Index d) noexcept {
  return kQueryRows * d + key_tile(d) * kQueryRows + 4 * kQueryRows + key_tile(d) + kQueryRows + 16;
}

TESSERA_INLINE AttentionScratch split_scratch(float* p, Index d) noexcept {
  AttentionScratch s;
  s.st = p;
  s.qt = s.st + key_tile(d) * kQueryRows;
  s.m = s.qt + d * kQueryRows;
  s.l = s.m + kQueryRows;
  s.alpha = s.l + kQueryRows;
  s.tile_max = s.alpha + kQueryRows;
  s.window = s.tile_max + kQueryRows;
  return s;
}

/// log₂e·bias of keys [j0, j0+bc) as the start of Sᵀ.
///
/// Contiguous positions: bias(i,j) = bias[j − q_begin − i] depends on t = (bc − 1 − j) + i alone,
/// so row j of Sᵀ starts at window + bc − 1 − j: the tile is a window of bc + Tq − 1 values with
/// row stride −1. Columns given: every element is looked up and the tile itself is the start.
TESSERA_INLINE void start_from_bias(const AttentionTask& t, const AttentionScratch& s, Index j0,
                                    Index bc, Scores& product) noexcept {
  const Index ld = product.ld;
  if (t.q_columns == nullptr && t.k_columns == nullptr) {
    const float* last = t.bias + (j0 + bc - 1 - t.q_begin);  // of the last key and the first query
    const Index n = bc + t.Tq - 1;
    for (Index i = 0; i < n; ++i) s.window[i] = kLog2E * last[-i];
    for (Index i = n; i < bc + ld; ++i) s.window[i] = 0.0F;
    product.init = s.window + bc - 1;
    product.ldi = -1;
    return;
  }
  for (Index j = 0; j < bc; ++j) {
    const Index k_column = t.k_columns == nullptr ? j0 + j : t.k_columns[j0 + j];
    float* row = s.st + j * ld;
    for (Index i = 0; i < t.Tq; ++i) {
      const Index q_column = t.q_columns == nullptr ? t.q_begin + i : t.q_columns[i];
      row[i] = kLog2E * t.bias[k_column - q_column];
    }
    for (Index i = t.Tq; i < ld; ++i) row[i] = 0.0F;
  }
  product.init = s.st;
  product.ldi = ld;
}

/// m' = max(m, rowmax S), α = 2^(m − m'), P = 2^(S − m') in place, l = α l + rowsum P.
template <class A>
TESSERA_INLINE void online_softmax(const AttentionScratch& s, Index bc, Index ld) noexcept {
  for (Index i = 0; i < ld; i += kLanes<A>) {
    const F32<A> m_old = load<A>(s.m + i);
    const F32<A> m = vmax<A>(load<A>(s.tile_max + i), m_old);
    const F32<A> alpha = exp2_nonpositive<A>(m_old - m);
    F32<A> sum = splat<A>(0.0F);
    for (Index j = 0; j < bc; ++j) {
      const F32<A> p = exp2_nonpositive<A>(load<A>(s.st + j * ld + i) - m);
      store<A>(s.st + j * ld + i, p);
      sum = sum + p;
    }
    store<A>(s.m + i, m);
    store<A>(s.alpha + i, alpha);
    store<A>(s.l + i, mul_add<A>(alpha, load<A>(s.l + i), sum));
  }
}

/// w = 1/l; a row without keys has l = 0 and O = 0, hence any finite w.
template <class A>
TESSERA_INLINE void reciprocal_of_sums(const AttentionScratch& s, Index ld, float* w) noexcept {
  for (Index i = 0; i < ld; i += kLanes<A>) {
    const F32<A> l = vmax<A>(splat<A>(1.17549435e-38F), load<A>(s.l + i));  // NaN passes
    store<A>(w + i, splat<A>(1.0F) / l);
  }
}

template <class A>
void attention_block(const AttentionTask& t) noexcept {
  if (t.Tk == 0) {
    for (Index i = 0; i < t.Tq; ++i) {
      for (Index n = 0; n < t.d; ++n) t.o[i * t.ldo + n] = 0.0F;
    }
    return;
  }
  const Index Bc = key_tile(t.d);
  const Index ld = round_up(t.Tq, kLanes<A>);
  const AttentionScratch s = split_scratch(t.scratch, t.d);
  pack_queries<A>(t.q, t.ldq, t.Tq, t.d, t.scale * kLog2E, s.qt, ld);  // Q'ᵀ (d, ld)
  for (Index i = 0; i < ld; ++i) {
    s.m[i] = kLowest;
    s.l[i] = 0.0F;
  }
  for (Index j = 0; j < t.Tk; j += Bc) {
    const Index bc = min_of(Bc, t.Tk - j);
    const bool last = j + bc == t.Tk;
    Scores qk{.k = t.k + j * t.ldk,
              .ldk = t.ldk,
              .v = t.v + j * t.ldv,
              .ldv = t.ldv,
              .keys = t.Tk - j,
              .prefetch = t.Tk > kResidentKeys,
              .qt = s.qt,
              .init = nullptr,
              .ldi = 0,
              .st = s.st,
              .tile_max = s.tile_max,
              .d = t.d,
              .ld = ld};
    if (t.bias != nullptr) start_from_bias(t, s, j, bc, qk);
    for (Index i = 0; i < ld; ++i) s.tile_max[i] = kLowest;
    scores<A>(qk, bc);             // S = Q' Kᵀ + log₂e·bias      (bc, ld)
    online_softmax<A>(s, bc, ld);  // P = 2^(S − m'), m, α, l     (bc, ld)
    float* w = s.tile_max;         // free until the next tile
    if (last) reciprocal_of_sums<A>(s, ld, w);
    values<A>({.pt = s.st,
               .v = t.v + j * t.ldv,
               .ldv = t.ldv,
               .o = t.o,
               .ldo = t.ldo,
               .alpha = j == 0 ? nullptr : s.alpha,
               .w = last ? w : nullptr,
               .ld = ld},
              bc, t.Tq, t.d);  // O = α O + P V               (Tq, d)
  }
}

}  // namespace
}  // namespace tessera::kernels
