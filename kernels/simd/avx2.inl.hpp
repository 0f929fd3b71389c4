// SPDX-License-Identifier: Apache-2.0
// The vocabulary of AVX2, FMA and F16C: 16 registers of 8 lanes, masks from memory.
#pragma once

#include "kernels/simd/base.inl.hpp"

namespace tessera::kernels {
namespace {

/// Lane masks −1 … −1 0 … 0 for tails: loading at kMaskBits + 8 − n gives n set lanes.
alignas(64) constexpr std::int32_t kMaskBits[16] = {-1, -1, -1, -1, -1, -1, -1, -1,
                                                    0,  0,  0,  0,  0,  0,  0,  0};

template <>
struct Words<xsimd::fma3<xsimd::avx2>> {
  using F = F32<xsimd::fma3<xsimd::avx2>>;
  using I = I32<xsimd::fma3<xsimd::avx2>>;
  static constexpr int kRegisters = 16;
  static constexpr bool kFma = true, kScale = false, kReciprocal14 = false;

  static TESSERA_INLINE F splat(float x) noexcept { return _mm256_set1_ps(x); }
  static TESSERA_INLINE F load(const float* p) noexcept { return _mm256_loadu_ps(p); }
  static TESSERA_INLINE void store(float* p, F x) noexcept { _mm256_storeu_ps(p, x); }
  static TESSERA_INLINE F mul_add(F x, F y, F z) noexcept { return _mm256_fmadd_ps(x, y, z); }
  static TESSERA_INLINE F neg_mul_add(F x, F y, F z) noexcept { return _mm256_fnmadd_ps(x, y, z); }
  static TESSERA_INLINE F vmax(F x, F y) noexcept { return _mm256_max_ps(x, y); }
  static TESSERA_INLINE F vmin(F x, F y) noexcept { return _mm256_min_ps(x, y); }
  static TESSERA_INLINE F vmax_or_nan(F x, F y) noexcept {
    return _mm256_blendv_ps(_mm256_max_ps(x, y), x, _mm256_cmp_ps(x, x, _CMP_UNORD_Q));
  }
  static TESSERA_INLINE bool any_beyond(F x, F bound) noexcept {
    return _mm256_movemask_ps(_mm256_cmp_ps(x, bound, _CMP_NLE_UQ)) != 0;
  }
  static TESSERA_INLINE F select_beyond(F x, F bound, F y, F z) noexcept {
    return _mm256_blendv_ps(z, y, _mm256_cmp_ps(x, bound, _CMP_NLE_UQ));
  }
  static TESSERA_INLINE F round_nearest(F x) noexcept {
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  static TESSERA_INLINE __m256i mask_of(Index n) noexcept {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kMaskBits + 8 - n));
  }
  static TESSERA_INLINE F load_n(const float* p, Index n, float fill) noexcept {
    const __m256i mask = mask_of(n);
    return _mm256_blendv_ps(_mm256_set1_ps(fill), _mm256_maskload_ps(p, mask),
                            _mm256_castsi256_ps(mask));
  }
  static TESSERA_INLINE void store_n(float* p, Index n, F x) noexcept {
    _mm256_maskstore_ps(p, mask_of(n), x);
  }
  static TESSERA_INLINE __m128 folded_sum(F x) noexcept {
    return _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  }

  static TESSERA_INLINE F shifted_to_exponent(F t) noexcept {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(t), 23));
  }
  static TESSERA_INLINE F at_most_128(F x) noexcept {
    return _mm256_castsi256_ps(
        _mm256_min_epi32(_mm256_castps_si256(x), _mm256_castps_si256(_mm256_set1_ps(128.0F))));
  }

  template <class P>
  static TESSERA_INLINE F load_groups(P&& p) noexcept {
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p(0))), _mm_loadu_ps(p(1)), 1);
  }
  /// Lane l: p[index[l] − low], which is one of p[0] … p[V − 1].
  static TESSERA_INLINE F permuted(const float* p, const std::int32_t* index,
                                   std::int32_t low) noexcept {
    const __m256i all = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(index));
    return _mm256_permutevar8x32_ps(_mm256_loadu_ps(p),
                                    _mm256_sub_epi32(all, _mm256_set1_epi32(low)));
  }
  static TESSERA_INLINE F unpack_low(F x, F y) noexcept { return _mm256_unpacklo_ps(x, y); }
  static TESSERA_INLINE F unpack_high(F x, F y) noexcept { return _mm256_unpackhi_ps(x, y); }
  template <int halves>
  static TESSERA_INLINE F shuffle(F x, F y) noexcept {
    return _mm256_shuffle_ps(x, y, halves);
  }

  static TESSERA_INLINE __m128 f16_4(__m128i h) noexcept { return _mm_cvtph_ps(h); }
  static TESSERA_INLINE F load_f16(const std::uint16_t* p) noexcept {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static TESSERA_INLINE F load_bf16(const std::uint16_t* p) noexcept {
    const __m128i h = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
  }
  /// Whole numbers of 8 bits, kLanes of them.
  static TESSERA_INLINE F load_s8(const std::int8_t* p) noexcept {
    return _mm256_cvtepi32_ps(
        _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
  }
  static TESSERA_INLINE void store_bf16(std::uint16_t* p, F x) noexcept {
    const __m256i bits = _mm256_castps_si256(x);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded =
        _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF)));
    const __m256i nan = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const __m256i result = _mm256_castps_si256(_mm256_blendv_ps(
        _mm256_castsi256_ps(rounded), _mm256_castsi256_ps(nan), _mm256_cmp_ps(x, x, _CMP_UNORD_Q)));
    const __m256i halves = _mm256_srli_epi32(result, 16);
    _mm_storeu_si128(
        reinterpret_cast<__m128i*>(p),
        _mm_packus_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1)));
  }
  static TESSERA_INLINE F bf16_low(F words) noexcept {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(words), 16));
  }
  static TESSERA_INLINE F bf16_high(F words) noexcept {
    return _mm256_and_ps(words, _mm256_castsi256_ps(_mm256_set1_epi32(-65536)));
  }

  static TESSERA_INLINE F larger_magnitude(F m, F x) noexcept {
    const __m256i bits = _mm256_and_si256(_mm256_castps_si256(x), _mm256_set1_epi32(0x7FFFFFFF));
    return _mm256_castsi256_ps(_mm256_max_epi32(_mm256_castps_si256(m), bits));
  }
  static TESSERA_INLINE F from_s32(F bits) noexcept {
    return _mm256_cvtepi32_ps(_mm256_castps_si256(bits));
  }
  static TESSERA_INLINE __m128i rounded_s16(F x) noexcept {
    const __m256i q = _mm256_cvtps_epi32(x);
    return _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1));
  }
  static TESSERA_INLINE void store_s8(std::int8_t* p, F x, std::uint32_t flip) noexcept {
    const __m128i words = rounded_s16(x), bytes = _mm_packs_epi16(words, words);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p),
                     _mm_xor_si128(bytes, _mm_set1_epi32(static_cast<std::int32_t>(flip))));
  }
  static TESSERA_INLINE void store_s16(std::int16_t* p, F x) noexcept {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), rounded_s16(x));
  }
  static TESSERA_INLINE F add_pairs(F a, F b, F c) noexcept {
    __m256 sum = c, products;  // written out: GCC 12 multiplies a whole tile first, and spills
    asm("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0"
        : "+v"(sum), "=&v"(products)
        : "v"(static_cast<__m256>(a)), "v"(static_cast<__m256>(b)));
    return sum;
  }
  static TESSERA_INLINE F load_pairs(const std::uint16_t* p) noexcept {
    return _mm256_castsi256_ps(
        _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  }
  static TESSERA_INLINE F pairs_of(__m128i bytes) noexcept {
    return _mm256_castsi256_ps(_mm256_cvtepi8_epi16(bytes));
  }

  static TESSERA_INLINE I splat(std::int32_t x) noexcept { return _mm256_set1_epi32(x); }
  static TESSERA_INLINE I mul_add(I w, I x, I sum) noexcept {
    return _mm256_add_epi32(_mm256_mullo_epi32(w, x), sum);
  }
  static TESSERA_INLINE I load_bytes(const std::uint8_t* p) noexcept {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  template <int bits>
  static TESSERA_INLINE void store_clipped(std::uint8_t* p, I x) noexcept {
    const __m256i value = _mm256_srai_epi32(x, bits);
    const __m128i words =
        _mm_packs_epi32(_mm256_castsi256_si128(value), _mm256_extracti128_si256(value, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(words, words));
  }
};

}  // namespace
}  // namespace tessera::kernels
