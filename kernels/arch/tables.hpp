// SPDX-License-Identifier: Apache-2.0
// The only external symbol of each arch/<level>.cpp.
#pragma once

#include "kernels/kernel_table.hpp"

namespace tessera::kernels {

extern const KernelTable kBaselineTable;
extern const KernelTable kAvx2Table;
extern const KernelTable kAvxVnniTable;
extern const KernelTable kAvx512Table;
extern const KernelTable kAvx512VnniTable;
extern const KernelTable kAvx512Bf16Table;
extern const KernelTable kAmxBf16Table;

}  // namespace tessera::kernels
