// SPDX-License-Identifier: Apache-2.0
//
// A convolution along a sequence is a product with gathered neighbours, as patches of an image are:
//
//   out[i] = X_i (1,K·taps) · Wᵀ + bias,   X_i[k·taps + t] = in[row of column_i + t − ⌊taps/2⌋, k]
//
// A task gathers kConvolutionRows rows of the batch into its worker's scratch and runs the panels of W
// over them. Which rows share a task changes no bit.
#include <algorithm>

#include "runtime/execute/execute.hpp"
#include "runtime/execute/gathered.hpp"

namespace tessera::execute {
namespace {

class Convolution {
 public:
  Convolution(const Context& context, const ConvolutionOp& op) noexcept
      : context_(context), op_(op), in_(context.value(op.in)) {}

  void run(Range rows, float* scratch) const noexcept {
    Index s = sequence_of(context_.offsets, rows.begin);
    multiply_gathered(context_, op_, Activation::none, rows, scratch, [&](Index i, float* x) {
      while (i >= context_.offsets[static_cast<std::size_t>(s) + 1]) ++s;
      gather(s, i, x);
    });
  }

 private:
  Index column(Index i) const noexcept {
    return context_.columns.empty() ? i : context_.columns[static_cast<std::size_t>(i)];
  }

  /// X_i of row i, which is in sequence s.
  void gather(Index s, Index i, float* x) const noexcept {
    const auto at = static_cast<std::size_t>(s);
    const Range keys{context_.offsets[at] + context_.query_only_rows(s), context_.offsets[at + 1]};
    const Index taps = op_.taps;
    // Columns rise, so that the row of a column is at most as far away as the column.
    Index row = std::max(keys.begin, i - taps / 2);
    for (Index t = 0; t < taps; ++t) {
      const Index wanted = column(i) + t - taps / 2;
      while (row < keys.end && column(row) < wanted) ++row;
      const bool is_there = row < keys.end && column(row) == wanted;
      const float* const from = is_there ? in_.data + row * in_.stride : nullptr;
      for (Index k = 0; k < in_.cols; ++k) x[k * taps + t] = is_there ? from[k] : 0.0F;
    }
  }

  const Context& context_;
  const ConvolutionOp& op_;
  TensorView<float> in_;
};

}  // namespace

void run(const Context& context, const ConvolutionOp& op) noexcept {
  const Convolution convolution(context, op);
  for_each_gathered(context, context.rows,
                    [&](Range rows, float* scratch) { convolution.run(rows, scratch); });
}

}  // namespace tessera::execute
