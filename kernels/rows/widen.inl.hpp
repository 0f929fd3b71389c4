// SPDX-License-Identifier: Apache-2.0
//
// Loads of f32, f16 and bf16 elements as f32, all exact; and rows of f32 rounded to bf16.
// (bf16 is the upper half of an f32; f16 is Words<A>::load_f16.)
#pragma once

#include "kernels/simd/narrow.inl.hpp"
#include "kernels/simd/simd.inl.hpp"

namespace tessera::kernels {
namespace {

/// kLanes elements of 16 bits.
template <class A, DType type>
TESSERA_INLINE F32<A> widen_vector(const std::uint16_t* p) noexcept {
  static_assert(type == DType::f16 || type == DType::bf16);
  if constexpr (type == DType::f16) {
    return Words<A>::load_f16(p);
  } else {
    return Words<A>::load_bf16(p);
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

template <class A, DType type>
TESSERA_INLINE void widen_all(const void* x, float* y, Index n) noexcept {
  for_each_vector<A>(
      n, [&](Index j, Index lanes) __attribute__((always_inline)) {
        store_n<A>(y + j, lanes, widen_n<A, type>(x, j, lanes));
      });
}

/// y[i] = x[i] as f32
template <class A>
void widen(const void* x, DType type, float* y, Index n) noexcept {
  switch (type) {
    case DType::f32:
      return widen_all<A, DType::f32>(x, y, n);
    case DType::f16:
      return widen_all<A, DType::f16>(x, y, n);
    default:
      return widen_all<A, DType::bf16>(x, y, n);
  }
}

template <class A>
void narrow_rows(const float* x, Index ldx, std::uint16_t* y, Index ldy, Index M,
                 Index N) noexcept {
  for (Index i = 0; i < M; ++i) {
    for_each_vector<A>(N, [&](Index j, Index lanes) {
      store_bf16_n<A>(y + i * ldy + j, lanes, load_n<A>(x + i * ldx + j, lanes));
    });
  }
}

}  // namespace
}  // namespace tessera::kernels
