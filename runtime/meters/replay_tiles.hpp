// SPDX-License-Identifier: Apache-2.0
// The lines that one call of attention on a matrix unit touches. For runtime/meters.
#pragma once

#include "kernels/kernel_table.hpp"
#include "runtime/meters/replay_touch.hpp"

namespace tessera::meters {

void touch_tiles_attention(const kernels::AttentionTask& task, Touch touch) noexcept;

}  // namespace tessera::meters
