// SPDX-License-Identifier: Apache-2.0
// What the level "avx2" adds or beats.
#include "kernels/arch/tables.hpp"
#include "kernels/attention/attention.inl.hpp"
#include "kernels/elementwise/elementwise.inl.hpp"
#include "kernels/embedding/gather_sum.inl.hpp"
#include "kernels/gemm/pack.inl.hpp"
#include "kernels/gemm/ukernel_f32.inl.hpp"
#include "kernels/image/resample.inl.hpp"
#include "kernels/normalize/l2_normalize.inl.hpp"
#include "kernels/normalize/layer_norm.inl.hpp"
#include "kernels/pooling/pooling.inl.hpp"
#include "kernels/probe/probe.inl.hpp"
#include "kernels/simd.inl.hpp"
#include "kernels/softmax/softmax_rows.inl.hpp"

namespace tessera::kernels {
namespace {
using A = xsimd::fma3<xsimd::avx2>;
}  // namespace

constinit const KernelTable kAvx2{
    .isa = Isa::avx2,
    // 6x16: 12 accumulators + 2 B + 1 A of 16 ymm
    .gemm = {.run = gemm_ukernel_f32<A, 6, 2>, .pack_panel = pack_panel_f32<16>, .MR = 6, .NR = 16},
    .attention = {.run = attention<A>,
                  .Br = kQueryRows,
                  .Bc = kKeyTile,
                  .MR = kTileRows<A>,
                  .NR = 2 * kLanes<A>,
                  .V = kLanes<A>,
                  .scratch_elements = attention_scratch},
    .layer_norm = layer_norm_rows<A>,
    .activation = activation_rows<A>,
    .gated = gated_rows<A>,
    .softmax = softmax_rows<A>,
    .l2_normalize = l2_normalize_rows<A>,
    .add = add_rows<A>,
    .embedding = gather_sum<A>,
    .weighted_mean = weighted_mean_rows<A>,
    .max_rows = max_of_rows<A>,
    .widen = widen<A>,
    .resample_bytes = resample_bytes<A>,
    .probe = {.fma = fma_probe<A>, .read = read_probe<A>, .exp2 = exp2_probe<A>},
};

}  // namespace tessera::kernels
