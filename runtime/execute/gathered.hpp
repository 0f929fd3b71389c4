// SPDX-License-Identifier: Apache-2.0
// What convolutions are: a product with gathered rows.
#pragma once

#include <algorithm>

#include "runtime/execute/execute.hpp"
#include "runtime/execute/gemm.hpp"
#include "runtime/plan/convolution.hpp"

namespace tessera::execute {

/// Rows [rows.begin, rows.end) of out = act(X · weightᵀ + bias), whose rows of X lie at `gathered`, one
/// behind another, activation_stride(weight columns) apart.
inline void multiply_gathered(const Context& context, ParameterId weight_id, ParameterId bias,
                              Activation activation, const TensorView<float>& out, Range rows,
                              const float* gathered) noexcept {
  const LoadedParameter& weight = context.weights[weight_id];
  const GemmOperands o{.gemm = context.kernels.gemm[Precision::f32],
                       .a = gathered,
                       .lda = activation_stride(weight.cols),
                       .panels = weight.panels,
                       .c = out.data + rows.begin * out.stride,
                       .ldc = out.stride,
                       .N = weight.rows,
                       .K = weight.cols,
                       .bias = bias == kNone ? nullptr : context.weights[bias].data,
                       .activation = activation,
                       .resident = context.weights_stay_in_l3};
  run_block(o, {.order = LoopOrder::is_os_a}, {0, rows.size()}, {0, panel_count(o)});
}

/// Calls body(rows, scratch) for every kConvolutionRows of `rows` rows, each a task.
template <class Body>
void for_each_gathered(const Context& context, Index rows, const Body& body) noexcept {
  constexpr Index most = kConvolutionRows;
  context.workers.run(ceil_div(rows, most), [&](Index task, int worker) {
    body(Range{task * most, std::min((task + 1) * most, rows)},
         context.scratch + worker * context.scratch_stride);
  });
}

}  // namespace tessera::execute
