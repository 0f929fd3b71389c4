// SPDX-License-Identifier: Apache-2.0
//
// A mixture of experts (execute/experts.cpp), a block of rows at a time by one worker. For each expert the rows of the block
// that chose it are gathered, multiplied twice, and added to the block's result:
//
//   for each expert e, in order
//     A (m,H)   = rows of in that chose e
//     U (m,F)   = act(A · up_eᵀ)
//     D (m,H)   = U · down_eᵀ
//     out[i]   += w_e(i) · D[row of i]
//
// A block reads the weights of every expert that a row of it chose; more rows a block read them less
// often, and its scratch is the room for m rows of A, U and D.
#pragma once

#include <algorithm>

#include "runtime/plan/memory_plan.hpp"
#include "runtime/program/program.hpp"

namespace tessera {

/// Most rows of a block.
inline constexpr Index kExpertRows = 512;

struct ExpertShape {
  Index H, F, experts, top;
};

inline ExpertShape expert_shape(const Program& program, const ExpertsOp& op) noexcept {
  const Parameter& up = program.parameters[at(op.up.front())];
  return {.H = up.cols, .F = up.rows, .experts = std::ssize(op.up), .top = op.top};
}

/// Blocks of `rows` rows for so many workers.
inline Index expert_blocks(Index rows, int workers) noexcept {
  const Index least = ceil_div(rows, kExpertRows);
  return std::min(rows, ceil_div(least, Index{workers}) * workers);
}

/// Floats of a worker's scratch: A, U and D of a block, with rows that a unit may read beyond, and what
/// its rows chose.
inline Index expert_scratch(const ExpertShape& shape, Index rows, Index rows_read) noexcept {
  const Index m = std::min(rows, kExpertRows) + rows_read;
  const Index strides = 2 * activation_stride(shape.H) + activation_stride(shape.F);
  return m * (strides + 2 * shape.top) + shape.experts;
}

}  // namespace tessera
