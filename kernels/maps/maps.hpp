// SPDX-License-Identifier: Apache-2.0
//
// The contracts of what looks at neighbours in a map of cells: (H,W) cells of C numbers each.
#pragma once

#include "kernels/types.hpp"

namespace tessera::kernels {

/// Row `row` of a depthwise convolution, its cells 0 … cols−1:
///
///   y[j] = act(bias + Σ_{dy,dx} w[dy,dx] ⊙ x[stride·row + dy − ⌊taps/2⌋, stride·j + dx − ⌊taps/2⌋])
///
/// Cells beyond the map are left out. Sums begin with bias, taps are added in order: (dy, dx). taps is odd.
/// y does not overlap x.
struct DepthwiseRow {
  const float* x;  // (H·W, C), cell y·W + x, row stride ldx
  Index ldx;
  Index H, W;
  const float* w;     // (taps², C)
  const float* bias;  // (C), or null: zeros
  float* y;           // (cols, C), row stride ldy
  Index ldy;
  Index C, taps, stride, row, cols;
  Activation activation = Activation::none;
};
using Depthwise = void (*)(const DepthwiseRow&) noexcept;

}  // namespace tessera::kernels
