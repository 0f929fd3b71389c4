// SPDX-License-Identifier: Apache-2.0
// The vocabulary of SSE4.2: 16 registers of 4 lanes, no FMA, no masks, no conversion of f16.
#pragma once

#include "kernels/simd/base.inl.hpp"

namespace tessera::kernels {
namespace {

template <>
struct Words<xsimd::sse4_2> {
  using F = F32<xsimd::sse4_2>;
  using I = I32<xsimd::sse4_2>;
  static constexpr int kRegisters = 16;
  static constexpr bool kFma = false, kScale = false, kReciprocal14 = false;

  static TESSERA_INLINE F splat(float x) noexcept { return _mm_set1_ps(x); }
  static TESSERA_INLINE F load(const float* p) noexcept { return _mm_loadu_ps(p); }
  static TESSERA_INLINE void store(float* p, F x) noexcept { _mm_storeu_ps(p, x); }
  static TESSERA_INLINE F mul_add(F x, F y, F z) noexcept {
    return _mm_add_ps(_mm_mul_ps(x, y), z);
  }
  static TESSERA_INLINE F neg_mul_add(F x, F y, F z) noexcept {
    return _mm_sub_ps(z, _mm_mul_ps(x, y));
  }
  static TESSERA_INLINE F vmax(F x, F y) noexcept { return _mm_max_ps(x, y); }
  static TESSERA_INLINE F vmin(F x, F y) noexcept { return _mm_min_ps(x, y); }
  static TESSERA_INLINE F vmax_or_nan(F x, F y) noexcept {
    return _mm_blendv_ps(_mm_max_ps(x, y), x, _mm_cmpunord_ps(x, x));
  }
  static TESSERA_INLINE bool any_beyond(F x, F bound) noexcept {
    return _mm_movemask_ps(_mm_cmpnle_ps(x, bound)) != 0;
  }
  static TESSERA_INLINE F select_beyond(F x, F bound, F y, F z) noexcept {
    return _mm_blendv_ps(z, y, _mm_cmpnle_ps(x, bound));
  }
  static TESSERA_INLINE F round_nearest(F x) noexcept {
    return _mm_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  static TESSERA_INLINE F load_n(const float* p, Index n, float fill) noexcept {
    alignas(16) float lanes[4] = {fill, fill, fill, fill};
    for (Index i = 0; i < n; ++i) lanes[i] = p[i];
    return _mm_load_ps(lanes);
  }
  static TESSERA_INLINE void store_n(float* p, Index n, F x) noexcept {
    alignas(16) float lanes[4];
    _mm_store_ps(lanes, x);
    for (Index i = 0; i < n; ++i) p[i] = lanes[i];
  }
  static TESSERA_INLINE __m128 folded_sum(F x) noexcept { return x; }

  static TESSERA_INLINE F shifted_to_exponent(F t) noexcept {
    return _mm_castsi128_ps(_mm_slli_epi32(_mm_castps_si128(t), 23));
  }
  static TESSERA_INLINE F at_most_128(F x) noexcept {
    return _mm_castsi128_ps(
        _mm_min_epi32(_mm_castps_si128(x), _mm_castps_si128(_mm_set1_ps(128.0F))));
  }

  // Four groups of 4 lanes or fewer: group g is loaded from p(g).
  template <class P>
  static TESSERA_INLINE F load_groups(P&& p) noexcept {
    return _mm_loadu_ps(p(0));
  }
  /// Lane l: p[index[l] − low], which is one of p[0] … p[V − 1].
  static TESSERA_INLINE F permuted(const float* p, const std::int32_t* index,
                                   std::int32_t low) noexcept {
    const __m128i all = _mm_loadu_si128(reinterpret_cast<const __m128i*>(index));
    const __m128i first = _mm_mullo_epi32(_mm_sub_epi32(all, _mm_set1_epi32(low)),
                                          _mm_set1_epi32(0x04040404));  // bytes 4l … 4l + 3
    const __m128i bytes = _mm_add_epi32(first, _mm_set1_epi32(0x03020100));
    return _mm_castsi128_ps(_mm_shuffle_epi8(_mm_castps_si128(_mm_loadu_ps(p)), bytes));
  }
  static TESSERA_INLINE F unpack_low(F x, F y) noexcept { return _mm_unpacklo_ps(x, y); }
  static TESSERA_INLINE F unpack_high(F x, F y) noexcept { return _mm_unpackhi_ps(x, y); }
  template <int halves>
  static TESSERA_INLINE F shuffle(F x, F y) noexcept {
    return _mm_shuffle_ps(x, y, halves);
  }

  /// f16 → f32, exactly, where subnormal f32 count as zero too. Exponent and fraction move up by 13
  /// bits, 112 repairs the exponent's bias. A subnormal f16, m·2^−24, has exponent 0 where 2^−14·(1 + …)
  /// has 1: it gets that, and 2^−14 is taken off. Infinities and NaNs (exponent 31) get exponent 255.
  static TESSERA_INLINE __m128 f16_4(__m128i h16) noexcept {
    const __m128i h = _mm_cvtepu16_epi32(h16);
    const __m128i magnitude = _mm_slli_epi32(_mm_and_si128(h, _mm_set1_epi32(0x7FFF)), 13);
    const __m128i sign = _mm_slli_epi32(_mm_and_si128(h, _mm_set1_epi32(0x8000)), 16);
    const __m128i biased = _mm_add_epi32(magnitude, _mm_set1_epi32(112 << 23));
    const __m128 normalised = _mm_sub_ps(
        _mm_castsi128_ps(_mm_add_epi32(biased, _mm_set1_epi32(1 << 23))), _mm_set1_ps(0x1p-14F));
    const __m128i subnormal = _mm_cmpgt_epi32(_mm_set1_epi32(1 << 23), magnitude);
    const __m128 scaled =
        _mm_blendv_ps(_mm_castsi128_ps(biased), normalised, _mm_castsi128_ps(subnormal));
    const __m128i special = _mm_cmpgt_epi32(magnitude, _mm_set1_epi32(0x0F7FFFFF));
    const __m128i exponent = _mm_and_si128(special, _mm_set1_epi32(0x7F800000));
    return _mm_castsi128_ps(_mm_or_si128(_mm_or_si128(_mm_castps_si128(scaled), exponent), sign));
  }
  static TESSERA_INLINE F load_f16(const std::uint16_t* p) noexcept {
    return f16_4(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  static TESSERA_INLINE F load_bf16(const std::uint16_t* p) noexcept {
    const __m128i h = _mm_cvtepu16_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
    return _mm_castsi128_ps(_mm_slli_epi32(h, 16));
  }
  /// Whole numbers of 8 bits, kLanes of them.
  static TESSERA_INLINE F load_s8(const std::int8_t* p) noexcept {
    std::int32_t four = 0;
    __builtin_memcpy(&four, p, sizeof four);
    return _mm_cvtepi32_ps(_mm_cvtepi8_epi32(_mm_cvtsi32_si128(four)));
  }
  static TESSERA_INLINE void store_bf16(std::uint16_t* p, F x) noexcept {
    const __m128i bits = _mm_castps_si128(x);
    const __m128i odd = _mm_and_si128(_mm_srli_epi32(bits, 16), _mm_set1_epi32(1));
    const __m128i rounded = _mm_add_epi32(bits, _mm_add_epi32(odd, _mm_set1_epi32(0x7FFF)));
    const __m128i nan = _mm_or_si128(bits, _mm_set1_epi32(0x400000));
    const __m128i result = _mm_castps_si128(
        _mm_blendv_ps(_mm_castsi128_ps(rounded), _mm_castsi128_ps(nan), _mm_cmpunord_ps(x, x)));
    const __m128i halves = _mm_srli_epi32(result, 16);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi32(halves, halves));
  }
  static TESSERA_INLINE F bf16_low(F words) noexcept {
    return _mm_castsi128_ps(_mm_slli_epi32(_mm_castps_si128(words), 16));
  }
  static TESSERA_INLINE F bf16_high(F words) noexcept {
    return _mm_and_ps(words, _mm_castsi128_ps(_mm_set1_epi32(-65536)));
  }

  static TESSERA_INLINE F larger_magnitude(F m, F x) noexcept {
    const __m128i bits = _mm_and_si128(_mm_castps_si128(x), _mm_set1_epi32(0x7FFFFFFF));
    return _mm_castsi128_ps(_mm_max_epi32(_mm_castps_si128(m), bits));
  }
  static TESSERA_INLINE F from_s32(F bits) noexcept {
    return _mm_cvtepi32_ps(_mm_castps_si128(bits));
  }
  static TESSERA_INLINE void store_s8(std::int8_t* p, F x, std::uint32_t flip) noexcept {
    const __m128i words = _mm_packs_epi32(_mm_cvtps_epi32(x), _mm_setzero_si128());
    const std::uint32_t four =
        static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm_packs_epi16(words, words))) ^ flip;
    __builtin_memcpy(p, &four, sizeof four);
  }
  static TESSERA_INLINE void store_s16(std::int16_t* p, F x) noexcept {
    const __m128i words = _mm_packs_epi32(_mm_cvtps_epi32(x), _mm_setzero_si128());
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), words);
  }
  static TESSERA_INLINE F add_pairs(F a, F b, F c) noexcept {
    __m128 sum = c, products;  // written out: GCC 12 multiplies a whole tile first, and spills
    asm("movdqa %2, %1\n\tpmaddwd %3, %1\n\tpaddd %1, %0"
        : "+v"(sum), "=&v"(products)
        : "v"(static_cast<__m128>(a)), "v"(static_cast<__m128>(b)));
    return sum;
  }
  static TESSERA_INLINE F load_pairs(const std::uint16_t* p) noexcept {
    return _mm_castsi128_ps(
        _mm_cvtepi8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
  }
  static TESSERA_INLINE F pairs_of(__m128i bytes) noexcept {
    return _mm_castsi128_ps(_mm_cvtepi8_epi16(bytes));
  }

  static TESSERA_INLINE I splat(std::int32_t x) noexcept { return _mm_set1_epi32(x); }
  static TESSERA_INLINE I mul_add(I w, I x, I sum) noexcept {
    return _mm_add_epi32(_mm_mullo_epi32(w, x), sum);
  }
  static TESSERA_INLINE I load_bytes(const std::uint8_t* p) noexcept {
    std::int32_t four;
    __builtin_memcpy(&four, p, sizeof four);
    return _mm_cvtepu8_epi32(_mm_cvtsi32_si128(four));
  }
  template <int bits>
  static TESSERA_INLINE void store_clipped(std::uint8_t* p, I x) noexcept {
    const __m128i value = _mm_srai_epi32(x, bits);
    const __m128i words = _mm_packs_epi32(value, value);
    const std::int32_t four = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
    __builtin_memcpy(p, &four, sizeof four);
  }
};

}  // namespace
}  // namespace tessera::kernels
