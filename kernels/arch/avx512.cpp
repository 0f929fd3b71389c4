// SPDX-License-Identifier: Apache-2.0
// What the level "avx512" adds or beats.
#include "kernels/simd/avx512.inl.hpp"
// (first: the vocabulary that the kernels are written in)
#include "kernels/arch/f32.inl.hpp"

namespace tessera::kernels {

// 14x32: 28 accumulators + 2 B + 1 A of 32 zmm; bf16 widened 12x32: 24 + 2·2 + 2; pairs 13x32, and the
// product
constinit const KernelTable kAvx512Table =
    f32_kernels<xsimd::avx512bw, 14, 2, 12, 13, TernaryTile{1, 8, 8, 3, 8}>(Isa::avx512);

}  // namespace tessera::kernels
