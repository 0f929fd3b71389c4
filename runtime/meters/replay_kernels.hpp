// SPDX-License-Identifier: Apache-2.0
//
// Kernels that move no data: each touches, in a CacheSimulator, the lines that the kernel of its
// level reads and writes, in that kernel's order. The executor walks them as it walks real ones, so
// that what is counted are the addresses of the real loop nests: arena, packed panels, scratch,
// strides. Works for levels that this CPU does not have.
//
// Not touched: prefetches, and vectors of queries that attention does again because their maximum
// moved (that depends on data; there is none here).
#pragma once

#include "kernels/kernel_table.hpp"

namespace tessera {
class CacheSimulator;
}

namespace tessera::meters {

/// The geometry of `isa`, with kernels that touch only. Lives as long as the process.
const kernels::KernelTable& replay_kernels(Isa isa) noexcept;

/// Later calls of replay kernels on this thread go to `simulator`; null: nowhere.
void replay_into(CacheSimulator* simulator) noexcept;

}  // namespace tessera::meters
