// SPDX-License-Identifier: Apache-2.0
//
// out[s] = max or Σ over the rows x of sequence s of act(x Bᵀ + bias), without the product: a task is a
// block of columns, whose C exists a block of rows at a time in the worker's scratch
// (runtime/plan/pooled_linear.hpp). Rows join one by one in their order, so that blocks change no bit.
#include <algorithm>

#include "runtime/execute/execute.hpp"
#include "runtime/execute/gemm.hpp"
#include "runtime/threads/run_control.hpp"

namespace tessera::execute {
namespace {

/// y = max(y, x), NaN if either is.
void take_max(const float* x, Index N, float* y) noexcept {
  for (Index n = 0; n < N; ++n) y[n] = x[n] > y[n] || x[n] != x[n] ? x[n] : y[n];
}

void add_rows(const float* x, Index ldx, Index rows, Index N, float* y) noexcept {
  for (Index r = 0; r < rows; ++r, x += ldx) {
    for (Index n = 0; n < N; ++n) y[n] += x[n];
  }
}

class PooledLinear {
 public:
  PooledLinear(const Context& context, const PooledLinearOp& op, const LoopNest& nest) noexcept
      : context_(context),
        op_(op),
        nest_(nest),
        weight_(context.weights[op.weight]),
        gemm_(context.kernels.gemm[weight_.precision]),
        out_(context.value(op.out)) {}

  /// Columns of `panels`.
  void columns(Range panels, float* scratch) const noexcept {
    const Index first = panels.begin * gemm_.NR,
                N = std::min(panels.end * gemm_.NR, weight_.rows) - first;
    const Index ldc = activation_stride(panels.size() * gemm_.NR);
    float *const row = scratch, *const c = scratch + ldc;
    GemmOperands o = operands(panels, first, N);
    o.c = c, o.ldc = ldc;
    for (Index s = 0; s < out_.rows; ++s) std::fill_n(out(s) + first, N, 0.0F);
    for (Index r = 0; r < nest_.row_blocks; ++r) {
      const Range rows =
          row_block(context_.rows, r, nest_.row_blocks, gemm_.MR, takes_whole_tiles(gemm_));
      if (rows.size() == 0) continue;
      GemmOperands of_rows = o;
      of_rows.a = row_of_a(o, rows.begin);
      run_block(of_rows, nest_, {0, rows.size()}, {0, panels.size()});
      if (context_.workers.stop() != nullptr && context_.workers.stop()->requested()) return;
      pool(rows, c, ldc, first, N, row);
    }
    if (op_.over == RowReduction::sum || op_.activation == Activation::none) return;
    for (Index s = 0; s < out_.rows; ++s) {
      if (pooled_rows(context_, s).size() == 0) continue;
      context_.kernels.activation(op_.activation, out(s) + first, out_.stride, out(s) + first,
                                  out_.stride, 1, N);
    }
  }

 private:
  float* out(Index s) const noexcept { return out_.data + s * out_.stride; }

  GemmOperands operands(Range panels, Index first, Index N) const noexcept {
    const auto* const all = static_cast<const std::byte*>(weight_.panels);
    return {.gemm = gemm_,
            .a = context_.places[at(op_.in)],
            .lda = context_.stride(op_.in),
            .panels = all + panels.begin * gemm_.panel_bytes(weight_.cols),
            .c = nullptr,
            .ldc = 0,
            .N = N,
            .K = weight_.cols,
            .bias = op_.bias == kNone ? nullptr : context_.weights[op_.bias].data + first,
            .activation = op_.over == RowReduction::sum ? op_.activation : Activation::none,
            .resident = context_.weights_stay_in_l3,
            .stop = context_.workers.stop()};
  }

  /// C of `rows` into the rows of their sequences; `row` has room for one.
  void pool(Range rows, const float* c, Index ldc, Index first, Index N,
            float* row) const noexcept {
    const auto begin = std::upper_bound(context_.offsets.begin(), context_.offsets.end(),
                                        static_cast<std::int32_t>(rows.begin));
    for (Index s = begin - context_.offsets.begin() - 1; s < out_.rows; ++s) {
      if (context_.offsets[static_cast<std::size_t>(s)] >= rows.end) return;
      const Range all = pooled_rows(context_, s);
      const Range part{std::max(all.begin, rows.begin), std::min(all.end, rows.end)};
      if (part.begin >= part.end) continue;
      const float* const x = c + (part.begin - rows.begin) * ldc;
      float* const y = out(s) + first;
      if (op_.over == RowReduction::sum) {
        add_rows(x, ldc, part.size(), N, y);
      } else if (part.begin == all.begin) {
        context_.kernels.max_rows(x, ldc, part.size(), N, y);
      } else {
        context_.kernels.max_rows(x, ldc, part.size(), N, row);
        take_max(row, N, y);
      }
    }
  }

  const Context& context_;
  const PooledLinearOp& op_;
  const LoopNest& nest_;
  const LoadedParameter& weight_;
  const kernels::Gemm& gemm_;
  TensorView<float> out_;
};

}  // namespace

void run(const Context& context, const PooledLinearOp& op, const OpSchedule& schedule) noexcept {
  LoopNest nest = at_rows(schedule.nests, context.rows).nest;
  nest.row_blocks = std::min(nest.row_blocks, context.rows);
  const PooledLinear product(context, op, nest);
  const LoadedParameter& weight = context.weights[op.weight];
  const Index panels = ceil_div(weight.rows, context.kernels.gemm[weight.precision].NR);
  context.workers.run(nest.col_blocks, [&](Index task, int worker) {
    product.columns(piece({0, panels}, task, nest.col_blocks),
                    context.scratch + worker * context.scratch_stride);
  });
}

}  // namespace tessera::execute
