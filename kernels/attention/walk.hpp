// SPDX-License-Identifier: Apache-2.0
//
// The walk of attention over blocks of query rows and tiles of keys, once for all who follow it:
// the kernels (a step computes), the model (a step counts) and the replay (a step touches memory).
// Internal to each source, as mask.hpp.
//
// A visitor has the steps of the dataflows it is called for:
//
//   zero_rows(i0, i1)               rows that see no key
//   start_block(slot, i0, i1)       packs Q', m = lowest, l = 0. Returns the block, whose state lies
//   block_at(slot, i0, i1)          at `slot` of the scratch; the same of a block that was started
//
//   attend_tile(b, tile)            streaming, streaming_keys: P, then O += P V
//   divide_rows(b)                  streaming_keys: O = O/l, after all tiles
//
//   add_scores(b, slot, keys, tile) row-complete: S of a tile behind `keys` keys of S of the block
//   softmax(b, slot, keys)          P of the block
//   divide_sums(b)                  1/l
//   add_values(b, slot, keys, tile) O += P V
//
//   multiply(n, b, tile)            interleaved: S of block n of the pair, between its products the
//                                   exponentials that wait
//   begin_exponentials(n, b, tile)  m, α; the exponentials of S wait
//   drain()                         does those that still wait
//   add(n, b, tile)                 O += P V
#pragma once

#include "kernels/attention/blocks.hpp"
#include "kernels/attention/layout.hpp"
#include "kernels/attention/mask.hpp"

namespace tessera::kernels {
namespace {

/// What a task walks over: queries at positions [q_begin, q_begin+Tq), keys [0, Tk).
struct AttentionWalk {
  Index Tq, Tk, q_begin;
  AttentionMask mask;
  Index Br, Bc, V;                      // most rows of a block, most keys of a tile, lanes
  Index step = 1;                       // tiles begin at multiples of it; it divides Bc
  Index carried = AttentionMask::kAll;  // most blocks that streaming_keys carries at a time

  /// Calls body(n, i0, i1) for blocks of at most `most` rows.
  template <class Body>
  void for_each_block(Index most, Body&& body) const noexcept {
    for_each_block(most, 0, kNoKey, body);
  }
  /// The same for blocks [begin, end) of these.
  template <class Body>
  void for_each_block(Index most, Index begin, Index end, Body&& body) const noexcept {
    const Index blocks = count_blocks(Tq, most);
    for (Index n = begin; n < min_of(blocks, end); ++n)
      body(n, first_row(Tq, blocks, V, n), first_row(Tq, blocks, V, n + 1));
  }
  constexpr KeyTiles tiles(Index i0, Index i1) const noexcept {
    return {mask, q_begin + i0, q_begin + i1 - 1, Tk, Bc, step};
  }
  /// body(keys, tile) for the tiles of a block, behind `keys` keys; returns all keys.
  template <class Body>
  Index for_each_tile(Index i0, Index i1, Body&& body) const noexcept {
    Index keys = 0;
    for (KeyTiles rest = tiles(i0, i1); rest.valid();) {
      const KeyTile tile = rest.take();
      body(keys, tile);
      keys += tile.bc;
    }
    return keys;
  }
};

/// Query-stationary: Q', m, l, O of a block stay, K and V stream.
template <class Visitor>
void walk_streaming(const AttentionWalk& w, Visitor& v) noexcept {
  w.for_each_block(w.Br, [&](Index, Index i0, Index i1) {
    KeyTiles tiles = w.tiles(i0, i1);
    if (!tiles.valid()) return v.zero_rows(i0, i1);
    const auto b = v.start_block(0, i0, i1);
    while (tiles.valid()) v.attend_tile(b, tiles.take());
  });
}

/// Key-stationary: a tile of K and V stays, the blocks stream, and m, l, O of all (or of `carried` at a
/// time) are carried. Under a mask a block takes its runs within the tile.
template <class Visitor>
void walk_streaming_keys(const AttentionWalk& w, Visitor& v) noexcept {
  const Index blocks = count_blocks(w.Tq, w.Br), tiles = count_blocks(w.Tk, w.Bc);
  for (Index from = 0; from < blocks; from += w.carried) {
    const auto for_each = [&](auto&& body) {
      w.for_each_block(w.Br, from, from + w.carried,
                       [&](Index n, Index i0, Index i1) { body(n - from, i0, i1); });
    };
    for_each([&](Index n, Index i0, Index i1) {
      v.start_block(n, i0, i1);
      v.zero_rows(i0, i1);
    });
    for (Index tile = 0; tile < tiles; ++tile) {
      const Index groups = count_blocks(w.Tk, w.step), k0 = groups * tile / tiles * w.step,
                  k1 = min_of(groups * (tile + 1) / tiles * w.step, w.Tk);
      for_each([&](Index n, Index i0, Index i1) {
        const auto b = v.block_at(n, i0, i1);
        const Index q_lo = w.q_begin + i0, q_hi = w.q_begin + i1 - 1;
        const Index first_key = next_groups(w.mask, q_lo, q_hi, 0, w.Tk, w.step).begin;
        for (Index j = k0; j < k1;) {
          const KeyRun run = next_groups(w.mask, q_lo, q_hi, j, k1, w.step);
          if (run.begin == run.end) break;
          v.attend_tile(b,
                        KeyTile{.j0 = run.begin,
                                .bc = run.end - run.begin,
                                .full = all_visible(w.mask, run.begin - q_hi, run.end - 1 - q_lo),
                                .first = run.begin == first_key,
                                .last = false});
          j = run.end;
        }
      });
    }
    for_each([&](Index n, Index i0, Index i1) { v.divide_rows(v.block_at(n, i0, i1)); });
  }
}

/// Rows of S complete before softmax: of all blocks (`whole`), or of one block after another.
template <class Visitor>
void walk_row_complete(const AttentionWalk& w, bool whole, Visitor& v) noexcept {
  const auto scores = [&](Index slot, Index i0, Index i1) {
    const auto b = v.start_block(slot, i0, i1);
    w.for_each_tile(i0, i1, [&](Index keys, const KeyTile& t) { v.add_scores(b, slot, keys, t); });
  };
  const auto softmax = [&](Index slot, Index i0, Index i1) {
    const Index keys = w.for_each_tile(i0, i1, [](Index, const KeyTile&) {});
    v.softmax(v.block_at(slot, i0, i1), slot, keys);
  };
  const auto values = [&](Index slot, Index i0, Index i1) {
    if (!w.tiles(i0, i1).valid()) return v.zero_rows(i0, i1);
    const auto b = v.block_at(slot, i0, i1);
    v.divide_sums(b);
    w.for_each_tile(i0, i1, [&](Index keys, const KeyTile& t) { v.add_values(b, slot, keys, t); });
  };
  if (whole) {
    w.for_each_block(w.Br, scores);
    w.for_each_block(w.Br, softmax);
    w.for_each_block(w.Br, values);
  } else {
    w.for_each_block(w.Br, [&](Index, Index i0, Index i1) {
      scores(0, i0, i1);
      softmax(0, i0, i1);
      values(0, i0, i1);
    });
  }
}

/// Two blocks of rows at a time, a and b, over the tiles that either of them sees:
///
///   S_a(0)
///   per tile t:   S_b(t) with P_a(t) between its products;     O_a += P_a V
///                 S_a(t+1) with P_b(t) likewise;               O_b += P_b V
template <class Visitor>
void walk_interleaved(const AttentionWalk& w, Visitor& v) noexcept {
  w.for_each_block(2 * w.Br, [&](Index, Index i0, Index i1) {
    KeyTiles tiles = w.tiles(i0, i1);
    if (!tiles.valid()) return v.zero_rows(i0, i1);
    const Index mid = i0 + first_row(i1 - i0, 2, w.V, 1);
    const bool two = i1 > mid;
    const auto a = v.start_block(0, i0, mid), b = v.start_block(1, mid, i1);
    KeyTile tile = tiles.take(), next = tile;
    v.multiply(0, a, tile);
    for (;; tile = next) {
      v.begin_exponentials(0, a, tile);
      if (two) v.multiply(1, b, tile);
      v.drain();
      v.add(0, a, tile);
      if (two) v.begin_exponentials(1, b, tile);
      if (!tile.last) {
        next = tiles.take();
        v.multiply(0, a, next);
      }
      v.drain();
      if (two) v.add(1, b, tile);
      if (tile.last) return;
    }
  });
}

template <class Visitor>
void walk_attention(AttentionDataflow dataflow, const AttentionWalk& w, Visitor& v) noexcept {
  switch (dataflow) {
    case AttentionDataflow::layerwise:
    case AttentionDataflow::flat_head:
      return walk_row_complete(w, true, v);
    case AttentionDataflow::flat_rows:
      return walk_row_complete(w, false, v);
    case AttentionDataflow::streaming:
      return walk_streaming(w, v);
    case AttentionDataflow::streaming_keys:
      return walk_streaming_keys(w, v);
    case AttentionDataflow::interleaved:
      return walk_interleaved(w, v);
  }
}

/// The walk of a task of kernels with vectors of V lanes.
template <class Visitor>
void walk_task(const AttentionTask& t, Index V, Visitor& v) noexcept {
  walk_attention(t.dataflow,
                 {.Tq = t.Tq,
                  .Tk = t.Tk,
                  .q_begin = t.q_begin,
                  .mask = t.mask,
                  .Br = kQueryRows,
                  .Bc = kKeyTile,
                  .V = V},
                 v);
}

/// The register tiles of S of a block at position q0 and keys [j0, j0+bc): body(j, keys, i, end,
/// visible) for keys [j, j+keys) of the tile and queries [i, end) of the block, whether some of
/// these see some of those or not.
template <class Body>
void for_each_score_tile(const AttentionMask& mask, Index q0, Index rows, Index V, Index j0,
                         Index bc, Body&& body) noexcept {
  const Index ld = round_up(rows, V);
  for_each_group(bc, tile_rows(V), [&](Index j, Index keys) {
    for (Index i = 0; i < ld; i += kTileVectors * V) {
      const Index end = min_of(i + kTileVectors * V, ld), q_hi = q0 + min_of(end, rows) - 1;
      body(j, keys, i, end, any_visible(mask, j0 + j - q_hi, j0 + j + keys - 1 - q0 - i));
    }
  });
}

}  // namespace
}  // namespace tessera::kernels
