// SPDX-License-Identifier: Apache-2.0
// What the level "amx_bf16" adds or beats: products of bf16, of s8 and of ternary weights, by tiles.
#include "kernels/simd/avx512.inl.hpp"
// (first: the vocabulary that the kernels are written in)
#include "kernels/arch/tables.hpp"
#include "kernels/attention/tiles.inl.hpp"
#include "kernels/gemm/bf16_dot.inl.hpp"
#include "kernels/gemm/ternary_tiles.inl.hpp"
#include "kernels/gemm/tile_ukernel.inl.hpp"
#include "kernels/rows/quantize.inl.hpp"

namespace tessera::kernels {
namespace {

constexpr KernelTable table() noexcept {
  using A = xsimd::avx512bw;
  KernelTable t{.isa = Isa::amx_bf16};
  t.gemm[Precision::bf16] = tile_family<Bf16Tiles<A>, AmxTiles>();
  t.gemm[Precision::s8] = tile_family<S8Tiles<A>, AmxTiles>();
  t.gemm[Precision::ternary] = ternary_tile_family<A, Dot512, AmxTiles>();
  t.quantize = quantize_rows<A, QuantizedForm::s8>;
  t.attention[Precision::bf16] = tiles_attention<A, Bf16Dot, AmxTiles>();
  t.probe.products[Precision::bf16] = tiles_probe<Bf16Tiles<A>, AmxTiles>;
  t.probe.products[Precision::s8] = tiles_probe<S8Tiles<A>, AmxTiles>;
  return t;
}

}  // namespace

constinit const KernelTable kAmxBf16Table = table();

}  // namespace tessera::kernels
