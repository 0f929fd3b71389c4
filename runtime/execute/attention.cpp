// SPDX-License-Identifier: Apache-2.0
//
// Attention over a ragged batch: a task is one block of at most Br query rows (or several blocks)
// of one head of one sequence. Keys are the rows of the same sequence, so block-diagonal masking
// costs nothing and padding does not exist. The dataflow by length, and how many rows a task takes,
// are the plan's. One long sequence spreads over all workers, and so do many short ones.
#include <algorithm>
#include <cmath>

#include "kernels/attention/blocks.hpp"
#include "runtime/execute/execute.hpp"
#include "runtime/execute/qkv_layout.hpp"

namespace tessera::execute {
namespace {

/// 2^(−8(h+1)/heads).  Press, Smith, Lewis 2022 (ALiBi), §3
float alibi_slope(Index h, Index heads) noexcept {
  return std::exp2(-8.0F * static_cast<float>(h + 1) / static_cast<float>(heads));
}

}  // namespace

void run(const Context& context, const AttentionOp& op, const OpSchedule& schedule) noexcept {
  const TensorView<float> qkv = context.value(op.qkv);  // (ΣT, 3H)
  const TensorView<float> out = context.value(op.out);  // (ΣT, H)
  const Index d = op.head_dim, S = context.sequences, Br = context.kernels.attention.Br,
              V = context.kernels.attention.V;
  const QkvLayout layout = qkv_layout(context, op.qkv, d);
  const Index ld = layout.row_stride;

  const std::span<std::int32_t> block_begin{context.block_begin, static_cast<std::size_t>(S) + 1};
  // A long sequence is cut so that all workers have work: where nothing is hidden, bits do not
  // depend on the cut.
  const auto rows_of_task = [&](Index T) {
    const Index rows = std::max(Br, at_rows(schedule.attention, T).task_rows);
    const Index share = T * op.heads / (4 * context.workers.count());
    return std::clamp(share / Br * Br, Br, rows);
  };
  block_begin[0] = 0;
  for (Index s = 0; s < S; ++s) {
    const auto i = static_cast<std::size_t>(s);
    const Index T = context.offsets[i + 1] - context.offsets[i], rows = rows_of_task(T);
    block_begin[i + 1] = block_begin[i] + static_cast<std::int32_t>(kernels::count_blocks(T, rows));
  }
  const LoadedParameter* bias = op.bias == kNone ? nullptr : &context.weights[op.bias];
  const Index reach = bias == nullptr ? 0 : bias->cols / 2;
  const LoadedParameter* pairs = op.pair_bias == kNone ? nullptr : &context.weights[op.pair_bias];

  // Blocks of one head are neighbours in the task order: its K and V stay in L2 from block to
  // block, where those of all heads would not (docs/VALIDATION.md).
  context.workers.run(block_begin.back() * op.heads, [&](Index task, int worker) {
    const Index s = sequence_of(block_begin, task / op.heads);
    const auto i = static_cast<std::size_t>(s);
    const Index begin = context.offsets[i], T = context.offsets[i + 1] - begin;
    const Index blocks = block_begin[i + 1] - block_begin[i];
    const Index of_sequence = task - block_begin[i] * op.heads;
    const Index h = of_sequence / blocks, b = of_sequence % blocks;
    const Index q0 = kernels::first_row(T, blocks, V, b),
                q1 = kernels::first_row(T, blocks, V, b + 1);
    const Index k0 = context.query_only_rows(s);  // keys are rows k0 … T−1
    const std::int32_t* columns =
        context.columns.empty() ? nullptr : context.columns.data() + begin;
    const float* row0 = qkv.data + begin * ld + h * layout.head_stride;
    const float* key0 = row0 + op.heads * layout.head_stride + k0 * ld;
    context.kernels.attention.run({
        .q = row0 + q0 * ld,
        .ldq = ld,
        .k = key0,
        .ldk = ld,
        .v = key0 + op.heads * layout.head_stride,
        .ldv = ld,
        .o = out.data + (begin + q0) * out.stride + h * d,
        .ldo = out.stride,
        .Tq = q1 - q0,
        .Tk = T - k0,
        .d = d,
        .scale = op.scale,
        .bias = bias == nullptr ? nullptr : bias->data + h * bias->cols + reach,
        .q_begin = q0 - k0,
        .q_columns = columns == nullptr ? nullptr : columns + q0,
        .k_columns = columns == nullptr ? nullptr : columns + k0,
        .scratch = context.scratch + worker * context.scratch_stride,
        .dataflow = at_rows(schedule.attention, T).dataflow,
        .mask = op.mask,
        .slope = op.alibi ? alibi_slope(h, op.heads) : 0.0F,
        .dense = pairs == nullptr ? nullptr : pairs->data + h * pairs->cols + q0 * T,
        .ld_dense = T,
    });
  });
}

void run(const Context& context, const AttentionPoolOp& op) noexcept {
  const TensorView<float> q = context.value(op.q);      // (S, H)
  const TensorView<float> kv = context.value(op.kv);    // (ΣT, 2H)
  const TensorView<float> out = context.value(op.out);  // (S, H)
  const Index d = op.head_dim, H = op.heads * d;
  context.workers.run(context.sequences * op.heads, [&](Index task, int worker) {
    const Index s = task / op.heads, h = task % op.heads;
    const auto i = static_cast<std::size_t>(s);
    const Index begin = context.offsets[i], skip = context.query_only_rows(s);
    const float* key0 = kv.data + (begin + skip) * kv.stride + h * d;
    context.kernels.attention.run({
        .q = q.data + s * q.stride + h * d,
        .ldq = q.stride,
        .k = key0,
        .ldk = kv.stride,
        .v = key0 + H,
        .ldv = kv.stride,
        .o = out.data + s * out.stride + h * d,
        .ldo = out.stride,
        .Tq = 1,
        .Tk = context.offsets[i + 1] - begin - skip,
        .d = d,
        .scale = op.scale,
        .scratch = context.scratch + worker * context.scratch_stride,
    });
  });
}

}  // namespace tessera::execute
