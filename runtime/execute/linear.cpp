// SPDX-License-Identifier: Apache-2.0
//
// C = act(A Bᵀ + bias) + residual, and a layer norm over it, in the nest that the plan chose. A
// task is one block of rows × columns; blocks of whole rows are normalised while they are in L2,
// others when all columns are there.
#include <algorithm>
#include <atomic>

#include "runtime/execute/execute.hpp"
#include "runtime/execute/onednn_weights.hpp"
#include "runtime/execute/product.hpp"
#include "runtime/execute/qkv_layout.hpp"
#include "runtime/execute/tile_ops.hpp"

namespace tessera::execute {
namespace {

const LinearOp& linear_at(const Context& context, std::size_t i) noexcept {
  return *std::get_if<LinearOp>(&context.program.ops[i]);
}

/// Operands of op `i` with A and C where the program has them; C is the value of the last op in its tiles, or
/// nowhere (TileGroup::apart).
GemmOperands operands(const Context& context, std::size_t i) noexcept {
  const LinearOp& op = linear_at(context, i);
  const LoadedParameter& weight = context.weights[op.weight];
  GemmOperands o = product_of(context, weight, context.places[at(op.in)],
                              context.program.values[at(op.in)].type, context.stride(op.in));
  const Index first_row = op.first_row.value_or(0);
  o.panels = weight.panels + first_row / o.gemm.NR * o.gemm.panel_bytes(weight.cols);
  o.N = context.program.values[at(op.out)].width;
  if (op.bias != kNone) o.bias = context.weights[op.bias].data + first_row;
  o.activation = op.activation;
  const Index tile_ops = context.schedule[i].tile_ops;
  const ValueId out = written_by(context.program, i, tile_ops);
  o.behind.group = tile_group(context.program, i, tile_ops, o.gemm.NR);
  if (!o.behind.group.apart && context.is_narrow(out)) {
    const TensorView<std::uint16_t> c = context.narrow_value(out);
    o.narrow = c.data, o.ldn = c.stride;
  } else if (!o.behind.group.apart) {
    const TensorView<float> c = context.value(out);
    o.c = c.data, o.ldc = c.stride;
  }
  if (op.residual != kNone && !op.norm) {  // else the layer norm adds it
    const TensorView<float> r = context.value(op.residual);
    o.residual = r.data;
    o.ldr = r.stride;
  }
  const ByHeads& may = context.by_heads[at(op.out)];
  if (may.from != 0) {
    const Index head_dim = may.head_dim;
    const QkvLayout layout = qkv_layout(context, op.out, head_dim);
    o.ldc = o.ldn = layout.row_stride;
    o.block_columns = head_dim;
    o.block_stride = layout.head_stride;
    if (layout.head_stride == head_dim) o.block_columns = 0;  // row-major
  }
  const ParameterId next = context.next_weight[i];
  if (next != kNone) {
    const LoadedParameter& after = context.weights[next];
    o.after = after.panels;
    o.after_bytes = context.kernels.gemm[after.precision].panel_bytes(after.cols);
  }
  return o;
}

/// C = LayerNorm(C + residual) over rows [rows.begin, rows.end), in place.
void normalize(const Context& context, const LinearOp& op, Range rows) noexcept {
  const TensorView<float> c = context.value(op.out);
  const bool adds = op.residual != kNone;
  const TensorView<float> r = adds ? context.value(op.residual) : TensorView<float>{};
  float* y = c.data + rows.begin * c.stride;
  context.kernels.layer_norm({.x = y,
                              .ldx = c.stride,
                              .residual = adds ? r.data + rows.begin * r.stride : nullptr,
                              .ldr = r.stride,
                              .gamma = context.weights[op.norm->gamma].data,
                              .beta = context.weights[op.norm->beta].data,
                              .eps = op.norm->eps,
                              .y = y,
                              .ldy = c.stride,
                              .M = rows.size(),
                              .N = c.cols,
                              .of_squares = op.norm->of_squares});
}

Index rows_of(const Context& context, const LinearOp& op) noexcept {
  return context.cuts[at(context.program.values[at(op.out)].space)].rows;
}

/// Equal pieces of the rows, one per worker. False if oneDNN refused any: C is then undefined.
bool run_onednn(const Context& context, std::size_t i, Index M) noexcept {
  const LinearOp& op = linear_at(context, i);
  const TensorView<float> a = context.value(op.in), c = context.value(op.out);
  const bool adds = op.residual != kNone && !op.norm;
  const TensorView<float> r = adds ? context.value(op.residual) : TensorView<float>{};
  const Index pieces = std::min<Index>(M, context.workers.count());
  std::atomic<bool> ran{true};
  context.workers.run(pieces, [&](Index task, int) {
    const Range rows = piece({0, M}, task, pieces);
    const bool ok =
        context.onednn->run(i, task,
                            {.a = a.data + rows.begin * a.stride,
                             .lda = a.stride,
                             .c = c.data + rows.begin * c.stride,
                             .ldc = c.stride,
                             .M = rows.size(),
                             .activation = op.activation,
                             .residual = adds ? r.data + rows.begin * r.stride : nullptr,
                             .ldr = r.stride},
                            context.kernels);
    if (ok && op.norm) normalize(context, op, rows);
    if (!ok) ran.store(false, std::memory_order_relaxed);
  });
  return ran.load(std::memory_order_relaxed);
}

}  // namespace

void run_linear(const Context& context, std::size_t i) noexcept {
  const LinearOp& op = linear_at(context, i);
  const GemmOperands o = operands(context, i);
  const Index M = rows_of(context, op);
  const OpSchedule& schedule = context.schedule[i];
  const bool of_worker = context.in_block && !schedule.block_nests.empty();
  const NestRange& range = at_rows(of_worker ? schedule.block_nests : schedule.nests, M);
  if (range.onednn && o.block_columns == 0 && run_onednn(context, i, M)) return;
  LoopNest nest = range.nest;
  nest.row_blocks = std::min(nest.row_blocks, M);  // planned for the last row count of its range
  const TileOps tile_ops(context, i);
  const bool whole_rows = nest.col_blocks == 1,
             needs_sums = keeps_sums(o.narrow != nullptr || o.residual != nullptr, nest);
  context.workers.run(nest.row_blocks * nest.col_blocks, [&](Index task, int worker) {
    const Range rows =
        row_block(M, task / nest.col_blocks, nest.row_blocks, o.gemm.MR, takes_whole_tiles(o.gemm));
    GemmOperands of_task = o;
    float* const scratch = context.scratch + worker * context.scratch_stride;
    if (needs_sums) of_task.sums = scratch;
    const TileOps::OfWorker behind{tile_ops, scratch};
    if (context.schedule[i].tile_ops > 0) behind.put_behind(of_task);
    run_block(of_task, nest, rows, column_block(o, task % nest.col_blocks, nest.col_blocks));
    if (op.norm && whole_rows) normalize(context, op, rows);
  });
  if (!op.norm || whole_rows) return;
  const Index tasks = ceil_div(M, context.schedule[i].task_rows);
  context.workers.run(tasks, [&](Index task, int) {
    normalize(context, op, piece({0, M}, task, tasks));
  });
}

}  // namespace tessera::execute
