// SPDX-License-Identifier: Apache-2.0
//
// The kernels of the level amx_bf16 on any CPU: the same text (kernels/gemm/tile_ukernel.inl.hpp,
// kernels/attention/tiles.inl.hpp) over tiles in plain C++. What it cannot show is the instructions themselves.
#pragma once

#include "kernels/kernel_table.hpp"

namespace tessera::test {

/// The attention of amx_bf16 over emulated tiles (kernels/attention/tiles.inl.hpp).
const kernels::Attention& emulated_attention() noexcept;

/// The level amx_bf16 over them: what it adds itself, everything else from best_isa(). For
/// ModelOptions::kernels. Without ternary weights where the CPU lacks AVX512-VNNI (emulated_integers.hpp).
const kernels::KernelTable& emulated_level() noexcept;

/// The table of `isa`: the emulated one if it is amx_bf16 and this machine has no such unit; null if it
/// is any other level that may not be used here.
const kernels::KernelTable* usable_level(Isa isa) noexcept;

/// Whether a model can be run at `isa`: in the precisions that the unit multiplies an emulated one counts.
inline bool can_run(Isa isa, Precision precision) noexcept {
  return enable(isa) == 0 || (precision != Precision::f32 && usable_level(isa) != nullptr);
}
/// For ModelOptions::kernels at such a level.
inline const kernels::KernelTable* kernels_for(Isa isa) noexcept {
  return enable(isa) == 0 ? nullptr : usable_level(isa);
}

/// What the calling thread's emulated unit saw since reset().
struct TileUse {
  int entered = 0, left = 0;
  int used_without = 0;  ///< instructions outside enter … leave
};
TileUse& tile_use() noexcept;

}  // namespace tessera::test
