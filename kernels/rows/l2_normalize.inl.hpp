// SPDX-License-Identifier: Apache-2.0
//
// y = x / max(‖x‖₂, ε) per row, ‖x‖₂ = √Σ x². A NaN in a row makes the row NaN.
#pragma once

#include "kernels/simd/simd.inl.hpp"

namespace tessera::kernels {
namespace {

template <class A>
void l2_normalize_rows(const float* x, Index ldx, float* y, Index ldy, Index M, Index N,
                       float eps) noexcept {
  for (Index i = 0; i < M; ++i, x += ldx, y += ldy) {
    const F32<A> squares = sum_vectors<A>(N, [&](Index j, Index n) {
      const F32<A> v = load_n<A>(x + j, n);
      return v * v;
    });
    const float norm = square_root(hsum<A>(squares));
    const F32<A> scale = splat<A>(1.0F / (norm < eps ? eps : norm));  // NaN < eps is false
    for_each_vector<A>(
        N, [&](Index j, Index n) { store_n<A>(y + j, n, load_n<A>(x + j, n) * scale); });
  }
}

}  // namespace
}  // namespace tessera::kernels
