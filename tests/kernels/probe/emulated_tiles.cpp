// SPDX-License-Identifier: Apache-2.0
#include "tests/kernels/probe/emulated_tiles.hpp"

#include "kernels/simd/sse42.inl.hpp"
// (the vocabulary that the kernel's epilogue is written in)
#include "kernels/attention/tiles.inl.hpp"
#include "kernels/gemm/tile_ukernel.inl.hpp"
#include "kernels/rows/quantize.inl.hpp"
#include "kernels/simd/narrow.inl.hpp"
#include "tests/kernels/probe/emulated_integers.hpp"
#include "tests/kernels/probe/emulated_unit.inl.hpp"

namespace tessera::test {
namespace {

/// bf16 elements as attention makes and reads them (kernels/gemm/bf16_dot.inl.hpp), by vectors of 4.
struct EmulatedHalves {
  using A = xsimd::sse4_2;
  using Lanes = kernels::F32<A>;
  static Lanes scaled(float, Lanes words) noexcept { return words; }
  static float scaled(float, float word) noexcept { return word; }
  static Lanes weave(const std::uint16_t* low, const std::uint16_t* high, Index n) noexcept {
    std::uint32_t words[4] = {};
    for (Index i = 0; i < n; ++i)
      words[i] = low[i] | std::uint32_t{high == nullptr ? std::uint16_t{0} : high[i]} << 16U;
    float lanes[4];
    std::memcpy(lanes, words, sizeof lanes);
    return kernels::load<A>(lanes);
  }
  static void store_halves(void* p, Index at, Lanes low, Lanes high) noexcept {
    auto* to = static_cast<std::uint16_t*>(p) + at;
    kernels::store_bf16_n<A>(to, 4, low);
    kernels::store_bf16_n<A>(to + 16, 4, high);
  }
  static void store_narrow(std::uint16_t* p, Index n, Lanes x) noexcept {
    kernels::store_bf16_n<A>(p, n, x);
  }
};

using A = xsimd::sse4_2;
using Halves = kernels::Bf16Tiles<A>;
using Whole = kernels::S8Tiles<A>;
constexpr kernels::Attention kAttention =
    kernels::tiles_attention<A, EmulatedHalves, EmulatedTiles>();

}  // namespace

TileUse& tile_use() noexcept {
  static constinit thread_local TileUse use;
  return use;
}

const kernels::Attention& emulated_attention() noexcept {
  return kAttention;
}

const kernels::KernelTable& emulated_level() noexcept {
  static const kernels::KernelTable table = [] {
    kernels::KernelTable t = kernels::kernels_at(best_isa());
    t.isa = Isa::amx_bf16;
    t.gemm[Precision::bf16] = kernels::tile_family<Halves, EmulatedTiles>();
    t.gemm[Precision::s8] = kernels::tile_family<Whole, EmulatedTiles>();
    t.gemm[Precision::ternary] = {};
    if (cpu_supports(Isa::avx512_vnni)) {
      t.gemm[Precision::s8] = emulated_s8();
      t.gemm[Precision::ternary] = emulated_ternary();
    }
    t.quantize = kernels::quantize_rows<A, kernels::QuantizedForm::s8>;
    t.attention[Precision::bf16] = kAttention;
    t.probe.products[Precision::bf16] = kernels::tiles_probe<Halves, EmulatedTiles>;
    t.probe.products[Precision::s8] = kernels::tiles_probe<Whole, EmulatedTiles>;
    return t;
  }();
  return table;
}

const kernels::KernelTable* usable_level(Isa isa) noexcept {
  if (enable(isa) == 0) return &kernels::kernels_at(isa);
  return isa == Isa::amx_bf16 ? &emulated_level() : nullptr;
}

}  // namespace tessera::test
