// SPDX-License-Identifier: Apache-2.0
//
// Packs rows of a weight W (N,K) of -1, 0 and 1 into a panel for the GEMM micro-kernel. Columns of the
// panel are NR = 3·V, V = U vectors: j = v·V + c, v the trit of a code.
//
//   head    scale_j, then what the sums of column j begin at (s32), each for NR columns (pack_s8.inl.hpp)
//   rows    for each T rows, a word of A, code_bytes(V·T) bytes: code c·T + i of the columns c, V + c and
//           2V + c and k = g·T + i (gemm/ternary_codes.hpp)
//
// Columns j ≥ nr and rows K ≤ k < ⌈K/KR⌉·KR are 0. Runs once per weight at load time.
#pragma once

#include "kernels/gemm/gemm.hpp"
#include "kernels/gemm/ternary_codes.hpp"
#include "kernels/simd/simd.inl.hpp"

namespace tessera::kernels {
namespace {

/// `first`: what the elements of A are above the numbers that they stand for.
/// Precondition: W is s8, its numbers -1, 0 and 1.
template <class A, int U, Index T, std::int32_t first, Index KR = T>
void pack_panel_ternary(const PanelOfRows& p) noexcept {
  constexpr Index V = U * kLanes<A>, NR = kTritsOfCode * V, C = V * T, kBytes = code_bytes(C);
  TESSERA_ASSERT(p.type == DType::s8 && p.scales != nullptr);
  const auto* const w = static_cast<const std::int8_t*>(p.w);
  auto* const scales = static_cast<float*>(p.panel);
  auto* const starts = reinterpret_cast<std::int32_t*>(scales + NR);
  auto* row = reinterpret_cast<unsigned char*>(starts + NR);
  const auto trit = [&](Index j, Index k) {
    return j < p.nr && k < p.K ? static_cast<int>(w[j * p.ldw + k]) : 0;
  };
  for (Index j = 0; j < NR; ++j) {
    std::int32_t sum = 0;
    for (Index k = 0; k < p.K; ++k) {
      TESSERA_ASSERT(trit(j, k) >= -1 && trit(j, k) <= 1);
      sum += trit(j, k);
    }
    scales[j] = j < p.nr ? p.scales[j] : 0.0F;
    starts[j] = -first * sum;
  }
  for (Index k = 0; k < (p.K + KR - 1) / KR * KR; k += T, row += kBytes) {
    __builtin_memset(row, 0, static_cast<std::size_t>(kBytes));
    for (Index i = 0; i < C; ++i) {
      const Index c = i / T, of_k = k + i % T;
      const int code =
          kCodeOfZeros + trit(c, of_k) + 3 * trit(V + c, of_k) + 9 * trit(2 * V + c, of_k);
      const auto set = [&](Index byte, int bits) {
        row[byte] = static_cast<unsigned char>(row[byte] | bits);
      };
      set(i % (C / 2), (code & 15) << (i < C / 2 ? 0 : 4));
      set(C / 2 + i / 8, (code >> 4) << (i % 8));
    }
  }
}

}  // namespace
}  // namespace tessera::kernels
