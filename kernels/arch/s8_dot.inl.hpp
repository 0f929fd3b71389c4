// SPDX-License-Identifier: Apache-2.0
// The kernels of whole numbers for a level that adds four products of bytes to a lane.
#pragma once

#include "kernels/arch/tables.hpp"
#include "kernels/gemm/pack_s8.inl.hpp"
#include "kernels/gemm/s8_dot.inl.hpp"
#include "kernels/gemm/ternary_tall.inl.hpp"
#include "kernels/gemm/ukernel.inl.hpp"
#include "kernels/probe/probe.inl.hpp"

namespace tessera::kernels {
namespace {

/// Tiles of MR rows by two vectors; of ternary weights as it says.
template <class A, class Dot, Index MR, TernaryTile ternary>
constexpr KernelTable s8_kernels(Isa isa) noexcept {
  constexpr Index NR = 2 * kLanes<A>;
  KernelTable t{.isa = isa};
  t.gemm[Precision::s8] = {.run = gemm_ukernel<A, S8Dot<A, Dot>, MR, 2>,
                           .pack_panel = pack_panel_s8<A, NR, 4, 128>,
                           .MR = MR,
                           .NR = NR,
                           .KR = 4,
                           .bits = {.a = 8, .b = 8},
                           .of_integers = true};
  t.gemm[Precision::ternary] = ternary_family<A, S8Dot<A, Dot>, ternary, 128>();
  t.quantize = quantize_rows<A, QuantizedForm::u8>;
  t.probe.products[Precision::s8] = products_probe<A, S8Dot<A, Dot>>;
  return t;
}

}  // namespace
}  // namespace tessera::kernels
