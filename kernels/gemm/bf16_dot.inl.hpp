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

struct Bf16Dot : WordsOfFloats<xsimd::avx512bw> {
  static constexpr Index kKR = 2;
  static constexpr int kRegisters = 1;
  static constexpr bool kFused = true;
  using Factor = __m512;

  static TESSERA_INLINE Factor factor_of(F32<xsimd::avx512bw> words) noexcept { return words; }
  static TESSERA_INLINE Factor splat(float word) noexcept { return _mm512_set1_ps(word); }
  static TESSERA_INLINE __m512 mul_add(__m512 a, __m512 b, __m512 c) noexcept {
    return _mm512_dpbf16_ps(c, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
  }

  // For attention, which makes words itself.
  using Lanes = F32<xsimd::avx512bw>;

  /// Elements `low` and `high` of each lane as a word, rounded to nearest even (denormals to 0).
  static TESSERA_INLINE Lanes pair(Lanes low, Lanes high) noexcept {
    const __m512i both = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
    return _mm512_castsi512_ps(_mm512_permutexvar_epi16(interleaved(), both));
  }
  /// Q stays as it is: c·q would be rounded once more. Scores are scaled instead.
  static constexpr bool kScalesScores = true;
  static TESSERA_INLINE Lanes scaled(float, Lanes words) noexcept { return words; }
  static TESSERA_INLINE float scaled(float, float word) noexcept { return word; }
  /// The first n elements at `low` and at `high` (null: zeros) as words; 0 in the other lanes.
  static TESSERA_INLINE Lanes weave(const std::uint16_t* low, const std::uint16_t* high,
                                    Index n) noexcept {
    const auto lanes = static_cast<__mmask16>((1U << static_cast<unsigned>(n)) - 1U);
    const auto words = [&](const std::uint16_t* p) __attribute__((always_inline)) {
      return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(lanes, p));
    };
    __m512i w = words(low);
    if (high != nullptr) w = _mm512_or_si512(w, _mm512_slli_epi32(words(high), 16));
    return _mm512_castsi512_ps(w);
  }
  /// 16 elements of `low`, then 16 of `high`, rounded as in pair(), at p (aligned to 64).
  static TESSERA_INLINE void store_halves(void* p, Index, Lanes low, Lanes high) noexcept {
    _mm512_store_si512(p, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)));
  }
  /// The first n lanes of x, rounded.
  static TESSERA_INLINE void store_narrow(std::uint16_t* p, Index n, Lanes x) noexcept {
    const auto lanes = static_cast<__mmask16>((1U << static_cast<unsigned>(n)) - 1U);
    _mm256_mask_storeu_epi16(p, lanes, reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x)));
  }
  /// Element i of the lower half of a register, element i of the upper half, i = 0 … 15.
  static TESSERA_INLINE __m512i interleaved() noexcept {
    alignas(64) static constexpr std::uint16_t kPlaces[32] = {
        0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
        8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    return _mm512_load_si512(kPlaces);
  }

  static TESSERA_INLINE void hold(Factor& x) noexcept { in_register<xsimd::avx512bw>(x); }
  static TESSERA_INLINE void used(const Factor& x) noexcept { still_used<xsimd::avx512bw>(x); }
};

}  // namespace
}  // namespace tessera::kernels
