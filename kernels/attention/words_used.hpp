// SPDX-License-Identifier: Apache-2.0
// What the bf16 family of vectors uses of its scratch, for the model of the bytes.
#pragma once

#include "kernels/attention/layout.hpp"

namespace tessera::kernels {
namespace {

/// Attention::used_elements, vectors of V lanes: P of a tile of keys as words, or S in f32 where exponentials are
/// not taken in registers; V of the tile as words; and of each block with states Q' as words, four numbers a row,
/// and the sums of O.
template <Index V>
constexpr Index words_used(AttentionDataflow dataflow, Index Tq, Index Tk, Index d) noexcept {
  const Index at_once = dataflow == AttentionDataflow::interleaved ? 2 : 1;  // blocks
  const Index groups = count_blocks(Tq, at_once * kQueryRows), vectors = count_blocks(Tq, V);
  // Of the largest block, and of the largest tile:
  const Index rows = count_blocks(count_blocks(vectors, groups), at_once) * V;
  const Index keys = count_blocks(Tk, count_blocks(Tk, kKeyTile));
  const bool layerwise = dataflow == AttentionDataflow::layerwise;
  const bool whole = layerwise || dataflow == AttentionDataflow::flat_head;
  const bool all = whole || dataflow == AttentionDataflow::streaming_keys;
  const Index carried = min_of((all ? groups : at_once) * rows, vectors * V);
  const Index scores = whole ? (layerwise ? 2 : 1) * vectors * V * Tk
                       : dataflow == AttentionDataflow::flat_rows ? rows * Tk
                       : at_once > 1                              ? carried * keys
                                                                  : rows * count_blocks(keys, 2);
  return scores + count_blocks(keys, 2) * d + carried * (d / 2 + 4 + d);
}

}  // namespace
}  // namespace tessera::kernels
