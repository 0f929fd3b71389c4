// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "runtime/execute/execute.hpp"
#include "runtime/execute/gemm.hpp"

namespace tessera::execute {

/// C = A · weightᵀ, A of rows of the type that the weight multiplies, `lda` elements apart; of whole numbers with
/// their scales. What is still to be said is where C is, and what is done to it.
inline GemmOperands product_of(const Context& context, const LoadedParameter& weight, const void* a,
                               DType type, Index lda) noexcept {
  GemmOperands o{.gemm = context.kernels.gemm[weight.precision],
                 .a = a,
                 .lda = lda,
                 .panels = weight.panels,
                 .c = nullptr,
                 .ldc = 0,
                 .N = weight.rows,
                 .K = weight.cols,
                 .resident = context.weights_stay_in_l3,
                 .stop = context.workers.stop()};
  if (o.gemm.of_integers) {
    o.row_scales = reinterpret_cast<const float*>(static_cast<const std::byte*>(a) +
                                                  scale_offset(weight.cols, type));
    o.row_scale_step = lda * size_of(type) / Index{sizeof(float)};
  }
  return o;
}

}  // namespace tessera::execute
