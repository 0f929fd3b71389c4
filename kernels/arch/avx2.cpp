// SPDX-License-Identifier: Apache-2.0
// What the level "avx2" adds or beats.
#include "kernels/arch/tables.hpp"
#include "kernels/gemm/pack.inl.hpp"
#include "kernels/gemm/ukernel_f32.inl.hpp"
#include "kernels/simd.inl.hpp"

namespace tessera::kernels {
namespace {
using A = xsimd::fma3<xsimd::avx2>;
}  // namespace

constinit const KernelTable kAvx2{
    .isa = Isa::avx2,
    // 6x16: 12 accumulators + 2 B + 1 A of 16 ymm
    .gemm = {.run = gemm_ukernel_f32<A, 6, 2>, .pack_panel = pack_panel_f32<16>, .MR = 6, .NR = 16},
};

}  // namespace tessera::kernels
