// SPDX-License-Identifier: Apache-2.0
// What the level "baseline" adds or beats.
#include "kernels/simd/sse42.inl.hpp"
// (first: the vocabulary that the kernels are written in)
#include "kernels/arch/f32.inl.hpp"

namespace tessera::kernels {

// 4x12: 12 accumulators + 3 B of 16 xmm; A and the product share the last
// bf16 widened 2x12: 6 + 2·3 + 2, and the product; pairs 5x8: 10 + 2, A and the product; ternary so
constinit const KernelTable kBaselineTable =
    f32_kernels<xsimd::sse4_2, 4, 3, 2, 5, TernaryTile{2, 1, 5, 2, 8}, 2>(Isa::baseline);

}  // namespace tessera::kernels
