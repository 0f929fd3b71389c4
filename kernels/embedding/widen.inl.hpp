// SPDX-License-Identifier: Apache-2.0
//
// Loads of f32, f16 and bf16 elements as f32, all exact.
//
//   bf16   the upper half of an f32: shift left by 16
//   f16    vcvtph2ps; without F16C: place exponent and mantissa, then scale by 2¹¹² = 2^(127 − 15),
//          which makes normals and denormals right at once; inf and NaN get the exponent 255
#pragma once

#include "kernels/simd.inl.hpp"

namespace tessera::kernels {
namespace {

/// kLanes 16-bit integers from p, zero-extended to 32 bits and converted.
template <class A, DType type>
TESSERA_INLINE F32<A> widen_vector(const std::uint16_t* p) noexcept {
  static_assert(type == DType::f16 || type == DType::bf16);
  if constexpr (kIsAvx512<A>) {
    const __m256i h = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    if constexpr (type == DType::f16) return _mm512_cvtph_ps(h);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
  } else if constexpr (kIsAvx2<A>) {
    const __m128i h = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    if constexpr (type == DType::f16) return _mm256_cvtph_ps(h);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16));
  } else {
    const __m128i h = _mm_cvtepu16_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
    if constexpr (type == DType::bf16) return _mm_castsi128_ps(_mm_slli_epi32(h, 16));
    const __m128i em = _mm_slli_epi32(_mm_and_si128(h, _mm_set1_epi32(0x7FFF)), 13);
    const __m128i sign = _mm_slli_epi32(_mm_and_si128(h, _mm_set1_epi32(0x8000)), 16);
    const __m128i special =
        _mm_and_si128(_mm_cmpgt_epi32(em, _mm_set1_epi32(0x0F7FFFFF)), _mm_set1_epi32(0x7F800000));
    const __m128 scaled = _mm_mul_ps(_mm_castsi128_ps(em), _mm_set1_ps(0x1p112F));
    return _mm_or_ps(scaled, _mm_castsi128_ps(_mm_or_si128(sign, special)));
  }
}

/// The first n elements from p + j as f32 (1 ≤ n ≤ kLanes), the other lanes 0. Nothing beyond is
/// touched.
template <class A, DType type>
TESSERA_INLINE F32<A> widen_n(const void* p, Index j, Index n) noexcept {
  if constexpr (type == DType::f32) {
    return load_n<A>(static_cast<const float*>(p) + j, n);
  } else {
    const std::uint16_t* h = static_cast<const std::uint16_t*>(p) + j;
    if (n == kLanes<A>) return widen_vector<A, type>(h);
    std::uint16_t lanes[16] = {};
    for (Index i = 0; i < n; ++i) lanes[i] = h[i];
    return widen_vector<A, type>(lanes);
  }
}

/// As above with the type at run time: a branch that a loop predicts.
template <class A>
TESSERA_INLINE F32<A> widen_n(const void* p, DType type, Index j, Index n) noexcept {
  switch (type) {
    case DType::f32:
      return widen_n<A, DType::f32>(p, j, n);
    case DType::f16:
      return widen_n<A, DType::f16>(p, j, n);
    default:
      return widen_n<A, DType::bf16>(p, j, n);
  }
}

/// y[i] = x[i] as f32
template <class A>
void widen(const void* x, DType type, float* y, Index n) noexcept {
  for_each_vector<A>(
      n, [&](Index j, Index lanes) { store_n<A>(y + j, lanes, widen_n<A>(x, type, j, lanes)); });
}

}  // namespace
}  // namespace tessera::kernels
