// SPDX-License-Identifier: Apache-2.0
//
// Attention on a matrix unit: what the kernel and the replay that touches its memory have in common. Which units of
// a tile of keys are computed, whether anything is added to their scores, and where the parts of a step lie.
#pragma once

#include "kernels/attention/tiles_layout.hpp"
#include "kernels/attention/walk.hpp"

namespace tessera::kernels {
namespace {

constexpr bool hides_keys(const AttentionTask& t) noexcept {
  return !(t.mask == AttentionMask{});
}
/// Keys [begin, end) of a task that are packed; begin is a multiple of a unit.
constexpr KeyRun packed_keys(const AttentionTask& t) noexcept {
  KeyRun seen{0, t.Tk};
  if (hides_keys(t)) seen = visible_keys(t.mask, t.q_begin, t.q_begin + t.Tq - 1, 0, t.Tk);
  if (seen.begin >= seen.end) return {0, 0};
  return {seen.begin / kUnitKeys * kUnitKeys, min_of(round_up(seen.end, kUnitKeys), t.Tk)};
}

/// Units of a tile: 64 keys, the last with what is left.
constexpr Index count_units(const KeyTile& tile) noexcept {
  return count_blocks(tile.bc, kUnitKeys);
}
constexpr Index keys_of_unit(const KeyTile& tile, Index u) noexcept {
  return min_of(tile.bc - u * kUnitKeys, kUnitKeys);
}
/// Units [begin, end) of a tile that rows of a strip see something of.
constexpr KeyRun visible_units(const AttentionTask& t, const Strip& strip,
                               const KeyTile& tile) noexcept {
  if (tile.full) return {0, count_units(tile)};
  const Index q_lo = t.q_begin + strip.i0;
  const KeyRun keys = visible_keys(t.mask, q_lo, q_lo + strip.rows - 1, tile.j0, tile.j0 + tile.bc);
  return {(keys.begin - tile.j0) / kUnitKeys, count_blocks(keys.end - tile.j0, kUnitKeys)};
}

constexpr bool is_biased(const AttentionTask& t) noexcept {
  return t.bias != nullptr || t.slope != 0.0F;
}
constexpr bool is_by_difference(const AttentionTask& t) noexcept {
  return t.dense == nullptr &&
         (!is_biased(t) || (t.q_columns == nullptr && t.k_columns == nullptr));
}
/// Is there anything to add in this tile of keys, but for the end of the keys?
constexpr bool has_start(const AttentionTask& t, const KeyTile& tile) noexcept {
  return !tile.full || is_biased(t) || t.dense != nullptr;
}

/// Block `slot` of the scratch.
inline TilesBlock tiles_block_at(const AttentionTask& t, const TilesLayout& at, Index slot,
                                 Index i0, Index i1) noexcept {
  float* const state = t.scratch + at.states + slot * at.state;
  float* const o = state + kBlockRows / 16 * depth_tiles(t.d) * kTileWords;
  float* const m = o + kBlockRows / 16 * column_tiles(t.d) * kTileWords;
  float* const sum = m + 2 * kBlockRows;
  return {.i0 = i0,
          .rows = i1 - i0,
          .slot = slot,
          .q = reinterpret_cast<char*>(state),
          .o = o,
          .m = m,
          .alpha = m + kBlockRows,
          .sum = sum,
          .l = sum + kBlockRows * kTopLanes};
}
/// Where P of a tile of keys lies: the blocks of a pair have half each.
inline Probabilities chunk_of(const AttentionTask& t, const TilesLayout& at,
                              const TilesBlock& b) noexcept {
  char* const p = reinterpret_cast<char*>(t.scratch + at.P);
  const Index half = t.dataflow == AttentionDataflow::interleaved ? b.slot : 0;
  return {.at = p + half * kStripRows * kChunkKeys * 2,
          .strip = kStripRows * kChunkKeys * 2,
          .unit = 4096,
          .tile = 2048,
          .row = 64};
}
inline Probabilities strip_of_chunk(Probabilities p, Index n) noexcept {
  p.at += n * p.strip;
  return p;
}
/// S of a row-complete block.
inline float* scores_of(const AttentionTask& t, const TilesLayout& at, Index slot,
                        Index strip) noexcept {
  return t.scratch + at.scores + slot * at.scored + strip * kUnitWords;
}
/// P of a row-complete block behind `keys` keys: over the left half of S, or beside it.
inline Probabilities scored_of(const AttentionTask& t, const TilesLayout& at, Index slot,
                               Index strip, Index keys) noexcept {
  const Index unit = keys / kUnitKeys;
  if (t.dataflow == AttentionDataflow::layerwise) {
    char* const p = reinterpret_cast<char*>(t.scratch + at.probabilities + slot * at.scored / 2);
    return {.at = p + (kBlockRows / kStripRows * unit + strip) * 4096,
            .strip = 4096,
            .unit = kBlockRows / kStripRows * 4096,
            .tile = 2048,
            .row = 64};
  }
  char* const p = reinterpret_cast<char*>(scores_of(t, at, slot, strip));
  return {.at = p + unit * 4 * kBlockRows * kUnitKeys,
          .strip = 4 * kUnitWords,
          .unit = 4 * kBlockRows * kUnitKeys,
          .tile = 64,
          .row = 4 * kUnitKeys};
}

template <class Visitor>
void walk_tiles_task(const AttentionTask& t, Visitor& v) noexcept {
  walk_attention(t.dataflow,
                 {.Tq = t.Tq,
                  .Tk = t.Tk,
                  .q_begin = t.q_begin,
                  .mask = t.mask,
                  .Br = kBlockRows,
                  .Bc = kChunkKeys,
                  .V = 16,
                  .step = kUnitKeys,
                  .carried = kTilesCarried},
                 v);
}

}  // namespace
}  // namespace tessera::kernels
