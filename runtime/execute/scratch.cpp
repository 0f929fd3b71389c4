// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "runtime/execute/execute.hpp"

namespace tessera::execute {

Index scratch_elements(const Program& program, const kernels::KernelTable& kernels,
                       Index max_rows) noexcept {
  Index most = 0;
  for (const Op& op : program.ops) {
    if (const auto* attention = std::get_if<AttentionOp>(&op)) {
      most = std::max(most, kernels.attention.scratch_elements(attention->head_dim));
    } else if (const auto* pool = std::get_if<PoolOp>(&op)) {
      if (pool->pooling == Pooling::weighted_mean) most = std::max(most, max_rows);  // its weights
    }
  }
  return (most + 31) / 32 * 32;
}

}  // namespace tessera::execute
