// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan/plan_chains.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "runtime/machine/machine.hpp"
#include "runtime/plan/memory_plan.hpp"
#include "runtime/plan/row_wise.hpp"
#include "runtime/program/keys_first.hpp"

namespace tessera {
namespace {

constexpr double kSameTime = 1.02;        // a prediction says no more than that
constexpr double kLittleMoreTime = 1.05;  // for the least memory
constexpr Index kBatch = 4096;  // rows that times are compared at, whatever the largest batch
constexpr Index kBlockRows[] = {128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096};

PlanMachine one_thread(const PlanInput& in) {
  PlanMachine machine = in.plan_machine();
  machine.threads = 1;
  return machine;
}

/// The spans for blocks of `rows` rows: layers where blocks of whole sequences are possible. By itself a
/// plan has those on one thread only: sequences cannot be shared evenly by several, rows can.
std::vector<OpSpan> spans_for(const PlanInput& in, Index rows, const std::vector<OpSchedule>& ops) {
  if (in.least_memory && is_keys_first(in.program)) return chains_of_queries(in.program);
  const bool layers = rows >= longest_sequence(in.program, in.max_rows) &&
                      (in.threads == 1 || in.row_blocks.has_value());
  return layers ? chains_of_layers(in.program, ops) : chains_of_rows(in.program);
}

/// `ops` with chains in blocks of `rows` rows, without the nests of blocks.
std::vector<OpSpan> set_chains(const PlanInput& in, Index rows, std::vector<OpSchedule>& ops) {
  std::vector<OpSpan> set;
  for (OpSpan span : spans_for(in, rows, ops)) {
    Chain& chain = ops[span.first].chain;
    const auto can_run = [&] {
      chain = {.ops = static_cast<Index>(span.count),
               .from_rows = (in.threads - 1) * rows + 1,
               .block_rows = rows};
      return span.count >= 2 && why_no_chain(in.program, ops, span.first, in.max_rows).empty();
    };
    // A QKV that may lie by heads, last in its span, stays outside.
    if (can_run() || (--span.count, can_run())) {
      set.push_back(span);
    } else {
      chain = {};
    }
  }
  return set;
}

class ChainPlanner {
 public:
  explicit ChainPlanner(const PlanInput& input)
      : in_(input),
        in_l3_(weights_stay_in_l3(input.program, input.tile, input.machine)),
        all_(input.plan_machine()),
        one_(one_thread(input)) {}

  /// Several threads: what one worker does with a block of up to `rows` rows.
  void set_block_nests(const std::vector<OpSpan>& spans, Index rows, std::vector<OpSchedule>& ops) {
    for (const OpSpan& span : spans) {
      for (std::size_t i = span.first; i < span.end(); ++i) {
        const auto* linear = std::get_if<LinearOp>(&in_.program.ops[i]);
        if (linear == nullptr || in_.threads == 1) continue;
        const TileShape& tile = in_.tile[in_.program.parameters[at(linear->weight)].precision];
        for (const Index last : row_ranges(rows, tile.MR)) {
          append_range(
              ops[i].block_nests,
              {last,
               nest(linear_task(in_.program, i, ops[i].tile_ops, last, in_.tile, in_l3_), one_)});
        }
      }
    }
  }

  /// Seconds of the ops of `spans` for a batch, each on all rows.
  double op_by_op(const std::vector<OpSpan>& spans, const std::vector<OpSchedule>& ops) {
    double seconds = 0;
    for (const OpSpan& span : spans) {
      for (std::size_t i = span.first; i < span.end(); ++i) {
        seconds += seconds_of(i, ops, kBatch, all_, in_l3_);
      }
    }
    return seconds;
  }

  /// T(rows) of the head of this file.
  double in_blocks(const std::vector<OpSpan>& spans, const std::vector<OpSchedule>& ops,
                   Index rows) {
    const double blocks = static_cast<double>(kBatch) / static_cast<double>(rows);
    double seconds = 0;
    for (const OpSpan& span : spans) {
      const bool stay = in_l3_ || weights_stay_between_blocks(in_.program, span, in_.tile, one_);
      for (std::size_t i = span.first; i < span.end(); ++i) {
        const double first = seconds_of(i, ops, rows, one_, in_l3_),
                     later = seconds_of(i, ops, rows, one_, stay);
        seconds += first - later + blocks * later / static_cast<double>(in_.threads);
      }
    }
    return seconds;
  }

 private:
  /// Attention is left out: it takes the same time in blocks. So are row-wise ops but for what they
  /// take on all rows: their operands may be in L2 in a block, and may have been pushed out.
  double seconds_of(std::size_t i, const std::vector<OpSchedule>& ops, Index rows,
                    const PlanMachine& machine, bool in_l3) {
    const Op& op = in_.program.ops[i];
    if (std::holds_alternative<AttentionOp>(op) || is_in_tiles(ops, i)) return 0;
    const auto* linear = std::get_if<LinearOp>(&op);
    if (linear == nullptr) {
      const auto share = static_cast<double>(rows) / static_cast<double>(kBatch);
      return share * row_wise_cost(in_.program, op, kBatch, 1, all_).seconds *
             static_cast<double>(all_.threads) / static_cast<double>(machine.threads);
    }
    const LinearTask task = linear_task(in_.program, i, ops[i].tile_ops, rows, in_.tile, in_l3);
    return linear_cost(task, nest(task, machine), machine).seconds;
  }

  /// Of a worker's first block, whose nest the later ones have as well.
  LoopNest nest(LinearTask task, const PlanMachine& machine) {
    task.weights_stay_in_l3 = in_l3_;
    const auto [found, is_new] = nests_.try_emplace({task, machine.threads});
    if (is_new) found->second = plan_linear(task, machine, in_.loop_order).chosen.nest;
    return found->second;
  }

  const PlanInput& in_;
  bool in_l3_;
  PlanMachine all_, one_;
  std::map<std::pair<LinearTask, int>, LoopNest> nests_;  // by threads, too
};

/// Bytes of the values of a session, of all workers.
std::size_t values_bytes(const PlanInput& in, const std::vector<OpSchedule>& ops) {
  const MemoryPlan memory = plan_memory(in.program, in.max_rows, in.max_sequences, ops);
  return memory.bytes + memory.block_bytes * static_cast<std::size_t>(in.threads);
}

/// The blocks that are best: 0 is op by op.
Index best_rows(const PlanInput& in, const std::vector<OpSchedule>& ops, ChainPlanner& planner) {
  struct Candidate {
    Index rows;
    double seconds;  // over those of the same ops one by one
    std::size_t bytes;
  };
  std::vector<Candidate> all{{0, 1, values_bytes(in, ops)}};
  for (const Index rows : kBlockRows) {
    if (rows * in.threads > in.max_rows) break;
    std::vector<OpSchedule> chained = ops;
    const std::vector<OpSpan> spans = set_chains(in, rows, chained);
    if (spans.empty()) continue;
    const std::size_t bytes = values_bytes(in, chained);
    all.push_back(
        {rows, planner.in_blocks(spans, chained, rows) / planner.op_by_op(spans, chained), bytes});
  }
  double least = 1;
  for (const Candidate& c : all) least = std::min(least, c.seconds);
  const double same = in.least_memory ? kLittleMoreTime : kSameTime;
  const Candidate* best = nullptr;
  for (const Candidate& c : all) {
    if (c.seconds > same * least) continue;
    if (best == nullptr || c.bytes < best->bytes) best = &c;
  }
  return best->rows;
}

}  // namespace

bool weights_stay_between_blocks(const Program& program, OpSpan span,
                                 const PerPrecision<TileShape>& tile, const PlanMachine& machine) {
  double bytes = 0;
  for (std::size_t i = span.first; i < span.end(); ++i) {
    const auto* linear = std::get_if<LinearOp>(&program.ops[i]);
    if (linear == nullptr) continue;
    const Parameter& weight = program.parameters[at(linear->weight)];
    bytes += tile[weight.precision].bytes.b *
             static_cast<double>(program.values[at(linear->out)].width * weight.cols);
  }
  return machine.l3_bytes > 0 && bytes <= machine.Z3();
}

void make_chains(const PlanInput& input, std::vector<OpSchedule>& ops) {
  ChainPlanner planner(input);
  const Index rows = input.row_blocks ? std::min(*input.row_blocks, input.max_rows)
                                      : best_rows(input, ops, planner);
  if (rows > 0) planner.set_block_nests(set_chains(input, rows, ops), rows, ops);
}

std::vector<Index> chain_thresholds(int threads) {
  std::vector<Index> thresholds;
  for (const Index rows : kBlockRows) thresholds.push_back(rows * threads);
  return thresholds;
}

}  // namespace tessera
