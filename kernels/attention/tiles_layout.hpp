// SPDX-License-Identifier: Apache-2.0
//
// Attention on a matrix unit: sizes, and where its scratch lies.
//
//   strip   32 query rows: two tiles of Q, P or O above one another
//   unit    a strip of S against 64 keys, (32,64) f32: what is computed, and made P, at a time
//   block   a strip (Br = 32); tile of keys: at most eight units (Bc = 512), from a multiple of 64
//
//   keys    K, packed (⌈Tk/16⌉, ⌈d/32⌉) tiles: 16 pairs of d × 16 keys
//   values  V, packed (⌈Tk/32⌉, ⌈d/16⌉) tiles: 16 pairs of keys × 16 columns
//   S       two units; or of a strip against a tile of keys, where m is not known before all are there
//   P       (Br, Bc) bf16: per strip and 32 keys two tiles
//   states  of each block: Q (tiles), O (tiles of f32), m, α, sum, l
//   scores  row-complete: S of a block, unit by unit; P in place, or (layerwise) beside it
//
// Everything that a product reads is tiles of 1 KiB, one row of 64 bytes after another.
#pragma once

#include "kernels/attention/layout.hpp"

namespace tessera::kernels {
namespace {

inline constexpr Index kStripRows = 32, kUnitKeys = 64;
inline constexpr Index kBlockRows = 32, kChunkKeys = 512;  // Br, Bc
inline constexpr Index kTilesCarried = 32;                 // blocks of streaming_keys: 1024 rows
inline constexpr Index kTileWords = 256;                   // 1 KiB
inline constexpr Index kColumnWords = kBlockRows / 16 * kTileWords;  // of O: 16 columns of a block
inline constexpr Index kUnitWords = kStripRows * kUnitKeys;
inline constexpr Index kTopLanes = 16;  // partial maxima and sums of a row

/// Tiles over d: of Q and K, of V and O.
constexpr Index depth_tiles(Index d) noexcept {
  return (d + 31) / 32;
}
constexpr Index column_tiles(Index d) noexcept {
  return (d + 15) / 16;
}

/// Where the parts of the scratch begin, in words.
struct TilesLayout {
  Index keys, values, S, chunk, P, window, states, scores, probabilities, end;
  Index state;   // words of a block's state
  Index scored;  // words of S, or of P beside it, of a block
};
constexpr TilesLayout tiles_layout(AttentionDataflow dataflow, Index Tq, Index Tk,
                                   Index d) noexcept {
  const Index blocks = count_blocks(Tq, kBlockRows), units = count_blocks(Tk, kUnitKeys);
  const bool layerwise = dataflow == AttentionDataflow::layerwise;
  const bool whole = layerwise || dataflow == AttentionDataflow::flat_head;
  const Index states = whole ? blocks
                       : dataflow == AttentionDataflow::streaming_keys
                           ? min_of(blocks, kTilesCarried)
                       : dataflow == AttentionDataflow::interleaved ? 2
                                                                    : 1;
  const Index scored = whole ? blocks : dataflow == AttentionDataflow::flat_rows ? 1 : 0;
  TilesLayout at{};
  at.state = kBlockRows / 16 * (depth_tiles(d) + column_tiles(d)) * kTileWords +
             kBlockRows * (2 + 2 * kTopLanes);
  at.scored = units * kBlockRows * kUnitKeys;
  at.keys = 0;
  at.values = at.keys + units * 4 * depth_tiles(d) * kTileWords;
  at.S = at.values + units * 2 * column_tiles(d) * kTileWords;
  at.chunk = at.S + 2 * kUnitWords;
  at.P = at.chunk + kChunkKeys / kUnitKeys * kUnitWords;
  at.window =
      at.P + (dataflow == AttentionDataflow::interleaved ? 2 : 1) * kBlockRows * kChunkKeys / 2;
  at.states = at.window + kBlockRows + kChunkKeys + kUnitKeys;
  at.scores = at.states + states * at.state;
  at.probabilities = at.scores + scored * at.scored;
  at.end = at.probabilities + (layerwise ? scored * at.scored / 2 : 0);
  return at;
}

/// Attention::scratch_elements: a multiple of 16.
constexpr Index tiles_scratch(AttentionDataflow dataflow, Index Tq, Index Tk, Index d) noexcept {
  return tiles_layout(dataflow, Tq, Tk, d).end;
}

/// Attention::used_elements: all but the room for S of a tile of keys, and what lies beyond the last key or the
/// last row.
constexpr Index tiles_used(AttentionDataflow dataflow, Index Tq, Index Tk, Index d) noexcept {
  const Index keys = round_up(Tk, 32), tiles = count_blocks(Tq, 16);  // of 16 rows
  const Index packed =
      keys / 16 * depth_tiles(d) * kTileWords + keys / 32 * column_tiles(d) * kTileWords;
  const auto states = [&](Index blocks, Index rows) {
    return rows / 16 * (depth_tiles(d) + column_tiles(d)) * kTileWords + rows * 2 * kTopLanes +
           blocks * 2 * kBlockRows;
  };
  const bool layerwise = dataflow == AttentionDataflow::layerwise;
  const bool whole = layerwise || dataflow == AttentionDataflow::flat_head;
  if (whole || dataflow == AttentionDataflow::flat_rows) {
    const Index rows = 16 * (whole ? tiles : min_of(2, tiles));
    return packed + states(count_blocks(rows, kBlockRows), rows) + rows * keys +
           (layerwise ? rows * keys / 2 : 0);
  }
  const bool pairs = dataflow == AttentionDataflow::interleaved;
  const Index of_tile = round_up(count_blocks(keys, count_blocks(Tk, kChunkKeys)), 32);
  const Index rows = 16 * min_of(2, pairs ? count_blocks(tiles, 2) : tiles);  // of a block
  const Index blocks = pairs ? min_of(2, tiles)
                       : dataflow == AttentionDataflow::streaming_keys
                           ? min_of(count_blocks(Tq, kBlockRows), kTilesCarried)
                           : 1;
  return packed + states(blocks, blocks * rows) + rows * min_of(of_tile, 2 * kUnitKeys) +
         (pairs ? blocks : 1) * rows * of_tile / 2;
}

/// P as the product with V reads it, in bytes from `at`: rows of 32 keys.
struct Probabilities {
  char* at;
  Index strip, unit, tile, row;  // from a strip, from 64 keys, from 32 keys, from a row to the next
};

/// What is carried from tile to tile of keys for one block of rows. Parts of the caller's scratch.
struct TilesBlock {
  Index i0, rows;  // rows [i0, i0+rows) of the task
  Index slot;
  char* q;       // (strips, ⌈d/32⌉, 2) tiles
  float* o;      // (⌈d/16⌉, 4) tiles
  float* m;      // (Br) reference of the exponents
  float* alpha;  // (Br) 2^(m_old − m)
  float* sum;    // (Br, 16) of this tile of keys; before: largest scores
  float* l;      // (Br, 16) row sums so far
};

/// A strip of a block: its rows are i0 + (0 … rows−1) of the task. O is two of every four tiles.
struct Strip {
  Index i0, rows;
  const char* q;
  float *o, *m, *alpha, *sum, *l;
};
constexpr Index count_strips(const TilesBlock& b) noexcept {
  return count_blocks(b.rows, kStripRows);
}
constexpr Strip strip_of(const TilesBlock& b, Index n, Index d) noexcept {
  const Index row = n * kStripRows;
  return {.i0 = b.i0 + row,
          .rows = min_of(b.rows - row, kStripRows),
          .q = b.q + n * 2 * depth_tiles(d) * 1024,
          .o = b.o + n * 2 * kTileWords,
          .m = b.m + row,
          .alpha = b.alpha + row,
          .sum = b.sum + row * kTopLanes,
          .l = b.l + row * kTopLanes};
}

}  // namespace
}  // namespace tessera::kernels
