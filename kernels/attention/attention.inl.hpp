// SPDX-License-Identifier: Apache-2.0
// Attention by the dataflow that the task names, and the scratch of each.
#pragma once

#include "kernels/attention/interleaved.inl.hpp"
#include "kernels/attention/row_complete.inl.hpp"
#include "kernels/attention/streaming.inl.hpp"

namespace tessera::kernels {
namespace {

template <class A>
void attention(const AttentionTask& t) noexcept {
  switch (t.dataflow) {
    case AttentionDataflow::layerwise:
    case AttentionDataflow::flat_head:
    case AttentionDataflow::flat_rows:
      return row_complete<A>(t);
    case AttentionDataflow::streaming:
      return streaming<A>(t);
    case AttentionDataflow::streaming_keys:
      return streaming_keys<A>(t);
    case AttentionDataflow::interleaved:
      return interleaved<A>(t);
  }
}

/// Floats of scratch, a multiple of 16.
constexpr Index attention_scratch(AttentionDataflow dataflow, Index Tq, Index Tk,
                                  Index d) noexcept {
  const Index blocks = count_blocks(Tq, kQueryRows);
  const Index block_cells = round_up(Tk, 16) * kQueryRows;
  switch (dataflow) {
    case AttentionDataflow::layerwise:
      return tile_elements() + blocks * (block_elements(d) + 2 * block_cells);
    case AttentionDataflow::flat_head:
      return tile_elements() + blocks * (block_elements(d) + block_cells);
    case AttentionDataflow::flat_rows:
      return tile_elements() + block_elements(d) + block_cells;
    case AttentionDataflow::streaming:
      return tile_elements() + block_elements(d);
    case AttentionDataflow::streaming_keys:
      return tile_elements() + blocks * block_elements(d);
    case AttentionDataflow::interleaved:
      return tile_elements() + kKeyTile * kQueryRows + 2 * block_elements(d);
  }
  return 0;
}

}  // namespace
}  // namespace tessera::kernels
