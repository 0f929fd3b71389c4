// SPDX-License-Identifier: Apache-2.0
//
// Resampling of bytes in fixed point: out[i] = clip((2²¹ + Σ_t w_t·in[t, i]) ≫ 22).
//
// Both passes of a resize are this one sum. Down the columns the lanes are the bytes of a row;
// along the rows they are kResampleRows rows of an image turned over by transpose_bytes(), so that
// no lane ever reads across a pixel. Integers: every level gives the same bytes.
#pragma once

#include "kernels/simd.inl.hpp"

namespace tessera::kernels {
namespace {

template <class A>
using I32 = xsimd::batch<std::int32_t, A>;

/// kLanes bytes, each in 32 bits.
template <class A>
TESSERA_INLINE I32<A> widen_bytes(const std::uint8_t* p) noexcept {
  if constexpr (kIsAvx512<A>) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  } else if constexpr (kIsAvx2<A>) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  } else {
    std::int32_t four;
    __builtin_memcpy(&four, p, sizeof four);
    return _mm_cvtepu8_epi32(_mm_cvtsi32_si128(four));
  }
}

template <class A>
TESSERA_INLINE I32<A> splat_i32(std::int32_t x) noexcept {
  if constexpr (kIsAvx512<A>) {
    return _mm512_set1_epi32(x);
  } else if constexpr (kIsAvx2<A>) {
    return _mm256_set1_epi32(x);
  } else {
    return _mm_set1_epi32(x);
  }
}

/// sum + w·x
template <class A>
TESSERA_INLINE I32<A> multiply_add(I32<A> w, I32<A> x, I32<A> sum) noexcept {
  if constexpr (kIsAvx512<A>) {
    return _mm512_add_epi32(_mm512_mullo_epi32(w, x), sum);
  } else if constexpr (kIsAvx2<A>) {
    return _mm256_add_epi32(_mm256_mullo_epi32(w, x), sum);
  } else {
    return _mm_add_epi32(_mm_mullo_epi32(w, x), sum);
  }
}

/// kLanes bytes clip(x ≫ kResampleBits, 0, 255).
template <class A>
TESSERA_INLINE void store_clipped(std::uint8_t* p, I32<A> x) noexcept {
  if constexpr (kIsAvx512<A>) {
    const __m512i value = _mm512_srai_epi32(x, kResampleBits);
    const __m512i positive = _mm512_max_epi32(value, _mm512_setzero_si512());
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtusepi32_epi8(positive));
  } else if constexpr (kIsAvx2<A>) {
    const __m256i value = _mm256_srai_epi32(x, kResampleBits);
    const __m128i words =
        _mm_packs_epi32(_mm256_castsi256_si128(value), _mm256_extracti128_si256(value, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(words, words));
  } else {
    const __m128i value = _mm_srai_epi32(x, kResampleBits);
    const __m128i words = _mm_packs_epi32(value, value);
    const std::int32_t four = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
    __builtin_memcpy(p, &four, sizeof four);
  }
}

/// n vectors of lanes of one output row.
template <class A, int n>
TESSERA_INLINE void resample_lanes(const ResampleTask& task, Index i) noexcept {
  constexpr Index V = kLanes<A>;
  I32<A> sum[static_cast<std::size_t>(n)];
  for (int v = 0; v < n; ++v) sum[v] = splat_i32<A>(1 << (kResampleBits - 1));
  const std::uint8_t* in = task.in + i;
  for (Index t = 0; t < task.taps; ++t, in += task.ldi) {
    const I32<A> w = splat_i32<A>(task.weights[t]);
    for (int v = 0; v < n; ++v) sum[v] = multiply_add<A>(w, widen_bytes<A>(in + v * V), sum[v]);
  }
  for (int v = 0; v < n; ++v) store_clipped<A>(task.out + i + v * V, sum[v]);
}

template <class A>
void resample_bytes(const ResampleTask& task) noexcept {
  constexpr Index V = kLanes<A>;
  constexpr int kWide = kIsAvx512<A> ? 3 : 6;  // 48 lanes: 16 rows of three channels
  const Index n = task.n;
  Index i = 0;
  for (; i + kWide * V <= n; i += kWide * V) resample_lanes<A, kWide>(task, i);
  for (; i + V <= n; i += V) resample_lanes<A, 1>(task, i);
  for (; i < n; ++i) {
    std::int32_t sum = 1 << (kResampleBits - 1);
    for (Index t = 0; t < task.taps; ++t) sum += task.weights[t] * task.in[t * task.ldi + i];
    sum >>= kResampleBits;
    task.out[i] = static_cast<std::uint8_t>(sum < 0 ? 0 : sum > 255 ? 255 : sum);
  }
}

/// 8 rows of 16 bytes become 16 rows of 8.
TESSERA_INLINE void transpose_8x16(const std::uint8_t* in, Index ldi, std::uint8_t* out,
                                   Index ldo) noexcept {
  __m128i row[8], pair[8], quad[8];
  for (Index i = 0; i < 8; ++i) {
    row[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + i * ldi));
  }
  for (int i = 0; i < 4; ++i) {  // bytes of rows 2i and 2i+1 side by side, columns 0-7 and 8-15
    pair[i] = _mm_unpacklo_epi8(row[2 * i], row[2 * i + 1]);
    pair[i + 4] = _mm_unpackhi_epi8(row[2 * i], row[2 * i + 1]);
  }
  for (int half = 0; half < 8; half += 4) {  // four rows: columns 0-3 and 4-7 of the half
    quad[half] = _mm_unpacklo_epi16(pair[half], pair[half + 1]);
    quad[half + 1] = _mm_unpackhi_epi16(pair[half], pair[half + 1]);
    quad[half + 2] = _mm_unpacklo_epi16(pair[half + 2], pair[half + 3]);
    quad[half + 3] = _mm_unpackhi_epi16(pair[half + 2], pair[half + 3]);
  }
  for (int half = 0; half < 8; half += 4) {
    for (int q = 0; q < 2; ++q) {  // eight rows: two columns a register
      const __m128i low = _mm_unpacklo_epi32(quad[half + q], quad[half + q + 2]),
                    high = _mm_unpackhi_epi32(quad[half + q], quad[half + q + 2]);
      std::uint8_t* to = out + (2 * half + 4 * q) * ldo;
      _mm_storel_epi64(reinterpret_cast<__m128i*>(to), low);
      _mm_storel_epi64(reinterpret_cast<__m128i*>(to + ldo), _mm_unpackhi_epi64(low, low));
      _mm_storel_epi64(reinterpret_cast<__m128i*>(to + 2 * ldo), high);
      _mm_storel_epi64(reinterpret_cast<__m128i*>(to + 3 * ldo), _mm_unpackhi_epi64(high, high));
    }
  }
}

template <class A>
void transpose_bytes(const std::uint8_t* in, Index ldi, std::uint8_t* out, Index ldo, Index M,
                     Index N) noexcept {
  const Index whole_m = M / 8 * 8, whole_n = N / 16 * 16;
  for (Index j = 0; j < whole_n; j += 16) {
    for (Index i = 0; i < whole_m; i += 8) {
      transpose_8x16(in + i * ldi + j, ldi, out + j * ldo + i, ldo);
    }
  }
  for (Index i = 0; i < M; ++i) {
    for (Index j = i < whole_m ? whole_n : 0; j < N; ++j) out[j * ldo + i] = in[i * ldi + j];
  }
}

}  // namespace
}  // namespace tessera::kernels
