// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan/chain.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/attention/layout.hpp"
#include "runtime/base/overloaded.hpp"
#include "runtime/plan/attention_layout.hpp"
#include "runtime/plan/memory_plan.hpp"
#include "runtime/plan/plan.hpp"

namespace tessera {
namespace {

const AttentionOp* attention_at(const Program& program, std::size_t i) noexcept {
  return std::get_if<AttentionOp>(&program.ops[i]);
}

/// By op: bytes of a row of what is written before it and read from it on.
std::vector<Index> live_bytes(const Program& program) {
  const std::size_t ops = program.ops.size();
  std::vector<std::size_t> written(program.values.size(), ops), read(program.values.size(), 0);
  for (std::size_t i = 0; i < ops; ++i) {
    written[at(output_of(program.ops[i]))] = i;
    for (const ValueId in : inputs_of(program.ops[i])) read[at(in)] = i;
  }
  std::vector<Index> live(ops, 0);
  for (std::size_t v = 0; v < program.values.size(); ++v) {
    const Value& value = program.values[v];
    const Index bytes = activation_stride(value.width, value.type) * size_of(value.type);
    for (std::size_t i = written[v] + 1; i <= read[v]; ++i) live[i] += bytes;
  }
  return live;
}

/// The longest spans of ops that satisfy `takes`.
template <class Takes>
std::vector<OpSpan> spans_of(const Program& program, Takes&& takes) {
  std::vector<OpSpan> spans;
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    if (!takes(i)) continue;
    if (spans.empty() || spans.back().end() != i) spans.push_back({i, 0});
    ++spans.back().count;
  }
  std::erase_if(spans, [](const OpSpan& span) { return span.count < 2; });
  return spans;
}

bool is_written_in(const Program& program, OpSpan span, ValueId value) noexcept {
  for (std::size_t i = span.first; i < span.end(); ++i) {
    if (output_of(program.ops[i]) == value) return true;
  }
  return false;
}

/// Whether the attention needs no more of a chain than its queries.
bool has_keys_before(const Program& program, OpSpan span, const AttentionOp& op) noexcept {
  return op.q.value != op.k.value && op.q.value != op.v.value &&
         !is_written_in(program, span, op.k.value) && !is_written_in(program, span, op.v.value);
}

}  // namespace

bool may_be_chained(const Program& program, const Op& op) noexcept {
  const bool is_gathered = std::holds_alternative<EmbeddingOp>(op);
  bool of_tokens = (is_row_wise(op) && !is_gathered) || std::holds_alternative<LinearOp>(op) ||
                   std::holds_alternative<AttentionOp>(op);
  const auto look = [&](ValueId id) {
    of_tokens = of_tokens && (id == kNone || program.values[at(id)].space == kTokens);
  };
  for_each_operand(op, Overloaded{[&](Reads, ValueId id) { look(id); },
                                  [&](Writes, ValueId id) { look(id); }, [](Uses, ParameterId) {}});
  return of_tokens;
}

bool takes_whole_sequences(const Program& program, OpSpan span) noexcept {
  for (std::size_t i = span.first; i < span.end(); ++i) {
    const AttentionOp* op = attention_at(program, i);
    if (op != nullptr && !has_keys_before(program, span, *op)) return true;
  }
  return false;
}

std::optional<std::size_t> attention_of_queries(const Program& program, OpSpan span) noexcept {
  for (std::size_t i = span.first; i < span.end(); ++i) {
    const AttentionOp* op = attention_at(program, i);
    if (op != nullptr && has_keys_before(program, span, *op)) return i;
  }
  return {};
}

std::vector<bool> inner_values(const Program& program, OpSpan span) {
  std::vector<bool> inner(program.values.size(), false);
  for (std::size_t i = span.first; i < span.end(); ++i) inner[at(output_of(program.ops[i]))] = true;
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    if (i >= span.first && i < span.end()) continue;
    for (const ValueId in : inputs_of(program.ops[i])) inner[at(in)] = false;
  }
  for (const Output& output : program.outputs) inner[at(output.value)] = false;
  return inner;
}

std::vector<OpSpan> chains_of_rows(const Program& program) {
  return spans_of(program, [&](std::size_t i) {
    return attention_at(program, i) == nullptr && may_be_chained(program, program.ops[i]);
  });
}

std::vector<OpSpan> chains_of_layers(const Program& program, std::span<const OpSchedule> schedule) {
  std::vector<OpSpan> layers;
  const std::vector<Index> live = live_bytes(program);
  for (const OpSpan& span :
       spans_of(program, [&](std::size_t i) { return may_be_chained(program, program.ops[i]); })) {
    std::vector<std::size_t> attentions;
    for (std::size_t i = span.first; i < span.end(); ++i) {
      if (attention_at(program, i) != nullptr) attentions.push_back(i);
    }
    std::size_t begin = span.first;
    for (std::size_t a = 1; a < attentions.size(); ++a) {
      std::size_t cut = attentions[a];
      for (std::size_t i = attentions[a - 1] + 1; i < attentions[a]; ++i) {
        if (live[i] <= live[cut] && (schedule.empty() || !is_in_tiles(schedule, i))) cut = i;
      }
      layers.push_back({begin, cut - begin});
      begin = cut;
    }
    layers.push_back({begin, span.end() - begin});
  }
  std::erase_if(layers, [](const OpSpan& span) { return span.count < 2; });
  return layers;
}

std::vector<OpSpan> chains_of_queries(const Program& program) {
  const std::vector<std::int32_t> writer = find_writers(program);
  const std::vector<int> uses = count_uses(program);
  std::vector<bool> begins(program.ops.size() + 1, false);
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    const AttentionOp* op = attention_at(program, i);
    if (op == nullptr || op->q.value == op->k.value) continue;
    const std::size_t last = at(writer[at(op->k.value)]);
    std::size_t first = last;  // op after op, each read by the next alone
    while (first > 0 && uses[at(output_of(program.ops[first - 1]))] == 1 &&
           may_be_chained(program, program.ops[first - 1]) &&
           inputs_of(program.ops[first]) == std::vector{output_of(program.ops[first - 1])}) {
      --first;
    }
    begins[first] = begins[last + 1] = true;
  }
  std::vector<OpSpan> chains;
  for (const OpSpan& span :
       spans_of(program, [&](std::size_t i) { return may_be_chained(program, program.ops[i]); })) {
    for (std::size_t i = span.first; i < span.end(); ++i) {
      if (i == span.first || begins[i]) chains.push_back({i, 0});
      ++chains.back().count;
    }
  }
  std::erase_if(chains, [](const OpSpan& span) { return span.count < 2; });
  return chains;
}

Index count_blocks(Index rows, Index most, int workers) noexcept {
  const Index least = ceil_div(rows, most);
  return std::min(rows, ceil_div(least, workers) * workers);
}

BlockShape block_shape(const Chain& chain, bool whole_sequences, Index rows, Index sequences,
                       Index tile, int workers) noexcept {
  if (!whole_sequences) {
    tile = std::min(tile, chain.block_rows);
    const Index tiles = ceil_div(rows, tile);
    const Index blocks = count_blocks(tiles, chain.block_rows / tile, workers);
    return {blocks, ceil_div(rows, blocks), sequences};
  }
  const Index T = ceil_div(rows, sequences);
  const Index share = ceil_div(rows, count_blocks(rows, chain.block_rows, workers));
  const Index of_block = std::max<Index>(1, std::min(ceil_div(share, T), chain.block_rows / T));
  const Index blocks = ceil_div(sequences, of_block);
  return {blocks, ceil_div(rows, blocks), ceil_div(sequences, blocks)};
}

std::string why_no_chain(const Program& program, const std::vector<OpSchedule>& schedule,
                         std::size_t i, Index max_rows) {
  const Chain& chain = schedule[i].chain;
  const OpSpan span{i, static_cast<std::size_t>(chain.ops)};
  if (chain.ops < 2 || span.end() > program.ops.size()) {
    return fmt::format("a chain of {} ops, expected 2 to {}", chain.ops, program.ops.size() - i);
  }
  if (chain.block_rows < 1) return "a chain in blocks of 0 rows, expected 1 or more";
  for (std::size_t j = i; j < span.end(); ++j) {
    const std::string& name = program.values[at(output_of(program.ops[j]))].name;
    if (!may_be_chained(program, program.ops[j])) {
      return fmt::format("{} is in its chain, expected ops on rows of tokens", name);
    }
    if (j + static_cast<std::size_t>(schedule[j].tile_ops) >= span.end() ||
        is_in_tiles(schedule, i)) {
      return fmt::format(
          "{} and the ops in the tiles of one linear, expected all of them in one chain", name);
    }
    if (j > i && schedule[j].chain.begins()) {
      return fmt::format("{} begins a chain inside of another, expected one at a time", name);
    }
    for (const auto* nests : {&schedule[j].nests, &schedule[j].block_nests}) {
      for (const NestRange& range : *nests) {
        if (range.onednn) return fmt::format("{} is oneDNN's, expected no chain", name);
      }
    }
    const Index most = std::min(chain.block_rows, max_rows);
    if (const auto& nests = schedule[j].block_nests;
        !nests.empty() && nests.back().last_rows < most) {
      return fmt::format(
          "{}: the last of its block_nests is for up to {} rows, expected {}, those "
          "of a block",
          name, nests.back().last_rows, most);
    }
  }
  if (const std::optional<std::size_t> a = attention_of_queries(program, span)) {
    if (takes_whole_sequences(program, span) ||
        attention_of_queries(program, {*a + 1, span.end() - *a - 1})) {
      return "a chain with several attentions, one of them to keys from before it, expected that "
             "one";
    }
    // A block is of whole blocks of the attention.
    Index least = kernels::kQueryRows;
    if (attention_at(program, *a)->mask != kernels::AttentionMask{}) {
      for (const AttentionRange& range : schedule[*a].attention)
        least = std::max(least, range.task_rows);
    }
    least = std::min(least, max_rows);
    if (chain.block_rows < least) {
      return fmt::format(
          "a chain with attention in blocks of {} rows, expected {}, its own, or more",
          chain.block_rows, least);
    }
  }
  const Index longest = longest_sequence(program, max_rows);
  if (takes_whole_sequences(program, span) && chain.block_rows < longest) {
    return fmt::format(
        "a chain with attention in blocks of {} rows, expected the longest sequence, {}, or more",
        chain.block_rows, longest);
  }
  // A value that lies by heads lies by those of the whole batch.
  for (std::size_t a = 0; a < program.ops.size(); ++a) {
    const AttentionOp* op = attention_at(program, a);
    if (op == nullptr || schedule[a].by_heads_from == 0 || schedule[a].by_heads_from > longest) {
      continue;
    }
    for (std::size_t j = 0; j < program.ops.size(); ++j) {
      if (output_of(program.ops[j]) != op->q.value) continue;
      const auto inside = [&](std::size_t k) { return k >= span.first && k < span.end(); };
      if (inside(a) != inside(j)) {
        return fmt::format("{} may lie by heads, expected its attention in the same chain",
                           program.values[at(op->q.value)].name);
      }
    }
  }
  return {};
}

}  // namespace tessera
