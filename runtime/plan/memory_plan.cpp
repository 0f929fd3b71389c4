// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan/memory_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>

#include "runtime/base/error.hpp"
#include "runtime/base/overloaded.hpp"
#include "runtime/plan/plan.hpp"

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

bool overlap(const MemorySlot& a, const MemorySlot& b) {
  return a.first_op <= b.last_op && b.first_op <= a.last_op;
}

}  // namespace

MemoryPlan plan_memory(const Program& program, Index max_rows, Index max_sequences) {
  const std::size_t n = program.values.size();
  MemoryPlan plan{.slots = std::vector<MemorySlot>(n), .bytes = 0, .lower_bound = 0};
  const std::vector<Extents> most = most_extents(program.spaces, max_rows, max_sequences);
  for (std::size_t v = 0; v < n; ++v)
    plan.slots[v].bytes = bytes_of(program.values[v], most[at(program.values[v].space)].rows);

  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    for (const ValueId in : inputs_of(program.ops[i])) plan.slots[at(in)].last_op = i;
    MemorySlot& out = plan.slots[at(output_of(program.ops[i]))];
    out.first_op = out.last_op = i;
  }
  // A chain runs op i and the next block by block: what op i reads is read until both are done.
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    if (!may_chain(program, i)) continue;
    for (const ValueId in : inputs_of(program.ops[i])) {
      plan.slots[at(in)].last_op = std::max(plan.slots[at(in)].last_op, i + 1);
    }
  }
  for (const Output& output : program.outputs)
    plan.slots[at(output.value)].last_op = program.ops.size();

  // root[v]: the value whose buffer v shares. A value takes over an input's buffer if that input
  // dies here.
  std::vector<std::size_t> root(n);
  const std::vector<MemorySlot> own =
      plan.slots;  // lifetimes of values; below they become buffers'
  std::iota(root.begin(), root.end(), std::size_t{0});
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    const std::size_t out = at(output_of(program.ops[i]));
    for (const ValueId in : in_place_inputs(program.ops[i])) {
      const std::size_t owner = root[at(in)];
      if (own[at(in)].last_op != i || plan.slots[owner].last_op != i ||
          plan.slots[at(in)].bytes != plan.slots[out].bytes) {
        continue;
      }
      root[out] = owner;
      plan.slots[owner].last_op = own[out].last_op;
      break;
    }
  }

  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    std::size_t live = 0;
    for (std::size_t v = 0; v < n; ++v) {
      if (root[v] == v && plan.slots[v].first_op <= i && i <= plan.slots[v].last_op)
        live += plan.slots[v].bytes;
    }
    plan.lower_bound = std::max(plan.lower_bound, live);
  }

  std::vector<std::size_t> order;
  for (std::size_t v = 0; v < n; ++v) {
    if (root[v] == v) order.push_back(v);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return plan.slots[a].bytes > plan.slots[b].bytes;
  });
  std::vector<std::size_t> placed;  // sorted by offset
  for (const std::size_t v : order) {
    MemorySlot& slot = plan.slots[v];
    std::size_t offset = 0;
    for (const std::size_t other : placed) {
      const MemorySlot& o = plan.slots[other];
      if (!overlap(slot, o)) continue;
      if (offset + slot.bytes <= o.offset) break;
      offset = std::max(offset, o.offset + o.bytes);
    }
    slot.offset = offset;
    placed.insert(
        std::upper_bound(placed.begin(), placed.end(), offset,
                         [&](std::size_t x, std::size_t p) { return x < plan.slots[p].offset; }),
        v);
    plan.bytes = std::max(plan.bytes, offset + slot.bytes);
  }
  for (std::size_t v = 0; v < n; ++v) {
    plan.slots[v].offset = plan.slots[root[v]].offset;
    plan.slots[v].last_op = own[v].last_op;
  }
  return plan;
}

std::string to_string(const MemoryPlan& plan, const Program& program) {
  std::string text = fmt::format("arena {} bytes, {} live at most\n", plan.bytes, plan.lower_bound);
  for (std::size_t v = 0; v < plan.slots.size(); ++v) {
    const MemorySlot& slot = plan.slots[v];
    text += fmt::format("{:>12} +{:>11} ops {:>4} to {:>4}  {}\n", slot.offset, slot.bytes,
                        slot.first_op, slot.last_op, program.values[v].name);
  }
  return text;
}

}  // namespace tessera
