// SPDX-License-Identifier: Apache-2.0
// What the level "amx_bf16" adds or beats: products of bf16, by tiles.
#include "kernels/simd/avx512.inl.hpp"
// (first: the vocabulary that the kernels are written in)
#include "kernels/arch/tables.hpp"
#include "kernels/gemm/tile_ukernel.inl.hpp"

namespace tessera::kernels {
namespace {

constexpr KernelTable table() noexcept {
  using A = xsimd::avx512bw;
  KernelTable t{.isa = Isa::amx_bf16};
  t.gemm[Precision::bf16] = tile_family<A, AmxTiles>();
  // VDPBF16PS has half the rate of FMA on the CPUs that have tiles (Sapphire, Emerald Rapids): until
  // tiles multiply here, attention is f32's.
  t.attention[Precision::bf16].is_absent = true;
  t.probe.products[Precision::bf16] = tiles_probe<AmxTiles>;
  return t;
}

}  // namespace

constinit const KernelTable kAmxBf16Table = table();

}  // namespace tessera::kernels
