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

/// Where everything that ops use lies: the arena, then the packed weights, then the scratch.
class AddressSpace {
 public:
  AddressSpace(const PlanReport& report, const PlanInput& input)
      : program_(input.program),
        report_(report),
        slots_(plan_memory(input.program, input.max_rows, input.max_sequences).slots) {
    std::size_t end = 0;
    for (const MemorySlot& slot : slots_) end = std::max(end, slot.offset + slot.bytes);
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

  MemoryRange value(ValueId id) const {
    const Value& value = program_.values[at(id)];
    const Index rows = most_rows(program_, id, report_.rows, report_.sequences);
    const std::size_t begin = slots_[at(id)].offset;
    return {begin, begin + static_cast<std::size_t>(
                               rows * value.width *
                               size_of(value.type))};  // the gaps between rows are not used
  }
  MemoryRange weight(ParameterId id) const {
    const std::size_t i = at(id);
    return {weights_[i], i + 1 < weights_.size() ? weights_[i + 1] : scratch_};
  }
  MemoryRange scratch(Index count) const {
    return {scratch_, scratch_ + static_cast<std::size_t>(count)};
  }

 private:
  const Program& program_;
  const PlanReport& report_;
  std::vector<MemorySlot> slots_;
  std::vector<std::size_t> weights_;  // first byte of each matrix
  std::size_t scratch_ = 0;
};

/// How finely an op is followed: what it uses early may be gone when it ends.
constexpr Index kSteps = 16;

MemoryRange step(MemoryRange range, Index i, Index n) {
  const auto cut = [&](Index k) {
    return range.begin + range.bytes() * static_cast<std::size_t>(k) / static_cast<std::size_t>(n);
  };
  return {cut(i), cut(i + 1)};
}

class Run {
 public:
  Run(const Plan& plan, const PlanReport& report, const PlanInput& input)
      : plan_(plan),
        report_(report),
        program_(input.program),
        space_(report, input),
        l2_(static_cast<std::size_t>(input.machine.l2.bytes)) {}

  double op(std::size_t i) {
    const OpReport& report = report_.ops[i];
    moved_ = report.chosen.l2_bytes;
    std::visit(Overloaded{[&](const LinearOp& o) { linear(i, o); },
                          [&](const AttentionOp& o) {
                            by_steps(inputs_of(program_.ops[i]), o.out,
                                     space_.scratch(report.chosen.scratch_bytes));
                          },
                          [&](const auto& o) { by_steps(inputs_of(program_.ops[i]), o.out, {}); }},
               program_.ops[i]);
    return std::max(0.0, moved_);
  }

 private:
  /// Per block of rows: the panels of B pass, and A, C and the residual with them.
  void linear(std::size_t i, const LinearOp& o) {
    const double alone = moved_;
    const MemoryRange a = space_.value(o.in), b = space_.weight(o.weight), c = space_.value(o.out);
    const Index M = most_rows(program_, o.out, report_.rows, report_.sequences);
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
    if (report_.ops[i].chosen.name == "chain") moved_ = alone;
  }

  void by_steps(const std::vector<ValueId>& in, ValueId out, MemoryRange scratch) {
    moved_ -= 2 * static_cast<double>(scratch.bytes());  // as `alone` counts it
    for (Index p = 0; p < kSteps; ++p) {
      for (const ValueId id : in) read(step(space_.value(id), p, kSteps));
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
};

}  // namespace

std::vector<double> run_l2_bytes(const Plan& plan, const PlanReport& report,
                                 const PlanInput& input) {
  Run run(plan, report, input);
  std::vector<double> moved(report.ops.size());
  for (int pass = 0; pass < 2; ++pass) {  // the first leaves what the second finds
    for (std::size_t i = 0; i < report.ops.size(); ++i) moved[i] = run.op(i);
  }
  return moved;
}

}  // namespace tessera
