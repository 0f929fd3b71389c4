// SPDX-License-Identifier: Apache-2.0
//
// Products of 8-bit numbers where no instruction adds them up without saturation (VPMADDUBSW stops at
// 16 bits): pairs of them in 16 bits, PMADDWD, exact. A comes in 16 bits (Quantize of the level); B stays
// in bytes in memory and is widened where it is loaded, once for the mr rows of a tile.
//
//   c += a[k]·b[k] + a[k+1]·b[k+1]
#pragma once

#include "kernels/gemm/elements.inl.hpp"

namespace tessera::kernels {
namespace {

/// B in 16 bits in memory too.
template <class A>
struct S16Pairs : WordsOfFloats<A> {
  static constexpr Index kKR = 2;
  static constexpr int kRegisters = 1;
  static constexpr bool kFused = false;  // the products need a register before they are added
  static constexpr bool kIsInteger = true;
  using Factor = Register<A>;

  static TESSERA_INLINE Factor factor_of(F32<A> words) noexcept { return words; }
  static TESSERA_INLINE Factor splat(float word) noexcept { return kernels::splat<A>(word); }
  static TESSERA_INLINE Register<A> mul_add(const Factor& a, const Factor& b,
                                            const Register<A>& c) noexcept {
    return Words<A>::add_pairs(a, b, c);
  }
  static TESSERA_INLINE void hold(Factor& x) noexcept { in_register<A>(x); }
  static TESSERA_INLINE void used(const Factor& x) noexcept { still_used<A>(x); }
};

template <class A>
struct S8Pairs : S16Pairs<A> {
  using BWord = std::uint16_t;  // two bytes
  using Decoded = S16Pairs<A>;  // what multiplies B decoded (gemm/ternary_tall.inl.hpp)

  static TESSERA_INLINE F32<A> load(const BWord* p) noexcept { return Words<A>::load_pairs(p); }
};

}  // namespace
}  // namespace tessera::kernels
