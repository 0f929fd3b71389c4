// SPDX-License-Identifier: Apache-2.0
//
// Softmax over rows.   y = exp(x − m)/l,  m = max x,  l = Σ exp(x − m)
//
// Three passes over a row in L1: maximum, exponentials and their sum, scaling. A row of −inf gives
// zeros (softmax over nothing); a row with NaN or +inf gives NaN, as the formula does.
#pragma once

#include "kernels/math.inl.hpp"

namespace tessera::kernels {
namespace {

/// max x, −inf for a row without finite elements; NaN is ignored (the sum of exponentials shows
/// it).
template <class A>
TESSERA_INLINE float row_max(const float* x, Index N) noexcept {
  constexpr Index V = kLanes<A>;
  F32<A> m0 = splat<A>(-kInf), m1 = m0, m2 = m0, m3 = m0;
  Index j = 0;
  for (; j + 4 * V <= N; j += 4 * V) {
    m0 = vmax<A>(load<A>(x + j), m0);
    m1 = vmax<A>(load<A>(x + j + V), m1);
    m2 = vmax<A>(load<A>(x + j + 2 * V), m2);
    m3 = vmax<A>(load<A>(x + j + 3 * V), m3);
  }
  for (; j < N; j += V) m0 = vmax<A>(load_n<A>(x + j, min_of(V, N - j), -kInf), m0);
  return hmax<A>(vmax<A>(vmax<A>(m0, m1), vmax<A>(m2, m3)));
}

template <class A>
void softmax_rows(const float* x, Index ldx, float* y, Index ldy, Index M, Index N) noexcept {
  for (Index i = 0; i < M; ++i, x += ldx, y += ldy) {
    const float max = row_max<A>(x, N);
    const F32<A> m = splat<A>(max == -kInf ? 0.0F : max);  // −inf − 0, not −inf − (−inf)
    const F32<A> sum = sum_vectors<A>(N, [&](Index j, Index n) {
      const F32<A> e =
          exp<A>(load_n<A>(x + j, n, -kInf) - m);  // missing lanes are −inf: they add 0
      store_n<A>(y + j, n, e);                     // y = exp(x − m)
      return e;
    });
    const float l = hsum<A>(sum);
    const F32<A> scale = splat<A>(l == 0.0F ? 0.0F : 1.0F / l);
    for_each_vector<A>(
        N, [&](Index j, Index n) { store_n<A>(y + j, n, load_n<A>(y + j, n) * scale); });  // y / l
  }
}

}  // namespace
}  // namespace tessera::kernels
