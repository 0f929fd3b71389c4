// SPDX-License-Identifier: Apache-2.0
//
// What happens to a tile of sums before it is C: activation, residual, rounding to bf16.
#pragma once

#include "kernels/gemm/gemm.hpp"
#include "kernels/simd/math_bf16.inl.hpp"
#include "kernels/simd/narrow.inl.hpp"
#include "kernels/simd/simd.inl.hpp"

namespace tessera::kernels {
namespace {

/// Column j of the first row of what `accumulate` starts from, and its row stride.
TESSERA_INLINE const float* sums_of(const GemmTile& t, Index j) noexcept {
  return (t.sums == nullptr ? t.c : t.sums) + j;
}
TESSERA_INLINE Index ld_of_sums(const GemmTile& t) noexcept {
  return t.sums == nullptr ? t.ldc : t.lds;
}

/// Rows [i0, i1) of C, or of its narrow form, = act(x) + residual at columns [j0, j0+nr); x (mr,nr) is
/// a tile elsewhere, because the residual may be C itself. Of whole numbers (s32 in x) act(f32(x) ·
/// (row scale · scales) + bias), whose activation is that of bf16 results: sums of 8-bit numbers are off by
/// some 10⁻², next to which its 4.3e-6 (of GELU) or 1.2e-4 do not count. Not inlined: the tile is in L1, and the micro-kernels stay small.
/// Functions of their own, so that what one does costs the others nothing.
template <class A, bool is_narrow, bool is_integer>
__attribute__((noinline)) void finish_rows_as(const GemmTile& t, const float* x, Index ldx,
                                              Index j0, Index nr, Index i0, Index i1,
                                              const float* scales) noexcept {
  with_activation(
      t.activation, [&]<Activation act>() __attribute__((always_inline)) {
        for (Index i = i0; i < i1; ++i) {
          const float* residual = t.residual != nullptr ? t.residual + i * t.ldr + j0 : nullptr;
          auto* to = [&] {
            if constexpr (is_narrow) {
              return t.narrow + i * t.ldn + j0;
            } else {
              return t.c + i * t.ldc + j0;
            }
          }();
          for_each_vector<A>(
              nr, [&](Index j, Index n) __attribute__((always_inline)) {
                F32<A> y = load_n<A>(x + i * ldx + j, n);
                if constexpr (is_integer) {
                  const F32<A> scale =
                      splat<A>(t.row_scales[i * t.row_scale_step]) * load_n<A>(scales + j, n);
                  y = Words<A>::from_s32(y);
                  y = t.bias == nullptr ? y * scale
                                        : mul_add<A>(y, scale, load_n<A>(t.bias + j0 + j, n));
                }
                if constexpr (is_narrow || is_integer) {
                  y = activate_for_bf16<act, A>(y);
                } else {
                  y = activate<act, A>(y);
                }
                if (residual != nullptr) y = y + load_n<A>(residual + j, n);
                if constexpr (is_narrow) {
                  store_bf16_n<A>(to + j, n, y);
                } else {
                  store_n<A>(to + j, n, y);
                }
              });
        }
      });
}

template <class A>
TESSERA_INLINE void finish_rows(const GemmTile& t, const float* x, Index ldx, Index j0, Index nr,
                                Index i0, Index i1) noexcept {
  if (t.narrow != nullptr) {
    finish_rows_as<A, true, false>(t, x, ldx, j0, nr, i0, i1, nullptr);
  } else {
    finish_rows_as<A, false, false>(t, x, ldx, j0, nr, i0, i1, nullptr);
  }
}
/// The same of whole numbers, panel by panel: each has the scales of its NR columns in its head. Sums
/// that are not the last go to C as they are.
template <class A, Index NR>
TESSERA_INLINE void finish_integers(const GemmTile& t, const float* x, Index ldx, Index j0,
                                    Index nr, Index i0, Index i1) noexcept {
  if (t.row_scales == nullptr) {
    for (Index i = i0; i < i1; ++i) {
      for (Index j = 0; j < nr; ++j) t.c[i * t.ldc + j0 + j] = x[i * ldx + j];
    }
    return;
  }
  for (Index j = 0; j < nr; j += NR) {
    const auto* scales =
        reinterpret_cast<const float*>(static_cast<const char*>(t.heads) + (j0 + j) / NR * t.ldb);
    const Index n = min_of(NR, nr - j);
    if (t.narrow != nullptr) {
      finish_rows_as<A, true, true>(t, x + j, ldx, j0 + j, n, i0, i1, scales);
    } else {
      finish_rows_as<A, false, true>(t, x + j, ldx, j0 + j, n, i0, i1, scales);
    }
  }
}

}  // namespace
}  // namespace tessera::kernels
