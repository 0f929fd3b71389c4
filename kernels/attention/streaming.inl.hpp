// SPDX-License-Identifier: Apache-2.0
//
// Streaming attention for up to Br query rows of one head: O = softmax(scale·QKᵀ + bias) V, over
// key tiles of Bc, in log2 units.
//
//   Q' = scale·log₂e·Q              (Tq, d)   once per block, transposed
//   m  = maximum over the first keys (Tq)     reference of the exponents, raised only when needed
//   P  = 2^(Q' Kᵀ + log₂e·bias − m) (Tq, Bc)  stored as Pᵀ, key by key
//   l  = α l + rowsum P             (Tq)      row sum so far
//   O  = α O + P V                  (Tq, d)   α = 1, or 2^(m_old − m) where m was raised
//   after the last tile: O = O / l
//
// The accumulators of a score start from −m, so that P leaves the registers as 2^S: S is never
// stored, and the exponentials of one register tile overlap with the products of the next. The
// result does not depend on m, as long as nothing overflows: only a row whose P of a tile sum up to
// more than kMostSum (or to NaN) has its maximum taken and the tile done again (a rescale by need,
// as in FlashAttention-4). That is decided row by row and keeps all other rows bit for bit.
//
// A row's arithmetic depends on d, Tk and the ISA alone: queries are lanes of vectors, every sum is
// one chain over k or over the keys in order. A row with l = 0 (all scores −inf) has O = 0. NaN in
// a row of Q, or in any K or V, reaches O. Milakov & Gimelshein 2018 (online softmax); Dao et al.
// 2022 (FlashAttention).
#pragma once

#include "kernels/attention/pack_queries.inl.hpp"
#include "kernels/attention/products.inl.hpp"
#include "kernels/kernel_table.hpp"
#include "kernels/math.inl.hpp"

namespace tessera::kernels {
namespace {

constexpr Index kQueryRows = 64;     // Br
constexpr Index kResidentKeys = 64;  // K and V of d = 64 are then 32 KiB: not worth prefetching
constexpr float kMostSum = 0x1p12F;  // of P over a key tile, before the maximum has to move
constexpr float kLog2E = 1.44269504F;
constexpr float kLowest = -3.40282347e38F;  // stands for −inf in m: S − m is then −inf, not NaN

/// Bc
constexpr Index key_tile(Index /*d*/) noexcept {
  return 256;
}

/// Parts of the caller's scratch, in floats, each a multiple of 16.
struct AttentionScratch {
  float* qt;      // (d, ld)
  float* st;      // (Bc, ld)
  float* m;       // (Br)
  float* l;       // (Br)
  float* alpha;   // (Br)
  float* sum;     // (Br), at the end 1/l
  float* again;   // (Bc, V) scores of one vector of queries
  float* window;  // (Bc + Br + 16) biases of the differences in a tile, descending
  float* start;   // (Bc, ld) biases of a tile, where they are looked up one by one
};

constexpr Index attention_scratch_elements(Index d) noexcept {
  return kQueryRows * d + 2 * key_tile(d) * kQueryRows + 4 * kQueryRows + key_tile(d) * 17 +
         kQueryRows + 16;
}

TESSERA_INLINE AttentionScratch split_scratch(float* p, Index d) noexcept {
  AttentionScratch s;
  s.st = p;
  s.qt = s.st + key_tile(d) * kQueryRows;
  s.m = s.qt + d * kQueryRows;
  s.l = s.m + kQueryRows;
  s.alpha = s.l + kQueryRows;
  s.sum = s.alpha + kQueryRows;
  s.again = s.sum + kQueryRows;
  s.window = s.again + key_tile(d) * 16;
  s.start = s.window + key_tile(d) + kQueryRows + 16;
  return s;
}

/// log₂e·bias of keys [j0, j0+bc) as the start of Sᵀ.
///
/// Contiguous positions: bias(i,j) = bias[j − q_begin − i] depends on t = (bc − 1 − j) + i alone,
/// so row j of Sᵀ starts at window + bc − 1 − j: the tile is a window of bc + Tq − 1 values with
/// row stride −1. Columns given: every element is looked up.
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
    float* row = s.start + j * ld;
    for (Index i = 0; i < t.Tq; ++i) {
      const Index q_column = t.q_columns == nullptr ? t.q_begin + i : t.q_columns[i];
      row[i] = kLog2E * t.bias[k_column - q_column];
    }
    for (Index i = t.Tq; i < ld; ++i) row[i] = 0.0F;
  }
  product.init = s.start;
  product.ldi = ld;
}

/// Vector i of queries with the maximum of the whole tile, for the lanes whose sum of P went beyond
/// kMostSum (or is NaN): m' = max(m, rowmax S), α = 2^(m − m'), P = 2^(S − m'). The other lanes
/// keep m and P bit for bit, so that no row depends on its neighbours.
template <class A>
__attribute__((noinline, cold)) void raise_maximum(const AttentionScratch& s, const Scores& t,
                                                   Index bc, Index i) noexcept {
  constexpr Index V = kLanes<A>;
  const F32<A> sum = load<A>(s.sum + i), m_old = load<A>(s.m + i);
  Scores again = t;
  again.qt = t.qt + i;
  if (t.init != nullptr) again.init = t.init + i;
  again.st = s.again;  // (bc, V)
  again.lds = V;
  again.top = s.alpha + i;
  again.prefetch = false;
  store<A>(again.top, splat<A>(kLowest));
  for_each_group(
      bc, kTileRows<A>, [&](Index j0, Index rows) __attribute__((always_inline)) {
        scores_rows<A, Finish::store>(again, j0, rows, 0, V);
      });
  const F32<A> m = select_beyond<A>(sum, kMostSum, vmax<A>(load<A>(again.top), m_old), m_old);
  F32<A> total = splat<A>(0.0F);
  for (Index j = 0; j < bc; ++j) {
    float* st = t.st + j * t.lds + i;
    const F32<A> p =
        select_beyond<A>(sum, kMostSum, exp2<A>(load<A>(s.again + j * V) - m), load<A>(st));
    store<A>(st, p);
    total = total + p;
  }
  store<A>(s.m + i, m);
  store<A>(s.alpha + i, exp2<A>(m_old - m));
  store<A>(s.sum + i, select_beyond<A>(sum, kMostSum, total, sum));
}

/// P of one key tile in st, m, α and l = α l + rowsum P. True if some α differs from 1.
template <class A>
TESSERA_INLINE bool probabilities(const AttentionScratch& s, const Scores& t, Index bc,
                                  bool first) noexcept {
  for (Index i = 0; i < t.ld; ++i) s.sum[i] = 0.0F;
  for_each_group(
      bc, kTileRows<A>, [&](Index j0, Index rows) __attribute__((always_inline)) {
        if (first && j0 == 0) return scores_rows<A, Finish::first>(t, j0, rows, 0, t.ld);
        scores_rows<A, Finish::fused>(t, j0, rows, 0, t.ld);
      });
  bool moved = false;
  for (Index i = 0; i < t.ld; i += kLanes<A>) {
    F32<A> alpha = splat<A>(1.0F);
    if (any_beyond<A>(load<A>(s.sum + i), kMostSum)) {
      if (!moved) {
        for (Index n = 0; n < i; ++n) s.alpha[n] = 1.0F;
      }
      moved = true;
      raise_maximum<A>(s, t, bc, i);
      alpha = load<A>(s.alpha + i);
    } else if (moved) {
      store<A>(s.alpha + i, alpha);
    }
    store<A>(s.l + i, mul_add<A>(alpha, load<A>(s.l + i), load<A>(s.sum + i)));
  }
  return moved;
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
  // Equal tiles: 257 keys are two of 129 and 128, not one of 256 and one of 1.
  const Index tiles = (t.Tk + key_tile(t.d) - 1) / key_tile(t.d);
  const Index ld = round_up(t.Tq, kLanes<A>);
  const AttentionScratch s = split_scratch(t.scratch, t.d);
  pack_queries<A>(t.q, t.ldq, t.Tq, t.d, t.scale * kLog2E, s.qt, ld);  // Q'ᵀ (d, ld)
  for (Index i = 0; i < ld; ++i) {
    s.m[i] = kLowest;
    s.l[i] = 0.0F;
  }
  for (Index tile = 0; tile < tiles; ++tile) {
    const Index j = t.Tk * tile / tiles, bc = t.Tk * (tile + 1) / tiles - j;
    const bool last = tile + 1 == tiles;
    Scores qk{.k = t.k + j * t.ldk,
              .ldk = t.ldk,
              .v = t.v + j * t.ldv,
              .ldv = t.ldv,
              .keys = t.Tk - j,
              .prefetch = t.Tk > kResidentKeys,
              .qt = s.qt,
              .ld = ld,
              .init = nullptr,
              .ldi = 0,
              .st = s.st,
              .lds = ld,
              .m = s.m,
              .top = nullptr,
              .sum = s.sum,
              .d = t.d};
    if (t.bias != nullptr) start_from_bias(t, s, j, bc, qk);
    const bool moved = probabilities<A>(s, qk, bc, j == 0);  // P, m, α, l   (bc, ld)
    float* w = s.sum;                                        // free until the next tile
    if (last) reciprocal_of_sums<A>(s, ld, w);
    values<A>({.pt = s.st,
               .v = t.v + j * t.ldv,
               .ldv = t.ldv,
               .o = t.o,
               .ldo = t.ldo,
               .start = j == 0  ? Start::zero
                        : moved ? Start::scaled
                                : Start::kept,
               .alpha = s.alpha,
               .w = last ? w : nullptr,
               .ld = ld},
              bc, t.Tq, t.d);  // O = α O + P V               (Tq, d)
  }
}

}  // namespace
}  // namespace tessera::kernels
