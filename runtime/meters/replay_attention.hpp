// SPDX-License-Identifier: Apache-2.0
// The lines that one call of the attention kernel touches. For runtime/meters.
#pragma once

#include "kernels/kernel_table.hpp"
#include "runtime/meters/replay_touch.hpp"

namespace tessera::meters {

/// As the kernel with vectors of V lanes.
void touch_attention(const kernels::AttentionTask& task, Index V, Touch touch) noexcept;

}  // namespace tessera::meters
