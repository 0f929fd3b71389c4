// SPDX-License-Identifier: Apache-2.0
// The only external symbol of each arch/<level>.cpp.
#pragma once

#include "kernels/kernel_table.hpp"

namespace tessera::kernels {

extern const KernelTable kBaseline;
extern const KernelTable kAvx2;
extern const KernelTable kAvx512;

}  // namespace tessera::kernels
