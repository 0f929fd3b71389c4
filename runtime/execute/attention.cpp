// SPDX-License-Identifier: Apache-2.0
//
// Attention over a ragged batch: a task is one block of at most Br query rows (or several blocks)
// of one head of one sequence. Keys are the rows of the same sequence, so block-diagonal masking
// costs nothing and padding does not exist. The dataflow by length, and how many rows a task takes,
// are the plan's. One long sequence spreads over all workers, and so do many short ones.
#include <algorithm>
#include <bit>
#include <cmath>

#include "kernels/attention/blocks.hpp"
#include "runtime/execute/disentangled.hpp"
#include "runtime/execute/execute.hpp"
#include "runtime/execute/qkv_layout.hpp"

namespace tessera::execute {
namespace {

/// 2^(−8(h+1)/heads) where heads is a power of two P; else those of the next lower P, then every other
/// one of 2P.                            Press, Smith, Lewis 2022 (ALiBi), §3; their get_slopes()
float alibi_slope(Index h, Index heads) noexcept {
  Index P = 1;
  while (2 * P <= heads) P *= 2;
  const Index of = h < P ? P : 2 * P, place = h < P ? h : 2 * (h - P);
  return std::exp2(-8.0F * static_cast<float>(place + 1) / static_cast<float>(of));
}

/// Whether columns rise by 1 from row to row, so that a mask by rows is one by columns.
bool are_neighbours(const kernels::AttentionTask& task) noexcept {
  const Index rows = task.Tk;
  if (rows == 0) return true;
  const Index first = task.k_columns[0];
  for (Index i = 0; i < task.Tq; ++i) {
    if (task.q_columns[i] - first != task.q_begin + i) return false;
  }
  return task.k_columns[rows - 1] - first == rows - 1;
}

/// Does query i of `task`, whose mask is a band, see one of the keys?
bool sees_any(const kernels::AttentionTask& task, Index i) noexcept {
  const bool by_columns = task.k_columns != nullptr;
  const Index column = by_columns ? Index{task.q_columns[i]} : task.q_begin + i;
  const Index least = column - task.mask.left, most = column + task.mask.right;
  if (!by_columns) return std::max<Index>(least, 0) <= std::min(most, task.Tk - 1);
  const std::int32_t* const end = task.k_columns + task.Tk;
  const std::int32_t* const first = std::lower_bound(task.k_columns, end, least);
  return first != end && *first <= most;
}

/// o = mean of the T rows of v, head by head.
void write_mean(const Context& context, const void* v, Index ldv, Index T, Index d, float* o,
                std::uint16_t* narrow) noexcept {
  if (narrow == nullptr) {
    return context.kernels.weighted_mean(static_cast<const float*>(v), ldv, nullptr, T, d, o);
  }
  const auto* const x = static_cast<const std::uint16_t*>(v);
  for (Index n = 0; n < d; ++n) {
    float sum = 0.0F;
    for (Index t = 0; t < T; ++t) {
      sum += std::bit_cast<float>(static_cast<std::uint32_t>(x[t * ldv + n]) << 16U);
    }
    const float mean = sum / static_cast<float>(T);
    context.kernels.narrow(&mean, 1, narrow + n, 1, 1, 1);
  }
}

/// A band over columns that have gaps (the reference's masks with holes): the keys of each query are
/// neighbours still, but not at the same distance of the query. Row by row.
void run_by_columns(const kernels::Attention& kernel, const kernels::AttentionTask& all) noexcept {
  const Index element = all.narrow == nullptr ? sizeof(float) : sizeof(std::uint16_t);
  const auto row = [&](const void* matrix, Index i, Index ld) {
    return static_cast<const std::byte*>(matrix) + i * ld * element;
  };
  const std::int32_t* const end = all.k_columns + all.Tk;
  for (Index i = 0; i < all.Tq; ++i) {
    const Index column = all.q_columns[i];
    const std::int32_t* const first =
        std::lower_bound(all.k_columns, end, column - all.mask.left,
                         [](std::int32_t key, Index least) { return key < least; });
    const std::int32_t* const last =
        std::upper_bound(first, end, column + all.mask.right,
                         [](Index most, std::int32_t key) { return most < key; });
    const Index begin = first - all.k_columns;
    kernels::AttentionTask one = all;
    one.mask = {};
    one.q = row(all.q, i, all.ldq);
    one.k = row(all.k, begin, all.ldk);
    one.v = row(all.v, begin, all.ldv);
    one.Tq = 1;
    one.Tk = last - first;
    one.q_columns = all.q_columns + i;
    one.k_columns = first;
    if (one.o != nullptr) one.o += i * all.ldo;
    if (one.narrow != nullptr) one.narrow += i * all.ldn;
    if (one.dense != nullptr) one.dense += i * all.ld_dense + begin;
    kernel.run(one);
  }
}

/// The bias of `task`, of head h, as its `dense`; the kernel's scratch begins behind it.
void add_terms(const Context& context, const Disentangled& terms, Precision precision, Index h,
               kernels::AttentionTask& task) noexcept {
  const kernels::Gemm& gemm = context.kernels.gemm[precision];
  const ParameterId any = terms.key == kNone ? terms.query : terms.key;
  const Index rows = context.weights[any].rows;
  const std::vector<std::int32_t>& gather = context.program.parameters[at(any)].gather;
  const Index reach = std::ssize(gather) / 2;
  const auto panels = [&](ParameterId id) {
    return id == kNone ? nullptr
                       : context.weights[id].panels +
                             h * ceil_div(rows, gemm.NR) * gemm.panel_bytes(task.d);
  };
  const DisentangledScratch at_element = disentangled_scratch(gemm, rows, task.Tq, task.Tk);
  float* const dense = task.scratch;
  disentangled_bias(
      {.kernels = context.kernels,
       .gemm = gemm,
       .q = task.q,
       .ldq = task.ldq,
       .k = task.k,
       .ldk = task.ldk,
       .key = panels(terms.key),
       .query = panels(terms.query),
       .rows = rows,
       .d = task.d,
       .row = gather.data() + reach,
       .reach = reach,
       .Tq = task.Tq,
       .Tk = task.Tk,
       .scale = task.scale,
       .q_begin = task.q_begin,
       .q_columns = task.q_columns,
       .k_columns = task.k_columns,
       .tile = dense + at_element.tile,
       .picked = dense + at_element.picked,
       .rows_of_task = reinterpret_cast<std::int32_t*>(dense + at_element.rows_of_task),
       .dense = dense,
       .ld_dense = at_element.ld_dense});
  task.dense = dense;
  task.ld_dense = at_element.ld_dense;
  task.scratch = dense + at_element.end;
}

}  // namespace

Index query_rows(const AttentionOp& op, const OpSchedule& schedule,
                 const kernels::Attention& kernel, Index T, Index chain_rows) noexcept {
  const Index most = std::max(kernel.Br, at_rows(schedule.attention, T).task_rows);
  if (op.mask != kernels::AttentionMask{}) return most;
  return std::min(most, std::max(kernel.Br, chain_rows / kernel.Br * kernel.Br));
}

void run(const Context& context, const AttentionOp& op, const OpSchedule& schedule) noexcept {
  const kernels::Attention& kernel = context.kernels.attention[op.precision];
  const Context& batch = context.batch == nullptr ? context : *context.batch;  // of the keys
  const Index first_query = context.rows_of_batch.begin;  // row of the batch of the queries' row 0
  const Index d = op.head_dim, Br = kernel.Br, V = kernel.V;
  const bool narrow = op.precision == Precision::bf16;
  const TensorView<float> out = context.value(op.out);
  const TensorView<std::uint16_t> narrow_out = context.narrow_value(op.out);
  const QkvLayout of_q = qkv_layout(context, op.q.value, d),
                  of_k = qkv_layout(context, op.k.value, d),
                  of_v = qkv_layout(context, op.v.value, d);
  const SpaceId query_space = context.program.values[at(op.q.value)].space,
                key_space = context.program.values[at(op.k.value)].space;
  const Cuts &queries = batch.cuts[at(query_space)], &keys = batch.cuts[at(key_space)];
  const bool is_self = query_space == key_space;
  const Index S = queries.pieces;
  const auto rows_in = [](const Cuts& cuts, Index s) {
    const auto i = static_cast<std::size_t>(s);
    return Index{cuts.offsets[i + 1]} - cuts.offsets[i];
  };

  const bool hides_keys = op.mask != kernels::AttentionMask{};
  const auto parameter = [&](const auto* position) {
    return position == nullptr ? nullptr : &context.weights[position->bias];
  };
  const LoadedParameter* bias = parameter(std::get_if<RelativeBias>(&op.position));
  const LoadedParameter* pairs = parameter(std::get_if<PairBias>(&op.position));
  const Index variants = pairs == nullptr ? 1 : pairs->rows / op.heads;  // of kWindowPlaces, or one
  const Index reach = bias == nullptr ? 0 : bias->cols / 2;
  const auto* const terms = std::get_if<Disentangled>(&op.position);
  const TokenSpec* const tokens = context.program.tokens();
  const MaskedRows masked_rows =
      is_self && tokens != nullptr ? tokens->masked_rows : MaskedRows::see_attended;
  const bool alibi = std::holds_alternative<Alibi>(op.position);
  // Row `row` of head h of a slice: by heads its columns are whole matrices, one after another.
  const auto head = [&](const Slice& slice, const QkvLayout& layout, Index h,
                        Index row) -> const void* {
    const Index column =
        layout.head_stride == d ? slice.first + h * d : (slice.first / d + h) * layout.head_stride;
    const Index element = column + row * layout.row_stride;
    if (narrow) return context.narrow_value(slice.value).data + element;
    return context.value(slice.value).data + element;
  };
  const auto row_of_query = [&](Index row) { return row - first_query; };

  // Blocks of one head are neighbours in the task order: its K and V stay in L2 from block to
  // block, where those of all heads would not (docs/VALIDATION.md).
  const auto run_block = [&](Index s, Index h, Index b, Index blocks, int worker) {
    const auto i = static_cast<std::size_t>(s);
    const Index begin = queries.offsets[i], key_begin = keys.offsets[i];
    const Index Tq = rows_in(queries, s), Tk = rows_in(keys, s);
    const Index g = h * op.kv_heads / op.heads;
    const Index place = variants == 1 ? 0 : static_cast<Index>(keys.places[i]);
    const Index first = kernels::first_row(Tq, blocks, V, b),
                q1 = kernels::first_row(Tq, blocks, V, b + 1);
    const Index k0 = batch.query_only_rows(s);  // keys are rows k0 … Tk−1
    const Index masked_end = std::clamp(k0, first, q1);
    const Index q0 = masked_rows == MaskedRows::see_all ? masked_end : first;
    const auto see_all = [&](Index row) {
      write_mean(context, head(op.v, of_v, g, key_begin), of_v.row_stride, Tk, d,
                 narrow ? nullptr : out.data + row_of_query(begin + row) * out.stride + h * d,
                 narrow ? narrow_out.data + row_of_query(begin + row) * narrow_out.stride + h * d
                        : nullptr);
    };
    for (Index masked = first; masked < q0; ++masked) see_all(masked);
    if (q0 == q1) return;
    const std::int32_t* columns =
        is_self && !batch.columns.empty() ? batch.columns.data() + begin : nullptr;
    float* const scratch = context.scratch + worker * context.scratch_stride;
    kernels::AttentionTask all{
        .q = head(op.q, of_q, h, row_of_query(begin + q0)),
        .ldq = of_q.row_stride,
        .k = head(op.k, of_k, g, key_begin + k0),
        .ldk = of_k.row_stride,
        .v = head(op.v, of_v, g, key_begin + k0),
        .ldv = of_v.row_stride,
        .o = narrow ? nullptr : out.data + row_of_query(begin + q0) * out.stride + h * d,
        .ldo = out.stride,
        .Tq = q1 - q0,
        .Tk = Tk - k0,
        .d = d,
        .scale = op.scale,
        .bias = bias == nullptr ? nullptr : bias->data + h * bias->cols + reach,
        .q_begin = is_self ? q0 - k0 : 0,
        .q_columns = columns == nullptr ? nullptr : columns + q0,
        .k_columns = columns == nullptr ? nullptr : columns + k0,
        .scratch = scratch,
        .dataflow = at_rows(schedule.attention, Tk).dataflow,
        .mask = op.mask,
        .slope = alibi ? alibi_slope(h, op.heads) : 0.0F,
        .dense = pairs == nullptr ? nullptr
                                  : pairs->data + (place * op.heads + h) * pairs->cols + q0 * Tk,
        .ld_dense = Tk,
        .narrow = narrow ? narrow_out.data + row_of_query(begin + q0) * narrow_out.stride + h * d
                         : nullptr,
        .ldn = narrow_out.stride,
    };
    if (terms != nullptr) add_terms(context, *terms, op.precision, h, all);
    const kernels::Entered entered(kernel);
    const bool is_band = op.mask.kind == kernels::MaskKind::band;
    if (hides_keys && is_band && columns != nullptr && !are_neighbours(all)) {
      run_by_columns(kernel, all);
    } else {
      kernel.run(all);
    }
    if (masked_rows != MaskedRows::see_all_if_nothing) return;
    for (Index masked = first; masked < masked_end; ++masked) {
      if (!sees_any(all, masked - first)) see_all(masked);
    }
  };
  if (context.batch == nullptr) {
    const std::span<std::int32_t> block_begin{context.block_begin, static_cast<std::size_t>(S) + 1};
    block_begin[0] = 0;
    for (Index s = 0; s < S; ++s) {
      const Index Tq = rows_in(queries, s);
      const Index most = std::max(Br, at_rows(schedule.attention, rows_in(keys, s)).task_rows);
      // A long sequence is cut so that all workers have work: in tasks of which packing K and V, if the
      // family does, is an eighth at most. Where keys are hidden, bits may depend on the cut
      // (AttentionTask): there it is the plan's, whatever the number of workers.
      const Index workers = context.workers.count();
      const Index least = std::min(most, std::max(Br, 8 * kernel.packing_rows));
      const Index share = workers == 1 ? most + Br : Tq * op.heads / (4 * workers);
      const Index rows = hides_keys ? most : std::clamp(share / Br * Br, least, most);
      const auto i = static_cast<std::size_t>(s);
      block_begin[i + 1] =
          block_begin[i] + static_cast<std::int32_t>(kernels::count_blocks(Tq, rows));
    }
    return context.workers.run(block_begin.back() * op.heads, [&](Index task, int worker) {
      const Index s = sequence_of(block_begin, task / op.heads);
      const auto i = static_cast<std::size_t>(s);
      const Index blocks = block_begin[i + 1] - block_begin[i];
      const Index of_sequence = task - block_begin[i] * op.heads;
      run_block(s, of_sequence / blocks, of_sequence % blocks, blocks, worker);
    });
  }
  // The blocks of attention that are rows of this block.
  const Range rows = context.rows_of_batch;
  for (Index s = sequence_of(queries.offsets, rows.begin);
       s < S && queries.offsets[static_cast<std::size_t>(s)] < rows.end; ++s) {
    const Index begin = queries.offsets[static_cast<std::size_t>(s)], Tq = rows_in(queries, s);
    const Index blocks = kernels::count_blocks(
        Tq, query_rows(op, schedule, kernel, rows_in(keys, s), context.chain_rows));
    Index from = 0;
    while (begin + kernels::first_row(Tq, blocks, V, from) < rows.begin) ++from;
    Index to = from;
    while (to < blocks && begin + kernels::first_row(Tq, blocks, V, to) < rows.end) ++to;
    context.workers.run((to - from) * op.heads, [&](Index task, int worker) {
      run_block(s, task / (to - from), from + task % (to - from), blocks, worker);
    });
  }
}

}  // namespace tessera::execute
