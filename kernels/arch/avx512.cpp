// SPDX-License-Identifier: Apache-2.0
// What the level "avx512" adds or beats.
#include "kernels/arch/tables.hpp"
#include "kernels/gemm/pack.inl.hpp"
#include "kernels/gemm/ukernel_f32.inl.hpp"
#include "kernels/simd.inl.hpp"

namespace tessera::kernels {
namespace {
using A = xsimd::avx512bw;
}  // namespace

constinit const KernelTable kAvx512{
    .isa = Isa::avx512,
    // 14x32: 28 accumulators + 2 B + 1 A of 32 zmm
    .gemm = {.run = gemm_ukernel_f32<A, 14, 2>,
             .pack_panel = pack_panel_f32<32>,
             .MR = 14,
             .NR = 32},
};

}  // namespace tessera::kernels
