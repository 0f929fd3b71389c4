// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <set>
#include <utility>

#include "runtime/base/error.hpp"
#include "runtime/base/overloaded.hpp"
#include "runtime/machine/machine.hpp"
#include "runtime/plan/attention.hpp"
#include "runtime/plan/attention_layout.hpp"
#include "runtime/plan/convolution.hpp"
#include "runtime/plan/experts.hpp"
#include "runtime/plan/memory_plan.hpp"
#include "runtime/plan/plan_chains.hpp"
#include "runtime/plan/pooled_linear.hpp"
#include "runtime/plan/row_wise.hpp"
#include "runtime/plan/run_traffic.hpp"
#include "runtime/program/mask.hpp"

namespace tessera {
namespace {

/// "bias + gelu_erf + residual": those that hold.
std::string sum_of(std::initializer_list<std::pair<bool, const char*>> parts) {
  std::string text;
  for (const auto& [is_there, part] : parts) {
    if (is_there) text += (text.empty() ? "" : " + ") + std::string(part);
  }
  return text;
}

std::string epilogue_of(const LinearOp& op) {
  return sum_of({{op.bias != kNone, "bias"},
                 {op.activation != Activation::none, to_string(op.activation)},
                 {op.residual != kNone, "residual"},
                 {op.norm.has_value(), "layer norm"}});
}

CandidateReport candidate_report(const LinearCandidate& c, const LinearShape& shape,
                                 TileShape tile) {
  return {.name = to_string(c.nest.order),
          .blocks = describe_blocks(c.nest, shape, tile),
          .l1_bytes = c.cost.l1_bytes(),
          .l2_bytes = c.cost.l2_bytes(),
          .l3_bytes = c.cost.l3_bytes(),
          .seconds = c.cost.seconds,
          .limit = to_string(c.cost.limit),
          .why = {}};
}

class Reporter {
 public:
  Reporter(const Plan& plan, const PlanInput& input, Index rows, Index sequences)
      : plan_(plan),
        in_(input),
        machine_(input.plan_machine()),
        weights_in_l3_(plan.weights_stay_in_l3),
        rows_(rows),
        sequences_(sequences) {}

  /// What one worker does with a block of a chain; with the first one, whose weights may come from
  /// memory, and with later ones.
  Reporter of_block(const ChainReport& chain, bool first) const {
    Reporter reporter(plan_, in_, chain.shape.rows, chain.shape.sequences);
    reporter.machine_.threads = 1;
    reporter.in_block_ = true;
    reporter.weights_in_l3_ =
        weights_in_l3_ ||
        (!first && weights_stay_between_blocks(in_.program, chain.span, in_.tile, machine_));
    return reporter;
  }

  OpReport op(std::size_t i) {
    const Op& op = in_.program.ops[i];
    OpReport report{.kind = name_of(op), .name = value(output_of(op)).name};
    std::visit(Overloaded{[&](const LinearOp& o) { linear(i, o, report); },
                          [&](const AttentionOp& o) {
                            if (is_self_attention(in_.program, o)) {
                              attention(plan_.ops[i], o, report);
                            } else {
                              pooling_attention(plan_.ops[i], o, op, report);
                            }
                          },
                          [&](const PatchEmbedOp& o) { patch_embed(plan_.ops[i], o, report); },
                          [&](const ConvolutionOp& o) {
                            convolution(o, o.taps, Activation::none, report);
                          },
                          [&](const GridConvolutionOp& o) {
                            convolution(o, o.taps * o.taps, o.activation, report);
                          },
                          [&](const DepthwiseOp& o) { depthwise(o, op, report); },
                          [&](const PooledLinearOp& o) { pooled_linear(plan_.ops[i], o, report); },
                          [&](const ExpertsOp& o) { experts(o, op, report); },
                          [&](const auto&) { row_wise(op, report); }},
               op);
    if (is_in_tiles(plan_.ops, i)) in_tiles(i, report);
    return report;
  }

  /// Each further block of queries reads K and V of all heads once more, where L2 does not hold them.
  void add_keys_of_blocks(const AttentionOp& o, Index blocks, CandidateReport& chosen) const {
    if (o.mask != kernels::AttentionMask{}) return;  // of a window the keys of the block
    const Value& k = value(o.k.value);
    const double bytes =
        static_cast<double>(rows_of(o.k.value) * 2 * o.kv_heads * o.head_dim * size_of(k.type));
    if (bytes <= machine_.Z2()) return;
    chosen.l2_bytes += static_cast<double>(blocks - 1) * bytes;
  }

 private:
  const Value& value(ValueId id) const { return in_.program.values[at(id)]; }
  Index rows_of(ValueId id) const { return most_rows(in_.program, id, rows_, sequences_); }
  void linear(std::size_t i, const LinearOp& o, OpReport& report) const {
    const LinearTask task = linear_task(in_.program, i, plan_.ops[i].tile_ops, rows_of(o.out),
                                        in_.tile, weights_in_l3_);
    const auto [M, N, K] = task.shape;
    const LinearPlan best = plan_linear(task, machine_);
    report.shape = fmt::format("({},{})x({},{})", M, K, K, N);
    report.epilogue = epilogue_of(o);
    report.precision = task.precision;
    report.flops = 2.0 * static_cast<double>(M * N) * static_cast<double>(K);
    report.bound_bytes = best.bound_bytes;
    report.naive_bytes = best.classical.naive;
    report.is_bytes = best.classical.is;
    report.ws_bytes = best.classical.ws;
    report.os_bytes = best.classical.os;
    const TileShape tile = tile_of(task, machine_);
    const OpSchedule& schedule = plan_.ops[i];
    const std::vector<NestRange>& nests =
        in_block_ && !schedule.block_nests.empty() ? schedule.block_nests : schedule.nests;
    const NestRange& range = at_rows(nests, M);
    LoopNest nest = range.nest;
    nest.row_blocks = std::min(nest.row_blocks, M);
    LinearPlan chosen = best;  // the range's nest, which was chosen for its last row count
    chosen.chosen = {nest, linear_cost(task, nest, machine_)};
    report.chosen = candidate_report(chosen.chosen, task.shape, tile);
    if (range.onednn) {
      report.chosen.why = "oneDNN measured faster, and is allowed";
      report.rejected.push_back(
          std::exchange(report.chosen,
                        {.name = "oneDNN", .seconds = report.chosen.seconds, .limit = "measured"}));
    }
    for (const std::optional<LinearCandidate>& other : best.best) {
      if (!other || other->nest.order == nest.order) continue;
      report.rejected.push_back(candidate_report(*other, task.shape, tile));
      report.rejected.back().why =
          other->cost.seconds < 0.98 * chosen.chosen.cost.seconds
              ? fmt::format("{:.2f} x the time; another was asked for",
                            other->cost.seconds / chosen.chosen.cost.seconds)
          : other->cost.l2_bytes() < 0.999 * chosen.chosen.cost.l2_bytes()
              ? fmt::format("{:.2f} x the bytes into L2 here; the other is best up to {} rows",
                            other->cost.l2_bytes() / chosen.chosen.cost.l2_bytes(), range.last_rows)
              : why_rejected(*other, chosen);
    }
    for (const LoopOrder order : kLoopOrders) {
      if (best.best[static_cast<std::size_t>(order)] || order == nest.order) continue;
      report.rejected.push_back({.name = to_string(order), .why = why_impossible(order, task)});
    }
  }

  /// The products are in L1 while it runs, and stay there.
  void in_tiles(std::size_t i, OpReport& report) const {
    std::size_t linear = i - 1;
    while (plan_.ops[linear].tile_ops == 0) --linear;
    const RowWiseCost cost =
        row_wise_cost(in_.program, in_.program.ops[i], rows_, sequences_, machine_);
    report.is_in_tiles = true;
    report.bound_bytes = 0;
    report.chosen = {.name = "in tiles",
                     .blocks = fmt::format("of {}", value(output_of(in_.program.ops[linear])).name),
                     .seconds = cost.bytes / machine_.rates.l1_bytes / machine_.threads,
                     .limit = "L1 bandwidth",
                     .why = "the products of the linear before it are still in L1"};
  }

  std::string why_impossible(LoopOrder order, const LinearTask& task) const {
    const bool splits =
        order == LoopOrder::is_os_b || order == LoopOrder::ws_os_b || order == LoopOrder::os_2d;
    if (splits && task.residual) return "K is not split: C is the residual's memory";
    if (splits && task.share < 1) return "K is not split: the product is gated where it is, once";
    if (splits && task.narrow) return "K is not split: C is written as bf16, once";
    if (splits && task.shape.M <= machine_.tile[task.precision].MR)
      return "one tile of rows: K stays whole";
    if (splits && task.shape.K < 512) return "K is too short to split";
    return fmt::format("no block of it fits in {:.0f} KiB of L2", machine_.Z2() / 1024);
  }

  /// What the distances of Disentangled add, all heads and sequences: products of tiles with the rows that
  /// they need (execute/disentangled.cpp), of which a score takes one number a term. That of a key passes
  /// L1 with its index and the score; that of a query once more, turned over.
  struct PositionCost {
    Precision precision = Precision::f32;
    double flops = 0, bytes = 0, weight_bytes = 0, passes = 0;
    double seconds(const MachineRates& rates) const {
      return flops / rates.flops[precision] + 4.0 * passes / rates.l1_bytes;
    }
  };
  PositionCost position_cost(const AttentionOp& o, Index rows_of_all, Index T,
                             Index task_rows) const {
    const auto* terms = std::get_if<Disentangled>(&o.position);
    if (terms == nullptr) return {};
    const TileShape& tile = machine_.tile[o.precision];
    const double times = static_cast<double>(rows_of_all * o.heads) / static_cast<double>(T);
    PositionCost cost{.precision = o.precision};
    const auto add = [&](ParameterId id, Index distances, Index blocks, double passes) {
      if (id == kNone) return;
      const Parameter& p = in_.program.parameters[at(id)];
      const Index rows = std::min(p.rows, distances + tile.MR + tile.NR);
      cost.flops += times * 2.0 * static_cast<double>(blocks * T * rows * o.head_dim);
      cost.bytes += times * static_cast<double>(8 * T * T);
      cost.passes += times * passes * static_cast<double>(T * T);
      cost.weight_bytes += tile.bytes.b * static_cast<double>(p.rows * p.cols);
    };
    add(terms->key, T, 1, 3);
    add(terms->query, std::min(T, task_rows), ceil_div(T, task_rows), 6);
    return cost;
  }

  /// Pieces of equal length.
  void attention(const OpSchedule& schedule, const AttentionOp& o, OpReport& report) const {
    const auto [rows, pieces] =
        most_extents(in_.program.spaces, rows_, sequences_)[at(value(o.q.value).space)];
    const Index T = ceil_div(rows, pieces);
    const kernels::Attention& kernel = kernels::kernels_at(in_.isa).attention[o.precision];
    const AttentionCaches caches{machine_.l1_bytes, machine_.l2_bytes, machine_.l3_bytes};
    const AttentionShape shape{.T = T, .d = o.head_dim, .heads = o.heads, .mask = o.mask};
    const AttentionPlan plan = plan_attention(shape, caches, machine_.rates, kernel, o.precision);
    const kernels::AttentionDataflow runs = at_rows(schedule.attention, T).dataflow;
    const double times = static_cast<double>(rows) / static_cast<double>(T);
    const double activations =
        static_cast<double>((3 * kernel.bytes.qkv + kernel.bytes.o) * rows * o.heads * o.head_dim);
    const bool in_l3 = machine_.l3_bytes > 0 && activations <= machine_.Z3();
    const Index task_rows = std::max(kernel.Br, at_rows(schedule.attention, T).task_rows);
    const PositionCost position = position_cost(o, rows, T, task_rows);
    const auto candidate = [&](const AttentionCost& c) {
      return CandidateReport{.name = kernels::to_string(c.dataflow),
                             .blocks = fmt::format("scratch {} KiB", c.scratch_bytes / 1024),
                             .l1_bytes = times * c.l1_bytes + position.bytes,
                             .l2_bytes = times * c.l2_bytes + position.weight_bytes,
                             .l3_bytes = in_l3 ? 0 : times * c.l3_bytes,
                             .seconds = (times * c.seconds + position.seconds(machine_.rates)) /
                                        static_cast<double>(machine_.threads),
                             .limit = c.limit,
                             .why = c.why,
                             .scratch_bytes = c.used_scratch_bytes};
    };
    report.precision = o.precision;
    report.shape = fmt::format("{} heads of {}, {} x {} rows, {}", o.heads, o.head_dim, pieces, T,
                               to_string(o.mask));
    report.epilogue = std::holds_alternative<RelativeBias>(o.position)   ? "relative bias"
                      : std::holds_alternative<Alibi>(o.position)        ? "ALiBi"
                      : std::holds_alternative<Disentangled>(o.position) ? "distances"
                      : std::holds_alternative<PairBias>(o.position)     ? "bias of pairs"
                                                                         : "";
    std::vector<AttentionCost> all = plan.rejected;
    all.insert(all.begin(), plan.chosen);
    for (const AttentionCost& c : all) {
      if (c.dataflow == runs) {
        report.chosen = candidate(c);
        report.chosen.why.clear();
        report.flops = times * c.flops + position.flops;
        report.bound_bytes = times * c.bound_bytes + position.weight_bytes;
        continue;
      }
      report.rejected.push_back(candidate(c));
      if (report.rejected.back().why.empty()) {
        report.rejected.back().why =
            in_.attention || !plan_.file.empty()
                ? "best by the model; another was asked for"
                : "as fast by the model; a run takes the other in closed form";
      }
    }
  }

  /// A few queries over the rows of a sequence: K and V pass once, whatever the dataflow.
  void pooling_attention(const OpSchedule& schedule, const AttentionOp& o, const Op& op,
                         OpReport& report) const {
    row_wise(op, report);
    const double keys = static_cast<double>(rows_of(o.k.value)) / static_cast<double>(sequences_);
    report.shape = fmt::format("{} heads of {}, {} queries over {} rows", o.heads, o.head_dim,
                               rows_of(o.q.value), rows_of(o.k.value));
    report.flops = 4.0 * static_cast<double>(rows_of(o.q.value) * o.heads * o.head_dim) * keys;
    const Index T = ceil_div(rows_of(o.k.value), sequences_);
    report.chosen.name = kernels::to_string(at_rows(schedule.attention, T).dataflow);
  }

  /// A linear over blocks of gathered patches, one image after another.
  void patch_embed(const OpSchedule& schedule, const PatchEmbedOp& o, OpReport& report) const {
    const ImageSpec& images = *in_.program.images();
    const Parameter& weight = in_.program.parameters[at(o.weight)];
    const LinearTask task{
        .shape = {.M = std::max<Index>(1, rows_ - sequences_ * images.special_tokens),
                  .N = weight.rows,
                  .K = weight.cols},
        .residual = o.positions != kNone,
        .weights_stay_in_l3 = weights_in_l3_,
        .precision = weight.precision};
    const TileShape& tile = machine_.tile[task.precision];
    const auto [M, N, K] = task.shape;
    const Index block = schedule.patch_rows;
    const Index blocks = std::min(
        M,
        std::max<Index>(machine_.threads, sequences_ * ceil_div(ceil_div(M, sequences_), block)));
    const LoopNest nest{.order = LoopOrder::is_os_a, .row_blocks = blocks};
    report.shape = fmt::format("({},{})x({},{})", M, K, K, N);
    report.epilogue = sum_of({{o.bias != kNone, "bias"}, {o.positions != kNone, "positions"}});
    report.precision = task.precision;
    report.flops = 2.0 * static_cast<double>(M * N) * static_cast<double>(K);
    report.bound_bytes = gemm_bound(task.shape, tile.bytes, machine_.Z2());
    report.chosen = candidate_report({nest, linear_cost(task, nest, machine_)}, task.shape, tile);
  }

  /// A linear over blocks of gathered rows.
  template <class AnyConvolution>
  void convolution(const AnyConvolution& o, Index taps, Activation activation,
                   OpReport& report) const {
    const Parameter& weight = in_.program.parameters[at(o.weight)];
    const LinearTask task{.shape = {.M = rows_of(o.out), .N = weight.rows, .K = weight.cols},
                          .weights_stay_in_l3 = weights_in_l3_,
                          .precision = weight.precision};
    const TileShape& tile = machine_.tile[task.precision];
    const auto [M, N, K] = task.shape;
    const LoopNest nest{.order = LoopOrder::is_os_a, .row_blocks = ceil_div(M, kConvolutionRows)};
    report.shape = fmt::format("({},{})x({},{}), {} taps", M, K, K, N, taps);
    report.epilogue = sum_of(
        {{o.bias != kNone, "bias"}, {activation != Activation::none, to_string(activation)}});
    report.precision = task.precision;
    report.flops = 2.0 * static_cast<double>(M * N) * static_cast<double>(K);
    report.bound_bytes = gemm_bound(task.shape, tile.bytes, machine_.Z2());
    report.chosen = candidate_report({nest, linear_cost(task, nest, machine_)}, task.shape, tile);
  }

  /// A product and a sum for each tap of each number; the map passes once.
  void depthwise(const DepthwiseOp& o, const Op& op, OpReport& report) const {
    row_wise(op, report);
    const Parameter& weight = in_.program.parameters[at(o.weight)];
    const Index rows = rows_of(o.out);
    report.shape = fmt::format("({},{}), {} x {} cells", rows, weight.cols, o.taps, o.taps);
    report.epilogue = sum_of(
        {{o.bias != kNone, "bias"}, {o.activation != Activation::none, to_string(o.activation)}});
    report.flops = 2.0 * static_cast<double>(rows * weight.cols) * static_cast<double>(weight.rows);
    const double products =
        report.flops / machine_.rates.flops[Precision::f32] / static_cast<double>(machine_.threads);
    if (products <= report.chosen.seconds) return;
    report.chosen.seconds = products;
    report.chosen.limit = to_string(Limit::compute);
  }

  /// A linear whose product is pooled where it is computed.
  void pooled_linear(const OpSchedule& schedule, const PooledLinearOp& o, OpReport& report) const {
    const PooledLinearTask task = pooled_linear_task(in_.program, o, rows_of(o.in), sequences_,
                                                     weights_in_l3_, in_.holds_columns);
    const auto [M, N, K] = task.shape;
    LoopNest nest = at_rows(schedule.nests, M).nest;
    nest.row_blocks = std::min(nest.row_blocks, M);
    const TileShape& tile = machine_.tile[task.precision];
    const PooledLinearCost cost = pooled_linear_cost(task, nest, machine_);
    report.shape = fmt::format("({},{})x({},{}) to {} rows", M, K, K, N, sequences_);
    if (o.top > 0) {
      report.shape += fmt::format(", top {} {}", o.top, task.top > 0 ? "in heaps" : "of all, held");
    }
    report.epilogue = sum_of({{o.bias != kNone, "bias"},
                              {o.activation != Activation::none, to_string(o.activation)},
                              {true, to_string(o.over)}});
    report.precision = task.precision;
    report.flops = 2.0 * static_cast<double>(M * N) * static_cast<double>(K);
    report.bound_bytes = cost.bound_bytes;
    report.chosen = {
        .name = to_string(nest.order),
        .blocks = describe_blocks(nest, task.shape, tile),
        .l1_bytes = cost.l1_bytes,
        .l2_bytes = cost.l2_bytes,
        .l3_bytes = cost.l3_bytes,
        .seconds = cost.seconds,
        .limit = to_string(cost.limit),
        .why = {},
        .scratch_bytes = 4 * pooled_linear_scratch(task.shape, nest, tile.MR, tile.NR, tile.is_unit,
                                                   {task.sequences, task.top})};
  }

  /// Of each block of rows two linears for each expert, of the rows that chose it: evenly many. They are
  /// gathered before and added behind, from one L2 to the same.
  void experts(const ExpertsOp& o, const Op& op, OpReport& report) const {
    row_wise(op, report);
    const ExpertShape shape = expert_shape(in_.program, o);
    const Index rows = rows_of(o.in), blocks = expert_blocks(rows, machine_.threads),
                block = ceil_div(rows, blocks), chosen = std::min(shape.experts, block * shape.top),
                M = ceil_div(block * shape.top, chosen);
    report.flops = 4.0 * static_cast<double>(rows * shape.top * shape.F * shape.H);
    report.shape = fmt::format("{} of {} experts, ({},{})x({},{})x({},{})", shape.top,
                               shape.experts, rows, shape.H, shape.H, shape.F, shape.F, shape.H);
    report.chosen.name = "by expert";
    report.precision = shape.precision;
    PlanMachine one = machine_;
    one.threads = 1;
    const auto n = static_cast<double>(blocks * chosen);
    for (const LinearShape& each :
         {LinearShape{M, shape.F, shape.H}, LinearShape{M, shape.H, shape.F}}) {
      const LinearTask task{
          .shape = each, .weights_stay_in_l3 = weights_in_l3_, .precision = shape.precision};
      const LinearCost cost = linear_cost(task, {.order = LoopOrder::ws_os_a}, one);
      report.chosen.l1_bytes += n * cost.l1_bytes();
      report.chosen.l2_bytes += n * cost.l2_bytes();
      report.chosen.l3_bytes += n * cost.l3_bytes();
      report.chosen.seconds += n * cost.seconds / machine_.threads;
      report.chosen.limit = to_string(cost.limit);
    }
    const double weights =
        machine_.tile[shape.precision].bytes.b * static_cast<double>(2 * shape.F * shape.H);
    report.bound_bytes += weights * static_cast<double>(std::min(shape.experts, rows * shape.top));
    // Rows gathered, as they are multiplied; D read, the sum read and written. U, if it is quantised.
    const double gathered = 2.0 * static_cast<double>(size_of(value(o.in).type));
    const double moved = (gathered + 4.0 * 3.0) * static_cast<double>(rows * shape.top * shape.H) +
                         (is_integer(shape.precision) ? 4.0 + 2.0 : 0.0) *
                             static_cast<double>(rows * shape.top * shape.F);
    report.chosen.seconds += moved / machine_.rates.l2_bytes / machine_.threads;
  }

  void row_wise(const Op& op, OpReport& report) const {
    const RowWiseCost cost = row_wise_cost(in_.program, op, rows_, sequences_, machine_);
    report.shape = fmt::format("({},{})", rows_of(output_of(op)), value(output_of(op)).width);
    report.bound_bytes = cost.bytes;
    report.chosen = {.name = "row by row",
                     .blocks = {},
                     .l1_bytes = cost.bytes,
                     .l2_bytes = cost.bytes,
                     .seconds = cost.seconds,
                     .limit = to_string(cost.limit),
                     .why = {}};
  }

  const Plan& plan_;
  const PlanInput& in_;
  PlanMachine machine_;
  bool weights_in_l3_;
  Index rows_, sequences_;
  bool in_block_ = false;  // of a chain
};

/// A candidate `n` times over, shared by `threads`.
void repeat(CandidateReport& c, double n, int threads) {
  c.l1_bytes *= n;
  c.l2_bytes *= n;
  c.l3_bytes *= n;
  c.seconds *= n / static_cast<double>(threads);
}

std::vector<OrderRange> crossovers_of(const Plan& plan, const PlanInput& in) {
  std::vector<OrderRange> list;
  std::set<std::string> seen;
  for (std::size_t i = 0; i < in.program.ops.size(); ++i) {
    const auto* linear = std::get_if<LinearOp>(&in.program.ops[i]);
    if (linear == nullptr) continue;
    const Parameter& w = in.program.parameters[at(linear->weight)];
    const std::string shape =
        fmt::format("({},{})", w.cols, in.program.values[at(linear->out)].width);
    if (!seen.insert(shape + epilogue_of(*linear)).second) continue;
    Index from = 1;
    const LoopOrder* before = nullptr;
    for (const NestRange& range : plan.ops[i].nests) {
      if (before == nullptr || *before != range.nest.order) {
        const std::string& name = in.program.values[at(linear->out)].name;
        list.push_back({fmt::format("{} {}", name, shape), from, to_string(range.nest.order)});
      }
      before = &range.nest.order;
      from = range.last_rows + 1;
    }
  }
  return list;
}

}  // namespace

std::optional<ChainReport> chain_at(const Plan& plan, const PlanInput& input, std::size_t i,
                                    Index rows, Index sequences) {
  const Chain& chain = plan.ops[i].chain;
  if (!chain.begins() || rows < chain.from_rows) return std::nullopt;
  const OpSpan span{i, static_cast<std::size_t>(chain.ops)};
  const Index tile =
      tile_rows(input.program, span, [&](Precision precision) { return input.tile[precision].MR; });
  return ChainReport{.span = span,
                     .shape = block_shape(chain, takes_whole_sequences(input.program, span), rows,
                                          sequences, tile, input.threads)};
}

CandidateReport PlanReport::totals() const {
  CandidateReport sum;
  for (const OpReport& op : ops) {
    sum.l1_bytes += op.chosen.l1_bytes;
    sum.l2_bytes += op.chosen.l2_bytes;
    sum.l3_bytes += op.chosen.l3_bytes;
    sum.seconds += op.chosen.seconds;
  }
  return sum;
}

std::optional<double> PlanReport::run_l2_bytes() const {
  double sum = 0;
  for (const OpReport& op : ops) {
    if (!op.run_l2_bytes) return std::nullopt;
    sum += *op.run_l2_bytes;
  }
  return sum;
}

PlanReport report_plan(const Plan& plan, const PlanInput& input, Index rows, Index sequences) {
  const auto require = [](bool ok, const char* name, Index got, Index least, Index most) {
    if (ok) return;
    throw Error(ErrorCode::invalid_argument,
                fmt::format("plan: {} is {}, expected {} to {}", name, got, least, most));
  };
  require(rows >= 1 && rows <= plan.identity.max_rows, "rows", rows, 1, plan.identity.max_rows);
  const Index most = std::min(rows, plan.identity.max_sequences);
  require(sequences >= 1 && sequences <= most, "sequences", sequences, 1, most);
  PlanReport report{.identity = plan.identity,
                    .rates = describe(input.rates),
                    .rows = rows,
                    .sequences = sequences,
                    .holds_columns = input.holds_columns,
                    .ops = {},
                    .crossovers = crossovers_of(plan, input),
                    .fallbacks = plan.fallbacks};
  Reporter reporter(plan, input, rows, sequences);
  for (std::size_t i = 0; i < input.program.ops.size();) {
    const std::optional<ChainReport> chain = chain_at(plan, input, i, rows, sequences);
    const std::size_t end = i + (chain ? chain->span.count : 1);
    for (; i < end; ++i) {
      report.ops.push_back(reporter.op(i));
      const bool is_of_queries = chain && attention_of_queries(input.program, chain->span) == i;
      if (is_of_queries) {
        reporter.add_keys_of_blocks(std::get<AttentionOp>(input.program.ops[i]),
                                    chain->shape.blocks, report.ops.back().chosen);
      }
      if (!chain || is_of_queries) continue;  // blocks of queries see the keys of all rows
      OpReport& op = report.ops.back();
      OpReport block = reporter.of_block(*chain, false).op(i);
      const CandidateReport first = reporter.of_block(*chain, true).op(i).chosen;
      const auto n = static_cast<double>(chain->shape.blocks);
      const double more_bytes = first.l3_bytes - block.chosen.l3_bytes,
                   more_seconds = first.seconds - block.chosen.seconds;
      repeat(block.chosen, n, input.threads);
      block.chosen.l3_bytes += more_bytes;
      block.chosen.seconds += more_seconds;
      for (CandidateReport& c : block.rejected) repeat(c, n, input.threads);
      op.chosen = std::move(block.chosen);
      op.rejected = std::move(block.rejected);
    }
    if (chain) report.chains.push_back(*chain);
  }
  const auto arena = [&](std::span<const OpSchedule> schedule) {
    const MemoryPlan memory = plan_memory(input.program, input.max_rows, input.max_sequences,
                                          schedule, input.holds_columns);
    return memory.bytes + memory.block_bytes * static_cast<std::size_t>(input.threads);
  };
  report.values_bytes = arena(plan.ops);
  std::vector<OpSchedule> unchained = plan.ops;
  for (OpSchedule& op : unchained) op.chain = {};
  report.unchained_values_bytes = report.chains.empty() ? report.values_bytes : arena(unchained);
  if (input.threads == 1) {
    const std::vector<double> moved = run_l2_bytes(plan, report, input);
    for (std::size_t i = 0; i < moved.size(); ++i) report.ops[i].run_l2_bytes = moved[i];
  }
  return report;
}

}  // namespace tessera
