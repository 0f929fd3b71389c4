// SPDX-License-Identifier: Apache-2.0
//
// Rows as whole numbers and a scale: symmetric, by row, so that a row's numbers depend on it alone.
//
//   m = max_j |x_j|      scale = m / 127      q_j = ⌊x_j · (127/m)⌉, ties to even      |q_j| ≤ 127
//
// With factors f, x_j is x_j · f_j in all of it. Powers of two: that product has the digits of x.
//
// Every step is one IEEE operation (no FMA), so that q and scale are the same bits at every level.
//
// Two passes over a row, which stays in L1. In the first the largest magnitude is that of the bits as
// integers: they are ordered as the floats are, and infinity and NaN come after every number.
#pragma once

#include <bit>
#include <type_traits>

#include "kernels/rows/rows.hpp"
#include "kernels/rows/widen.inl.hpp"

namespace tessera::kernels {
namespace {

/// How a kernel of products reads the numbers of A: as they are; + 128, where an instruction wants
/// one factor without a sign; in 16 bits, where none multiplies bytes without saturation.
enum class QuantizedForm : std::uint8_t { s8, u8, s16 };

inline constexpr float kLeastMagnitude = 0x1p-100F;  // of a row that is not taken for zeros

struct RowScale {
  float scale, inverse;
};

/// Of the row whose largest magnitude has these bits. inverse = 0: all its numbers are 0.
TESSERA_INLINE RowScale row_scale_of(std::uint32_t largest) noexcept {
  constexpr std::uint32_t kInfinity = 0x7F800000U;
  if (largest >= kInfinity) return {__builtin_nanf(""), 0.0F};
  const float m = std::bit_cast<float>(largest);
  if (m < kLeastMagnitude) return {0.0F, 0.0F};
  return {m / 127.0F, 127.0F / m};
}

struct NoFactors {};

/// n elements of a row from j on, as widen_n(), times their factors if there are any.
template <class A, DType type, class Factors>
TESSERA_INLINE F32<A> scaled_n(const void* x, Factors f, Index j, Index n) noexcept {
  const F32<A> v = widen_n<A, type>(x, j, n);
  if constexpr (std::is_same_v<Factors, NoFactors>) {
    return v;
  } else {
    return v * load_n<A>(f + j, n);
  }
}

/// The largest magnitude of x (N), its bits.
template <class A, DType type, class Factors = NoFactors>
TESSERA_INLINE std::uint32_t largest_magnitude(const void* x, Index N, Factors f = {}) noexcept {
  constexpr Index V = kLanes<A>;
  F32<A> m0 = splat<A>(0.0F), m1 = m0, m2 = m0, m3 = m0;
  Index j = 0;
  for (; j + 4 * V <= N; j += 4 * V) {
    m0 = Words<A>::larger_magnitude(m0, scaled_n<A, type>(x, f, j, V));
    m1 = Words<A>::larger_magnitude(m1, scaled_n<A, type>(x, f, j + V, V));
    m2 = Words<A>::larger_magnitude(m2, scaled_n<A, type>(x, f, j + 2 * V, V));
    m3 = Words<A>::larger_magnitude(m3, scaled_n<A, type>(x, f, j + 3 * V, V));
  }
  for (; j < N; j += V) {
    m0 = Words<A>::larger_magnitude(m0, scaled_n<A, type>(x, f, j, min_of(V, N - j)));
  }
  m0 = Words<A>::larger_magnitude(Words<A>::larger_magnitude(m0, m1),
                                  Words<A>::larger_magnitude(m2, m3));
  alignas(64) float lanes[static_cast<std::size_t>(V)];
  store<A>(lanes, m0);
  std::uint32_t largest = 0;
  for (Index i = 0; i < V; ++i) {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(lanes[i]);
    largest = bits > largest ? bits : largest;
  }
  return largest;
}

/// kLanes numbers x · inverse at y, rounded; all 0 where inverse is.
template <class A, QuantizedForm form>
TESSERA_INLINE void store_quantized(void* y, Index j, F32<A> x, float inverse) noexcept {
  const F32<A> q = inverse == 0.0F ? splat<A>(0.0F) : x * splat<A>(inverse);
  if constexpr (form == QuantizedForm::s16) {
    Words<A>::store_s16(static_cast<std::int16_t*>(y) + j, q);
  } else {
    Words<A>::store_s8(static_cast<std::int8_t*>(y) + j, q,
                       form == QuantizedForm::u8 ? 0x80808080U : 0U);
  }
}

template <class A, QuantizedForm form, DType type, class Factors>
TESSERA_INLINE void quantize_row(const void* x, Factors f, Index N, char* y) noexcept {
  constexpr Index V = kLanes<A>;
  constexpr Index kBytes = form == QuantizedForm::s16 ? 2 : 1;
  const RowScale row = row_scale_of(largest_magnitude<A, type>(x, N, f));
  Index j = 0;
  for (; j + V <= N; j += V) {
    store_quantized<A, form>(y, j, scaled_n<A, type>(x, f, j, V), row.inverse);
  }
  const Index end = round_up(N, kQuantizedGroup);
  if (j < end) {
    alignas(64) char lanes[static_cast<std::size_t>(V * kBytes)];
    const F32<A> rest = j < N ? scaled_n<A, type>(x, f, j, N - j) : splat<A>(0.0F);
    store_quantized<A, form>(lanes, 0, rest, row.inverse);
    __builtin_memcpy(y + j * kBytes, lanes, static_cast<std::size_t>((end - j) * kBytes));
  }
  __builtin_memcpy(y + end * kBytes, &row.scale, sizeof row.scale);
}

template <class A, QuantizedForm form>
void quantize_rows(const QuantizeRows& r) noexcept {
  const auto rows = [&]<DType type>(auto f) __attribute__((always_inline)) {
    for (Index i = 0; i < r.M; ++i) {
      quantize_row<A, form, type>(static_cast<const char*>(r.x) + i * r.ldx * size_of(type), f, r.N,
                                  static_cast<char*>(r.y) + i * r.y_bytes);
    }
  };
  const auto of_type = [&](auto f) __attribute__((always_inline)) {
    if (r.type == DType::bf16) return rows.template operator()<DType::bf16>(f);
    rows.template operator()<DType::f32>(f);
  };
  TESSERA_ASSERT(r.type == DType::f32 || r.type == DType::bf16);
  if (r.factors != nullptr) return of_type(r.factors);
  of_type(NoFactors{});
}

}  // namespace
}  // namespace tessera::kernels
