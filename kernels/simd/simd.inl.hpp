// SPDX-License-Identifier: Apache-2.0
//
// The SIMD vocabulary of the kernels: the words of `Words<A>` by name, what follows from them, and
// the arithmetic of xsimd batches (x + y, x · y, x / y). Text that each ISA level compiles for
// itself: everything is in an anonymous namespace and force-inlined, so that no copy compiled for
// one level can stand in for another's at link time. Loads, stores and bounds are words too,
// although xsimd has them: its functions are not forced inline, and the ones it leaves out of line
// would be weak symbols.
#pragma once

#include "kernels/simd/base.inl.hpp"

namespace tessera::kernels {
namespace {

/// Vector registers of the ISA.
template <class A>
inline constexpr int kRegisters = Words<A>::kRegisters;

/// x·y + z; rounded once where the ISA has FMA.
template <class A>
TESSERA_INLINE F32<A> mul_add(F32<A> x, F32<A> y, F32<A> z) noexcept {
  return Words<A>::mul_add(x, y, z);
}

/// z − x·y
template <class A>
TESSERA_INLINE F32<A> neg_mul_add(F32<A> x, F32<A> y, F32<A> z) noexcept {
  return Words<A>::neg_mul_add(x, y, z);
}

template <class A>
TESSERA_INLINE F32<A> splat(float x) noexcept {
  return Words<A>::splat(x);
}

template <class A>
TESSERA_INLINE F32<A> load(const float* p) noexcept {
  return Words<A>::load(p);
}

template <class A>
TESSERA_INLINE void store(float* p, F32<A> x) noexcept {
  Words<A>::store(p, x);
}

/// Maximum and minimum; y if either is NaN. A constant bound goes first: then NaN passes.
template <class A>
TESSERA_INLINE F32<A> vmax(F32<A> x, F32<A> y) noexcept {
  return Words<A>::vmax(x, y);
}

template <class A>
TESSERA_INLINE F32<A> vmin(F32<A> x, F32<A> y) noexcept {
  return Words<A>::vmin(x, y);
}

/// Maximum of y and x; NaN if either is.
template <class A>
TESSERA_INLINE F32<A> vmax_or_nan(F32<A> x, F32<A> y) noexcept {
  return Words<A>::vmax_or_nan(x, y);
}

/// True if some lane of x is not ≤ bound (it is above, or NaN).
template <class A>
TESSERA_INLINE bool any_beyond(F32<A> x, float bound) noexcept {
  return Words<A>::any_beyond(x, splat<A>(bound));
}

/// Lane by lane: y where x is not ≤ bound, else z.
template <class A>
TESSERA_INLINE F32<A> select_beyond(F32<A> x, float bound, F32<A> y, F32<A> z) noexcept {
  return Words<A>::select_beyond(x, splat<A>(bound), y, z);
}

/// √x of one number, without the library call that sets errno.
TESSERA_INLINE float square_root(float x) noexcept {
  return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x)));
}

/// The nearest integer, ties to even, as f32.
template <class A>
TESSERA_INLINE F32<A> round_nearest(F32<A> x) noexcept {
  return Words<A>::round_nearest(x);
}

/// The first n lanes (1 ≤ n ≤ kLanes) from p, the others `fill`. Memory beyond n is not touched.
template <class A>
TESSERA_INLINE F32<A> load_n(const float* p, Index n, float fill = 0.0F) noexcept {
  if (n == kLanes<A>) return load<A>(p);
  return Words<A>::load_n(p, n, fill);
}

/// Stores the first n lanes (1 ≤ n ≤ kLanes). Memory beyond n is not touched.
template <class A>
TESSERA_INLINE void store_n(float* p, Index n, F32<A> x) noexcept {
  if (n == kLanes<A>) return store<A>(p, x);
  Words<A>::store_n(p, n, x);
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

/// Sum over the lanes, by halving: a fixed order.
template <class A>
TESSERA_INLINE float hsum(F32<A> x) noexcept {
  __m128 s = Words<A>::folded_sum(x);
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1)));
}

}  // namespace
}  // namespace tessera::kernels
