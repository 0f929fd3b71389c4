// SPDX-License-Identifier: Apache-2.0
//
// What a score takes of products with distances (runtime/execute/disentangled.cpp): elements of a row in
// the order of an index that rises or falls slowly, and such rows turned over and added.
//
//   pick             y[j] = s · x[index[j]]
//   add_transposed   y[i,j] = x[j,i]   or   y[i,j] + x[j,i]
//
// V elements of an index that moves by 0 or 1 from one to the next are among V neighbours of x: one load and
// a permutation in a register take the place of V loads.
#pragma once

#include "kernels/attention/pack_queries.inl.hpp"
#include "kernels/rows/rows.hpp"
#include "kernels/simd/simd.inl.hpp"

namespace tessera::kernels {
namespace {

template <class A>
void pick_elements(const PickElements& p) noexcept {
  constexpr Index V = kLanes<A>;
  const F32<A> scale = splat<A>(p.scale);
  Index j = 0;
  for (; j + V <= p.n; j += V) {
    const std::int32_t* const index = p.index + j;
    const Index first = index[0], last = index[V - 1];
    const Index low = min_of(first, last);
    if (max_of(first, last) - low < V && low + V <= p.end) {
      store<A>(p.y + j,
               scale * Words<A>::permuted(p.x + low, index, static_cast<std::int32_t>(low)));
      continue;
    }
    for (Index l = 0; l < V; ++l) p.y[j + l] = p.scale * p.x[index[l]];
  }
  for (; j < p.n; ++j) p.y[j] = p.scale * p.x[p.index[j]];
}

/// Columns [j0, j0 + n) of y, n ≤ V.
template <class A, bool adds>
TESSERA_INLINE void transposed_columns(const float* x, Index ldx, float* y, Index ldy, Index M,
                                       Index n) noexcept {
  const auto row = [&](Index j) __attribute__((always_inline)) {
    return x + min_of(j, n - 1) * ldx;
  };
  Index i = 0;
  for (; i + 4 <= M; i += 4) {
    F32<A> v[4];
#pragma GCC unroll 4
    for (Index r = 0; r < 4; ++r) {
      v[r] = gather_groups<A>(
          [&](Index j) __attribute__((always_inline)) { return row(j) + i; }, r);
    }
    transpose_groups<A>(v);
#pragma GCC unroll 4
    for (Index r = 0; r < 4; ++r) {
      float* const to = y + (i + r) * ldy;
      store_n<A>(to, n, adds ? load_n<A>(to, n) + v[r] : v[r]);
    }
  }
  for (; i < M; ++i) {
    float* const to = y + i * ldy;
    for (Index j = 0; j < n; ++j) to[j] = adds ? to[j] + row(j)[i] : row(j)[i];
  }
}

template <class A>
void add_transposed(const float* x, Index ldx, float* y, Index ldy, Index M, Index N,
                    bool adds) noexcept {
  constexpr Index V = kLanes<A>;
  for (Index j = 0; j < N; j += V) {
    const Index n = min_of(V, N - j);
    if (adds) {
      transposed_columns<A, true>(x + j * ldx, ldx, y + j, ldy, M, n);
    } else {
      transposed_columns<A, false>(x + j * ldx, ldx, y + j, ldy, M, n);
    }
  }
}

}  // namespace
}  // namespace tessera::kernels
