// SPDX-License-Identifier: Apache-2.0
//
// One block of query rows against one tile of keys, the step that all dataflows are made of: where
// S starts from (bias, mask), P by the fused tile product or in two steps, and O += P V.
//
// The accumulators of a score start from −m, so that P leaves the registers as 2^S: S is never
// stored, and the exponentials of one register tile overlap with the products of the next. The
// result does not depend on m, as long as nothing overflows: only a row whose P of a tile sum up to
// more than kMostSum (or to NaN) has its maximum taken and the tile done again (a rescale by need,
// as in FlashAttention-4). That is decided row by row and keeps all other rows bit for bit.
#pragma once

#include "kernels/attention/pack_queries.inl.hpp"
#include "kernels/attention/products.inl.hpp"
#include "kernels/attention/value_words.inl.hpp"
#include "kernels/attention/walk.hpp"
#include "kernels/simd/math.inl.hpp"

namespace tessera::kernels {
namespace {

constexpr Index kResidentKeys = 64;  // K and V of d = 64 are then 32 KiB: not worth prefetching
constexpr float kMostSum = 0x1p12F;  // of P over a key tile, before the maximum has to move
constexpr float kLog2E = 1.44269504F;
constexpr float kLowest = -3.40282347e38F;  // stands for −inf in m: S − m is then −inf, not NaN

/// Row i of Q, K or V, in words.
template <class E>
TESSERA_INLINE const float* row_of(const void* x, Index ld, Index i) noexcept {
  return static_cast<const float*>(x) + i * (ld / E::kKR);
}

/// Packs Q'ᵀ; m = lowest, l = 0.
template <class A, class E>
void start_block(const AttentionTask& t, const Block& b) noexcept {
  pack_queries<A, E>(row_of<E>(t.q, t.ldq, b.i0), t.ldq / E::kKR, b.rows, t.d / E::kKR,
                     t.scale * kLog2E, b.qt, b.ld);
  for (Index i = 0; i < b.ld; ++i) {
    b.m[i] = kLowest;
    b.l[i] = 0.0F;
  }
}

// ---- What S starts from -------------------------------------------------------------------------

/// log₂e·(bias − slope·|r|) of the column difference r.
TESSERA_INLINE float bias_at(const AttentionTask& t, Index r) noexcept {
  float b = t.bias == nullptr ? 0.0F : t.bias[r];
  if (t.slope != 0.0F) b -= t.slope * static_cast<float>(r < 0 ? -r : r);
  return kLog2E * b;
}

/// Sets the start of Sᵀ for keys [j0, j0+bc): bias, and −inf for hidden keys.
///
/// Without columns and dense bias it depends on the difference alone: on t = (bc − 1 − j) + i, so
/// row j of Sᵀ starts at window + bc − 1 − j: a window of bc + rows − 1 values with row stride −1.
/// A dense bias alone is turned over as the queries are. Else every element is looked up.
template <class A>
TESSERA_INLINE void set_start(const AttentionTask& t, const TileScratch& s, const Block& b,
                              Index j0, Index bc, bool full, Scores& product) noexcept {
  product.init = nullptr;
  product.ldi = 0;
  const bool biased = t.bias != nullptr || t.slope != 0.0F;
  if (full && !biased && t.dense == nullptr) return;
  const Index q0 = t.q_begin + b.i0;
  if (t.dense == nullptr && (!biased || (t.q_columns == nullptr && t.k_columns == nullptr))) {
    const Index last = j0 + bc - 1 - q0;  // difference of the last key and the first query
    const Index n = bc + b.rows - 1;
    for (Index i = 0; i < n; ++i) {
      const Index r = last - i;
      s.window[i] = !full && !is_visible(t.mask, r) ? -kInf : biased ? bias_at(t, r) : 0.0F;
    }
    for (Index i = n; i < bc + b.ld; ++i) s.window[i] = 0.0F;
    product.init = s.window + bc - 1;
    product.ldi = -1;
    return;
  }
  product.init = s.start;
  product.ldi = b.ld;
  if (full && !biased) {
    return pack_queries<A, F32Elements<A>>(t.dense + b.i0 * t.ld_dense + j0, t.ld_dense, b.rows, bc,
                                           kLog2E, s.start, b.ld);
  }
  for (Index j = 0; j < bc; ++j) {
    const Index k_column = t.k_columns == nullptr ? j0 + j : t.k_columns[j0 + j];
    float* row = s.start + j * b.ld;
    for (Index i = 0; i < b.rows; ++i) {
      const Index q_column = t.q_columns == nullptr ? q0 + i : t.q_columns[b.i0 + i];
      float x = biased ? bias_at(t, k_column - q_column) : 0.0F;
      if (t.dense != nullptr) x += kLog2E * t.dense[(b.i0 + i) * t.ld_dense + j0 + j];
      row[i] = full || is_visible(t.mask, j0 + j - q0 - i) ? x : -kInf;
    }
    for (Index i = b.rows; i < b.ld; ++i) row[i] = 0.0F;
  }
}

template <class A, class E>
TESSERA_INLINE Scores scores_of(const AttentionTask& t, const Block& b, const TileScratch& s,
                                const KeyTile& tile) noexcept {
  const Index j0 = tile.j0;
  Scores product{.k = row_of<E>(t.k, t.ldk, j0),
                 .ldk = t.ldk / E::kKR,
                 .v = row_of<E>(t.v, t.ldv, j0),
                 .ldv = t.ldv / E::kKR,
                 .keys = t.Tk - j0,
                 .prefetch = t.Tk > kResidentKeys,
                 .qt = b.qt,
                 .ld = b.ld,
                 .init = nullptr,
                 .ldi = 0,
                 .st = s.st,
                 .lds = b.ld,
                 .m = b.m,
                 .top = b.alpha,
                 .sum = b.sum,
                 .d = t.d / E::kKR,
                 .c = t.scale * kLog2E};
  set_start<A>(t, s, b, j0, tile.bc, tile.full, product);
  return product;
}

// ---- S of a tile, S and P in two steps ----------------------------------------------------------

/// Sᵀ of bc keys in p.st and its maximum over the keys in p.top. Register tiles that the mask hides
/// are −inf without a multiplication.
template <class A, class E>
void masked_scores(const AttentionTask& t, const Block& b, const Scores& p, Index j0,
                   Index bc) noexcept {
  constexpr Index V = kLanes<A>;
  for (Index i = 0; i < b.ld; ++i) p.top[i] = kLowest;
  for_each_score_tile(t.mask, t.q_begin + b.i0, b.rows, V, j0, bc,
                      [&](Index j, Index keys, Index i, Index end, bool visible) {
                        if (visible) return scores_rows<A, E, Finish::store>(p, j, keys, i, end);
                        for (Index n = j; n < j + keys; ++n) {
                          for (Index x = i; x < end; x += V)
                            store<A>(p.st + n * p.lds + x, splat<A>(-kInf));
                        }
                      });
}

/// m' = max(m, rowmax S), α = 2^(m − m'), P = 2^(S − m') in place, l = α l + rowsum P.
template <class A, class E>
TESSERA_INLINE void online_softmax(const Block& b, const Scores& t, Index bc) noexcept {
  for (Index i = 0; i < b.ld; i += kLanes<A>) {
    const F32<A> m_old = load<A>(b.m + i);
    const F32<A> m = vmax<A>(load<A>(t.top + i), m_old);
    const F32<A> alpha = exp2<A>(m_old - m);
    F32<A> sum = splat<A>(0.0F);
    for (Index j = 0; j < bc; ++j) {
      const F32<A> p = exp2_of<A, E>(load<A>(t.st + j * t.lds + i) - m);
      store<A>(t.st + j * t.lds + i, p);
      sum = sum + p;
    }
    store<A>(b.m + i, m);
    store<A>(b.alpha + i, alpha);
    store<A>(b.l + i, mul_add<A>(alpha, load<A>(b.l + i), sum));
  }
}

// ---- P of a tile in one step --------------------------------------------------------------------

/// Vector i of queries with the maximum of the whole tile, for the lanes whose sum of P went beyond
/// kMostSum (or is NaN): m' = max(m, rowmax S), α = 2^(m − m'), P = 2^(S − m'). The other lanes
/// keep m and P bit for bit, so that no row depends on its neighbours.
template <class A, class E>
__attribute__((noinline, cold)) void raise_maximum(const Block& b, const Scores& t, float* scratch,
                                                   Index bc, Index i) noexcept {
  constexpr Index V = kLanes<A>;
  const F32<A> sum = load<A>(b.sum + i), m_old = load<A>(b.m + i);
  Scores again = t;
  again.qt = t.qt + i;
  if (t.init != nullptr) again.init = t.init + i;
  again.st = scratch;  // (bc, V)
  again.lds = V;
  again.top = b.alpha + i;
  again.prefetch = false;
  store<A>(again.top, splat<A>(kLowest));
  for_each_group(
      bc, kTileRows<A>, [&](Index j0, Index rows) __attribute__((always_inline)) {
        scores_rows<A, E, Finish::store>(again, j0, rows, 0, V);
      });
  const F32<A> m = select_beyond<A>(sum, kMostSum, vmax<A>(load<A>(again.top), m_old), m_old);
  F32<A> total = splat<A>(0.0F);  // of the lanes whose m moves
  const auto probability = [&](Index j) __attribute__((always_inline)) {
    const F32<A> p = j < bc ? exp2_of<A, E>(load<A>(scratch + j * V) - m) : splat<A>(0.0F);
    total = total + p;
    return p;
  };
  for (Index j = 0; j < bc; j += E::kKR) {
    float* st = t.st + j / E::kKR * t.lds + i;
    F32<A> words = probability(j);
    if constexpr (E::kKR > 1) words = E::pair(words, probability(j + 1));
    store<A>(st, select_beyond<A>(sum, kMostSum, words, load<A>(st)));
  }
  store<A>(b.m + i, m);
  store<A>(b.alpha + i, exp2<A>(m_old - m));
  store<A>(b.sum + i, select_beyond<A>(sum, kMostSum, total, sum));
}

/// P of one key tile in st, as words, m, α and l = α l + rowsum P. True if some α differs from 1.
template <class A, class E>
TESSERA_INLINE bool fused_probabilities(const Block& b, const Scores& t, float* again, Index bc,
                                        bool first) noexcept {
  for (Index i = 0; i < b.ld; ++i) b.sum[i] = 0.0F;
  for_each_group_of_keys<A, E>(
      bc, [&](Index j0, Index rows) __attribute__((always_inline)) {
        if (first && j0 == 0) return scores_rows<A, E, Finish::first>(t, j0, rows, 0, b.ld);
        scores_rows<A, E, Finish::fused>(t, j0, rows, 0, b.ld);
      });
  bool moved = false;
  for (Index i = 0; i < b.ld; i += kLanes<A>) {
    F32<A> alpha = splat<A>(1.0F);
    if (any_beyond<A>(load<A>(b.sum + i), kMostSum)) {
      if (!moved) {
        for (Index n = 0; n < i; ++n) b.alpha[n] = 1.0F;
      }
      moved = true;
      raise_maximum<A, E>(b, t, again, bc, i);
      alpha = load<A>(b.alpha + i);
    } else if (moved) {
      store<A>(b.alpha + i, alpha);
    }
    store<A>(b.l + i, mul_add<A>(alpha, load<A>(b.l + i), load<A>(b.sum + i)));
  }
  return moved;
}

// ---- O ------------------------------------------------------------------------------------------

/// O = (α O + P V)·w of a block. Under a mask, each group of rows takes the keys from its first to
/// its last visible one. What is multiplied is E's: P and V as they are, or their pairs of keys. `of_words`: pt has
/// these.
template <class A, class E>
void add_values(const AttentionTask& t, const Block& b, const TileScratch& s, float* pt,
                const KeyTile& tile, Start start, bool of_words = false) noexcept {
  const Index pairs = E::kKR;
  const ValueWords v = values_of<A, E>(t, s, pt, b.ld, tile, of_words);
  Values product{.pt = pt,
                 .v = v.v,
                 .ldv = v.ldv,
                 .o = b.o,
                 .ldo = b.ldo,
                 .start = tile.first ? Start::zero : start,
                 .alpha = b.alpha,
                 .w = tile.last ? b.sum : nullptr,
                 .ld = b.ld};
  const auto words = [&](Index keys) { return (keys + pairs - 1) / pairs; };
  if (tile.full) return values<A, E>(product, words(tile.bc), 0, b.rows, t.d);
  for_each_group(b.rows, kTileRows<A>, [&](Index i, Index rows) {
    const Index q_lo = t.q_begin + b.i0 + i;
    const KeyRun keys = visible_keys(t.mask, q_lo, q_lo + rows - 1, tile.j0, tile.j0 + tile.bc);
    const Index first = (keys.begin - tile.j0) / pairs, end = words(keys.end - tile.j0);
    Values part = product;
    part.pt = pt + first * b.ld;
    part.v = product.v + first * product.ldv;
    values<A, E>(part, end - first, i, i + rows, t.d);
  });
}

/// sum = 1/l; a row without keys has l = 0 and O = 0, hence any finite one.
template <class A>
TESSERA_INLINE void reciprocal_of_sums(const Block& b) noexcept {
  for (Index i = 0; i < b.ld; i += kLanes<A>) {
    const F32<A> l = vmax<A>(splat<A>(1.17549435e-38F), load<A>(b.l + i));  // NaN passes
    store<A>(b.sum + i, splat<A>(1.0F) / l);
  }
}

/// One key tile of one block: P, then O += P V.
template <class A, class E>
void attend_tile(const AttentionTask& t, const Block& b, const TileScratch& s,
                 const KeyTile& tile) noexcept {
  const Scores product = scores_of<A, E>(t, b, s, tile);
  bool moved = true;
  if (tile.full) {
    moved = fused_probabilities<A, E>(b, product, s.again, tile.bc, tile.first);
  } else {
    masked_scores<A, E>(t, b, product, tile.j0, tile.bc);
    online_softmax<A, E>(b, product, tile.bc);
  }
  if (tile.last) reciprocal_of_sums<A>(b);  // b.sum is free until the next tile
  add_values<A, E>(t, b, s, s.st, tile, moved ? Start::scaled : Start::kept, tile.full);
}

/// O = O/l.
template <class A>
void divide_rows(const AttentionTask& t, const Block& b) noexcept {
  reciprocal_of_sums<A>(b);
  for (Index i = 0; i < b.rows; ++i) {
    float* o = b.o + i * b.ldo;
    const F32<A> w = splat<A>(b.sum[i]);
    for_each_vector<A>(
        t.d, [&](Index n, Index lanes) __attribute__((always_inline)) {
          store_n<A>(o + n, lanes, load_n<A>(o + n, lanes) * w);
        });
  }
}

}  // namespace
}  // namespace tessera::kernels
