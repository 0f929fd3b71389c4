// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "runtime/base/fnv.hpp"
#include "runtime/base/overloaded.hpp"
#include "runtime/machine/machine.hpp"
#include "runtime/plan/attention_layout.hpp"
#include "runtime/plan/patches.hpp"
#include "runtime/plan/plan_chains.hpp"
#include "runtime/plan/pooled_linear.hpp"
#include "runtime/program/canonical.hpp"

namespace tessera {
namespace {

// 32 rows of 768 are 96 KiB in and out, far above the cost of handing out a task; a norm that follows
// a linear finds its rows in L2.
constexpr Index kRowsPerTask = 32, kNormRowsPerTask = 16;

class Planner {
 public:
  explicit Planner(const PlanInput& input)
      : in_(input),
        machine_(input.plan_machine()),
        weights_stay_in_l3_(weights_stay_in_l3(input.program, input.tile, input.machine)) {}

  /// (K,N) of the linears of which no block fits in L2.
  const std::set<std::string>& unfit() const noexcept { return unfit_; }

  OpSchedule schedule(std::size_t i) {
    OpSchedule schedule;
    const Op& op = in_.program.ops[i];
    if (const auto* attention = std::get_if<AttentionOp>(&op)) return this->attention(*attention);
    if (const auto* patch = std::get_if<PatchEmbedOp>(&op)) {
      const Index rows = patch_block_rows(*in_.program.images(),
                                          in_.program.parameters[at(patch->weight)].precision,
                                          tile_of(patch->weight).MR, machine_.l2_bytes);
      schedule.patch_rows = std::clamp<Index>(in_.max_rows, 1, rows);
    }
    if (const auto* pooled = std::get_if<PooledLinearOp>(&op)) return this->pooled(*pooled);
    if (is_row_wise(op)) schedule.task_rows = kRowsPerTask;
    const auto* linear = std::get_if<LinearOp>(&op);
    if (linear == nullptr) return schedule;
    if (linear->norm) schedule.task_rows = kNormRowsPerTask;
    schedule.tile_ops = tile_ops_behind(in_.program, i, in_.tile);
    const Index most = most_rows(in_.program, linear->out, in_.max_rows, in_.max_sequences);
    for (const Index rows : row_ranges(most, tile_of(linear->weight).MR)) {
      const LinearTask task =
          linear_task(in_.program, i, schedule.tile_ops, rows, in_.tile, weights_stay_in_l3_);
      const LinearCandidate& chosen = plan(task);
      const bool is_onednn =
          schedule.tile_ops == 0 && !linear->first_row && onednn(task, chosen.nest);
      append_range(schedule.nests, NestRange{rows, chosen.nest, is_onednn});
    }
    return schedule;
  }

 private:
  const TileShape& tile_of(ParameterId matrix) const {
    return in_.tile[in_.program.parameters[at(matrix)].precision];
  }

  /// streaming as long as K and V of a head stay in L2, then streaming_keys (dataflow_of()).
  OpSchedule attention(const AttentionOp& op) const {
    const kernels::Attention& kernel = kernels::kernels_at(in_.isa).attention[op.precision];
    const bool is_self = is_self_attention(in_.program, op);
    const auto dataflow = [&](Index T) {
      return in_.attention ? *in_.attention
             : is_self     ? dataflow_of(T, op.head_dim, op.mask, machine_.l2_bytes, kernel)
                           : kernels::AttentionDataflow::streaming;
    };
    OpSchedule schedule;
    schedule.by_heads_from = head_dim_of(in_.program, op.q.value, in_.tile) == 0 ? 0 : kByHeadsFrom;
    const Index most = most_keys(in_.program, op, in_.max_rows);
    for (Index first = 1; first <= most;) {
      // The last T of the same dataflow: it changes once at most.
      Index last = first, end = most + 1;  // `last` has it; `end` has not
      while (end - last > 1) {
        const Index middle = last + (end - last) / 2;
        (dataflow(middle) == dataflow(first) ? last : end) = middle;
      }
      Index rows = rows_per_task(dataflow(first), last, kernel);
      // Where keys are hidden the executor does not cut tasks: enough of them for many workers.
      if (kernel.packing_rows > 0 && op.mask != kernels::AttentionMask{})
        rows = std::min(rows, kCarriedBlocks * kernel.Br);
      const auto up_to = [&](Index last_rows, Index task_rows) {
        schedule.attention.push_back({last_rows, dataflow(first), std::max(task_rows, kernel.Br)});
      };
      // The bias of a task is a matrix in its scratch: in tasks of several blocks fewer products with
      // distances go to waste, as long as it stays in L2.
      if (std::holds_alternative<Disentangled>(op.position)) {
        constexpr Index kElements = 65536;
        for (const Index blocks : {4, 2}) {
          const Index longest = std::min(last, kElements / (blocks * kernel.Br));
          if (longest < first) continue;
          up_to(longest, blocks * kernel.Br);
          first = longest + 1;
        }
        rows = kernel.Br;
      }
      if (first <= last) up_to(last, rows);
      first = last + 1;
    }
    return schedule;
  }

  OpSchedule pooled(const PooledLinearOp& op) const {
    OpSchedule schedule;
    const Index most = most_rows(in_.program, op.in, in_.max_rows, in_.max_sequences);
    for (const Index rows : row_ranges(most, tile_of(op.weight).MR)) {
      const PooledLinearTask task =
          pooled_linear_task(in_.program, op, rows, in_.max_sequences, weights_stay_in_l3_);
      append_range(schedule.nests, {rows, plan_pooled_linear(task, machine_)});
    }
    return schedule;
  }

  const LinearCandidate& plan(const LinearTask& t) {
    const auto found = plans_.find(t);
    if (found != plans_.end()) return found->second;
    const LinearPlan made = plan_linear(t, machine_, in_.loop_order);
    if (!made.fits) unfit_.insert(fmt::format("({},{})", t.shape.K, t.shape.N));
    return plans_.emplace(t, made.chosen).first->second;
  }

  /// Whether oneDNN measures better than the nest.
  bool onednn(const LinearTask& task, const LoopNest& nest) {
    if (!in_.allow_onednn || !in_.onednn_over_ours) return false;
    // A refusal half-way could not be made good.
    if (task.residual || task.precision != Precision::f32) return false;
    const auto found = onednn_.find(task.shape);
    if (found != onednn_.end()) return found->second;
    return onednn_[task.shape] = in_.onednn_over_ours(task.shape, nest) < 0.97;
  }

  const PlanInput& in_;
  PlanMachine machine_;
  bool weights_stay_in_l3_;
  std::map<LinearTask, LinearCandidate> plans_;
  std::set<std::string> unfit_;
  std::map<LinearShape, bool> onednn_;
};

}  // namespace

std::vector<Index> row_ranges(Index most, Index MR) {
  std::vector<Index> last;
  for (Index rows = MR; rows < most; rows = rows < 8 * MR ? rows + MR : rows + rows / 4) {
    last.push_back(rows);
  }
  last.push_back(most);
  return last;
}

void append_range(std::vector<NestRange>& ranges, const NestRange& range) {
  NestRange same = range;
  if (!ranges.empty()) {
    same.last_rows = ranges.back().last_rows;
    if (same == ranges.back()) ranges.pop_back();
  }
  ranges.push_back(range);
}

PerPrecision<TileShape> tile_shapes(const kernels::KernelTable& kernels) noexcept {
  PerPrecision<TileShape> shapes{};
  for (const Precision p : kPrecisions) shapes[p] = tile_shape(kernels.gemm[p]);
  return shapes;
}

LinearTask linear_task(const Program& program, std::size_t i, Index tile_ops, Index rows,
                       const PerPrecision<TileShape>& tile, bool weights_stay_in_l3) {
  const LinearOp& op = *std::get_if<LinearOp>(&program.ops[i]);
  const Parameter& weight = program.parameters[at(op.weight)];
  const Value& out = program.values[at(written_by(program, i, tile_ops))];
  const Index N = program.values[at(op.out)].width;
  const TileGroup group = tile_group(program, i, tile_ops, tile[weight.precision].NR);
  return {.shape = {.M = rows, .N = N, .K = weight.cols},
          .residual = op.residual != kNone && !op.norm,
          .norm = op.norm.has_value(),
          .narrow = out.type == DType::bf16,
          .share = tile_ops == 0 ? 1 : static_cast<double>(out.width) / static_cast<double>(N),
          .group = group.panels,
          .apart = group.apart,
          .weights_stay_in_l3 = weights_stay_in_l3,
          .precision = weight.precision};
}

bool is_row_wise(const Op& op) noexcept {
  return std::visit(
      Overloaded{
          [](const EmbeddingOp&) { return true; },   [](const LayerNormOp&) { return true; },
          [](const RotateOp&) { return true; },      [](const ActivationOp&) { return true; },
          [](const GatedOp&) { return true; },       [](const AddOp&) { return true; },
          [](const L2NormalizeOp&) { return true; }, [](const NarrowOp&) { return true; },
          [](const LinearOp&) { return false; },     [](const PooledLinearOp&) { return false; },
          [](const ExpertsOp&) { return false; },    [](const AttentionOp&) { return false; },
          [](const PatchEmbedOp&) { return false; }, [](const BroadcastOp&) { return false; },
          [](const PoolOp&) { return false; },       [](const LargestByIdOp&) { return false; },
          [](const TopColumnsOp&) { return false; }, [](const ConcatOp&) { return false; },
          [](const MaskRowsOp&) { return false; },   [](const ConvolutionOp&) { return false; },
          [](const WindowRowsOp&) { return false; }, [](const MergeCellsOp&) { return false; },
          [](const DepthwiseOp&) { return false; },  [](const GridConvolutionOp&) { return false; },
          [](const ScaleRowsOp&) { return false; }},
      op);
}

PlanMachine PlanInput::plan_machine() const {
  return {.l1_bytes = machine.l1d.bytes,
          .l2_bytes = machine.l2.bytes,
          .l3_bytes = machine.l3.bytes,
          .tile = tile,
          .threads = threads,
          .rates = rates};
}

bool weights_stay_in_l3(const Program& program, const PerPrecision<TileShape>& tile,
                        const Machine& machine) noexcept {
  double bytes = 0;
  for (const Parameter& p : program.parameters) {
    if (p.kind != ParameterKind::matrix) continue;
    bytes += tile[p.precision].bytes.b * static_cast<double>(p.rows) * static_cast<double>(p.cols);
  }
  return bytes <= 0.5 * static_cast<double>(machine.l3.bytes);
}

std::vector<std::string> fallbacks_of(const std::string& rates_source) {
  if (rates_source != "nominal") return {};
  return {
      "rates are nominal: nothing was measured on this machine (tessera plan measures, "
      "TESSERA_RATES names a file)"};
}

Plan make_plan(const PlanInput& input) {
  Plan plan{.identity = {.version = library_version(),
                         .program = fingerprint(input.program),
                         .outputs = describe_outputs(input.program),
                         .machine = machine_key(input.machine),
                         .isa = to_string(input.isa),
                         .threads = input.threads,
                         .max_rows = input.max_rows,
                         .max_sequences = input.max_sequences},
            .file = {},
            .rates_source = input.rates.source,
            .ops = {},
            .weights_stay_in_l3 = weights_stay_in_l3(input.program, input.tile, input.machine),
            .fallbacks = fallbacks_of(input.rates.source)};
  if (input.allow_onednn && !input.onednn_over_ours) {
    plan.fallbacks.emplace_back("oneDNN was allowed and its plugin cannot be loaded");
  }
  Planner planner(input);
  plan.ops.reserve(input.program.ops.size());
  for (std::size_t i = 0; i < input.program.ops.size(); ++i) {
    plan.ops.push_back(planner.schedule(i));
  }
  make_chains(input, plan.ops);
  const bool chained = std::any_of(plan.ops.begin(), plan.ops.end(),
                                   [](const OpSchedule& op) { return op.chain.begins(); });
  if (input.row_blocks && *input.row_blocks > 0 && !chained) {
    plan.fallbacks.push_back(fmt::format(
        "blocks of {} rows were asked for and no ops of this model can be chained in them",
        *input.row_blocks));
  }
  for (const std::string& shape : planner.unfit()) {
    plan.fallbacks.push_back(fmt::format(
        "no block of a linear with (K,N) = {} fits in L2: the fastest is taken", shape));
  }
  return plan;
}

std::string describe_outputs(const Program& program) {
  std::string text;
  for (const Output& output : program.outputs) {
    const Value& value = program.values[at(output.value)];
    text += fmt::format("{}{} ({}, {} columns)", text.empty() ? "" : ", ", output.name, value.name,
                        value.width);
  }
  return text;
}

std::string fingerprint(const Program& program) {
  return fmt::format("{:016x}", fnv1a(kFnvSeed, canonical_text(program)));
}

std::string machine_key(const Machine& machine) {
  return fmt::format("{}; L1d {} L2 {} L3 {}", machine.cpu_name, machine.l1d.bytes,
                     machine.l2.bytes, machine.l3.bytes);
}

}  // namespace tessera
