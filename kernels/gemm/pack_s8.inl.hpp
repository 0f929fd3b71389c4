// SPDX-License-Identifier: Apache-2.0
//
// Packs rows of a weight W (N,K) into a panel of 8-bit numbers for the GEMM micro-kernel: symmetric,
// one scale per row of W, a column of the panel.
//
//   scale_j = max_k |W[n0+j, k]| / 127      q[j, k] = ⌊W[n0+j, k] / scale_j⌉, ties to even, as activations
//
//   head    scale_j, then what the sums of column j begin at (s32), each for NR columns
//   rows    [g·KR·NR + c·KR·T + ((i/4·T) + j mod T)·4 + i mod 4] = q[j, k]           k = g·KR + i, c = j/T
//           (KR = 2: two bytes for a column, [(k/2·NR + j)·2 + k mod 2])
//
// Columns j ≥ nr and rows K ≤ k < ⌈K/KR⌉·KR are 0. W is f32, f16 or bf16, or s8 with its scales given:
// then q are its numbers. A column of zeros, or of less than 2⁻¹⁰⁰, has scale 0; one with ±inf or NaN
// scale NaN. Runs once per weight at load time.
#pragma once

#include "kernels/gemm/gemm.hpp"
#include "kernels/rows/quantize.inl.hpp"

namespace tessera::kernels {
namespace {

/// bits of the largest magnitude of a row as stored
template <class A>
TESSERA_INLINE std::uint32_t largest_of_row(const void* row, DType type, Index K) noexcept {
  switch (type) {
    case DType::f32:
      return largest_magnitude<A, DType::f32>(row, K);
    case DType::f16:
      return largest_magnitude<A, DType::f16>(row, K);
    default:
      return largest_magnitude<A, DType::bf16>(row, K);
  }
}

/// `first`: what the elements of A are above the numbers that they stand for: 0, or 128.
template <class A, Index NR, Index KR, std::int32_t first, Index T = NR>
void pack_panel_s8(const PanelOfRows& p) noexcept {
  constexpr Index kOfWord = KR < 4 ? KR : 4;  // bytes of a column, one after another
  constexpr Index kAtOnce = 64;               // numbers of a row
  auto* const scales = static_cast<float*>(p.panel);
  auto* const starts = reinterpret_cast<std::int32_t*>(scales + NR);
  auto* const to = reinterpret_cast<std::int8_t*>(starts + NR);
  const Index whole = round_up(p.K, KR);
  for (Index j = 0; j < NR; ++j) {
    const auto* row = static_cast<const unsigned char*>(p.w) + j * p.ldw * size_of(p.type);
    const bool is_there = j < p.nr, is_s8 = p.type == DType::s8;
    RowScale scale{0.0F, 0.0F};
    if (is_there && is_s8) scale.scale = p.scales[j];
    if (is_there && !is_s8) scale = row_scale_of(largest_of_row<A>(row, p.type, p.K));
    std::int32_t sum = 0;
    for (Index k = 0; k < whole; k += kAtOnce) {
      alignas(64) std::int8_t q[kAtOnce] = {};
      const Index n = is_there ? min_of(kAtOnce, p.K - k) : 0;
      if (is_s8) {
        if (n > 0) __builtin_memcpy(q, row + k, static_cast<std::size_t>(n));
      } else {
        for (Index i = 0; i < n; i += kLanes<A>) {
          const F32<A> x = widen_n<A>(row, p.type, k + i, min_of(kLanes<A>, n - i));
          store_quantized<A, QuantizedForm::s8>(q, i, x, scale.inverse);
        }
      }
      for (Index i = 0; i < n; ++i) sum += q[i];
      for (Index i = 0; i < kAtOnce && k + i < whole; i += kOfWord) {
        const Index group = (k + i) / KR, in_group = (k + i) % KR;
        std::int8_t* const at =
            to + group * KR * NR + j / T * KR * T + (in_group / kOfWord * T + j % T) * kOfWord;
        __builtin_memcpy(at, q + i, static_cast<std::size_t>(kOfWord));
      }
    }
    scales[j] = scale.scale;
    starts[j] = -first * sum;
  }
}

}  // namespace
}  // namespace tessera::kernels
