// SPDX-License-Identifier: Apache-2.0
// What the level "avx512_vnni" adds or beats: products of s8.
#include "kernels/simd/avx512.inl.hpp"
// (first: the vocabulary that the kernels are written in)
#include "kernels/arch/s8_dot.inl.hpp"

namespace tessera::kernels {
// 14x32: 28 accumulators + 2 B + 1 A of 32 zmm; ternary 8x48: 24 + 3 + 1, and what decodes a row
constinit const KernelTable kAvx512VnniTable =
    s8_kernels<xsimd::avx512bw, Dot512, 14, TernaryTile{1, 8, 8, 3, 8}>(Isa::avx512_vnni);

}  // namespace tessera::kernels
