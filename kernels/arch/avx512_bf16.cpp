// SPDX-License-Identifier: Apache-2.0
// What the level "avx512_bf16" adds or beats: products of bf16.
#include "kernels/simd/avx512.inl.hpp"
// (first: the vocabulary that the kernels are written in)
#include "kernels/arch/tables.hpp"
#include "kernels/attention/attention.inl.hpp"
#include "kernels/attention/words_used.hpp"
#include "kernels/gemm/bf16_dot.inl.hpp"
#include "kernels/gemm/pack_bf16.inl.hpp"
#include "kernels/gemm/ukernel.inl.hpp"
#include "kernels/probe/probe.inl.hpp"

namespace tessera::kernels {
namespace {

constexpr KernelTable table() noexcept {
  using A = xsimd::avx512bw;
  constexpr Index MR = 14, NV = 2;  // 28 accumulators + 2 B + 1 A of 32 zmm
  KernelTable t{.isa = Isa::avx512_bf16};
  t.gemm[Precision::bf16] = {.run = gemm_ukernel<A, Bf16Dot, MR, NV>,
                             .pack_panel = pack_panel_bf16<A, NV * kLanes<A>>,
                             .MR = MR,
                             .NR = NV * kLanes<A>,
                             .KR = 2,
                             .bits = {.a = 16, .b = 16}};
  t.attention[Precision::bf16] = {.run = attention<A, Bf16Dot>,
                                  .Br = kQueryRows,
                                  .Bc = kKeyTile,
                                  .MR = kTileRows<A>,
                                  .NR = 2 * kLanes<A>,
                                  .V = kLanes<A>,
                                  .scratch_elements = attention_scratch<true>,
                                  .used_elements = words_used<kLanes<A>>,
                                  .bytes = {.qkv = 2, .o = 2}};
  t.probe.products[Precision::bf16] = products_probe<A, Bf16Dot>;
  return t;
}

}  // namespace

constinit const KernelTable kAvx512Bf16Table = table();

}  // namespace tessera::kernels
