// SPDX-License-Identifier: Apache-2.0
//
// How rows of queries are cut into blocks: by the executor, by the kernels within a task, and by
// the model that counts what they do. Internal to each source, as mask.hpp.
//
// Queries are lanes: a block of 49 rows is multiplied as 64 at 16 lanes. So blocks end at whole
// vectors, and only the last one is ragged: 197 rows are 13 vectors in 4 blocks, 4 + 3 + 3 + 3.
#pragma once

#include "kernels/types.hpp"

namespace tessera::kernels {
namespace {

constexpr Index count_blocks(Index rows, Index most) noexcept {
  return (rows + most - 1) / most;
}

/// First row of block n of `blocks`, in near equal numbers of vectors of V rows; `rows` for
/// n = blocks. A block has at most `most` rows if blocks ≥ ⌈rows/most⌉ and V divides `most`; none
/// is empty if blocks ≤ ⌈rows/V⌉.
constexpr Index first_row(Index rows, Index blocks, Index V, Index n) noexcept {
  const Index vectors = (rows + V - 1) / V;
  const Index begin = (vectors * n + blocks - 1) / blocks * V;
  return begin < rows ? begin : rows;
}

}  // namespace
}  // namespace tessera::kernels
