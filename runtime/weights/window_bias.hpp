// SPDX-License-Identifier: Apache-2.0
// What windows of Swin add to their scores, computed at load out of weights alone.
#pragma once

#include <span>

#include "runtime/program/program.hpp"

namespace tessera {

/// Tensors of WindowBias as f32.
struct WindowBiasWeights {
  Index heads = 0;
  std::span<const float> w1, b1, w2;  // (hidden, 2), (hidden), (heads, hidden)
};

/// The continuous bias of Swin V2 to `out` (heads, n²·n²).
void window_bias(const WindowBias& window, const WindowBiasWeights& weights, float* out);

/// The variants of `out` (kWindowPlaces·heads, n²·n²), whose first one is there.
void add_window_variants(const WindowBias& window, Index heads, float* out);

/// exp(min(x, log 100)) of each of the `count` first elements, `repeats` times; in place.
void repeat_exp(float* x, Index count, Index repeats);

}  // namespace tessera
