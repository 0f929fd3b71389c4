// SPDX-License-Identifier: Apache-2.0
//
// A row of a depthwise convolution:
//
//   y[j] = act(bias + Σ_{dy,dx} w[dy,dx] ⊙ x[s·row + dy − p, s·j + dx − p])          p = ⌊taps/2⌋
//
// Channels are lanes. kCells neighbouring cells of y share the loads of w, and of stride 1 those of x as
// well: a block of taps + kCells − 1 cells of a row of x is read once. Cells at the left and right edge,
// which lack taps, and what is left are computed one by one. Every number is one chain over (dy, dx),
// whichever way it is computed.
#pragma once

#include "kernels/maps/maps.hpp"
#include "kernels/rows/elementwise.inl.hpp"

namespace tessera::kernels {
namespace {

inline constexpr int kCells = 4;

/// The taps of a row of y that there are: dy in [top, bottom), of cell j dx in [left(j), right(j)).
struct TapRange {
  Index begin, end;
};
TESSERA_INLINE TapRange taps_within(Index first, Index taps, Index n) noexcept {
  return {first < 0 ? -first : 0, first + taps > n ? n - first : taps};
}

/// Cells j … j + kCells − 1, all taps dx of which are in the map. kTaps = 0: any number of them.
template <class A, Activation act, int kTaps>
TESSERA_INLINE void inner_cells(const DepthwiseRow& r, TapRange dys, Index j, Index c,
                                Index n) noexcept {
  const Index taps = kTaps == 0 ? r.taps : kTaps, p = taps / 2, s = r.stride;
  Vectors<A, kCells> sum;
  for (int i = 0; i < kCells; ++i) {
    sum[i] = r.bias == nullptr ? splat<A>(0.0F) : load_n<A>(r.bias + c, n);
  }
  for (Index dy = dys.begin; dy < dys.end; ++dy) {
    const float* const w = r.w + dy * taps * r.C + c;
    const float* const x = r.x + ((s * r.row + dy - p) * r.W + s * j - p) * r.ldx + c;
    const auto add_tap = [&](Index dx) __attribute__((always_inline)) {
      const F32<A> factor = load_n<A>(w + dx * r.C, n);
#pragma GCC unroll 4
      for (int i = 0; i < kCells; ++i) {
        sum[i] = mul_add<A>(factor, load_n<A>(x + (s * i + dx) * r.ldx, n), sum[i]);
      }
    };
    if constexpr (kTaps == 0) {
      for (Index dx = 0; dx < taps; ++dx) add_tap(dx);
    } else {
#pragma GCC unroll 8
      for (int dx = 0; dx < kTaps; ++dx) add_tap(dx);
    }
  }
  for (int i = 0; i < kCells; ++i) {
    store_n<A>(r.y + (j + i) * r.ldy + c, n, activate<act, A>(sum[i]));
  }
}

template <class A, Activation act>
TESSERA_INLINE void one_cell(const DepthwiseRow& r, TapRange dys, Index j, Index c,
                             Index n) noexcept {
  const Index p = r.taps / 2, first = r.stride * j - p;
  const TapRange dxs = taps_within(first, r.taps, r.W);
  F32<A> sum = r.bias == nullptr ? splat<A>(0.0F) : load_n<A>(r.bias + c, n);
  for (Index dy = dys.begin; dy < dys.end; ++dy) {
    const Index cell = (r.stride * r.row + dy - p) * r.W + first;
    const float* const w = r.w + dy * r.taps * r.C + c;
    for (Index dx = dxs.begin; dx < dxs.end; ++dx) {
      sum =
          mul_add<A>(load_n<A>(w + dx * r.C, n), load_n<A>(r.x + (cell + dx) * r.ldx + c, n), sum);
    }
  }
  store_n<A>(r.y + j * r.ldy + c, n, activate<act, A>(sum));
}

template <class A, Activation act, int kTaps>
TESSERA_INLINE void depthwise_cells(const DepthwiseRow& r) noexcept {
  const Index p = r.taps / 2;
  const TapRange dys = taps_within(r.stride * r.row - p, r.taps, r.H);
  // Cells [left, right) have all their taps dx.
  const Index left = min_of((p + r.stride - 1) / r.stride, r.cols);
  const Index last = r.W - r.taps + p;  // s·j ≤ last
  const Index right = last < 0 ? left : max_of(left, min_of(last / r.stride + 1, r.cols));
  for_each_vector<A>(
      r.C, [&](Index c, Index n) __attribute__((always_inline)) {
        Index j = 0;
        for (; j < left; ++j) one_cell<A, act>(r, dys, j, c, n);
        if (n == kLanes<A>) {
          for (; j + kCells <= right; j += kCells)
            inner_cells<A, act, kTaps>(r, dys, j, c, kLanes<A>);
        } else {
          for (; j + kCells <= right; j += kCells) inner_cells<A, act, 0>(r, dys, j, c, n);
        }
        for (; j < r.cols; ++j) one_cell<A, act>(r, dys, j, c, n);
      });
}

template <class A>
void depthwise_row(const DepthwiseRow& r) noexcept {
  TESSERA_ASSERT(r.taps % 2 == 1 && r.stride >= 1);
  const auto run = [&]<Activation act>() __attribute__((always_inline)) {
    if (r.taps == 3) return depthwise_cells<A, act, 3>(r);
    if (r.taps == 5) return depthwise_cells<A, act, 5>(r);
    depthwise_cells<A, act, 0>(r);
  };
  if (r.activation == Activation::none) return run.template operator()<Activation::none>();
  if (r.activation == Activation::relu) return run.template operator()<Activation::relu>();
  // Others are rare: in place.
  run.template operator()<Activation::none>();
  activation_rows<A>(r.activation, r.y, r.ldy, r.y, r.ldy, r.cols, r.C);
}

}  // namespace
}  // namespace tessera::kernels
