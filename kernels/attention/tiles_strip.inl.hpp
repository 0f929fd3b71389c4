// SPDX-License-Identifier: Apache-2.0
//
// One strip of query rows against one tile of keys on a matrix unit: S unit by unit, P, and O += P V.
//
// Where all keys of a tile are visible, P is made at once from a unit of S that stays in L1, with the
// reference m of the rows as it is: only a row whose P of the tile sum up to more than kMostSum (in one
// of 16 lanes, or to NaN) has its maximum taken and its strip's tile done again. All other rows keep
// their bits. Under a mask, where a row may see its first key anywhere, S of the whole tile comes
// first, then the maximum: the plain online softmax.
#pragma once

#include "kernels/attention/tiles_exponentials.inl.hpp"
#include "kernels/attention/tiles_pack.inl.hpp"
#include "kernels/attention/tiles_products.inl.hpp"
#include "kernels/attention/tiles_start.inl.hpp"

namespace tessera::kernels {
namespace {

/// What all strips of a task share.
struct TilesTask {
  const AttentionTask& t;
  const char *keys, *values;  // packed, from key 0
  float* window;
};

/// S of unit u as the product leaves it. `between` runs after each product of tiles.
template <class Unit, class Between>
TESSERA_INLINE void unit_scores(const TilesTask& x, const Strip& strip, const KeyTile& tile,
                                Index u, float* s, Between&& between) noexcept {
  const Index steps = depth_tiles(x.t.d), j = tile.j0 + u * kUnitKeys;
  const Index pairs = count_blocks(keys_of_unit(tile, u), 32);
  const char* k = x.keys + j / 16 * steps * 1024;
  if (strip.rows > 16) return score_tiles<Unit, 2>(strip.q, steps, k, pairs, s, between);
  score_tiles<Unit, 1>(strip.q, steps, k, pairs, s, between);
}
inline constexpr auto kNothing = [] {};

/// The exponentials of unit u, to be done. `c` as start_unit has it.
template <class A, class E>
TESSERA_INLINE UnitExponentials<A, E> unit_exponentials(const Strip& strip, const KeyTile& tile,
                                                        Index u, const float* s,
                                                        const Probabilities& p, float c) noexcept {
  return {.s = s,
          .p = p.at + u * p.unit,
          .tile = p.tile,
          .stride = p.row,
          .m = strip.m,
          .sum = strip.sum,
          .c = c,
          .left = strip.rows,
          .halves = count_blocks(keys_of_unit(tile, u), 32)};
}

/// top = max(top, c·S) of a unit, lane by lane.
template <class A>
TESSERA_INLINE void raise_top(const float* s, Index rows, Index keys, float c,
                              float* top) noexcept {
  for (Index i = 0; i < rows; ++i) {
    for (Index v = 0; v < 16; v += kLanes<A>) {
      F32<A> most = load<A>(top + i * kTopLanes + v);
      for (Index j = 0; j < keys; j += 16)
        most = vmax<A>(splat<A>(c) * load<A>(s + i * kUnitKeys + j + v), most);
      store<A>(top + i * kTopLanes + v, most);
    }
  }
}

/// The reference of a strip: the maximum over the first 16 keys of its first unit.
template <class A>
TESSERA_INLINE void first_reference(const Strip& strip, const float* s, float c) noexcept {
  fill_words<A>(strip.sum, strip.rows * kTopLanes, kLowest);
  raise_top<A>(s, strip.rows, 16, c, strip.sum);
  reduce_rows<A, false>(strip.sum, kTopLanes, strip.rows, strip.m);
  fill_words<A>(strip.sum, strip.rows * kTopLanes, 0.0F);
}

/// l += Σ P of the tile.
template <class A>
TESSERA_INLINE void add_sums(const Strip& strip) noexcept {
  for (Index i = 0; i < strip.rows * kTopLanes; i += kLanes<A>)
    store<A>(strip.l + i, load<A>(strip.l + i) + load<A>(strip.sum + i));
}

/// O = α O, l = α l, row by row.
template <class A>
void scale_rows(const Strip& strip, Index d) noexcept {
  for (Index i = 0; i < strip.rows; ++i) {
    if (strip.alpha[i] == 1.0F) continue;
    const F32<A> alpha = splat<A>(strip.alpha[i]);
    for (Index v = 0; v < 16; v += kLanes<A>) {
      float* l = strip.l + i * kTopLanes + v;
      store<A>(l, alpha * load<A>(l));
      for (Index n = 0; n < column_tiles(d); ++n) {
        float* o = strip.o + n * kColumnWords + i / 16 * kTileWords + i % 16 * 16 + v;
        store<A>(o, alpha * load<A>(o));
      }
    }
  }
}

/// P of a tile by online softmax: S of the visible units, m' = max(m, rowmax S), α = 2^(m − m'). With
/// `by_need` only rows move whose sums (of a first try) are beyond kMostSum. Adds to l, scales O.
template <class A, class E, class Unit>
__attribute__((noinline)) void online_softmax_of_strip(const TilesTask& x, const TilesBlock& b,
                                                       const Strip& strip, const KeyTile& tile,
                                                       float* chunk, const Probabilities& p,
                                                       bool by_need) noexcept {
  bool moves[static_cast<std::size_t>(kStripRows)];
  for (Index i = 0; i < strip.rows; ++i) {
    moves[i] = !by_need;
    for (Index v = 0; v < 16; v += kLanes<A>)
      moves[i] |= any_beyond<A>(load<A>(strip.sum + i * kTopLanes + v), kMostSum);
  }
  fill_words<A>(strip.sum, strip.rows * kTopLanes, kLowest);
  const KeyRun units = visible_units(x.t, strip, tile);
  float c[static_cast<std::size_t>(kChunkKeys / kUnitKeys)];
  for (Index u = units.begin; u < units.end; ++u) {
    float* s = chunk + u * kUnitWords;
    const Index keys = keys_of_unit(tile, u);
    unit_scores<Unit>(x, strip, tile, u, s, kNothing);
    c[u] = start_unit<A>(x.t, b, strip, tile, tile.j0 + u * kUnitKeys, keys, x.window, s, false);
    raise_top<A>(s, strip.rows, round_up(keys, 32), c[u], strip.sum);
  }
  float top[static_cast<std::size_t>(kStripRows)];
  reduce_rows<A, false>(strip.sum, kTopLanes, strip.rows, top);
  for (Index i = 0; i < strip.rows; ++i) {
    if (!moves[i] || !(top[i] > strip.m[i])) top[i] = strip.m[i];
  }
  for (Index i = strip.rows; i < round_up(strip.rows, 16); ++i) top[i] = strip.m[i] = 0.0F;
  for (Index i = 0; i < strip.rows; i += kLanes<A>) {
    const F32<A> m = load<A>(top + i);
    store<A>(strip.alpha + i, exp2<A>(load<A>(strip.m + i) - m));
    store<A>(strip.m + i, m);
  }
  scale_rows<A>(strip, x.t.d);
  fill_words<A>(strip.sum, strip.rows * kTopLanes, 0.0F);
  for (Index u = units.begin; u < units.end; ++u)
    unit_exponentials<A, E>(strip, tile, u, chunk + u * kUnitWords, p, c[u]).drain();
  add_sums<A>(strip);
}

/// After P with m as it is: was that right? Adds the sums to l.
template <class A, class E, class Unit>
TESSERA_INLINE void settle_sums(const TilesTask& x, const TilesBlock& b, const Strip& strip,
                                const KeyTile& tile, float* chunk,
                                const Probabilities& p) noexcept {
  F32<A> most = splat<A>(0.0F);
  for (Index i = 0; i < strip.rows * kTopLanes; i += kLanes<A>)
    most = vmax_or_nan<A>(most, load<A>(strip.sum + i));
  if (any_beyond<A>(most, kMostSum)) {
    set_window(x.t, b, tile, x.window);  // interleaved: the other block's is there
    return online_softmax_of_strip<A, E, Unit>(x, b, strip, tile, chunk, p, true);
  }
  add_sums<A>(strip);
}

/// O += P V of a strip; P from unit 0 of the tile on.
template <class Unit, class Between>
TESSERA_INLINE void strip_values(const TilesTask& x, const Strip& strip, const KeyTile& tile,
                                 const Probabilities& p, bool zero, Between&& between) noexcept {
  const KeyRun units = visible_units(x.t, strip, tile);
  if (units.begin >= units.end) return;  // O of a mask begins as zeros
  const Index columns = column_tiles(x.t.d), first = tile.j0 / 32 + 2 * units.begin;
  const Index last = min_of(tile.bc, units.end * kUnitKeys);
  const Index tiles = count_blocks(last - units.begin * kUnitKeys, 32);
  const char* v = x.values + first * columns * 1024;
  Probabilities from = p;
  from.at += units.begin * p.unit;
  const auto part = [&]<int R, int C>(Index n) __attribute__((always_inline)) {
    value_tiles<Unit, R, C>(from, tiles, v + n * 1024, columns * 1024, strip.o + n * kColumnWords,
                            zero, between);
  };
  Index n = 0;
  if (strip.rows > 16) {
    for (; n + 2 <= columns; n += 2) part.template operator()<2, 2>(n);
    if (n < columns) part.template operator()<2, 1>(n);
  } else {
    for (; n + 2 <= columns; n += 2) part.template operator()<1, 2>(n);
    if (n < columns) part.template operator()<1, 1>(n);
  }
}

/// O = O/l, rounded, to where the task wants it. A row without keys has l = 0 and O = 0.
template <class A, class E>
void finish_strip(const AttentionTask& t, const Strip& strip) noexcept {
  reduce_rows<A, true>(strip.l, kTopLanes, strip.rows, strip.alpha);
  for (Index i = 0; i < strip.rows; i += kLanes<A>) {
    const F32<A> l = vmax<A>(splat<A>(1.17549435e-38F), load<A>(strip.alpha + i));  // NaN passes
    store<A>(strip.alpha + i, splat<A>(1.0F) / l);
  }
  for (Index i = 0; i < strip.rows; ++i) {
    const F32<A> w = splat<A>(strip.alpha[i]);
    std::uint16_t* to = t.narrow + (strip.i0 + i) * t.ldn;
    for_each_vector<A>(
        t.d, [&](Index n, Index lanes) __attribute__((always_inline)) {
          const float* o =
              strip.o + n / 16 * kColumnWords + i / 16 * kTileWords + i % 16 * 16 + n % 16;
          E::store_narrow(to + n, lanes, w * load<A>(o));
        });
  }
}

}  // namespace
}  // namespace tessera::kernels
