// SPDX-License-Identifier: Apache-2.0
// Strides of Q, K and V in this run, as plan/attention_layout.hpp describes and the plan says.
#pragma once

#include "runtime/execute/execute.hpp"

namespace tessera::execute {

struct QkvLayout {
  Index row_stride;   ///< from one token to the next
  Index head_stride;  ///< from one head to the next; K is `heads` of them behind Q, V behind K
};

/// Of `value` in this run; `head_dim` is its attention's.
inline QkvLayout qkv_layout(const Context& context, ValueId value, Index head_dim) noexcept {
  const ByHeads& may = context.by_heads[at(value)];
  if (may.from != 0 && context.longest >= may.from) {
    return {may.head_dim, context.rows * may.head_dim};
  }
  const Value& its = context.program.values[at(value)];
  return {activation_stride(its.width, its.type), head_dim};
}

}  // namespace tessera::execute
