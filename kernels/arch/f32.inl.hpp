// SPDX-License-Identifier: Apache-2.0
//
// Every kernel in f32 for one set of vectors, bf16 as f32 arithmetic on bf16 elements, and s8 as pairs
// of 16-bit numbers: what each level has. A level that adds other families, or beats one of these, changes the table that it gets
// from here.
#pragma once

#include "kernels/arch/tables.hpp"
#include "kernels/attention/attention.inl.hpp"
#include "kernels/gemm/pack_bf16.inl.hpp"
#include "kernels/gemm/pack_f32.inl.hpp"
#include "kernels/gemm/pack_s8.inl.hpp"
#include "kernels/gemm/s8_pairs.inl.hpp"
#include "kernels/gemm/ternary_tall.inl.hpp"
#include "kernels/gemm/ukernel.inl.hpp"
#include "kernels/image/resample.inl.hpp"
#include "kernels/maps/depthwise.inl.hpp"
#include "kernels/probe/probe.inl.hpp"
#include "kernels/rows/elementwise.inl.hpp"
#include "kernels/rows/gather_sum.inl.hpp"
#include "kernels/rows/l2_normalize.inl.hpp"
#include "kernels/rows/layer_norm.inl.hpp"
#include "kernels/rows/pick.inl.hpp"
#include "kernels/rows/pooling.inl.hpp"
#include "kernels/rows/rotate.inl.hpp"

namespace tessera::kernels {
namespace {

/// GEMM tiles of MR rows by NV vectors; of bf16 elements MRh rows; of pairs of whole numbers MRi rows by
/// NVi vectors; of ternary weights as it says.
template <class A, Index MR, Index NV, Index MRh, Index MRi, TernaryTile ternary, Index NVi = NV>
constexpr KernelTable f32_kernels(Isa isa) noexcept {
  KernelTable t{.isa = isa};
  t.gemm[Precision::f32] = {.run = gemm_ukernel<A, F32Elements<A>, MR, NV>,
                            .pack_panel = pack_panel_f32<A, NV * kLanes<A>>,
                            .MR = MR,
                            .NR = NV * kLanes<A>};
  t.gemm[Precision::bf16] = {.run = gemm_ukernel<A, Bf16Widened<A>, MRh, NV>,
                             .pack_panel = pack_panel_bf16<A, NV * kLanes<A>>,
                             .MR = MRh,
                             .NR = NV * kLanes<A>,
                             .KR = 2,
                             .bits = {.a = 16, .b = 16}};
  t.gemm[Precision::s8] = {.run = gemm_ukernel<A, S8Pairs<A>, MRi, NVi>,
                           .pack_panel = pack_panel_s8<A, NVi * kLanes<A>, 2, 0>,
                           .MR = MRi,
                           .NR = NVi * kLanes<A>,
                           .KR = 2,
                           .bits = {.a = 16, .b = 8},
                           .of_integers = true};
  t.gemm[Precision::ternary] = ternary_family<A, S8Pairs<A>, ternary, 0>();
  t.quantize = quantize_rows<A, QuantizedForm::s16>;
  t.attention[Precision::f32] = {.run = attention<A, F32Elements<A>>,
                                 .Br = kQueryRows,
                                 .Bc = kKeyTile,
                                 .MR = kTileRows<A>,
                                 .NR = 2 * kLanes<A>,
                                 .V = kLanes<A>,
                                 .scratch_elements = attention_scratch<false>};
  t.layer_norm = layer_norm_rows<A>;
  t.activation = activation_rows<A>;
  t.gated = gated_rows<A>;
  t.l2_normalize = l2_normalize_rows<A>;
  t.rotate_heads = rotate_heads<A>;
  t.add = add_rows<A>;
  t.pick = pick_elements<A>;
  t.add_transposed = add_transposed<A>;
  t.embedding = gather_sum<A>;
  t.weighted_mean = weighted_mean_rows<A>;
  t.max_rows = max_of_rows<A>;
  t.depthwise = depthwise_row<A>;
  t.widen = widen<A>;
  t.narrow = narrow_rows<A>;
  t.resample_bytes = resample_bytes<A>;
  t.transpose_bytes = transpose_bytes;
  t.probe = {.read = read_probe<A>, .exp2 = exp2_probe<A>};
  t.probe.products[Precision::f32] = fma_probe<A>;
  t.probe.products[Precision::bf16] = products_probe<A, Bf16Widened<A>>;
  t.probe.products[Precision::s8] = products_probe<A, S8Pairs<A>>;
  return t;
}

}  // namespace
}  // namespace tessera::kernels
