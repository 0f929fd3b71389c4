// SPDX-License-Identifier: Apache-2.0
#include "tessera/report/report_data.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <set>
#include <tuple>

#include "runtime/base/overloaded.hpp"
#include "runtime/plan/plan.hpp"

namespace tessera::plots {
namespace {

/// N of "….layer.N.…", or −1.
int layer_of(const std::string& name) {
  constexpr std::string_view kWord = "layer.";
  const std::size_t found = name.find(kWord);
  if (found == std::string::npos) return -1;
  std::size_t digit = found + kWord.size();
  int layer = 0;
  const std::size_t first = digit;
  for (; digit < name.size() && digit < first + 6 &&
         std::isdigit(static_cast<unsigned char>(name[digit])) != 0;
       ++digit) {
    layer = 10 * layer + (name[digit] - '0');
  }
  return digit == first ? -1 : layer;
}

}  // namespace

const char* class_of(Part part) noexcept {
  const char* const names[] = {"qkv", "attention", "projection", "up", "down", "other"};
  return names[static_cast<int>(part)];
}

const char* label_of(Part part) noexcept {
  const char* const names[] = {"Q, K, V",         "attention",         "attention output",
                               "feed-forward up", "feed-forward down", "other"};
  return names[static_cast<int>(part)];
}

std::vector<Place> places_of(const Program& program) {
  std::vector<Place> places;
  int current = -1;
  bool is_after_attention = false;
  int linears_after = 0;
  for (const Op& op : program.ops) {
    Place place{.layer = layer_of(program.values[at(output_of(op))].name)};
    if (place.layer != current) {
      current = place.layer;
      is_after_attention = false;
      linears_after = 0;
    }
    if (place.layer >= 0) {
      if (std::holds_alternative<AttentionOp>(op)) {
        place.part = Part::attention;
        is_after_attention = true;
      } else if (std::holds_alternative<LinearOp>(op)) {
        const Part after[] = {Part::projection, Part::up, Part::down};
        place.part = is_after_attention ? after[std::min(linears_after++, 2)] : Part::qkv;
      } else if (std::holds_alternative<RotateOp>(op)) {  // with what they turn and gate
        place.part = Part::qkv;
      } else if (std::holds_alternative<GatedOp>(op)) {
        place.part = Part::up;
      }
    }
    places.push_back(place);
  }
  return places;
}

std::vector<OrderSweep> sweep_orders(const Program& program, const PlanMachine& machine,
                                     const Plan& plan, Index max_rows) {
  std::vector<OrderSweep> sweeps;
  std::set<std::tuple<Index, Index, bool>> seen;
  const std::vector<Place> places = places_of(program);
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    const auto* linear = std::get_if<LinearOp>(&program.ops[i]);
    if (linear == nullptr || places[i].layer < 0) continue;
    const Parameter& weight = program.parameters[at(linear->weight)];
    const Index N = program.values[at(linear->out)].width;
    if (!seen.insert({weight.cols, N, linear->norm.has_value()}).second) continue;
    OrderSweep sweep{
        .name = fmt::format("{} (K={}, N={})", label_of(places[i].part), weight.cols, N),
        .steps = {}};
    Index rows = 0;
    for (double exact = 1; rows < max_rows; exact *= std::sqrt(std::sqrt(2.0))) {
      const auto rounded = static_cast<Index>(std::lround(exact));
      if (rounded <= rows) continue;
      rows = std::min(rounded, max_rows);
      const LinearPlan best = plan_linear(linear_task(program, i, plan.ops[i].tile_ops, rows,
                                                      machine.tile, plan.weights_stay_in_l3),
                                          machine);
      OrderSweep::Step step{.rows = rows,
                            .bound_bytes = best.bound_bytes,
                            .bytes = {},
                            .chosen = best.chosen.nest.order};
      for (std::size_t order = 0; order < best.best.size(); ++order) {
        if (best.best[order]) step.bytes[order] = best.best[order]->cost.l2_bytes();
      }
      sweep.steps.push_back(step);
    }
    sweeps.push_back(std::move(sweep));
  }
  return sweeps;
}

const meters::OpMeasurement* measured_op(const std::optional<meters::Measurement>& measurement,
                                         std::size_t i) noexcept {
  if (!measurement) return nullptr;
  for (const meters::OpMeasurement& op : measurement->ops) {
    if (op.op == i) return &op;
  }
  return nullptr;
}

double l2_bytes_of(const OpReport& op) noexcept {
  return op.run_l2_bytes.value_or(op.chosen.l2_bytes);
}

double l2_bytes_of(const PlanReport& plan) noexcept {
  double sum = 0;
  for (const OpReport& op : plan.ops) sum += l2_bytes_of(op);
  return sum;
}

double flops_of(const ReportData& data, std::size_t i) {
  const OpReport& report = data.plan.ops[i];
  if (report.flops > 0) return report.flops;
  const Op& op = data.program.ops[i];
  const auto elements = [&](ValueId id) {
    const Index rows = most_rows(data.program, id, data.plan.rows, data.plan.sequences);
    return static_cast<double>(rows * data.program.values[at(id)].width);
  };
  return std::visit(Overloaded{[&](const EmbeddingOp& o) {
                                 return static_cast<double>(o.terms.size() - 1) * elements(o.out);
                               },
                               [&](const LayerNormOp& o) {
                                 return (o.residual == kNone ? 8.0 : 9.0) * elements(o.out);
                               },
                               [&](const RotateOp& o) { return 3.0 * elements(o.out); },
                               [&](const ActivationOp& o) { return 8.0 * elements(o.out); },
                               [&](const AddOp& o) { return elements(o.out); },
                               [&](const PoolOp& o) { return elements(o.in); },
                               [&](const LargestByIdOp& o) { return elements(o.in); },
                               [&](const TopColumnsOp& o) { return elements(o.in); },
                               [&](const L2NormalizeOp& o) { return 3.0 * elements(o.out); },
                               [](const auto&) { return 0.0; }},
                    op);
}

}  // namespace tessera::plots
