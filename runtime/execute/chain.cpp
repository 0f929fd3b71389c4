// SPDX-License-Identifier: Apache-2.0
//
// A chain (plan/chain.hpp): for each block of rows, op after op, by one worker. An op sees a context in
// which the block is the whole batch: values that live in the arena begin at the block's first row,
// those that live in a block in the worker's memory.
#include <algorithm>

#include "kernels/attention/blocks.hpp"
#include "runtime/base/overloaded.hpp"
#include "runtime/execute/execute.hpp"
#include "runtime/execute/gemm.hpp"
#include "runtime/execute/markers.hpp"
#include "runtime/execute/run_observer.hpp"
#include "runtime/threads/run_control.hpp"

namespace tessera::execute {
namespace {

/// Rows of the batch that a task computes; sequences where it is of whole ones.
struct Block {
  Range rows, sequences;
};

/// Where the blocks of queries begin: as many blocks of the attention as reach an even share of the rows, and no
/// more rows than a block of the chain has. The number of blocks; begin[that] is the number of rows.
Index cut_queries(const Context& context, const AttentionOp& op, const OpSchedule& schedule,
                  const Chain& chain, std::span<std::int32_t> begin) noexcept {
  const kernels::Attention& kernel = context.kernels.attention[op.precision];
  const Cuts& tokens = context.cuts[at(kTokens)];
  const Index share =
      ceil_div(tokens.rows, count_blocks(tokens.rows, chain.block_rows, context.workers.count()));
  Index blocks = 0;
  begin[0] = 0;
  for (Index s = 0; s < tokens.pieces; ++s) {
    const auto i = static_cast<std::size_t>(s);
    const Index first = tokens.offsets[i], T = tokens.offsets[i + 1] - first;
    const Index pieces =
        kernels::count_blocks(T, query_rows(op, schedule, kernel, T, chain.block_rows));
    for (Index b = 0; b < pieces; ++b) {
      const Index row = first + kernels::first_row(T, pieces, kernel.V, b),
                  end = first + kernels::first_row(T, pieces, kernel.V, b + 1);
      if (end - begin[static_cast<std::size_t>(blocks)] <= share) continue;
      if (row > begin[static_cast<std::size_t>(blocks)])
        begin[static_cast<std::size_t>(++blocks)] = static_cast<std::int32_t>(row);
    }
  }
  begin[static_cast<std::size_t>(++blocks)] = static_cast<std::int32_t>(tokens.rows);
  return blocks;
}

/// The context of `worker` for `block` of the ops [span.first, span.end()).
Context of_block(const Context& batch, OpSpan span, const Block& block, int worker,
                 const AttentionOp* of_queries) noexcept {
  const BlockSpace& space = batch.block_spaces[static_cast<std::size_t>(worker)];
  const auto place = [&](ValueId id) {
    const MemorySlot& slot = batch.slots[at(id)];
    const Value& value = batch.program.values[at(id)];
    const Index row = activation_stride(value.width, value.type) * size_of(value.type);
    space.places[at(id)] = slot.in_block == MemorySlot::kNowhere
                               ? batch.places[at(id)] + block.rows.begin * row
                               : space.memory + slot.in_block;
  };
  for (std::size_t i = span.first; i < span.end(); ++i) {
    for_each_operand(batch.program.ops[i],
                     Overloaded{[&](Reads, ValueId id) { place(id); },
                                [&](Writes, ValueId id) { place(id); }, [](Uses, ParameterId) {}});
  }
  if (of_queries != nullptr) {  // keys of all rows
    for (const ValueId id : {of_queries->k.value, of_queries->v.value})
      space.places[at(id)] = batch.places[at(id)];
  }
  Cuts& tokens = space.cuts[at(kTokens)];
  tokens = {.rows = block.rows.size(), .longest = batch.longest};
  const auto S = static_cast<std::size_t>(block.sequences.size());
  const auto first = static_cast<std::size_t>(block.sequences.begin);
  if (S > 0) {
    const std::span<const std::int32_t> offsets = batch.cuts[at(kTokens)].offsets;
    for (std::size_t s = 0; s <= S; ++s) space.offsets[s] = offsets[first + s] - offsets[first];
    tokens = cuts_of({space.offsets, S + 1});
  }
  Context context = batch;
  context.workers = Team(batch.workers, worker);
  context.places = space.places;
  context.block_begin = space.block_begin;
  context.in_block = true;
  if (of_queries != nullptr) {
    context.batch = &batch;
    context.rows_of_batch = block.rows;
    context.chain_rows = batch.schedule[span.first].chain.block_rows;
  }
  context.cuts = space.cuts;
  context.rows = tokens.rows;
  context.sequences = tokens.pieces;
  context.longest = tokens.longest;
  context.offsets = tokens.offsets;
  const auto rows_of = [&](auto& all) {
    if (all.empty()) return;
    all = all.subspan(static_cast<std::size_t>(block.rows.begin),
                      static_cast<std::size_t>(block.rows.size()));
  };
  rows_of(context.ids);
  rows_of(context.types);
  rows_of(context.positions);
  rows_of(context.columns);
  rows_of(context.lengths);
  for (auto* each : {&context.query_only, &context.pool_from}) {
    if (!each->empty()) *each = each->subspan(first, S);
  }
  return context;
}

/// Sequences [begin[b], begin[b+1]) are block b: each as many as reach an even share of the rows, and
/// no more rows than `most`, which no sequence exceeds. The number of blocks.
Index cut_sequences(const Cuts& tokens, Index most, int workers, std::int32_t* begin) noexcept {
  const Index share = ceil_div(tokens.rows, count_blocks(tokens.rows, most, workers));
  Index blocks = 0, rows = 0;
  begin[0] = 0;
  for (Index s = 0; s < tokens.pieces; ++s) {
    const auto i = static_cast<std::size_t>(s);
    const Index T = tokens.offsets[i + 1] - tokens.offsets[i];
    if (rows > 0 && (rows >= share || rows + T > most)) {
      begin[++blocks] = static_cast<std::int32_t>(s);
      rows = 0;
    }
    rows += T;
  }
  begin[++blocks] = static_cast<std::int32_t>(tokens.pieces);
  return blocks;
}

}  // namespace

void run_op(const Context& context, std::size_t i) noexcept {
  const OpSchedule& schedule = context.schedule[i];
  std::visit(Overloaded{[&](const LinearOp&) { run_linear(context, i); },
                        [&](const auto& op) {
                          if constexpr (requires { run(context, op, schedule); }) {
                            run(context, op, schedule);
                          } else {
                            run(context, op);
                          }
                        }},
             context.program.ops[i]);
}

std::size_t ops_together(const Context& context, std::size_t i) noexcept {
  return begins_chain(context, i) ? static_cast<std::size_t>(context.schedule[i].chain.ops)
                                  : 1 + static_cast<std::size_t>(context.schedule[i].tile_ops);
}

bool begins_chain(const Context& context, std::size_t i) noexcept {
  const Chain& chain = context.schedule[i].chain;
  return chain.begins() && context.rows >= chain.from_rows;
}

void run_chain(const Context& context, std::size_t i, RunObserver* observer) noexcept {
  const Chain& chain = context.schedule[i].chain;
  const OpSpan span{i, static_cast<std::size_t>(chain.ops)};
  const Cuts& tokens = context.cuts[at(kTokens)];
  const int workers = context.workers.count();
  const bool by_sequences = takes_whole_sequences(context.program, span);
  const std::optional<std::size_t> attention = attention_of_queries(context.program, span);
  const auto* const of_queries =
      attention ? std::get_if<AttentionOp>(&context.program.ops[*attention]) : nullptr;
  const Index tile = tile_rows(context.program, span, [&](Precision precision) {
    return context.kernels.gemm[precision].MR;
  });
  const Index MR = std::min(tile, chain.block_rows);  // blocks of rows are whole tiles
  const Index blocks =
      of_queries != nullptr ? cut_queries(context, *of_queries, context.schedule[*attention], chain,
                                          context.query_blocks)
      : by_sequences        ? cut_sequences(tokens, chain.block_rows, workers, context.block_begin)
                     : block_shape(chain, false, tokens.rows, tokens.pieces, tile, workers).blocks;
  const auto block_at = [&](Index b) -> Block {
    if (of_queries != nullptr) {
      const std::int32_t* const begin = context.query_blocks.data() + b;
      return {{begin[0], begin[1]}, {0, 0}};
    }
    if (!by_sequences) return {row_block(tokens.rows, b, blocks, MR, true), {0, 0}};
    const Range sequences{context.block_begin[b], context.block_begin[b + 1]};
    return {{tokens.offsets[static_cast<std::size_t>(sequences.begin)],
             tokens.offsets[static_cast<std::size_t>(sequences.end)]},
            sequences};
  };
  const bool one_by_one = workers == 1;
  const auto begin = [&](std::size_t op, std::size_t count) {
    mark_op_begin(op, count, tokens.rows);
    if (observer != nullptr) observer->begin_ops(op, count);
  };
  const auto end = [&](std::size_t op, std::size_t count) {
    if (observer != nullptr) observer->end_ops(op, count);
    mark_op_end(op, count, tokens.rows);
  };
  if (!one_by_one) begin(span.first, span.count);
  context.workers.run(blocks, [&](Index task, int worker) {
    const Context block = of_block(context, span, block_at(task), worker, of_queries);
    RunStop* stop = context.workers.stop();
    for (std::size_t op = span.first; op < span.end();) {
      if (stop != nullptr && stop->requested()) return;
      const std::size_t count = 1 + static_cast<std::size_t>(context.schedule[op].tile_ops);
      if (one_by_one) begin(op, count);
      run_op(block, op);
      if (one_by_one) end(op, count);
      op += count;
    }
  });
  if (!one_by_one) end(span.first, span.count);
}

}  // namespace tessera::execute
