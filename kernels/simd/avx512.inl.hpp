// SPDX-License-Identifier: Apache-2.0
// The vocabulary of AVX-512 F CD BW DQ VL: 32 registers of 16 lanes, mask registers, and scaling by a
// power of two in one instruction.
#pragma once

#include "kernels/simd/base.inl.hpp"

namespace tessera::kernels {
namespace {

template <>
struct Words<xsimd::avx512bw> {
  using F = F32<xsimd::avx512bw>;
  using I = I32<xsimd::avx512bw>;
  static constexpr int kRegisters = 32;
  static constexpr bool kFma = true, kScale = true, kReciprocal14 = true;

  static TESSERA_INLINE F splat(float x) noexcept { return _mm512_set1_ps(x); }
  static TESSERA_INLINE F load(const float* p) noexcept { return _mm512_loadu_ps(p); }
  static TESSERA_INLINE void store(float* p, F x) noexcept { _mm512_storeu_ps(p, x); }
  static TESSERA_INLINE F mul_add(F x, F y, F z) noexcept { return _mm512_fmadd_ps(x, y, z); }
  static TESSERA_INLINE F neg_mul_add(F x, F y, F z) noexcept { return _mm512_fnmadd_ps(x, y, z); }
  static TESSERA_INLINE F vmax(F x, F y) noexcept { return _mm512_max_ps(x, y); }
  static TESSERA_INLINE F vmin(F x, F y) noexcept { return _mm512_min_ps(x, y); }
  static TESSERA_INLINE F vmax_or_nan(F x, F y) noexcept {
    return _mm512_mask_mov_ps(_mm512_max_ps(x, y), _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), x);
  }
  static TESSERA_INLINE bool any_beyond(F x, F bound) noexcept {
    return _mm512_cmp_ps_mask(x, bound, _CMP_NLE_UQ) != 0;
  }
  static TESSERA_INLINE F select_beyond(F x, F bound, F y, F z) noexcept {
    return _mm512_mask_mov_ps(z, _mm512_cmp_ps_mask(x, bound, _CMP_NLE_UQ), y);
  }
  static TESSERA_INLINE F reciprocal_14(F x) noexcept { return _mm512_rcp14_ps(x); }
  /// min(|x|, bound), bound ≥ 0; bound where x is NaN.
  static TESSERA_INLINE F magnitude_within(F x, F bound) noexcept {
    return _mm512_range_ps(x, bound, 0b1010);
  }
  /// table[i] for the lowest four bits i of each element.
  static TESSERA_INLINE F look_up(const float (&table)[16], F i) noexcept {
    return _mm512_permutexvar_ps(_mm512_castps_si512(i), _mm512_load_ps(table));
  }
  static TESSERA_INLINE F round_nearest(F x) noexcept {
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  static TESSERA_INLINE __mmask16 mask_of(Index n) noexcept {
    return static_cast<__mmask16>((1U << static_cast<unsigned>(n)) - 1U);
  }
  static TESSERA_INLINE F load_n(const float* p, Index n, float fill) noexcept {
    return _mm512_mask_loadu_ps(_mm512_set1_ps(fill), mask_of(n), p);
  }
  static TESSERA_INLINE void store_n(float* p, Index n, F x) noexcept {
    _mm512_mask_storeu_ps(p, mask_of(n), x);
  }
  static TESSERA_INLINE __m128 folded_sum(F x) noexcept {
    const __m256 h = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    return _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  }

  static TESSERA_INLINE F below_integer(F x) noexcept {  // x − ⌊x⌋, 0 at ±inf
    return _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  }
  static TESSERA_INLINE F scale(F x, F n) noexcept { return _mm512_scalef_ps(x, n); }  // x·2^⌊n⌋

  template <class P>
  static TESSERA_INLINE F load_groups(P&& p) noexcept {
    __m512 x = _mm512_castps128_ps512(_mm_loadu_ps(p(0)));
    x = _mm512_insertf32x4(x, _mm_loadu_ps(p(1)), 1);
    x = _mm512_insertf32x4(x, _mm_loadu_ps(p(2)), 2);
    return _mm512_insertf32x4(x, _mm_loadu_ps(p(3)), 3);
  }
  /// Lane l: p[index[l] − low], which is one of p[0] … p[V − 1].
  static TESSERA_INLINE F permuted(const float* p, const std::int32_t* index,
                                   std::int32_t low) noexcept {
    const __m512i lanes = _mm512_sub_epi32(_mm512_loadu_si512(index), _mm512_set1_epi32(low));
    return _mm512_permutexvar_ps(lanes, _mm512_loadu_ps(p));
  }
  static TESSERA_INLINE F unpack_low(F x, F y) noexcept { return _mm512_unpacklo_ps(x, y); }
  static TESSERA_INLINE F unpack_high(F x, F y) noexcept { return _mm512_unpackhi_ps(x, y); }
  template <int halves>
  static TESSERA_INLINE F shuffle(F x, F y) noexcept {
    return _mm512_shuffle_ps(x, y, halves);
  }

  static TESSERA_INLINE __m128 f16_4(__m128i h) noexcept { return _mm_cvtph_ps(h); }
  static TESSERA_INLINE F load_f16(const std::uint16_t* p) noexcept {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static TESSERA_INLINE F load_bf16(const std::uint16_t* p) noexcept {
    const __m256i h = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
  }
  /// Whole numbers of 8 bits, kLanes of them.
  static TESSERA_INLINE F load_s8(const std::int8_t* p) noexcept {
    return _mm512_cvtepi32_ps(
        _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  }
  static TESSERA_INLINE void store_bf16(std::uint16_t* p, F x) noexcept {
    const __m512i bits = _mm512_castps_si512(x);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded =
        _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF)));
    const __m512i result = _mm512_mask_or_epi32(rounded, _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q),
                                                bits, _mm512_set1_epi32(0x400000));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm512_cvtepi32_epi16(_mm512_srli_epi32(result, 16)));
  }
  static TESSERA_INLINE F bf16_low(F words) noexcept {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(words), 16));
  }
  static TESSERA_INLINE F bf16_high(F words) noexcept {
    return _mm512_castsi512_ps(
        _mm512_and_si512(_mm512_castps_si512(words), _mm512_set1_epi32(-65536)));
  }

  /// Lane by lane the bits of the larger of m ≥ 0 and |x|, ordered as integers.
  static TESSERA_INLINE F larger_magnitude(F m, F x) noexcept {
    const __m512i bits = _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(0x7FFFFFFF));
    return _mm512_castsi512_ps(_mm512_max_epi32(_mm512_castps_si512(m), bits));
  }
  /// Lanes that hold s32, as f32.
  static TESSERA_INLINE F from_s32(F bits) noexcept {
    return _mm512_cvtepi32_ps(_mm512_castps_si512(bits));
  }
  /// kLanes whole numbers, x rounded to nearest even; |x| < 128 bytes, each with the bits of `flip`
  /// inverted.
  static TESSERA_INLINE void store_s8(std::int8_t* p, F x, std::uint32_t flip) noexcept {
    const __m128i bytes = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                     _mm_xor_si128(bytes, _mm_set1_epi32(static_cast<std::int32_t>(flip))));
  }
  static TESSERA_INLINE void store_s16(std::int16_t* p, F x) noexcept {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(x)));
  }
  /// c + Σ of the two products of 16-bit numbers in each lane.
  static TESSERA_INLINE F add_pairs(F a, F b, F c) noexcept {
    __m512 sum = c, products;  // written out: GCC 12 multiplies a whole tile first, and spills
    asm("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0"
        : "+v"(sum), "=&v"(products)
        : "v"(static_cast<__m512>(a)), "v"(static_cast<__m512>(b)));
    return sum;
  }
  /// Pairs of bytes with a sign, kLanes of them, each number in 16 bits.
  static TESSERA_INLINE F load_pairs(const std::uint16_t* p) noexcept {
    return _mm512_castsi512_ps(
        _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
  }
  static TESSERA_INLINE F pairs_of(__m256i bytes) noexcept {
    return _mm512_castsi512_ps(_mm512_cvtepi8_epi16(bytes));
  }

  static TESSERA_INLINE I splat(std::int32_t x) noexcept { return _mm512_set1_epi32(x); }
  static TESSERA_INLINE I mul_add(I w, I x, I sum) noexcept {
    return _mm512_add_epi32(_mm512_mullo_epi32(w, x), sum);
  }
  static TESSERA_INLINE I load_bytes(const std::uint8_t* p) noexcept {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  template <int bits>
  static TESSERA_INLINE void store_clipped(std::uint8_t* p, I x) noexcept {
    const __m512i value = _mm512_srai_epi32(x, bits);
    const __m512i positive = _mm512_max_epi32(value, _mm512_setzero_si512());
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtusepi32_epi8(positive));
  }
};

}  // namespace
}  // namespace tessera::kernels
