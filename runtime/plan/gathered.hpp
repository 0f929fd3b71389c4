// SPDX-License-Identifier: Apache-2.0
// Where rows lie that an op gathers to multiply them: patches of images, neighbours of rows and of cells.
#pragma once

#include "runtime/plan/memory_plan.hpp"

namespace tessera {

/// In a worker's scratch: the rows from float `first` on, `stride` elements of `type` apart. In front of rows of
/// bf16 is one of f32, which is gathered before it is rounded.
struct GatheredLayout {
  DType type;
  Index first, stride;

  constexpr Index row_bytes() const noexcept { return stride * size_of(type); }
};
/// `precision`: f32 or bf16.
constexpr GatheredLayout gathered_layout(Precision precision, Index cols) noexcept {
  if (precision == Precision::f32) return {DType::f32, 0, activation_stride(cols)};
  return {DType::bf16, activation_stride(cols), activation_stride(cols, DType::bf16)};
}

/// Floats of scratch for `rows` rows, and those that a unit reads beyond (kernels::Gemm::rows_read).
constexpr Index gathered_elements(Precision precision, Index cols, Index rows,
                                  Index rows_read) noexcept {
  const GatheredLayout at = gathered_layout(precision, cols);
  return at.first + (rows + rows_read - 1) * at.row_bytes() / Index{sizeof(float)};
}

}  // namespace tessera
