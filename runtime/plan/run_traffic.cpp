// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan/run_traffic.hpp"

#include <algorithm>

#include "runtime/base/overloaded.hpp"
#include "runtime/machine/machine.hpp"
#include "runtime/plan/memory_plan.hpp"
#include "runtime/plan/plan.hpp"
#include "runtime/plan/recent_memory.hpp"

namespace tessera {
namespace {

/// The i-th of n pieces.
MemoryRange step(MemoryRange range, Index i, Index n) {
  const auto cut = [&](Index k) {
    return range.begin + range.bytes() * static_cast<std::size_t>(k) / static_cast<std::size_t>(n);
  };
  return {cut(i), cut(i + 1)};
}

/// Where everything that ops use lies: the arena, the block of a chain, the packed weights, the scratch.
class AddressSpace {
 public:
  AddressSpace(const Plan& plan, const PlanReport& report, const PlanInput& input)
      : program_(input.program),
        report_(report),
        memory_(plan_memory(input.program, input.max_rows, input.max_sequences, plan.ops,
                            input.holds_columns)) {
    std::size_t end = memory_.bytes + memory_.block_bytes;
    for (const Parameter& parameter : program_.parameters) {
      weights_.push_back(end);
      const TileShape& tile = input.tile[parameter.precision];
      const Index columns = (parameter.rows + tile.NR - 1) / tile.NR * tile.NR;
      if (parameter.kind == ParameterKind::matrix) {
        end +=
            static_cast<std::size_t>(tile.bytes.b * static_cast<double>(columns * parameter.cols));
      }
    }
    scratch_ = end;
  }

  /// From here on block b of n is all there is of the values; of those that live in blocks, if `chained`.
  void enter_block(Index b, Index n, bool chained) {
    block_ = b;
    blocks_ = n;
    chained_ = chained;
  }

  /// Of a block its rows; `whole`: all rows.
  MemoryRange value(ValueId id, bool whole = false) const {
    const Value& value = program_.values[at(id)];
    const MemorySlot& slot = memory_.slots[at(id)];
    const Index rows = most_rows(program_, id, report_.rows, report_.sequences);
    const auto bytes = static_cast<std::size_t>(
        rows * value.width * size_of(value.type));  // the gaps between rows are not used
    if (chained_ && slot.in_block != MemorySlot::kNowhere) {
      const std::size_t begin = memory_.bytes + slot.in_block;
      return {begin, begin + bytes / static_cast<std::size_t>(blocks_)};
    }
    if (whole) return {slot.offset, slot.offset + bytes};
    return step({slot.offset, slot.offset + bytes}, block_, blocks_);
  }
  /// Rows [first, first + count) of it.
  MemoryRange weight(ParameterId id, Index first, Index count) const {
    const std::size_t i = at(id);
    const MemoryRange all{weights_[i], i + 1 < weights_.size() ? weights_[i + 1] : scratch_};
    const Index rows = program_.parameters[i].rows;
    return {step(all, first, rows).begin, step(all, first + count, rows).begin};
  }
  MemoryRange scratch(Index count) const {
    return {scratch_, scratch_ + static_cast<std::size_t>(count)};
  }

 private:
  const Program& program_;
  const PlanReport& report_;
  MemoryPlan memory_;
  std::vector<std::size_t> weights_;  // first byte of each matrix
  std::size_t scratch_ = 0;
  Index block_ = 0, blocks_ = 1;
  bool chained_ = false;
};

/// How finely an op is followed: what it uses early may be gone when it ends.
constexpr Index kSteps = 16;

class Run {
 public:
  Run(const Plan& plan, const PlanReport& report, const PlanInput& input)
      : plan_(plan),
        report_(report),
        program_(input.program),
        space_(plan, report, input),
        l2_(static_cast<std::size_t>(input.machine.l2.bytes)) {}

  /// On block b of n.
  double op(std::size_t i, Index b, Index n, bool chained) {
    const OpReport& report = report_.ops[i];
    space_.enter_block(b, n, chained);
    if (report.is_in_tiles) return 0;
    moved_ = report.chosen.l2_bytes / static_cast<double>(n);
    std::visit(Overloaded{[&](const LinearOp& o) { linear(i, o, n); },
                          [&](const AttentionOp& o) {
                            keys_of_all_ = chained && o.q.value != o.k.value ? o.k.value : kNone;
                            by_steps(inputs_of(program_.ops[i]), o.out,
                                     space_.scratch(report.chosen.scratch_bytes));
                            keys_of_all_ = kNone;
                          },
                          [&](const auto& o) { by_steps(inputs_of(program_.ops[i]), o.out, {}); }},
               program_.ops[i]);
    return std::max(0.0, moved_);
  }

 private:
  /// Per block of rows: the panels of B pass, and A, C and the residual with them.
  void linear(std::size_t i, const LinearOp& o, Index n) {
    const MemoryRange a = space_.value(o.in),
                      b = space_.weight(o.weight, o.first_row.value_or(0),
                                        program_.values[at(o.out)].width),
                      c = space_.value(written_by(program_, i, plan_.ops[i].tile_ops));
    const Index M = ceil_div(most_rows(program_, o.out, report_.rows, report_.sequences), n);
    const Index blocks = std::clamp<Index>(at_rows(plan_.ops[i].nests, M).nest.row_blocks, 1, M);
    for (Index r = 0; r < blocks; ++r) {
      for (Index p = 0; p < kSteps; ++p) {
        if (p == 0) {
          read(step(a, r, blocks));
        } else {
          use(step(a, r, blocks), false);
        }
        if (r == 0) {
          read(step(b, p, kSteps));
        } else {
          use(step(b, p, kSteps), false);
        }
        if (o.residual != kNone) read(step(step(space_.value(o.residual), r, blocks), p, kSteps));
        write(step(step(c, r, blocks), p, kSteps));
      }
    }
  }

  void by_steps(const std::vector<ValueId>& in, ValueId out, MemoryRange scratch) {
    moved_ -= 2 * static_cast<double>(scratch.bytes());  // as `alone` counts it
    for (Index p = 0; p < kSteps; ++p) {
      for (const ValueId id : in) read(step(space_.value(id, id == keys_of_all_), p, kSteps));
      if (scratch.bytes() > 0) {
        moved_ += static_cast<double>(scratch.bytes() - l2_.resident(scratch));
        use(scratch, true);
      }
      write(step(space_.value(out), p, kSteps));
    }
  }

  /// An operand that `alone` counts as coming in.
  void read(MemoryRange range) {
    moved_ -= static_cast<double>(l2_.resident(range));
    use(range, false);
  }
  /// A result that `alone` counts twice: allocated, and written back.
  void write(MemoryRange range) {
    moved_ -= static_cast<double>(range.bytes() + l2_.resident(range));
    use(range, true);
  }
  void use(MemoryRange range, bool is_written) {
    moved_ += static_cast<double>(l2_.use(range, is_written));
  }

  const Plan& plan_;
  const PlanReport& report_;
  const Program& program_;
  AddressSpace space_;
  RecentMemory l2_;
  double moved_ = 0;
  ValueId keys_of_all_ = kNone;  // K and V of an attention in blocks of queries
};

}  // namespace

std::vector<double> run_l2_bytes(const Plan& plan, const PlanReport& report,
                                 const PlanInput& input) {
  Run run(plan, report, input);
  std::vector<double> moved(report.ops.size());
  for (int pass = 0; pass < 2; ++pass) {  // the first leaves what the second finds
    std::fill(moved.begin(), moved.end(), 0.0);
    auto chain = report.chains.begin();
    for (std::size_t i = 0; i < report.ops.size();) {
      const bool chained = chain != report.chains.end() && chain->span.first == i;
      const OpSpan span = chained ? chain->span : OpSpan{i, 1};
      const Index blocks = chained ? chain->shape.blocks : 1;
      for (Index b = 0; b < blocks; ++b) {
        for (std::size_t j = span.first; j < span.end(); ++j)
          moved[j] += run.op(j, b, blocks, chained);
      }
      if (chained) ++chain;
      i = span.end();
    }
  }
  return moved;
}

}  // namespace tessera
