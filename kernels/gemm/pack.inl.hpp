// SPDX-License-Identifier: Apache-2.0
//
// Packs rows of a weight W (N,K) into a panel (K,NR) for the GEMM micro-kernel, widening to f32.
//
//   panel[k·NR + j] = W[n0 + j, k],  0 for j ≥ nr                    W f32, f16 or bf16
//
// A transposition in blocks of 4×4: four rows of W are read along K (the contiguous direction),
// each block is turned in registers and stored as four pieces of panel rows. Runs once per weight
// at load time.
#pragma once

#include "kernels/kernel_table.hpp"
#include "kernels/simd.inl.hpp"

namespace tessera::kernels {
namespace {

/// f16 → f32, exactly, for the levels without F16C (and for single elements).
///
/// Shifting exponent and fraction up by 13 bits gives x·2^(15−127); multiplying by 2^112 repairs
/// the bias and normalises denormals on the way. Infinities and NaNs (exponent 31) get exponent 255
/// instead.
TESSERA_INLINE __m128 f16_to_f32(__m128i h) noexcept {
  const __m128i magnitude = _mm_slli_epi32(_mm_and_si128(h, _mm_set1_epi32(0x7FFF)), 13);
  const __m128i sign = _mm_slli_epi32(_mm_and_si128(h, _mm_set1_epi32(0x8000)), 16);
  const __m128 scaled = _mm_mul_ps(_mm_castsi128_ps(magnitude), _mm_set1_ps(0x1p112F));
  const __m128i special = _mm_cmpgt_epi32(magnitude, _mm_set1_epi32(0x0F7FFFFF));  // exponent 31
  const __m128i exponent = _mm_and_si128(special, _mm_set1_epi32(0x7F800000));
  return _mm_castsi128_ps(_mm_or_si128(_mm_or_si128(_mm_castps_si128(scaled), exponent), sign));
}

/// Four consecutive elements of type T, widened.
template <DType T>
TESSERA_INLINE __m128 widen4(const void* p) noexcept {
  if constexpr (T == DType::f32) {
    return _mm_loadu_ps(static_cast<const float*>(p));
  } else {
    const __m128i h = _mm_loadl_epi64(static_cast<const __m128i*>(p));
    if constexpr (T == DType::bf16) {
      return _mm_castsi128_ps(
          _mm_unpacklo_epi16(_mm_setzero_si128(), h));  // the upper half of an f32
    } else {
#ifdef __F16C__
      return _mm_cvtph_ps(h);
#else
      return f16_to_f32(_mm_cvtepu16_epi32(h));
#endif
    }
  }
}

/// n ≤ 4 consecutive elements, zeros after them. Memory beyond n is not touched.
template <DType T>
TESSERA_INLINE __m128 widen_n(const void* p, Index n) noexcept {
  if (n == 4) return widen4<T>(p);
  alignas(16) unsigned char bytes[16] = {};
  const auto* from = static_cast<const unsigned char*>(p);
  for (Index i = 0; i < n * size_of(T); ++i) bytes[i] = from[i];
  return widen4<T>(bytes);
}

/// W (nr,K), row stride ldw → panel (K,NR)
template <DType T, Index NR>
void pack_panel_from(const unsigned char* w, Index ldw, Index nr, Index K, float* panel) noexcept {
  static_assert(NR % 4 == 0);
  for (Index k = 0; k < K; k += 4) {
    const Index n = K - k < 4 ? K - k : 4;  // columns of the block
    for (Index j = 0; j < NR; j += 4) {
      __m128 r[4];  // W[n0+j+i, k … k+3]
      for (Index i = 0; i < 4; ++i) {
        r[i] = j + i < nr ? widen_n<T>(w + ((j + i) * ldw + k) * size_of(T), n) : _mm_setzero_ps();
      }
      _MM_TRANSPOSE4_PS(r[0], r[1], r[2], r[3]);
      for (Index i = 0; i < n; ++i) _mm_storeu_ps(panel + (k + i) * NR + j, r[i]);
    }
  }
}

template <Index NR>
void pack_panel_f32(const void* w, DType type, Index ldw, Index nr, Index K,
                    float* panel) noexcept {
  const auto* bytes = static_cast<const unsigned char*>(w);
  switch (type) {
    case DType::f32:
      return pack_panel_from<DType::f32, NR>(bytes, ldw, nr, K, panel);
    case DType::f16:
      return pack_panel_from<DType::f16, NR>(bytes, ldw, nr, K, panel);
    case DType::bf16:
      return pack_panel_from<DType::bf16, NR>(bytes, ldw, nr, K, panel);
  }
}

}  // namespace
}  // namespace tessera::kernels
