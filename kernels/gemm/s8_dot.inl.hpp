// SPDX-License-Identifier: Apache-2.0
//
// Products of 8-bit numbers by VPDPBUSD (AVX512-VNNI, AVX-VNNI): four of them are added to a lane,
// without saturation. The instruction takes A without a sign: a + 128 (Quantize of the level); the sum
// begins at what that is too much, -128 Σ_k b[k], which a panel has for each of its columns.
//
//   c += (a[k]+128)·b[k] + … + (a[k+3]+128)·b[k+3]
#pragma once

#include "kernels/gemm/elements.inl.hpp"

namespace tessera::kernels {
namespace {

#ifdef __AVX512VNNI__
struct Dot512 {
  static TESSERA_INLINE __m512 add(__m512 c, __m512 a, __m512 b) noexcept {
    return _mm512_castsi512_ps(_mm512_dpbusd_epi32(_mm512_castps_si512(c), _mm512_castps_si512(a),
                                                   _mm512_castps_si512(b)));
  }
};
#endif

/// `Dot::add(c, a, b)`: the instruction on a register of A.
template <class A, class Dot>
struct S8Dot : WordsOfFloats<A> {
  static constexpr Index kKR = 4;
  static constexpr int kRegisters = 1;
  static constexpr bool kFused = true;
  static constexpr bool kIsInteger = true;
  using Factor = Register<A>;
  using Decoded = S8Dot;  // what multiplies B decoded (gemm/ternary_tall.inl.hpp)

  static TESSERA_INLINE Factor factor_of(F32<A> words) noexcept { return words; }
  static TESSERA_INLINE Factor splat(float word) noexcept { return kernels::splat<A>(word); }
  static TESSERA_INLINE Register<A> mul_add(const Factor& a, const Factor& b,
                                            const Register<A>& c) noexcept {
    return Dot::add(c, a, b);
  }
  static TESSERA_INLINE void hold(Factor& x) noexcept { in_register<A>(x); }
  static TESSERA_INLINE void used(const Factor& x) noexcept { still_used<A>(x); }
};

}  // namespace
}  // namespace tessera::kernels
