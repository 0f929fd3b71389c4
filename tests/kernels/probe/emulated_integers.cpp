// SPDX-License-Identifier: Apache-2.0
// Compiled with the flags of avx512_vnni.
#include "tests/kernels/probe/emulated_integers.hpp"

#include "kernels/simd/avx512.inl.hpp"
// (the vocabulary that the kernels are written in)
#include "kernels/gemm/ternary_tiles.inl.hpp"
#include "tests/kernels/probe/emulated_unit.inl.hpp"

namespace tessera::test {
namespace {

using A = xsimd::avx512bw;
constexpr kernels::Gemm kS8 = kernels::tile_family<kernels::S8Tiles<A>, EmulatedTiles>();
constexpr kernels::Gemm kTernary =
    kernels::ternary_tile_family<A, kernels::Dot512, EmulatedTiles>();

}  // namespace

const kernels::Gemm& emulated_s8() noexcept {
  return kS8;
}
const kernels::Gemm& emulated_ternary() noexcept {
  return kTernary;
}

}  // namespace tessera::test
