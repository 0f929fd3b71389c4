// SPDX-License-Identifier: Apache-2.0
//
// C = A Wᵀ + bias, the obvious way, in double. Beside each element its magnitude Σ|a_k w_k| +
// |bias|, which the rounding error of any f32 evaluation is proportional to
// (support/tolerance.hpp).
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include "kernels/types.hpp"

namespace tessera::reference {

struct GemmResult {
  std::vector<double> value;      // (M,N)
  std::vector<double> magnitude;  // (M,N)
};

/// a (M,K), row stride lda; w (N,K), row stride ldw; bias (N) or null.
inline GemmResult gemm(const float* a, Index lda, const float* w, Index ldw, const float* bias,
                       Index M, Index N, Index K) {
  GemmResult c;
  c.value.reserve(static_cast<std::size_t>(M * N));
  c.magnitude.reserve(static_cast<std::size_t>(M * N));
  for (Index i = 0; i < M; ++i) {
    for (Index j = 0; j < N; ++j) {
      double sum = bias != nullptr ? static_cast<double>(bias[j]) : 0.0;
      double magnitude = std::abs(sum);
      for (Index k = 0; k < K; ++k) {
        const double product =
            static_cast<double>(a[i * lda + k]) * static_cast<double>(w[j * ldw + k]);
        sum += product;
        magnitude += std::abs(product);
      }
      c.value.push_back(sum);
      c.magnitude.push_back(magnitude);
    }
  }
  return c;
}

}  // namespace tessera::reference
