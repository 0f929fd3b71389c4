// SPDX-License-Identifier: Apache-2.0
//
// y = act(x), y = act(x) ⊙ u and y = a + b over the rows of (M,N) matrices: one load and one store
// per vector. The GEMM epilogues fuse both wherever they follow a product; these serve the places
// where they do not.
#pragma once

#include "kernels/simd/math.inl.hpp"

namespace tessera::kernels {
namespace {

template <class A>
void activation_rows(Activation act, const float* x, Index ldx, float* y, Index ldy, Index M,
                     Index N) noexcept {
  with_activation(
      act, [&]<Activation a>() __attribute__((always_inline)) {
        for (Index i = 0; i < M; ++i) {
          for_each_vector<A>(N, [&](Index j, Index n) {
            store_n<A>(y + i * ldy + j, n, activate<a, A>(load_n<A>(x + i * ldx + j, n)));
          });
        }
      });
}

template <class A>
void gated_rows(Activation act, const float* x, const float* u, Index ldx, float* y, Index ldy,
                Index M, Index N) noexcept {
  with_activation(
      act, [&]<Activation a>() __attribute__((always_inline)) {
        for (Index i = 0; i < M; ++i) {
          for_each_vector<A>(N, [&](Index j, Index n) {
            store_n<A>(
                y + i * ldy + j, n,
                activate<a, A>(load_n<A>(x + i * ldx + j, n)) * load_n<A>(u + i * ldx + j, n));
          });
        }
      });
}

template <class A>
void add_rows(const float* a, Index lda, const float* b, Index ldb, float* y, Index ldy, Index M,
              Index N) noexcept {
  for (Index i = 0; i < M; ++i) {
    for_each_vector<A>(N, [&](Index j, Index n) {
      store_n<A>(y + i * ldy + j, n, load_n<A>(a + i * lda + j, n) + load_n<A>(b + i * ldb + j, n));
    });
  }
}

}  // namespace
}  // namespace tessera::kernels
