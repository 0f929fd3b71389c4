// SPDX-License-Identifier: Apache-2.0
//
// Pooling over the T rows of x (T,N), column by column:
//
//   weighted mean   y = Σ_i w_i x_i / Σ_i w_i
//   maximum         y = max_i x_i                       NaN if any is
//
// A block of 8 vectors of columns stays in registers while the rows stream past: 8 independent
// chains. Each column is one chain over i, whatever the block.
#pragma once

#include "kernels/simd/simd.inl.hpp"

namespace tessera::kernels {
namespace {

/// body.template operator()<NV>(j, n): NV vectors of columns from j, the last with n lanes.
template <class A, class Body>
TESSERA_INLINE void for_each_column_block(Index N, Body&& body) noexcept {
  constexpr Index V = kLanes<A>;
  Index j = 0;
  for (; j + 8 * V <= N; j += 8 * V) body.template operator()<8>(j, V);
  for (; j < N; j += V) body.template operator()<1>(j, min_of(V, N - j));
}

template <class A>
void weighted_mean_rows(const float* x, Index ldx, const float* weights, Index T, Index N,
                        float* y) noexcept {
  TESSERA_ASSERT(T >= 1);
  constexpr Index V = kLanes<A>;
  float total = weights == nullptr ? static_cast<float>(T) : 0.0F;
  for (Index i = 0; weights != nullptr && i < T; ++i) total += weights[i];

  for_each_column_block<A>(
      N, [&]<int NV>(Index j, Index n) __attribute__((always_inline)) {
        Vectors<A, NV> sum;  // (NV·V)
        for (int v = 0; v < NV; ++v) sum[v] = splat<A>(0.0F);
        for (Index i = 0; i < T; ++i) {
          const F32<A> w = splat<A>(weights == nullptr ? 1.0F : weights[i]);
#pragma GCC unroll 8
          for (int v = 0; v < NV; ++v) {
            sum[v] = mul_add<A>(w, load_n<A>(x + i * ldx + j + v * V, n), sum[v]);
          }
        }
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v) store_n<A>(y + j + v * V, n, sum[v] / splat<A>(total));
      });
}

template <class A>
void max_of_rows(const float* x, Index ldx, Index T, Index N, float* y) noexcept {
  TESSERA_ASSERT(T >= 1);
  constexpr Index V = kLanes<A>;
  for_each_column_block<A>(
      N, [&]<int NV>(Index j, Index n) __attribute__((always_inline)) {
        Vectors<A, NV> max;  // (NV·V)
        for (int v = 0; v < NV; ++v) max[v] = splat<A>(-kInf);
        for (Index i = 0; i < T; ++i) {
#pragma GCC unroll 8
          for (int v = 0; v < NV; ++v) {
            max[v] = vmax_or_nan<A>(load_n<A>(x + i * ldx + j + v * V, n), max[v]);
          }
        }
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v) store_n<A>(y + j + v * V, n, max[v]);
      });
}

}  // namespace
}  // namespace tessera::kernels
