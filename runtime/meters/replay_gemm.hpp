// SPDX-License-Identifier: Apache-2.0
// The lines that one call of a GEMM kernel touches. For runtime/meters.
#pragma once

#include "kernels/gemm/gemm.hpp"
#include "runtime/meters/replay_touch.hpp"

namespace tessera::meters {

/// As the kernel of `family` with vectors of V lanes.
void touch_gemm(const kernels::GemmTile& tile, const kernels::Gemm& family, Index V,
                Touch touch) noexcept;

}  // namespace tessera::meters
