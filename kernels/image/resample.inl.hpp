// SPDX-License-Identifier: Apache-2.0
//
// Resampling of bytes in fixed point: out[i] = clip((2²¹ + Σ_t w_t·in[t, i]) ≫ 22).
//
// Both passes of a resize are this one sum. Down the columns the lanes are the bytes of a row;
// along the rows they are kResampleRows rows of an image turned over by transpose_bytes(), so that
// no lane ever reads across a pixel. Integers: every level gives the same bytes.
#pragma once

#include "kernels/image/image.hpp"
#include "kernels/simd/simd.inl.hpp"

namespace tessera::kernels {
namespace {

/// n vectors of lanes of one output row.
template <class A, int n>
TESSERA_INLINE void resample_lanes(const ResampleTask& task, Index i) noexcept {
  constexpr Index V = kLanes<A>;
  I32<A> sum[static_cast<std::size_t>(n)];
  for (int v = 0; v < n; ++v) sum[v] = Words<A>::splat(1 << (kResampleBits - 1));
  const std::uint8_t* in = task.in + i;
  for (Index t = 0; t < task.taps; ++t, in += task.ldi) {
    const I32<A> w = Words<A>::splat(task.weights[t]);
    for (int v = 0; v < n; ++v) {
      sum[v] = Words<A>::mul_add(w, Words<A>::load_bytes(in + v * V), sum[v]);
    }
  }
  for (int v = 0; v < n; ++v) {
    Words<A>::template store_clipped<kResampleBits>(task.out + i + v * V, sum[v]);
  }
}

template <class A>
void resample_bytes(const ResampleTask& task) noexcept {
  constexpr Index V = kLanes<A>;
  constexpr int kWide = V == 16 ? 3 : 6;  // 48 lanes: 16 rows of three channels
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

inline void transpose_bytes(const std::uint8_t* in, Index ldi, std::uint8_t* out, Index ldo,
                            Index M, Index N) noexcept {
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
