// SPDX-License-Identifier: Apache-2.0
//
// C = act(A Bᵀ + bias) + residual over the packed panels of B, in the loop order that the plan
// chose. A task is a piece of the rows × a piece of the panels; inside it, over all of K:
//
//   IS-OS(a)   for each panel n: for each row tile m      a block of A stays in L2
//   WS-OS(a)   for each row tile m: for each panel n      a block of B stays in L2
//
// K is never split: measured at M = 16 … 2048, a panel that passes from L2 costs less than partial
// sums that go back to C (bench_gemm). While the row tiles of one panel run, each of them asks
// memory for its share of the next panel, so that weights arrive at memory speed behind the
// arithmetic.
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

/// Rows `m` of C at the columns of `panels`; meanwhile share `share` of `shares` of the panel after
/// them is brought into L2.
void tile(const Operands& o, Range m, Range panels, Index share, Index shares) noexcept {
  const Index n = panels.begin * o.gemm.NR, panel = o.K * o.gemm.NR;
  const Index ahead_n = ceil_div(panel, shares);
  const float* next = panels.end * o.gemm.NR < o.N ? o.panels + panels.end * panel : nullptr;
  o.gemm.run({.a = o.a.data + m.begin * o.a.stride,
              .lda = o.a.stride,
              .b = o.panels + panels.begin * panel,
              .ldb = panel,
              .c = o.c.data + m.begin * o.c.stride + n,
              .ldc = o.c.stride,
              .mr = m.end - m.begin,
              .nr = std::min(panels.end * o.gemm.NR, o.N) - n,
              .kc = o.K,
              .bias = o.bias == nullptr ? nullptr : o.bias + n,
              .residual = o.residual.data == nullptr
                              ? nullptr
                              : o.residual.data + m.begin * o.residual.stride + n,
              .ldr = o.residual.stride,
              .activation = o.activation,
              .ahead = next == nullptr ? nullptr : next + share * ahead_n,
              .ahead_n = ahead_n});
}

void input_stationary(const Operands& o, Range rows, Range panels) noexcept {
  const Index tiles = ceil_div(rows.end - rows.begin, o.gemm.MR);
  for (Index p = panels.begin; p < panels.end; ++p) {
    for (Index i = 0; i < tiles; ++i) tile(o, piece(rows, i, tiles), {p, p + 1}, i, tiles);
  }
}

void weight_stationary(const Operands& o, Range rows, Range panels) noexcept {
  const Index tiles = ceil_div(rows.end - rows.begin, o.gemm.MR);
  for (Index i = 0; i < tiles; ++i) {
    Operands block = o;
    block.N = std::min(panels.end * o.gemm.NR, o.N);  // what follows the block is not next
    tile(block, piece(rows, i, tiles), panels, i, tiles);
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
  const Index all_panels = ceil_div(N, o.gemm.NR);
  context.workers.run(plan.row_tasks * plan.col_tasks, [&](Index task, int) {
    const Range rows = piece({0, M}, task / plan.col_tasks, plan.row_tasks);
    const Range panels = piece({0, all_panels}, task % plan.col_tasks, plan.col_tasks);
    // One row tile passes over its panels in one call, which takes several at a time.
    if (plan.chosen.order == LoopOrder::is_os_a && rows.end - rows.begin > o.gemm.MR) {
      input_stationary(o, rows, panels);
    } else {
      weight_stationary(o, rows, panels);
    }
  });
}

}  // namespace tessera::execute
