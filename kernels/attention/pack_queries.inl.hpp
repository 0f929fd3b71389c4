// SPDX-License-Identifier: Apache-2.0
//
// Qᵀ of one block of query rows, scaled: qt[k,i] = c·q[i,k].      q (Tq,d) -> qt (d, ld)
//
// k counts words of 32 bits (gemm/elements.inl.hpp): in bf16, pairs stay pairs, and c = 1.
//
// Queries become lanes, so that the row maximum, the exponentials and the row sum of softmax need
// no horizontal operation, and K is used where it lies. The transposition is done 4 columns at a
// time: each 128-bit group of a vector takes 4 elements of one row, and a 4x4 transposition inside
// the groups gives 4 vectors of queries.
#pragma once

#include "kernels/gemm/elements.inl.hpp"
#include "kernels/simd/simd.inl.hpp"

namespace tessera::kernels {
namespace {

/// Vector r of a 4x4-in-groups block: group g holds p[row(4g + r)·ld … + 3].
template <class A, class Row>
TESSERA_INLINE F32<A> gather_groups(Row&& row, Index r) noexcept {
  return Words<A>::load_groups([&](Index g)
                                   __attribute__((always_inline)) { return row(4 * g + r); });
}

/// Transposes the 4x4 block in each 128-bit group of x[0 … 3].
template <class A>
TESSERA_INLINE void transpose_groups(F32<A> (&x)[4]) noexcept {
  using W = Words<A>;
  const F32<A> a = W::unpack_low(x[0], x[1]), b = W::unpack_high(x[0], x[1]);
  const F32<A> c = W::unpack_low(x[2], x[3]), d = W::unpack_high(x[2], x[3]);
  x[0] = W::template shuffle<0x44>(a, c);
  x[1] = W::template shuffle<0xEE>(a, c);
  x[2] = W::template shuffle<0x44>(b, d);
  x[3] = W::template shuffle<0xEE>(b, d);
}

/// qt[k·ld + i] = c·q[i,k] for i < ld = Tq rounded up to whole vectors; rows beyond Tq repeat the
/// last one.
template <class A, class E>
void pack_queries(const float* q, Index ldq, Index Tq, Index d, float c, float* qt,
                  Index ld) noexcept {
  constexpr Index V = kLanes<A>;
  for (Index i0 = 0; i0 < ld; i0 += V) {
    const auto row = [&](Index i) __attribute__((always_inline)) {
      return q + min_of(i0 + i, Tq - 1) * ldq;
    };
    Index k = 0;
    for (; k + 4 <= d; k += 4) {
      F32<A> x[4];
#pragma GCC unroll 4
      for (Index r = 0; r < 4; ++r) {
        x[r] = gather_groups<A>(
            [&](Index i) __attribute__((always_inline)) { return row(i) + k; }, r);
      }
      transpose_groups<A>(x);
#pragma GCC unroll 4
      for (Index r = 0; r < 4; ++r) store<A>(qt + (k + r) * ld + i0, E::scaled(c, x[r]));
    }
    for (; k < d; ++k) {
      for (Index i = 0; i < V; ++i) qt[k * ld + i0 + i] = E::scaled(c, row(i)[k]);
    }
  }
}

}  // namespace
}  // namespace tessera::kernels
