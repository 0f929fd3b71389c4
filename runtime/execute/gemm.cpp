// SPDX-License-Identifier: Apache-2.0
//
// The tiles of a loop order as calls of the micro-kernel.
//
// While the row tiles of one panel run, each of them prefetches its share of the panel after it, so
// that weights arrive at memory speed behind the arithmetic; the last panel prefetches what the
// next linear starts with.
#include "runtime/execute/gemm.hpp"

#include <algorithm>

#include "runtime/threads/run_control.hpp"

namespace tessera::execute {
namespace {

struct Ahead {
  const float* data = nullptr;
  Index n = 0;
};

/// Share `i` of `n` of [data, data + count).
Ahead share_of(const float* data, Index count, Index i, Index n) noexcept {
  const Index each = ceil_div(count, n);
  return {data + i * each, std::max<Index>(0, std::min(each, count - i * each))};
}

/// What the tile prefetches meanwhile.
Ahead ahead_of(const GemmOperands& o, const LoopNest& nest, Range panels,
               const TileStep& s) noexcept {
  if (s.panels.size() > 1) return {};  // what follows in memory
  const Index NR = o.gemm.NR;
  Index panel = s.next_panel;
  const bool by_columns = nest.order == LoopOrder::ws_os_a || nest.order == LoopOrder::ws_os_b;
  if (panel < 0 && by_columns && s.k.end == o.K) {  // this panel's place in the next block
    const Index there = s.panels.begin + panels.size();
    if (there * NR < o.N) panel = there;
  }
  if (panel >= 0) {
    const float* next = o.panels + (panel * o.K + s.next_k.begin) * NR;
    return share_of(next, s.next_k.size() * NR, s.share, s.shares);
  }
  if (o.after == nullptr || s.k.end != o.K) return {};
  const Index of_panels = by_columns ? panels.size() : 1;
  return share_of(o.after, o.after_n,
                  s.share * of_panels + (s.panels.begin - panels.begin) % of_panels,
                  s.shares * of_panels);
}

void run_tile(const GemmOperands& o, const TileStep& s, Ahead ahead) noexcept {
  const Index NR = o.gemm.NR, n = s.panels.begin * NR;
  const bool first = s.k.begin == 0, last = s.k.end == o.K;
  const Index column =
      o.block_columns == 0 ? n : n / o.block_columns * o.block_stride + n % o.block_columns;
  o.gemm.run(
      {.a = o.a + s.m.begin * o.lda + s.k.begin,
       .lda = o.lda,
       .b = o.panels + (s.panels.begin * o.K + s.k.begin) * NR,
       .ldb = o.K * NR,
       .c = o.c + s.m.begin * o.ldc + column,
       .ldc = o.ldc,
       .mr = s.m.size(),
       .nr = std::min(s.panels.end * NR, o.N) - n,
       .kc = s.k.size(),
       .bias = o.bias == nullptr || !first ? nullptr : o.bias + n,
       .residual = o.residual == nullptr || !last ? nullptr : o.residual + s.m.begin * o.ldr + n,
       .ldr = o.ldr,
       .accumulate = !first,
       .activation = last ? o.activation : Activation::none,
       .ahead = ahead.n > 0 ? ahead.data : nullptr,
       .ahead_n = ahead.n,
       .resident = o.resident});
}

}  // namespace

Index panel_count(const GemmOperands& o) noexcept {
  return ceil_div(o.N, o.gemm.NR);
}

void run_block(const GemmOperands& o, const LoopNest& nest, Range rows, Range panels) noexcept {
  constexpr Index kTilesPerLook = 8;  // a look at the clock takes 1 % of a short tile's time
  Index tiles = 0;
  bool ended = false;
  for_each_tile(nest, rows, panels, o.K, o.gemm.MR, [&](const TileStep& s) {
    if (o.stop != nullptr && tiles++ % kTilesPerLook == 0) ended = o.stop->requested();
    if (ended) return;
    if (o.block_columns == 0 || s.panels.size() == 1) {
      return run_tile(o, s, ahead_of(o, nest, panels, s));
    }
    TileStep one = s;  // panels of different blocks are not neighbours in C
    for (Index p = s.panels.begin; p < s.panels.end; ++p) {
      one.panels = {p, p + 1};
      run_tile(o, one, {});
    }
  });
}

void run_gemm(const GemmOperands& o, const LoopNest& nest, Index M) noexcept {
  const Index panels = panel_count(o);
  for (Index r = 0; r < nest.row_blocks; ++r) {
    for (Index c = 0; c < nest.col_blocks; ++c) {
      run_block(o, nest, piece({0, M}, r, nest.row_blocks), piece({0, panels}, c, nest.col_blocks));
    }
  }
}

}  // namespace tessera::execute
