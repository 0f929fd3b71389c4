// SPDX-License-Identifier: Apache-2.0
//
// Where the QKV product writes Q, K and V, and attention reads them: 3·heads matrices (ΣT, d).
//
//   row-major   slices of one (ΣT, 3H) activation: neighbours are d apart, rows a whole row of QKV
//   by heads    one after another: a row of K is followed by the next, so that long sequences need
//               one page instead of one per row. 1.05x at d = 64, 1.14x at d = 128, T = 2048 (one
//               thread, AVX-512, Emerald Rapids); no difference up to 512
//
// Both sides ask for the layout of the run, so neither a transpose nor a copy stands between them.
#pragma once

#include <algorithm>

#include "runtime/execute/execute.hpp"

namespace tessera::execute {

/// From this longest sequence of a batch on, QKV lies by heads.
inline constexpr Index kByHeadsFrom = 1024;

struct QkvLayout {
  Index row_stride;   ///< from one token to the next
  Index head_stride;  ///< from one head to the next; K is `heads` of them behind Q, V behind K
};

/// The head dim of a value that may lie by heads: written by a linear without residual and layer
/// norm, read by one attention op and nobody else, heads in whole panels. 0 for others.
inline Index head_dim_of(const Program& program, ValueId value, Index NR) {
  Index head_dim = 0;
  int readers = 0;
  bool is_plain_linear = false;
  for (const Op& op : program.ops) {
    for (const ValueId in : inputs_of(op)) readers += in == value;
    if (const auto* attention = std::get_if<AttentionOp>(&op)) {
      if (attention->qkv == value) head_dim = attention->head_dim;
    }
    if (const auto* linear = std::get_if<LinearOp>(&op)) {
      is_plain_linear |= linear->out == value && linear->residual == kNone && !linear->norm;
    }
  }
  for (const Output& output : program.outputs) readers += output.value == value;
  return is_plain_linear && readers == 1 && head_dim % NR == 0 ? head_dim : 0;
}

/// Of `value` in this run; `head_dim` is its attention's.
inline QkvLayout qkv_layout(const Context& context, ValueId value, Index head_dim) noexcept {
  const Index may = context.head_dims[static_cast<std::size_t>(value)];
  if (may != 0 && context.longest >= kByHeadsFrom) return {may, context.rows * may};
  return {context.value(value).stride, head_dim};
}

}  // namespace tessera::execute
