// SPDX-License-Identifier: Apache-2.0
// What the level "avx2" adds or beats.
#include "kernels/simd/avx2.inl.hpp"
// (first: the vocabulary that the kernels are written in)
#include "kernels/arch/f32.inl.hpp"

namespace tessera::kernels {

// 6x16: 12 accumulators + 2 B + 1 A of 16 ymm; bf16 widened 5x16: 10 + 2·2 + 2; pairs 6x16: A and the
// product take the last two; ternary in tiles of pairs, a panel of 48 columns
constinit const KernelTable kAvx2Table =
    f32_kernels<xsimd::fma3<xsimd::avx2>, 6, 2, 5, 6, TernaryTile{2, 1, 6, 2, 8}>(Isa::avx2);

}  // namespace tessera::kernels
