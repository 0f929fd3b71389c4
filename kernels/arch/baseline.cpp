// SPDX-License-Identifier: Apache-2.0
// What the level "baseline" adds or beats.
#include "kernels/arch/tables.hpp"
#include "kernels/gemm/pack.inl.hpp"
#include "kernels/gemm/ukernel_f32.inl.hpp"
#include "kernels/simd.inl.hpp"

namespace tessera::kernels {
namespace {
using A = xsimd::sse4_2;
}  // namespace

constinit const KernelTable kBaseline{
    .isa = Isa::baseline,
    // 4x12: 12 accumulators + 3 B of 16 xmm; A and the product share the last
    .gemm = {.run = gemm_ukernel_f32<A, 4, 3>, .pack_panel = pack_panel_f32<12>, .MR = 4, .NR = 12},
};

}  // namespace tessera::kernels
