// SPDX-License-Identifier: Apache-2.0
//
// C = act(A Bᵀ + bias) + residual over the packed panels of B, in the loop order that the plan
// chose. A task is a piece of the rows × a piece of the panels; inside it:
//
//   IS-OS(a)   for each panel n: for each chunk k: for each row tile m     A block stays in L2
//   WS-OS(a)   for each row tile m: for each panel n (all of K)            B block stays in L2
//
// Row tiles of a block have (nearly) equal heights, so that 128 rows are 10 tiles of 12 or 13 rows
// and not 9 of 14 and one of 2 that runs at a fraction of the speed.
#include <algorithm>

#include "runtime/execute/execute.hpp"

namespace tessera::execute {
namespace {

Index ceil_div(Index a, Index b) noexcept {
  return (a + b - 1) / b;
}

struct Operands {
  const kernels::Gemm& gemm;
  TensorView<float> a, c, residual;  // (M,K), (M,N), (M,N) or empty
  const float* panels;               // (⌈N/NR⌉, K, NR)
  const float* bias;                 // (N) or null
  Activation activation;
  Index N, K;
};

struct Range {
  Index begin, end;
};

/// The i-th of `n` nearly equal pieces of `range`.
Range piece(Range range, Index i, Index n) noexcept {
  const Index extent = range.end - range.begin;
  return {range.begin + extent * i / n, range.begin + extent * (i + 1) / n};
}

void tile(const Operands& o, Range m, Index n, Range k) noexcept {
  const Index nr = std::min(o.gemm.NR, o.N - n);
  const bool last = k.end == o.K;
  const bool adds = last && o.residual.data != nullptr;
  o.gemm.run({.a = o.a.data + m.begin * o.a.stride + k.begin,
              .lda = o.a.stride,
              .b = o.panels + n * o.K + k.begin * o.gemm.NR,
              .c = o.c.data + m.begin * o.c.stride + n,
              .ldc = o.c.stride,
              .mr = m.end - m.begin,
              .nr = nr,
              .kc = k.end - k.begin,
              .bias = o.bias == nullptr ? nullptr : o.bias + n,
              .residual = adds ? o.residual.data + m.begin * o.residual.stride + n : nullptr,
              .ldr = o.residual.stride,
              .accumulate = k.begin > 0,
              .activation = last ? o.activation : Activation::none});
}

void input_stationary(const Operands& o, Range rows, Range panels, Index KC) noexcept {
  const Index tiles = ceil_div(rows.end - rows.begin, o.gemm.MR);
  for (Index p = panels.begin; p < panels.end; ++p) {
    for (Index k = 0; k < o.K; k += KC) {
      for (Index i = 0; i < tiles; ++i) {
        tile(o, piece(rows, i, tiles), p * o.gemm.NR, {k, std::min(k + KC, o.K)});
      }
    }
  }
}

void weight_stationary(const Operands& o, Range rows, Range panels) noexcept {
  const Index tiles = ceil_div(rows.end - rows.begin, o.gemm.MR);
  for (Index i = 0; i < tiles; ++i) {
    for (Index p = panels.begin; p < panels.end; ++p) {
      tile(o, piece(rows, i, tiles), p * o.gemm.NR, {0, o.K});
    }
  }
}

}  // namespace

void run(const Context& context, const LinearOp& op) noexcept {
  const LoadedParameter& weight = context.weights[op.weight];
  const Operands o{
      .gemm = context.kernels.gemm,
      .a = context.value(op.in),
      .c = context.value(op.out),
      .residual = op.residual == kNone ? TensorView<float>{} : context.value(op.residual),
      .panels = weight.data,
      .bias = op.bias == kNone ? nullptr : context.weights[op.bias].data,
      .activation = op.activation,
      .N = weight.rows,
      .K = weight.cols};
  const Index M = o.c.rows, N = o.N;
  const LinearPlan plan = plan_linear({M, N, o.K}, {.l2_bytes = context.l2_bytes,
                                                    .MR = o.gemm.MR,
                                                    .NR = o.gemm.NR,
                                                    .threads = context.workers.count()});
  const Index panels = ceil_div(N, o.gemm.NR);
  context.workers.run(plan.row_tasks * plan.col_tasks, [&](Index task, int) {
    const Range rows = piece({0, M}, task / plan.col_tasks, plan.row_tasks);
    const Range cols = piece({0, panels}, task % plan.col_tasks, plan.col_tasks);
    if (plan.chosen.order == LoopOrder::is_os_a) {
      input_stationary(o, rows, cols, plan.KC);
    } else {
      weight_stationary(o, rows, cols);
    }
  });
}

}  // namespace tessera::execute
