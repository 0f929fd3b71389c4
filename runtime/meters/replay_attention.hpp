// SPDX-License-Identifier: Apache-2.0
// The lines that one call of the attention kernel touches. For runtime/meters.
#pragma once

#include "kernels/kernel_table.hpp"
#include "runtime/meters/replay_touch.hpp"

namespace tessera::meters {

/// `kernel`: whose Br, Bc, V and register tile it has.
void touch_attention(const kernels::AttentionTask& task, const kernels::Attention& kernel,
                     Touch touch) noexcept;

/// Floats of scratch, as the kernels' own scratch_elements.
Index attention_scratch(const kernels::Attention& kernel, kernels::AttentionDataflow dataflow,
                        Index Tq, Index Tk, Index d) noexcept;

}  // namespace tessera::meters
