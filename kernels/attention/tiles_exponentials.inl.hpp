// SPDX-License-Identifier: Apache-2.0
//
// P = 2^(c·S − m) of a unit, rounded to bf16, row by row; Σ P per row.
//
// 2ˣ by a polynomial of degree 3: relative error 7.5e-5, a fiftieth of the rounding of P (2⁻⁹ on
// average, 2⁻⁸ at most). Sums are of P before it is rounded, in 16 lanes (key mod 16); their parts are
// added at the end of the keys.
#pragma once

#include "kernels/attention/tiles_layout.hpp"
#include "kernels/simd/math_bf16.inl.hpp"

namespace tessera::kernels {
namespace {

/// The exponentials of one unit, a row at a time.
template <class A, class E>
struct UnitExponentials {
  const float* s = nullptr;    // (rows, 64)
  char* p = nullptr;           // rows of 32 keys
  Index tile = 0, stride = 0;  // bytes from 32 keys to the next, from row to row
  const float* m = nullptr;    // (rows)
  float* sum = nullptr;        // (rows, 16)
  float c = 1.0F;              // what S is multiplied with
  Index left = 0;              // rows
  Index halves = 0;            // 32 keys each

  TESSERA_INLINE void one() noexcept {
    constexpr Index V = kLanes<A>;
    const F32<A> minus_m = splat<A>(0.0F) - splat<A>(*m), scale = splat<A>(c);
    const auto exponential = [&](Index j) __attribute__((always_inline)) {
      return exp2_for_bf16<A>(mul_add<A>(scale, load<A>(s + j), minus_m));
    };
    const auto half = [&](Index h) __attribute__((always_inline)) {
      Vectors<A, 32 / V> e;  // all, before P takes the place of S (row-complete)
#pragma GCC unroll 8
      for (Index v = 0; v < 32 / V; ++v) e[v] = exponential(32 * h + v * V);
#pragma GCC unroll 4
      for (Index v = 0; v < 16 / V; ++v) {
        E::store_halves(p + h * tile, v * V, e[v], e[16 / V + v]);
        store<A>(sum + v * V, load<A>(sum + v * V) + (e[v] + e[16 / V + v]));
      }
    };
    half(0);
    if (halves > 1) half(1);
    s += kUnitKeys;
    p += stride;
    sum += kTopLanes;
    ++m;
    --left;
  }
  TESSERA_INLINE void drain() noexcept {
    while (left > 0) one();
  }
};

/// out[i] = the largest (or, `adds`, the sum) of x[i][0 … 15], i < rows; in a fixed order. Up to three
/// rows beyond are read, and written to out.
template <class A, bool adds>
void reduce_rows(const float* x, Index ld, Index rows, float* out) noexcept {
  constexpr Index V = kLanes<A>;
  using W = Words<A>;
  const auto join = [](F32<A> a, F32<A> b) __attribute__((always_inline)) {
    return adds ? a + b : vmax<A>(a, b);
  };
  for (Index i = 0; i < rows; i += 4) {
    alignas(64) float groups[16];
    for (Index v = 0; v < 16; v += V) {
      const auto row = [&](Index r) __attribute__((always_inline)) {
        return load<A>(x + (i + r) * ld + v);
      };
      const F32<A> ab = join(W::unpack_low(row(0), row(1)), W::unpack_high(row(0), row(1)));
      const F32<A> cd = join(W::unpack_low(row(2), row(3)), W::unpack_high(row(2), row(3)));
      store<A>(groups + v,
               join(W::template shuffle<0x44>(ab, cd), W::template shuffle<0xEE>(ab, cd)));
    }
    const auto four = [&](Index g) { return _mm_load_ps(groups + 4 * g); };
    const __m128 y = adds ? _mm_add_ps(_mm_add_ps(four(0), four(1)), _mm_add_ps(four(2), four(3)))
                          : _mm_max_ps(_mm_max_ps(four(0), four(1)), _mm_max_ps(four(2), four(3)));
    _mm_storeu_ps(out + i, y);
  }
}

}  // namespace
}  // namespace tessera::kernels
