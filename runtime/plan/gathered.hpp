// SPDX-License-Identifier: Apache-2.0
// Where rows lie that an op gathers to multiply them: patches of images, neighbours of rows and of cells.
#pragma once

#include "runtime/plan/memory_plan.hpp"

namespace tessera {

/// In a worker's scratch: the rows from float `first` on, `stride` elements apart. In bf16 a row of f32 that is
/// gathered before it is rounded is in front of them.
struct GatheredLayout {
  Index first = 0, stride = 0;
};
constexpr GatheredLayout gathered_layout(Precision precision, Index cols) noexcept {
  if (precision == Precision::f32) return {0, activation_stride(cols)};
  return {activation_stride(cols), activation_stride(cols, DType::bf16)};
}

/// Floats of scratch for `rows` rows, and those that a unit reads beyond (kernels::Gemm::rows_read).
constexpr Index gathered_elements(Precision precision, Index cols, Index rows,
                                  Index rows_read) noexcept {
  const GatheredLayout at = gathered_layout(precision, cols);
  const Index size = precision == Precision::f32 ? 4 : 2;
  return at.first + (rows + rows_read - 1) * at.stride * size / 4;
}

}  // namespace tessera
