// SPDX-License-Identifier: Apache-2.0
//
// The SIMD vocabulary of the kernels: xsimd batches plus what xsimd 8.1 lacks (AVX-512 FMA, masked
// tails, horizontal max, in-register horizontal sums, widening loads). Text that each ISA level
// compiles for itself: everything is in an anonymous namespace and force-inlined, so that no copy
// compiled for one level can stand in for another's at link time.
#pragma once

// GCC 12's own intrinsics start from an uninitialised source register and then warn about it (PR
// 105593).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#pragma GCC diagnostic pop

#include <type_traits>
#include <xsimd/xsimd.hpp>

#include "kernels/extents.hpp"
#include "kernels/types.hpp"

#define TESSERA_INLINE inline __attribute__((always_inline))

namespace tessera::kernels {
namespace {

// A: xsimd::sse4_2, xsimd::fma3<xsimd::avx2>, xsimd::avx512bw
template <class A>
using F32 = xsimd::batch<float, A>;

/// n vectors, and m rows of n vectors, meant to live in registers.
template <class A, int n>
using Vectors = F32<A>[static_cast<std::size_t>(n)];
template <class A, int m, int n>
using Tile = F32<A>[static_cast<std::size_t>(m)][static_cast<std::size_t>(n)];

template <class A>
inline constexpr bool kIsAvx512 = std::is_base_of_v<xsimd::avx512f, A>;
template <class A>
inline constexpr bool kIsAvx2 = std::is_same_v<A, xsimd::fma3<xsimd::avx2>>;

/// Lanes of one vector: 4, 8 or 16.
template <class A>
inline constexpr Index kLanes = static_cast<Index>(F32<A>::size);

constexpr float kInf = __builtin_inff();

/// x·y + z; rounded once where the ISA has FMA.
template <class A>
TESSERA_INLINE F32<A> mul_add(F32<A> x, F32<A> y, F32<A> z) noexcept {
  if constexpr (kIsAvx512<A>) {
    return _mm512_fmadd_ps(x, y, z);  // missing in xsimd 8.1
  } else if constexpr (kIsAvx2<A>) {
    return _mm256_fmadd_ps(x, y, z);
  } else {
    return _mm_add_ps(_mm_mul_ps(x, y), z);
  }
}

/// z − x·y
template <class A>
TESSERA_INLINE F32<A> neg_mul_add(F32<A> x, F32<A> y, F32<A> z) noexcept {
  if constexpr (kIsAvx512<A>) {
    return _mm512_fnmadd_ps(x, y, z);
  } else if constexpr (kIsAvx2<A>) {
    return _mm256_fnmadd_ps(x, y, z);
  } else {
    return _mm_sub_ps(z, _mm_mul_ps(x, y));
  }
}

template <class A>
TESSERA_INLINE F32<A> splat(float x) noexcept {
  if constexpr (kIsAvx512<A>) {
    return _mm512_set1_ps(x);
  } else if constexpr (kIsAvx2<A>) {
    return _mm256_set1_ps(x);
  } else {
    return _mm_set1_ps(x);
  }
}

template <class A>
TESSERA_INLINE F32<A> load(const float* p) noexcept {
  if constexpr (kIsAvx512<A>) {
    return _mm512_loadu_ps(p);
  } else if constexpr (kIsAvx2<A>) {
    return _mm256_loadu_ps(p);
  } else {
    return _mm_loadu_ps(p);
  }
}

template <class A>
TESSERA_INLINE void store(float* p, F32<A> x) noexcept {
  if constexpr (kIsAvx512<A>) {
    _mm512_storeu_ps(p, x);
  } else if constexpr (kIsAvx2<A>) {
    _mm256_storeu_ps(p, x);
  } else {
    _mm_storeu_ps(p, x);
  }
}

/// Maximum and minimum; y if either is NaN. A constant bound goes first: then NaN passes.
template <class A>
TESSERA_INLINE F32<A> vmax(F32<A> x, F32<A> y) noexcept {
  if constexpr (kIsAvx512<A>) {
    return _mm512_max_ps(x, y);
  } else if constexpr (kIsAvx2<A>) {
    return _mm256_max_ps(x, y);
  } else {
    return _mm_max_ps(x, y);
  }
}

template <class A>
TESSERA_INLINE F32<A> vmin(F32<A> x, F32<A> y) noexcept {
  if constexpr (kIsAvx512<A>) {
    return _mm512_min_ps(x, y);
  } else if constexpr (kIsAvx2<A>) {
    return _mm256_min_ps(x, y);
  } else {
    return _mm_min_ps(x, y);
  }
}

/// Maximum of y and x; NaN if either is.
template <class A>
TESSERA_INLINE F32<A> vmax_or_nan(F32<A> x, F32<A> y) noexcept {
  if constexpr (kIsAvx512<A>) {
    return _mm512_mask_mov_ps(_mm512_max_ps(x, y), _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), x);
  } else if constexpr (kIsAvx2<A>) {
    return _mm256_blendv_ps(_mm256_max_ps(x, y), x, _mm256_cmp_ps(x, x, _CMP_UNORD_Q));
  } else {
    return _mm_blendv_ps(_mm_max_ps(x, y), x, _mm_cmpunord_ps(x, x));
  }
}

/// True if some lane of x is not ≤ bound (it is above, or NaN).
template <class A>
TESSERA_INLINE bool any_beyond(F32<A> x, float bound) noexcept {
  if constexpr (kIsAvx512<A>) {
    return _mm512_cmp_ps_mask(x, splat<A>(bound), _CMP_NLE_UQ) != 0;
  } else if constexpr (kIsAvx2<A>) {
    return _mm256_movemask_ps(_mm256_cmp_ps(x, splat<A>(bound), _CMP_NLE_UQ)) != 0;
  } else {
    return _mm_movemask_ps(_mm_cmpnle_ps(x, splat<A>(bound))) != 0;
  }
}

/// Lane by lane: y where x is not ≤ bound, else z.
template <class A>
TESSERA_INLINE F32<A> select_beyond(F32<A> x, float bound, F32<A> y, F32<A> z) noexcept {
  if constexpr (kIsAvx512<A>) {
    return _mm512_mask_mov_ps(z, _mm512_cmp_ps_mask(x, splat<A>(bound), _CMP_NLE_UQ), y);
  } else if constexpr (kIsAvx2<A>) {
    return _mm256_blendv_ps(z, y, _mm256_cmp_ps(x, splat<A>(bound), _CMP_NLE_UQ));
  } else {
    return _mm_blendv_ps(z, y, _mm_cmpnle_ps(x, splat<A>(bound)));
  }
}

/// √x of one number, without the library call that sets errno.
TESSERA_INLINE float square_root(float x) noexcept {
  return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x)));
}

/// The nearest integer, ties to even, as f32.
template <class A>
TESSERA_INLINE F32<A> round_nearest(F32<A> x) noexcept {
  if constexpr (kIsAvx512<A>) {
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  } else if constexpr (kIsAvx2<A>) {
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  } else {
    return _mm_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
}

/// Lane masks −1 … −1 0 … 0 for AVX2 tails: loading at kMaskBits + 8 − n gives n set lanes.
alignas(64) constexpr std::int32_t kMaskBits[16] = {-1, -1, -1, -1, -1, -1, -1, -1,
                                                    0,  0,  0,  0,  0,  0,  0,  0};

/// The first n lanes (1 ≤ n ≤ kLanes) from p, the others `fill`. Memory beyond n is not touched.
template <class A>
TESSERA_INLINE F32<A> load_n(const float* p, Index n, float fill = 0.0F) noexcept {
  if (n == kLanes<A>) return load<A>(p);
  if constexpr (kIsAvx512<A>) {
    const auto mask = static_cast<__mmask16>((1U << static_cast<unsigned>(n)) - 1U);
    return _mm512_mask_loadu_ps(_mm512_set1_ps(fill), mask, p);
  } else if constexpr (kIsAvx2<A>) {
    const __m256i mask = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kMaskBits + 8 - n));
    return _mm256_blendv_ps(_mm256_set1_ps(fill), _mm256_maskload_ps(p, mask),
                            _mm256_castsi256_ps(mask));
  } else {
    alignas(16) float lanes[4] = {fill, fill, fill, fill};
    for (Index i = 0; i < n; ++i) lanes[i] = p[i];
    return _mm_load_ps(lanes);
  }
}

/// Stores the first n lanes (1 ≤ n ≤ kLanes). Memory beyond n is not touched.
template <class A>
TESSERA_INLINE void store_n(float* p, Index n, F32<A> x) noexcept {
  if (n == kLanes<A>) return store<A>(p, x);
  if constexpr (kIsAvx512<A>) {
    _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1U << static_cast<unsigned>(n)) - 1U), x);
  } else if constexpr (kIsAvx2<A>) {
    _mm256_maskstore_ps(p, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kMaskBits + 8 - n)),
                        x);
  } else {
    alignas(16) float lanes[4];
    _mm_store_ps(lanes, x);
    for (Index i = 0; i < n; ++i) p[i] = lanes[i];
  }
}

/// Calls body(j, n) for j = 0, V, 2V, … < N with n = lanes left, at most V.
template <class A, class Body>
TESSERA_INLINE void for_each_vector(Index N, Body&& body) noexcept {
  Index j = 0;
  for (; j + kLanes<A> <= N; j += kLanes<A>) body(j, kLanes<A>);
  if (j < N) body(j, N - j);
}

/// Σ term(j, n) over the vectors of a row, in 4 chains (vector index mod 4): an order that depends
/// on N alone. term must give 0 in the missing lanes of the tail.
template <class A, class Term>
TESSERA_INLINE F32<A> sum_vectors(Index N, Term&& term) noexcept {
  constexpr Index V = kLanes<A>;
  F32<A> s0 = splat<A>(0.0F), s1 = s0, s2 = s0, s3 = s0;
  Index j = 0;
  for (; j + 4 * V <= N; j += 4 * V) {
    s0 = s0 + term(j, V);
    s1 = s1 + term(j + V, V);
    s2 = s2 + term(j + 2 * V, V);
    s3 = s3 + term(j + 3 * V, V);
  }
  for (; j < N; j += V) s0 = s0 + term(j, min_of(V, N - j));
  return (s0 + s1) + (s2 + s3);
}

/// Sum and maximum over the lanes, by halving: a fixed order.
template <class A>
TESSERA_INLINE float hsum(F32<A> x) noexcept {
  __m128 s;
  if constexpr (kIsAvx512<A>) {
    const __m256 h = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    s = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  } else if constexpr (kIsAvx2<A>) {
    s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  } else {
    s = x;
  }
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1)));
}

template <class A>
TESSERA_INLINE float hmax(F32<A> x) noexcept {
  __m128 s;
  if constexpr (kIsAvx512<A>) {
    const __m256 h = _mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    s = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  } else if constexpr (kIsAvx2<A>) {
    s = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  } else {
    s = x;
  }
  s = _mm_max_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_max_ss(s, _mm_shuffle_ps(s, s, 1)));
}

}  // namespace
}  // namespace tessera::kernels
