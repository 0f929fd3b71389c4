// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan/tile_ops.hpp"

#include <algorithm>
#include <numeric>

namespace tessera {
namespace {

constexpr Index kMostPanels = 32;  // of a group: of d = 256 at the narrowest level

/// Whether op i + 1 alone reads what op i writes, and no output is it.
bool is_read_by_next(const Program& program, const std::vector<int>& uses, std::size_t i) {
  const ValueId value = output_of(program.ops[i]);
  if (i + 1 == program.ops.size() || uses[at(value)] != 1) return false;
  const std::vector<ValueId> in = inputs_of(program.ops[i + 1]);
  return std::find(in.begin(), in.end(), value) != in.end();
}

/// Columns of whole panels and whole heads.
Index head_columns(const RotateOp& op, Index NR) noexcept {
  return std::lcm(op.head_dim, NR);
}

/// No head of Q or K lies in two groups; every row turns by a row of the table.
bool may_turn(const Program& program, const RotateOp& op, Index NR) noexcept {
  if (op.rotation != kNone && program.rotations[at(op.rotation)].limit > 0) return false;
  const Index columns = head_columns(op, NR);
  if (columns > kMostPanels * NR) return false;
  for (const Heads* heads : {&op.q, &op.k}) {
    for (Index h = 0; h < heads->count; ++h) {
      const Index first = heads->first + h * op.head_dim;
      if (first / columns != (first + op.head_dim - 1) / columns) return false;
    }
  }
  return true;
}

bool may_run(const Program& program, const Op& op, Index NR) noexcept {
  if (const auto* rotate = std::get_if<RotateOp>(&op)) return may_turn(program, *rotate, NR);
  const auto* gated = std::get_if<GatedOp>(&op);
  return gated != nullptr && program.values[at(gated->out)].width % NR == 0;
}

bool narrows_to_bf16(const Program& program, const Op& op) noexcept {
  const auto* narrow = std::get_if<NarrowOp>(&op);
  return narrow != nullptr && program.values[at(narrow->out)].type == DType::bf16;
}

}  // namespace

Index tile_ops_behind(const Program& program, std::size_t i, const PerPrecision<TileShape>& tile) {
  const auto* linear = std::get_if<LinearOp>(&program.ops[i]);
  if (linear == nullptr || linear->residual != kNone || linear->norm ||
      program.values[at(linear->out)].type != DType::f32) {
    return 0;
  }
  const std::vector<int> uses = count_uses(program);
  if (!is_read_by_next(program, uses, i)) return 0;
  const Index NR = tile[program.parameters[at(linear->weight)].precision].NR;
  if (!may_run(program, program.ops[i + 1], NR)) return 0;
  const bool narrows =
      is_read_by_next(program, uses, i + 1) && narrows_to_bf16(program, program.ops[i + 2]);
  return narrows ? 2 : 1;
}

TileGroup tile_group(const Program& program, std::size_t i, Index ops, Index NR) noexcept {
  if (ops == 0) return {};
  const Op& next = program.ops[i + 1];
  if (const auto* rotate = std::get_if<RotateOp>(&next)) {
    return {.panels = head_columns(*rotate, NR) / NR, .apart = ops > 1};
  }
  const Index half = program.values[at(output_of(next))].width / NR;
  return {.panels = 2, .pairs = true, .apart = true, .half = half};
}

}  // namespace tessera
