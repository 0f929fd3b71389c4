// SPDX-License-Identifier: Apache-2.0
//
// Where every value lives: offsets in one arena, from lifetimes.
//
// A buffer is live from the op that writes it to the last op that reads it. Buffers that are live
// at the same time never overlap; an op that may work in place (activation, add, layer norm, a
// residual) takes over the buffer of an input that dies with it. Offsets are assigned largest
// first, each at the lowest place that no overlapping lifetime occupies (greedy by size: Pisarchyk
// & Lee 2020).
//
// A chain (chain.hpp) runs all its ops on one block before the next: what it reads is live until its
// last op, for the rows of other blocks. What one of its ops
// reads for the last time may still be overwritten by a later one, row for row. A value that the chain
// alone uses lives in the memory of each worker's block; in the arena it has as many rows as batches
// have that are computed op by op.
//
// A linear and the ops in its tiles (tile_ops.hpp) are one op here: it writes the value of the last of
// them, and those between have no memory.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "runtime/plan/plan.hpp"
#include "runtime/program/program.hpp"

namespace tessera {

/// Row stride of an activation matrix of `width` columns, in elements: whole 64-byte lines, and an odd number of
/// them, so that the rows of a register tile spread over all L1 sets whatever the width (1024 would
/// put every row into the same one). A quantised row holds its scale as well.
constexpr Index activation_stride(Index width, DType type = DType::f32) noexcept {
  const Index bytes =
      is_quantized(type) ? scale_offset(width, type) + Index{sizeof(float)} : width * size_of(type);
  return 64 / size_of(type) * ((bytes + 63) / 64 | 1);
}

struct MemorySlot {
  std::size_t offset = 0;  ///< bytes from the start of the arena; a multiple of 64
  std::size_t bytes = 0;
  std::size_t first_op = 0, last_op = 0;  ///< live during [first_op, last_op]
  static constexpr std::size_t kNowhere = ~std::size_t{0};
  std::size_t in_block = kNowhere;  ///< where a chain has it, from the start of a block's memory
  bool in_tiles = false;            ///< between ops in the tiles of a linear: it has no memory
};

struct MemoryPlan {
  std::vector<MemorySlot> slots;  ///< one per value of the program
  std::size_t bytes = 0;          ///< size of the arena
  std::size_t lower_bound = 0;    ///< most bytes live at one op: no plan can need less
  std::size_t block_bytes = 0;    ///< of the block of one worker
};

/// `schedule`: one per op, or empty: without chains. `holds_columns`: the places of pooled linears' largest
/// columns are as large as all columns (pooled_linear.hpp).
MemoryPlan plan_memory(const Program& program, Index max_rows, Index max_sequences,
                       std::span<const OpSchedule> schedule = {}, bool holds_columns = false);

/// One line per value: offset, bytes, lifetime.
std::string to_string(const MemoryPlan& plan, const Program& program);

}  // namespace tessera
