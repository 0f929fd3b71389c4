// SPDX-License-Identifier: Apache-2.0
//
// A convolution over maps is a product with gathered neighbours, as one along a sequence is
// (convolution.cpp):
//
//   out[y,x] = act(X (1,taps²·K) · Wᵀ + bias),   X[(dy·taps + dx)·K + k] = in[n·y + dy − p, n·x + dx − p, k]
//
// with p = ⌊taps/2⌋. A task gathers kConvolutionRows cells of the batch, of whichever maps, into its
// worker's scratch and runs the panels of W over them. Which cells share a task changes no bit.
#include <algorithm>

#include "runtime/execute/copy_few.hpp"
#include "runtime/execute/execute.hpp"
#include "runtime/execute/gathered.hpp"

namespace tessera::execute {
namespace {

class GridConvolution {
 public:
  GridConvolution(const Context& context, const GridConvolutionOp& op) noexcept
      : context_(context),
        op_(op),
        in_(context.value(op.in)),
        maps_(context.cuts[at(context.program.values[at(op.in)].space)]),
        results_(context.cuts[at(context.program.values[at(op.out)].space)]),
        stride_(&maps_ == &results_
                    ? 1
                    : context.program.spaces[at(context.program.values[at(op.out)].space)].n) {}

  void run(Range rows, float* scratch) const noexcept {
    auto s = static_cast<std::size_t>(sequence_of(results_.offsets, rows.begin));
    multiply_gathered(context_, op_, op_.activation, rows, scratch, [&](Index i, float* x) {
      while (i >= results_.offsets[s + 1]) ++s;
      const Index cell = i - results_.offsets[s], cols = results_.grids[s].cols;
      gather(s, stride_ * (cell / cols) - op_.taps / 2, stride_ * (cell % cols) - op_.taps / 2, x);
    });
  }

 private:
  /// The taps² cells from (top, left) of map s on; zeros beyond it.
  void gather(std::size_t s, Index top, Index left, float* x) const noexcept {
    const Grid map = maps_.grids[s];
    const Index K = in_.cols;
    const float* const cells = in_.data + maps_.offsets[s] * in_.stride;
    const bool is_inside =
        top >= 0 && left >= 0 && top + op_.taps <= map.rows && left + op_.taps <= map.cols;
    if (is_inside) {
      for (Index dy = 0; dy < op_.taps; ++dy) {
        const float* from = cells + ((top + dy) * map.cols + left) * in_.stride;
        for (Index dx = 0; dx < op_.taps; ++dx, x += K, from += in_.stride) copy_few(x, from, K);
      }
      return;
    }
    for (Index row = top; row < top + op_.taps; ++row) {
      for (Index column = left; column < left + op_.taps; ++column, x += K) {
        if (row >= 0 && column >= 0 && row < map.rows && column < map.cols) {
          copy_few(x, cells + (row * map.cols + column) * in_.stride, K);
        } else {
          std::fill_n(x, K, 0.0F);
        }
      }
    }
  }

  const Context& context_;
  const GridConvolutionOp& op_;
  TensorView<float> in_;
  const Cuts &maps_, &results_;
  Index stride_;
};

}  // namespace

void run(const Context& context, const GridConvolutionOp& op) noexcept {
  const GridConvolution convolution(context, op);
  for_each_gathered(context, context.value(op.out).rows,
                    [&](Range rows, float* scratch) { convolution.run(rows, scratch); });
}

}  // namespace tessera::execute
