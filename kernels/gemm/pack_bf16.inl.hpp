// SPDX-License-Identifier: Apache-2.0
//
// Packs rows of a weight W (N,K) into a panel of bf16 pairs for the GEMM micro-kernel.
//
//   panel[g·KR·NR + c·KR·T + (i/2·T + j mod T)·2 + i mod 2] = W[n0 + j, k],  0 for j ≥ nr and K ≤ k < ⌈K/KR⌉·KR
//
//   W f32, f16 or bf16; k = g·KR + i, c = j/T: groups of KR rows, in each of them tiles of T columns
//
// bf16 is copied; f32 and f16 are rounded to nearest even. Runs once per weight at load time.
#pragma once

#include "kernels/gemm/gemm.hpp"
#include "kernels/rows/widen.inl.hpp"
#include "kernels/simd/narrow.inl.hpp"

namespace tessera::kernels {
namespace {

/// V elements of a row are rounded at a time, then go to their columns.
template <class A, Index NR, Index KR = 2, Index T = NR>
void pack_panel_bf16(const PanelOfRows& p) noexcept {
  const auto [w, type, ldw, nr, K, panel, scales] = p;
  auto* const to = static_cast<std::uint16_t*>(panel);
  const Index whole = round_up(K, KR);
  for (Index j = 0; j < NR; ++j) {
    const auto* row = static_cast<const unsigned char*>(w) + j * ldw * size_of(type);
    for (Index k = 0; k < whole; k += kLanes<A>) {
      std::uint16_t lanes[16] = {};
      const Index n = min_of(kLanes<A>, K - k);  // none in a group's zeros
      if (j < nr && n > 0) {
        if (type == DType::bf16) {
          for (Index i = 0; i < n; ++i) {
            lanes[i] = reinterpret_cast<const std::uint16_t*>(row)[k + i];
          }
        } else {
          store_bf16_n<A>(lanes, n, widen_n<A>(row, type, k, n));
        }
      }
      for (Index i = 0; i < kLanes<A> && k + i < whole; ++i) {
        const Index in_group = (k + i) % KR;
        to[(k + i) / KR * KR * NR + j / T * KR * T + (in_group / 2 * T + j % T) * 2 +
           in_group % 2] = lanes[i];
      }
    }
  }
}

}  // namespace
}  // namespace tessera::kernels
