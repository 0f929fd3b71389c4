// SPDX-License-Identifier: Apache-2.0
//
// out[s] = max or Σ over the rows x of sequence s of act(x Bᵀ + bias), without the product: a task is a
// block of columns, whose C exists a block of rows at a time in the worker's scratch
// (runtime/plan/pooled_linear.hpp). Rows join one by one in their order, so that blocks change no bit.
// Where the largest columns are kept in heaps, a block is pooled in the scratch, too, and offered to the
// worker's heap of each sequence; the heaps are one at the end. Where all columns are held, each row
// becomes its largest columns at the end. Their order is strict, so that neither who computed a block, nor
// when, nor where it lay changes the result.
#include <algorithm>

#include "runtime/execute/execute.hpp"
#include "runtime/execute/gemm.hpp"
#include "runtime/execute/top_columns.hpp"
#include "runtime/plan/pooled_linear.hpp"
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
        out_(context.value(op.out)),
        all_(out_),
        heap_size_(context.holds_columns ? 0 : op.top) {
    all_.cols = weight_.rows, all_.stride = activation_stride(weight_.rows);
  }

  /// Columns of `panels`.
  void columns(Range panels, float* scratch) const noexcept {
    const Index first = panels.begin * gemm_.NR,
                N = std::min(panels.end * gemm_.NR, weight_.rows) - first;
    const Index ldc = activation_stride(panels.size() * gemm_.NR);
    float *const row = scratch + heaps(), *const c = row + ldc;
    const TensorView<float> pooled =
        heap_size_ == 0 ? columns_of(all_, first, N) : behind(c, ldc, panels, N);
    GemmOperands o = operands(panels, first, N);
    o.c = c, o.ldc = ldc;
    for (Index s = 0; s < pooled.rows; ++s) std::fill_n(pooled.data + s * pooled.stride, N, 0.0F);
    for (Index r = 0; r < nest_.row_blocks; ++r) {
      const Range rows =
          row_block(context_.rows, r, nest_.row_blocks, gemm_.MR, takes_whole_tiles(gemm_));
      if (rows.size() == 0) continue;
      GemmOperands of_rows = o;
      of_rows.a = row_of_a(o, rows.begin);
      run_block(of_rows, nest_, {0, rows.size()}, {0, panels.size()});
      if (context_.workers.stop() != nullptr && context_.workers.stop()->requested()) return;
      pool(rows, c, ldc, N, row, pooled);
    }
    for (Index s = 0; s < pooled.rows; ++s) {
      float* const y = pooled.data + s * pooled.stride;
      if (op_.over == RowReduction::max && op_.activation != Activation::none &&
          pooled_rows(context_, s).size() > 0) {
        context_.kernels.activation(op_.activation, y, pooled.stride, y, pooled.stride, 1, N);
      }
      if (heap_size_ > 0) heap(scratch, s).offer(y, N, first);
    }
  }

  void clear_heaps(float* scratch) const noexcept {
    for (Index s = 0; s < out_.rows && heap_size_ > 0; ++s) heap(scratch, s).clear();
  }

  /// The largest columns of all workers' heaps, or of the rows that are held. `scratch`: 2k floats.
  void keep_largest(float* scratch) const noexcept {
    for (Index i = 0; i < out_.rows && op_.top > 0; ++i) {
      if (heap_size_ > 0) {
        TopColumns top(out_.data + i * out_.stride, op_.top);
        top.clear();
        for (int worker = 0; worker < context_.workers.count(); ++worker) {
          top.offer(heap(context_.scratch + worker * context_.scratch_stride, i));
        }
        top.sort();
      } else {  // results lie where rows are that were read
        const Index s = out_.stride <= all_.stride ? i : out_.rows - 1 - i;
        TopColumns top(scratch, op_.top);
        top.clear();
        top.offer(all_.data + s * all_.stride, all_.cols, 0);
        top.sort();
        std::copy_n(scratch, 2 * op_.top, out_.data + s * out_.stride);
      }
    }
  }

 private:
  /// Floats at the beginning of a worker's scratch.
  Index heaps() const noexcept { return out_.rows * 2 * heap_size_; }
  TopColumns heap(float* scratch, Index s) const noexcept {
    return {scratch + s * 2 * heap_size_, heap_size_};
  }
  static TensorView<float> columns_of(const TensorView<float>& x, Index first, Index N) noexcept {
    return {.data = x.data + first, .rows = x.rows, .cols = N, .stride = x.stride};
  }
  /// (S,N) behind C of the largest block of rows.
  TensorView<float> behind(float* c, Index ldc, Range panels, Index N) const noexcept {
    const LinearShape shape{.M = context_.rows, .N = panels.size() * gemm_.NR, .K = weight_.cols};
    LoopNest whole = nest_;
    whole.col_blocks = 1;
    const Index floats =
        pooled_linear_scratch(shape, whole, gemm_.MR, gemm_.NR, takes_whole_tiles(gemm_));
    return {.data = c - ldc + floats, .rows = out_.rows, .cols = N, .stride = ldc};
  }

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
  void pool(Range rows, const float* c, Index ldc, Index N, float* row,
            const TensorView<float>& pooled) const noexcept {
    const auto begin = std::upper_bound(context_.offsets.begin(), context_.offsets.end(),
                                        static_cast<std::int32_t>(rows.begin));
    for (Index s = begin - context_.offsets.begin() - 1; s < pooled.rows; ++s) {
      if (context_.offsets[static_cast<std::size_t>(s)] >= rows.end) return;
      const Range all = pooled_rows(context_, s);
      const Range part{std::max(all.begin, rows.begin), std::min(all.end, rows.end)};
      if (part.begin >= part.end) continue;
      const float* const x = c + (part.begin - rows.begin) * ldc;
      float* const y = pooled.data + s * pooled.stride;
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
  TensorView<float> out_;  // (S,N), or (S,2k)
  TensorView<float> all_;  // (S,N) in the same place, where it is held
  Index heap_size_;        // k of a heap; 0: all columns are held
};

}  // namespace

void run(const Context& context, const PooledLinearOp& op, const OpSchedule& schedule) noexcept {
  LoopNest nest = at_rows(schedule.nests, context.rows).nest;
  nest.row_blocks = std::min(nest.row_blocks, context.rows);
  const PooledLinear product(context, op, nest);
  const LoadedParameter& weight = context.weights[op.weight];
  const Index panels = ceil_div(weight.rows, context.kernels.gemm[weight.precision].NR);
  const auto scratch = [&](int worker) {
    return context.scratch + worker * context.scratch_stride;
  };
  for (int worker = 0; worker < context.workers.count(); ++worker) {
    product.clear_heaps(scratch(worker));
  }
  context.workers.run(nest.col_blocks, [&](Index task, int worker) {
    product.columns(piece({0, panels}, task, nest.col_blocks), scratch(worker));
  });
  product.keep_largest(context.scratch);
}

}  // namespace tessera::execute
