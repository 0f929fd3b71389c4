// SPDX-License-Identifier: Apache-2.0
//
// bf16 products by VDPBF16PS (AVX512-BF16): both products of a word are added to a lane in one
// instruction, in steps that round to nearest even; denormal inputs and results count as zero
// (Intel SDM vol. 2, VDPBF16PS). Twice the rate of f32 on Zen 4 and Zen 5, half of it on Sapphire
// and Emerald Rapids: which is better is a question for a probe.
#pragma once

#include "kernels/gemm/elements.inl.hpp"

namespace tessera::kernels {
namespace {

struct Bf16Dot {
  static constexpr Index kKR = 2;
  static constexpr int kRegisters = 1;
  static constexpr bool kFused = true;
  using Factor = __m512;

  static TESSERA_INLINE Factor factor_of(F32<xsimd::avx512bw> words) noexcept { return words; }
  static TESSERA_INLINE Factor splat(float word) noexcept { return _mm512_set1_ps(word); }
  static TESSERA_INLINE __m512 mul_add(__m512 a, __m512 b, __m512 c) noexcept {
    return _mm512_dpbf16_ps(c, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
  }
  static TESSERA_INLINE void hold(Factor& x) noexcept { in_register<xsimd::avx512bw>(x); }
  static TESSERA_INLINE void used(const Factor& x) noexcept { still_used<xsimd::avx512bw>(x); }
};

}  // namespace
}  // namespace tessera::kernels
