// SPDX-License-Identifier: Apache-2.0
//
// LayerNorm over rows, with the residual addition in front of it.
//
//   z = x + residual
//   μ = Σ z / N
//   σ² = Σ (z − μ)² / N                      two passes: no cancellation as in Σ z² − N μ²
//   y = (z − μ)/√(σ² + ε) · γ + β
//
// RMSNorm (Zhang, Sennrich 2019) is the same with μ = 0.
//
// z is kept in y between the passes, so that a row is read once from x and residual and then lives
// in L1 (N = 4096: 16 KiB). Traffic per row beyond L1: read x, residual; write y, or half of it as bf16.
#pragma once

#include "kernels/rows/rows.hpp"
#include "kernels/simd/narrow.inl.hpp"
#include "kernels/simd/simd.inl.hpp"

namespace tessera::kernels {
namespace {

/// Σ z / N; with a residual, z = x + residual is left in y.
template <class A>
TESSERA_INLINE float row_mean(const float* x, const float* residual, float* y, Index N) noexcept {
  const F32<A> sum = residual == nullptr
                         ? sum_vectors<A>(N, [&](Index j, Index n) { return load_n<A>(x + j, n); })
                         : sum_vectors<A>(N, [&](Index j, Index n) {
                             const F32<A> z = load_n<A>(x + j, n) +
                                              load_n<A>(residual + j, n);  // z = x + residual
                             store_n<A>(y + j, n, z);
                             return z;
                           });
  return hsum<A>(sum) / static_cast<float>(N);
}

/// 1/√(Σ (z − μ)²/N + ε)
template <class A>
TESSERA_INLINE float row_rstd(const float* z, float mu, float eps, Index N) noexcept {
  const F32<A> squares = sum_vectors<A>(N, [&](Index j, Index n) {
    const F32<A> c = load_n<A>(z + j, n, mu) - splat<A>(mu);  // missing lanes are μ: they add 0
    return c * c;
  });
  const float variance = hsum<A>(squares) / static_cast<float>(N);
  return 1.0F / square_root(variance + eps);
}

/// store(j, n, elements j … j + n − 1 of a row); y is the row's place for z, if there is a residual.
template <class A, class Store>
TESSERA_INLINE void normalize_row(const LayerNormRows& r, Index i, float* y,
                                  Store&& store) noexcept {
  const float* residual = r.residual == nullptr ? nullptr : r.residual + i * r.ldr;  // (N)
  const float* x = r.x + i * r.ldx;                                                  // (N)
  float mu = r.of_squares && residual == nullptr ? 0.0F : row_mean<A>(x, residual, y, r.N);
  if (r.of_squares) mu = 0.0F;
  const float* z = residual == nullptr ? x : y;  // (N)
  const float rstd = row_rstd<A>(z, mu, r.eps, r.N);
  for_each_vector<A>(
      r.N, [&](Index j, Index n) __attribute__((always_inline)) {
        const F32<A> c = (load_n<A>(z + j, n) - splat<A>(mu)) * splat<A>(rstd);
        store(j, n, mul_add<A>(c, load_n<A>(r.gamma + j, n), load_n<A>(r.beta + j, n)));
      });
}

template <class A>
void layer_norm_rows(const LayerNormRows& r) noexcept {
  TESSERA_ASSERT(r.narrow == nullptr || r.residual == nullptr);
  for (Index i = 0; i < r.M; ++i) {
    if (r.narrow != nullptr) {
      std::uint16_t* const to = r.narrow + i * r.ldn;  // (N)
      normalize_row<A>(
          r, i, nullptr, [&](Index j, Index n, F32<A> v) __attribute__((always_inline)) {
            store_bf16_n<A>(to + j, n, v);
          });
      continue;
    }
    float* const y = r.y + i * r.ldy;  // (N)
    normalize_row<A>(
        r, i, y, [&](Index j, Index n, F32<A> v) __attribute__((always_inline)) {
          store_n<A>(y + j, n, v);
        });
  }
}

}  // namespace
}  // namespace tessera::kernels
