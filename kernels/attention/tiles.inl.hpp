// SPDX-License-Identifier: Apache-2.0
//
// Attention on a matrix unit: the walk's visitor (walk.hpp) whose products are of tiles of bf16.
//
//   S = Q Kᵀ            (32,64) f32   a unit: queries are rows, as they are of O
//   P = 2^(c·S − m)     (Br,Bc) bf16  c = scale·log₂e; m as in tile.inl.hpp: raised by need
//   O = O + P V         (Br,d)  f32   in tiles; between tiles of keys in scratch
//   after the last tile: O = O/l, rounded to bf16
//
// K and V are packed once per task (tiles_pack.inl.hpp), so a task should be many rows: the whole head
// if there is one worker. A unit of K is multiplied with both strips of a block before the next. The
// scores of a unit come before the exponentials of the one before, so that neither waits for the other
// (`interleaved`: product by product).
//
// A row's arithmetic depends on d, Tk and, under a mask, on where its block begins: rows of a tile are
// independent, units begin at multiples of 64 keys.
#pragma once

#include "kernels/attention/tiles_strip.inl.hpp"

namespace tessera::kernels {
namespace {

template <class A, class E, class Unit>
class TilesSteps {
 public:
  explicit TilesSteps(const AttentionTask& t) noexcept
      : at_{tiles_layout(t.dataflow, t.Tq, t.Tk, t.d)},
        x_{.t = t,
           .keys = reinterpret_cast<const char*>(t.scratch + at_.keys),
           .values = reinterpret_cast<const char*>(t.scratch + at_.values),
           .window = t.scratch + at_.window} {
    const auto [j0, j1] = packed_keys(t);
    if (j0 >= j1) return;
    pack_key_tiles<A, E>(halves(t.k), t.ldk, j0, j1, t.d, t.scratch + at_.keys);
    pack_value_tiles<A, E>(halves(t.v), t.ldv, j0, j1, t.d, t.scratch + at_.values);
  }

  void zero_rows(Index i0, Index i1) const noexcept {
    for (Index i = i0; i < i1; ++i) {
      for (Index n = 0; n < x_.t.d; ++n) x_.t.narrow[i * x_.t.ldn + n] = 0;
    }
  }
  TilesBlock block_at(Index slot, Index i0, Index i1) const noexcept {
    return tiles_block_at(x_.t, at_, slot, i0, i1);
  }
  /// Also: largest scores so far.
  TilesBlock start_block(Index slot, Index i0, Index i1) const noexcept {
    const AttentionTask& t = x_.t;
    const TilesBlock b = block_at(slot, i0, i1);
    pack_query_tiles<A>(halves(t.q) + i0 * t.ldq, t.ldq, b.rows, t.d, b.q);
    fill_words<A>(b.m, kBlockRows, kLowest);
    fill_words<A>(b.sum, b.rows * kTopLanes, kLowest);
    fill_words<A>(b.l, b.rows * kTopLanes, 0.0F);
    if (hides_keys(t) || t.Tk == 0)
      fill_words<A>(b.o, kBlockRows / 16 * column_tiles(t.d) * kTileWords, 0.0F);
    return b;
  }

  // ---- streaming, streaming_keys

  void attend_tile(const TilesBlock& b, const KeyTile& tile) noexcept {
    probabilities<0>(b, tile, chunk_of(b));
    settle(b, tile, chunk_of(b));
    values(b, tile, chunk_of(b));
  }
  void divide_rows(const TilesBlock& b) const noexcept { finish(b); }

  // ---- row-complete

  void add_scores(const TilesBlock& b, Index slot, Index keys, const KeyTile& tile) noexcept {
    set_window(x_.t, b, tile, x_.window);
    for (Index n = 0; n < count_strips(b); ++n) {
      const Strip strip = strip_of(b, n, x_.t.d);
      const KeyRun seen = visible_units(x_.t, strip, tile);
      for (Index u = 0; u < count_units(tile); ++u) {
        float* s = scores(slot, n) + (keys / kUnitKeys + u) * kBlockRows * kUnitKeys;
        if (u < seen.begin || u >= seen.end) {
          fill_words<A>(s, kUnitWords, -kInf);
          continue;
        }
        const Index there = keys_of_unit(tile, u);
        unit_scores<Unit>(x_, strip, tile, u, s, kNothing);
        start_unit<A>(x_.t, b, strip, tile, tile.j0 + u * kUnitKeys, there, x_.window, s, true);
        raise_top<A>(s, strip.rows, round_up(there, 32), 1.0F, strip.sum);
      }
    }
  }
  void softmax(const TilesBlock& b, Index slot, Index keys) const noexcept {
    const KeyTile all{.j0 = 0, .bc = keys, .full = true, .first = true, .last = true};
    for (Index n = 0; n < count_strips(b); ++n) {
      const Strip strip = strip_of(b, n, x_.t.d);
      const Probabilities p = scored(slot, n, 0);
      reduce_rows<A, false>(strip.sum, kTopLanes, strip.rows, strip.m);
      fill_words<A>(strip.sum, strip.rows * kTopLanes, 0.0F);
      for (Index u = 0; u < count_units(all); ++u) {
        const float* s = scores(slot, n) + u * kBlockRows * kUnitKeys;
        unit_exponentials<A, E>(strip, all, u, s, p, 1.0F).drain();
      }
      add_sums<A>(strip);
    }
  }
  static void divide_sums(const TilesBlock&) noexcept {}
  void add_values(const TilesBlock& b, Index slot, Index keys, const KeyTile& tile) const noexcept {
    values(b, tile, scored(slot, 0, keys));
  }

  // ---- interleaved

  void multiply(int, const TilesBlock& b, const KeyTile& tile) noexcept {
    probabilities<2>(b, tile, chunk_of(b));
  }
  static void begin_exponentials(int, const TilesBlock&, const KeyTile&) noexcept {}
  static void drain() noexcept {}
  void add(int, const TilesBlock& b, const KeyTile& tile) noexcept {
    settle(b, tile, chunk_of(b));
    values(b, tile, chunk_of(b));
  }

 private:
  static const std::uint16_t* halves(const void* p) noexcept {
    return static_cast<const std::uint16_t*>(p);
  }
  bool starts(const KeyTile& tile) const noexcept { return tile.first && !hides_keys(x_.t); }

  Probabilities chunk_of(const TilesBlock& b) const noexcept {
    return kernels::chunk_of(x_.t, at_, b);
  }
  float* scores(Index slot, Index strip) const noexcept {
    return scores_of(x_.t, at_, slot, strip);
  }
  Probabilities scored(Index slot, Index strip, Index keys) const noexcept {
    return scored_of(x_.t, at_, slot, strip, keys);
  }

  /// P of a tile, with m as it is. `rows`: of the exponentials of a unit that follow a product of the
  /// next.
  template <int rows>
  void probabilities(const TilesBlock& b, const KeyTile& tile, const Probabilities& p) noexcept {
    set_window(x_.t, b, tile, x_.window);
    float* const chunk = x_.t.scratch + at_.chunk;
    const Index strips = count_strips(b);
    if (!tile.full) {
      for (Index n = 0; n < strips; ++n) {
        online_softmax_of_strip<A, E, Unit>(x_, b, strip_of(b, n, x_.t.d), tile, chunk,
                                            strip_of_chunk(p, n), false);
      }
      return;
    }
    fill_words<A>(b.sum, b.rows * kTopLanes, 0.0F);
    float *s = x_.t.scratch + at_.S, *next = s + kUnitWords;
    UnitExponentials<A, E> waiting{};
    for (Index u = 0; u < count_units(tile); ++u) {
      for (Index n = 0; n < strips; ++n) {
        const Strip strip = strip_of(b, n, x_.t.d);
        unit_scores<Unit>(
            x_, strip, tile, u, s, [&]() __attribute__((always_inline)) {
#pragma GCC unroll 4
              for (int r = 0; r < rows; ++r) {
                if (waiting.left > 0) waiting.one();
              }
            });
        waiting.drain();
        const float c = start_unit<A>(x_.t, b, strip, tile, tile.j0 + u * kUnitKeys,
                                      keys_of_unit(tile, u), x_.window, s, false);
        if (tile.first && u == 0) first_reference<A>(strip, s, c);
        waiting = unit_exponentials<A, E>(strip, tile, u, s, strip_of_chunk(p, n), c);
        float* const free = next;
        next = s;
        s = free;
      }
    }
    waiting.drain();
  }
  void settle(const TilesBlock& b, const KeyTile& tile, const Probabilities& p) const noexcept {
    if (!tile.full) return;
    for (Index n = 0; n < count_strips(b); ++n) {
      settle_sums<A, E, Unit>(x_, b, strip_of(b, n, x_.t.d), tile, x_.t.scratch + at_.chunk,
                              strip_of_chunk(p, n));
    }
  }
  void values(const TilesBlock& b, const KeyTile& tile, const Probabilities& p) const noexcept {
    for (Index n = 0; n < count_strips(b); ++n) {
      strip_values<Unit>(x_, strip_of(b, n, x_.t.d), tile, strip_of_chunk(p, n), starts(tile),
                         kNothing);
    }
    if (tile.last) finish(b);
  }
  void finish(const TilesBlock& b) const noexcept {
    for (Index n = 0; n < count_strips(b); ++n) finish_strip<A, E>(x_.t, strip_of(b, n, x_.t.d));
  }

  TilesLayout at_;
  TilesTask x_;
};

template <class A, class E, class Unit>
void attention_tiles(const AttentionTask& t) noexcept {
  TESSERA_ASSERT(t.Tq >= 1 && t.Tk >= 0 && t.d >= 1 && t.d <= kMaxHeadDim);
  TESSERA_ASSERT(reinterpret_cast<std::uintptr_t>(t.scratch) % 64 == 0);
  TESSERA_ASSERT(t.d % 2 == 0 && t.ldq % 2 == 0 && t.ldk % 2 == 0 && t.narrow != nullptr);
  TilesSteps<A, E, Unit> steps(t);
  walk_tiles_task(t, steps);
}

template <class A, class E, class Unit>
constexpr Attention tiles_attention() noexcept {
  return {.run = attention_tiles<A, E, Unit>,
          .Br = kBlockRows,
          .Bc = kChunkKeys,
          .MR = 32,
          .NR = 32,
          .V = 16,
          .scratch_elements = tiles_scratch,
          .used_elements = tiles_used,
          .bytes = {.qkv = 2, .o = 2},
          .enter = enter_tiles<Unit>,
          .leave = leave_tiles<Unit>,
          .packing_rows = 32,
          .step = kUnitKeys,
          .carried = kTilesCarried};
}

}  // namespace
}  // namespace tessera::kernels
