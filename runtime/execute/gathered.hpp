// SPDX-License-Identifier: Apache-2.0
// A product with gathered rows: patches of images, neighbours of rows and of cells.
#pragma once

#include <algorithm>

#include "runtime/execute/execute.hpp"
#include "runtime/execute/product.hpp"
#include "runtime/plan/convolution.hpp"
#include "runtime/plan/gathered.hpp"

namespace tessera::execute {

/// The rows that a task gathers into its worker's scratch, in the elements that `weight` multiplies. Those of
/// bf16 are gathered as f32, one after another in the same place, and rounded from there.
class GatheredRows {
 public:
  GatheredRows(const Context& context, ParameterId weight, float* scratch) noexcept
      : context_(context),
        weight_(context.weights[weight]),
        layout_(gathered_layout(weight_.precision, weight_.cols)),
        scratch_(scratch) {}

  /// Row i: fill(x) writes x (K).
  template <class Fill>
  void put(Index i, const Fill& fill) const noexcept {
    if (layout_.type == DType::f32) return fill(scratch_ + i * layout_.stride);
    fill(scratch_);
    auto* const rows = reinterpret_cast<std::uint16_t*>(scratch_ + layout_.first);
    context_.kernels.narrow(scratch_, weight_.cols, rows + i * layout_.stride, layout_.stride, 1,
                            weight_.cols);
  }

  /// C = rows · weightᵀ: what is still to be said of them is c, bias, activation and residual.
  GemmOperands operands() const noexcept {
    return product_of(context_, weight_, scratch_ + layout_.first, layout_.type, layout_.stride);
  }

 private:
  const Context& context_;
  const LoadedParameter& weight_;
  GatheredLayout layout_;
  float* scratch_;
};

/// Rows [rows.begin, rows.end) of out = act(X · weightᵀ + bias) of a convolution; gather(i, x) fills the row of X
/// of out's row i.
template <class Op, class Gather>
void multiply_gathered(const Context& context, const Op& op, Activation activation, Range rows,
                       float* scratch, const Gather& gather) noexcept {
  const GatheredRows gathered(context, op.weight, scratch);
  for (Index i = rows.begin; i < rows.end; ++i) {
    gathered.put(i - rows.begin, [&](float* x) { gather(i, x); });
  }
  const TensorView<float> out = context.value(op.out);
  GemmOperands o = gathered.operands();
  o.c = out.data + rows.begin * out.stride;
  o.ldc = out.stride;
  o.bias = op.bias == kNone ? nullptr : context.weights[op.bias].data;
  o.activation = activation;
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
