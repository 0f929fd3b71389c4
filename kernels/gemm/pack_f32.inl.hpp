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

#include "kernels/gemm/gemm.hpp"
#include "kernels/simd/simd.inl.hpp"

namespace tessera::kernels {
namespace {

/// Four consecutive elements of type T, widened.
template <class A, DType T>
TESSERA_INLINE __m128 widen4(const void* p) noexcept {
  if constexpr (T == DType::f32) {
    return _mm_loadu_ps(static_cast<const float*>(p));
  } else {
    const __m128i h = _mm_loadl_epi64(static_cast<const __m128i*>(p));
    if constexpr (T == DType::bf16) {
      return _mm_castsi128_ps(
          _mm_unpacklo_epi16(_mm_setzero_si128(), h));  // the upper half of an f32
    } else {
      return Words<A>::f16_4(h);
    }
  }
}

/// n ≤ 4 consecutive elements, zeros after them. Memory beyond n is not touched.
template <class A, DType T>
TESSERA_INLINE __m128 widen_four(const void* p, Index n) noexcept {
  if (n == 4) return widen4<A, T>(p);
  alignas(16) unsigned char bytes[16] = {};
  const auto* from = static_cast<const unsigned char*>(p);
  for (Index i = 0; i < n * size_of(T); ++i) bytes[i] = from[i];
  return widen4<A, T>(bytes);
}

/// W (nr,K), row stride ldw → panel (K,NR)
template <class A, DType T, Index NR>
void pack_panel_from(const unsigned char* w, Index ldw, Index nr, Index K, float* panel) noexcept {
  static_assert(NR % 4 == 0);
  for (Index k = 0; k < K; k += 4) {
    const Index n = K - k < 4 ? K - k : 4;  // columns of the block
    for (Index j = 0; j < NR; j += 4) {
      __m128 r[4];  // W[n0+j+i, k … k+3]
      for (Index i = 0; i < 4; ++i) {
        r[i] = j + i < nr ? widen_four<A, T>(w + ((j + i) * ldw + k) * size_of(T), n)
                          : _mm_setzero_ps();
      }
      _MM_TRANSPOSE4_PS(r[0], r[1], r[2], r[3]);
      for (Index i = 0; i < n; ++i) _mm_storeu_ps(panel + (k + i) * NR + j, r[i]);
    }
  }
}

template <class A, Index NR>
void pack_panel_f32(const PanelOfRows& p) noexcept {
  const auto* bytes = static_cast<const unsigned char*>(p.w);
  auto* const to = static_cast<float*>(p.panel);
  switch (p.type) {
    case DType::f32:
      return pack_panel_from<A, DType::f32, NR>(bytes, p.ldw, p.nr, p.K, to);
    case DType::f16:
      return pack_panel_from<A, DType::f16, NR>(bytes, p.ldw, p.nr, p.K, to);
    case DType::bf16:
      return pack_panel_from<A, DType::bf16, NR>(bytes, p.ldw, p.nr, p.K, to);
    default:
      TESSERA_ASSERT(false);
  }
}

}  // namespace
}  // namespace tessera::kernels
