// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan/attention_layout.hpp"

namespace tessera {

bool is_self_attention(const Program& program, const AttentionOp& op) noexcept {
  return program.values[at(op.q.value)].space == program.values[at(op.k.value)].space;
}

Index most_keys(const Program& program, const AttentionOp& op, Index rows) noexcept {
  const SpaceId keys = program.values[at(op.k.value)].space;
  const bool are_windows = program.spaces[at(keys)].rule == RowRule::grid_windows;
  return are_windows ? longest_piece(program, keys, rows) : rows;
}

Index head_dim_of(const Program& program, ValueId value, const PerPrecision<TileShape>& tile) {
  if (program.values[at(value)].space != kTokens) return 0;  // offsets of a run are of the tokens
  Index head_dim = 0, NR = 1;
  int readers = 0;
  bool is_plain_linear = false;
  for (const Op& op : program.ops) {
    for (const ValueId in : inputs_of(op)) readers += in == value;
    if (const auto* attention = std::get_if<AttentionOp>(&op)) {
      const bool reads =
          attention->q.value == value && is_fused(*attention) &&
          program.values[at(value)].width == 3 * attention->heads * attention->head_dim;
      if (reads) head_dim = attention->head_dim;
    }
    if (const auto* linear = std::get_if<LinearOp>(&op)) {
      if (linear->out != value) continue;
      is_plain_linear = linear->residual == kNone && !linear->norm;
      NR = tile[program.parameters[at(linear->weight)].precision].NR;
    }
  }
  for (const Output& output : program.outputs) readers += output.value == value;
  return is_plain_linear && readers == 1 && head_dim % NR == 0 ? head_dim : 0;
}

}  // namespace tessera
