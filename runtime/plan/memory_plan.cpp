// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan/memory_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>

#include "runtime/base/error.hpp"
#include "runtime/base/overloaded.hpp"

namespace tessera {
namespace {

std::size_t bytes_of(const Value& value, Index rows) {
  std::size_t elements = 0, bytes = 0;
  if (__builtin_mul_overflow(static_cast<std::size_t>(rows),
                             static_cast<std::size_t>(activation_stride(value.width, value.type)),
                             &elements) ||
      __builtin_mul_overflow(elements, static_cast<std::size_t>(size_of(value.type)), &bytes)) {
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("session: value \"{}\" with {} rows of {} is larger than the address space",
                    value.name, rows, value.width));
  }
  return bytes;
}

/// The inputs whose buffer the op's output may take over.
std::vector<ValueId> in_place_inputs(const Op& op) {
  std::vector<ValueId> ids;
  for_each_operand(op, Overloaded{[&](Reads reads, ValueId id) {
                                    if (reads.in_place) ids.push_back(id);
                                  },
                                  [](auto, std::int32_t) {}});
  return ids;
}

/// An op, or a linear with the ops in its tiles.
struct Step {
  std::size_t op = 0, ops = 1;
  std::size_t end() const { return op + ops; }
};
std::vector<Step> steps_of(const Program& program, std::span<const OpSchedule> schedule) {
  std::vector<Step> steps;
  for (std::size_t i = 0; i < program.ops.size(); i = steps.back().end()) {
    steps.push_back(
        {i, 1 + (schedule.empty() ? 0 : static_cast<std::size_t>(schedule[i].tile_ops))});
  }
  return steps;
}

/// Something to be placed: live during [first, last].
struct Buffer {
  std::size_t value, bytes, first, last, offset = 0;
  bool overlaps(const Buffer& o) const { return first <= o.last && o.first <= last; }
};

/// Gives every buffer its offset: the largest first, each at the lowest place that is free. The bytes
/// that all take.
std::size_t place(std::vector<Buffer>& buffers) {
  std::stable_sort(buffers.begin(), buffers.end(),
                   [](const Buffer& a, const Buffer& b) { return a.bytes > b.bytes; });
  std::size_t end = 0;
  std::vector<const Buffer*> placed;  // by offset
  for (Buffer& buffer : buffers) {
    for (const Buffer* other : placed) {
      if (!buffer.overlaps(*other)) continue;
      if (buffer.offset + buffer.bytes <= other->offset) break;
      buffer.offset = std::max(buffer.offset, other->offset + other->bytes);
    }
    placed.insert(std::upper_bound(placed.begin(), placed.end(), buffer.offset,
                                   [](std::size_t x, const Buffer* b) { return x < b->offset; }),
                  &buffer);
    end = std::max(end, buffer.offset + buffer.bytes);
  }
  return end;
}

/// The chains of a schedule, by op and by value.
class Chains {
 public:
  Chains(const Program& program, std::span<const OpSchedule> schedule)
      : of_op_(program.ops.size(), nullptr), of_value_(program.values.size(), nullptr) {
    for (std::size_t i = 0; i < schedule.size(); ++i) {
      const Chain& chain = schedule[i].chain;
      if (!chain.begins()) continue;
      const OpSpan span{i, static_cast<std::size_t>(chain.ops)};
      all_.push_back({span, chain});
    }
    for (const Spanned& chain : all_) {
      for (std::size_t i = chain.span.first; i < chain.span.end(); ++i) of_op_[i] = &chain;
      const std::vector<bool> inner = inner_values(program, chain.span);
      for (std::size_t v = 0; v < inner.size(); ++v) {
        if (inner[v]) of_value_[v] = &chain;
      }
    }
  }

  struct Spanned {
    OpSpan span;
    Chain chain;
  };
  /// The chain that op i is in; null: none.
  const Spanned* of_op(std::size_t i) const { return of_op_[i]; }
  /// The chain that alone uses the value; null: none.
  const Spanned* of_value(std::size_t v) const { return of_value_[v]; }

 private:
  std::vector<Spanned> all_;
  std::vector<const Spanned*> of_op_, of_value_;
};

}  // namespace

MemoryPlan plan_memory(const Program& program, Index max_rows, Index max_sequences,
                       std::span<const OpSchedule> schedule, bool holds_columns) {
  const std::size_t n = program.values.size();
  MemoryPlan plan{.slots = std::vector<MemorySlot>(n), .bytes = 0, .lower_bound = 0};
  const Chains chains(program, schedule);
  const std::vector<Extents> most = most_extents(program.spaces, max_rows, max_sequences);
  std::vector<std::size_t> block_bytes(n, 0);
  const std::vector<Step> steps = steps_of(program, schedule);
  for (const Step& step : steps) {
    for (std::size_t i = step.op; i + 1 < step.end(); ++i) {
      plan.slots[at(output_of(program.ops[i]))].in_tiles = true;
    }
  }
  for (std::size_t v = 0; v < n; ++v) {
    if (plan.slots[v].in_tiles) continue;
    Index rows = most[at(program.values[v].space)].rows;
    if (const Chains::Spanned* chain = chains.of_value(v)) {
      block_bytes[v] = bytes_of(program.values[v], std::min(rows, chain->chain.block_rows));
      rows = std::min(rows, chain->chain.from_rows - 1);
    }
    plan.slots[v].bytes = bytes_of(program.values[v], rows);
  }
  for (const Op& op : program.ops) {
    const auto* pooled = std::get_if<PooledLinearOp>(&op);
    if (pooled == nullptr || pooled->top == 0 || !holds_columns) continue;
    Value all = program.values[at(pooled->out)];  // (S,N)
    all.width = program.parameters[at(pooled->weight)].rows;
    std::size_t& bytes = plan.slots[at(pooled->out)].bytes;
    bytes = std::max(bytes, bytes_of(all, most[at(all.space)].rows));
  }

  const auto out_of = [&](const Step& step) { return at(output_of(program.ops[step.end() - 1])); };
  for (const Step& step : steps) {
    for (const ValueId in : inputs_of(program.ops[step.op])) plan.slots[at(in)].last_op = step.op;
    for (std::size_t i = step.op; i < step.end(); ++i) {
      MemorySlot& out = plan.slots[at(output_of(program.ops[i]))];
      out.first_op = out.last_op = step.op;
    }
  }
  for (const Output& output : program.outputs)
    plan.slots[at(output.value)].last_op = program.ops.size();

  // root[v]: the value whose buffer v shares. A value takes over an input's buffer if that input
  // dies here, or in a chain that of any value that died before in the same chain: the rows of a block
  // are read by then, and other blocks have rows of their own (f32 only: a unit reads rows of bf16 beyond
  // the block, which others may be writing).
  std::vector<std::size_t> root(n);
  const std::vector<MemorySlot> own =
      plan.slots;  // lifetimes of values; below they become buffers'
  std::iota(root.begin(), root.end(), std::size_t{0});
  // Of one type: rows of 16 columns take as many bytes in f32 as in bf16, but elements lie elsewhere in them.
  const auto alike = [&](std::size_t a, std::size_t b) {
    return program.values[a].type == program.values[b].type &&
           plan.slots[a].bytes == plan.slots[b].bytes && block_bytes[a] == block_bytes[b] &&
           chains.of_value(a) == chains.of_value(b);
  };
  const auto take_over = [&](std::size_t out, std::size_t owner) {
    root[out] = owner;
    plan.slots[owner].last_op = own[out].last_op;
  };
  for (const Step& step : steps) {
    const std::size_t i = step.op, out = out_of(step);
    for (const ValueId in : in_place_inputs(program.ops[i])) {
      const std::size_t owner = root[at(in)];
      if (own[at(in)].last_op != i || plan.slots[owner].last_op != i || !alike(at(in), out)) {
        continue;
      }
      take_over(out, owner);
      break;
    }
    const Chains::Spanned* chain = chains.of_op(i);
    const auto is_read_whole = [&](std::size_t v) {  // by every block
      const std::optional<std::size_t> a = attention_of_queries(program, chain->span);
      const auto* op = a ? std::get_if<AttentionOp>(&program.ops[*a]) : nullptr;
      return op != nullptr && (v == root[at(op->k.value)] || v == root[at(op->v.value)]);
    };
    if (root[out] != out || chain == nullptr || chains.of_value(out) != nullptr) continue;
    for (std::size_t v = 0; v < n; ++v) {
      const Value &its = program.values[v], &value = program.values[out];
      const std::size_t died = plan.slots[v].last_op;
      if (v == out || root[v] != v || plan.slots[v].in_tiles || its.space != value.space ||
          its.width != value.width || its.type != DType::f32 || value.type != DType::f32 ||
          !alike(v, out) || plan.slots[v].first_op >= i || died < chain->span.first || died >= i ||
          is_read_whole(v)) {
        continue;
      }
      take_over(out, v);
      break;
    }
  }

  // By buffer, where other blocks of a chain need it, too.
  std::vector<Buffer> arena, block;
  for (std::size_t v = 0; v < n; ++v) {
    if (root[v] != v || plan.slots[v].in_tiles) continue;
    const MemorySlot& slot = plan.slots[v];
    Buffer buffer{.value = v, .bytes = slot.bytes, .first = slot.first_op, .last = slot.last_op};
    if (block_bytes[v] > 0) {
      block.push_back(buffer);
      block.back().bytes = block_bytes[v];
    } else if (slot.last_op < program.ops.size()) {
      if (const auto* chain = chains.of_op(slot.last_op)) buffer.last = chain->span.end() - 1;
    }
    arena.push_back(buffer);
  }
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    std::size_t live = 0;
    for (const Buffer& buffer : arena) {
      if (buffer.first <= i && i <= buffer.last) live += buffer.bytes;
    }
    plan.lower_bound = std::max(plan.lower_bound, live);
  }
  plan.bytes = place(arena);
  plan.block_bytes = place(block);
  for (const Buffer& buffer : arena) plan.slots[buffer.value].offset = buffer.offset;
  for (const Buffer& buffer : block) plan.slots[buffer.value].in_block = buffer.offset;
  for (std::size_t v = 0; v < n; ++v) {
    plan.slots[v].offset = plan.slots[root[v]].offset;
    plan.slots[v].in_block = plan.slots[root[v]].in_block;
    plan.slots[v].last_op = own[v].last_op;
  }
  return plan;
}

std::string to_string(const MemoryPlan& plan, const Program& program) {
  std::string text = fmt::format("arena {} bytes, {} live at most\n", plan.bytes, plan.lower_bound);
  if (plan.block_bytes > 0) text += fmt::format("block of a worker {} bytes\n", plan.block_bytes);
  for (std::size_t v = 0; v < plan.slots.size(); ++v) {
    const MemorySlot& slot = plan.slots[v];
    text += fmt::format("{:>12} +{:>11} ops {:>4} to {:>4}  {}\n", slot.offset, slot.bytes,
                        slot.first_op, slot.last_op, program.values[v].name);
  }
  return text;
}

}  // namespace tessera
