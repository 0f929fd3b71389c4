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
// A and U are of the type that the experts multiply: U is written as bf16, or as f32 and made whole numbers
// row by row. A block reads the weights of every expert that a row of it chose; more rows a block read them less
// often, and its scratch is the room for m rows of A, U and D.
#pragma once

#include <algorithm>
#include <utility>

#include "runtime/plan/memory_plan.hpp"
#include "runtime/program/program.hpp"

namespace tessera {

/// Most rows of a block.
inline constexpr Index kExpertRows = 512;

struct ExpertShape {
  Index H, F, experts, top;
  Precision precision;
};

inline ExpertShape expert_shape(const Program& program, const ExpertsOp& op) noexcept {
  const Parameter& up = program.parameters[at(op.up.front())];
  return {.H = up.cols,
          .F = up.rows,
          .experts = std::ssize(op.up),
          .top = op.top,
          .precision = up.precision};
}

/// Blocks of `rows` rows for so many workers.
inline Index expert_blocks(Index rows, int workers) noexcept {
  const Index least = ceil_div(rows, kExpertRows);
  return std::min(rows, ceil_div(least, Index{workers}) * workers);
}

/// Where the parts of a worker's scratch begin, in floats: A, U and D of a block, with rows that a unit may read
/// beyond, and what its rows chose. `whole`: U as whole numbers; `u` is f32 then.
struct ExpertScratch {
  Index a = 0, u = 0, whole = 0, d = 0, choices = 0, left = 0, end = 0;
};
/// `type`: of the rows of in.
inline ExpertScratch expert_scratch(const ExpertShape& shape, DType type, Index rows,
                                    Index rows_read) noexcept {
  const Index m = std::min(rows, kExpertRows) + rows_read;
  ExpertScratch at;
  const auto reserve = [&](Index width, DType of) {
    const Index floats = activation_stride(width, of) * size_of(of) / Index{sizeof(float)};
    return std::exchange(at.end, at.end + m * floats);
  };
  at.a = reserve(shape.H, type);
  at.u = reserve(shape.F, is_quantized(type) ? DType::f32 : type);
  if (is_quantized(type)) at.whole = reserve(shape.F, type);
  at.d = reserve(shape.H, DType::f32);
  at.choices = std::exchange(at.end, at.end + m * 2 * shape.top);
  at.left = std::exchange(at.end, at.end + shape.experts);
  return at;
}

}  // namespace tessera
