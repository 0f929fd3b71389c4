// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/gemm/gemm.hpp"

namespace tessera::test {

/// The families of whole numbers of amx_bf16 over emulated tiles, everything else of them as it is there:
/// a CPU with AVX512-VNNI runs them.
const kernels::Gemm& emulated_s8() noexcept;
const kernels::Gemm& emulated_ternary() noexcept;

}  // namespace tessera::test
