// SPDX-License-Identifier: Apache-2.0
#include "runtime/meters/profile.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace tessera::meters {
namespace {

/// The members of ProfileValues, so that all are treated alike.
constexpr std::optional<double> ProfileValues::*kMembers[] = {
    &ProfileValues::l1_bytes, &ProfileValues::l2_bytes,     &ProfileValues::l3_bytes,
    &ProfileValues::seconds,  &ProfileValues::instructions, &ProfileValues::cycles};

void join(std::string& text, const std::string& part, const char* between) {
  if (part.empty()) return;
  text += (text.empty() ? "" : between) + part;
}

/// What the other candidates lost by, in one line.
std::string reasons_of(const OpReport& op) {
  std::string text = op.chosen.why;
  for (const CandidateReport& c : op.rejected) {
    if (!c.why.empty()) join(text, fmt::format("{}: {}", c.name, c.why), "; ");
  }
  return text;
}

std::optional<double> total_of(const std::optional<EdgeBytes>& edge) {
  if (!edge) return std::nullopt;
  return edge->total();
}

/// (model − measured)/measured.
ProfileValues errors_of(const ProfileValues& predicted, const ProfileValues& measured) {
  ProfileValues error;
  for (const auto member : kMembers) {
    const std::optional<double>&p = predicted.*member, &m = measured.*member;
    if (p && m && *p > 0 && *m > 0) error.*member = (*p - *m) / *m;
  }
  return error;
}

/// Adds where both are known; what is known of one part only is not known of the sum.
void add(ProfileValues& sum, const ProfileValues& part, bool is_first) {
  for (const auto member : kMembers) {
    if (is_first) {
      sum.*member = part.*member;
    } else if (sum.*member && part.*member) {
      *(sum.*member) += *(part.*member);
    } else {
      (sum.*member).reset();
    }
  }
}

/// Whether what was measured is one linear with the ops in its tiles.
bool is_linear_with_its_ops(const PlanReport& plan, const OpMeasurement& m) {
  std::size_t end = m.op + 1;
  while (end < plan.ops.size() && plan.ops[end].is_in_tiles) ++end;
  return end == m.op + m.count;
}

ProfileOp op_of(const PlanReport& plan, const MachineRates& rates, const OpMeasurement& m,
                bool is_alone) {
  ProfileOp result{.index = m.op, .count = m.count};
  for (std::size_t i = m.op; i < m.op + m.count && i < plan.ops.size(); ++i) {
    const OpReport& op = plan.ops[i];
    const CandidateReport& c = op.chosen;
    if (op.is_in_tiles && i > m.op && result.order != "chain") {  // measured with its linear
      result.name += fmt::format(" + {}", op.kind);
    } else if (m.count > 1 &&
               !is_linear_with_its_ops(
                   plan, m)) {  // a chain on several threads, which is measured as one
      result.kind = fmt::format("{} ops", m.count);
      result.name = fmt::format("{} ... {}", plan.ops[m.op].name, op.name);
      result.order = "chain";
    } else {
      result.kind = op.kind;
      result.name = op.name;
      result.shape = op.shape;
      result.order = c.name;
      result.blocks = c.blocks;
      result.limit = c.limit;
    }
    join(result.why, reasons_of(op), "; ");
    result.flops += op.flops;
    result.peak_seconds += op.flops / rates.flops_of(op.precision);
    result.bound_bytes += op.bound_bytes;
    add(result.predicted,
        {.l1_bytes = c.l1_bytes,
         .l2_bytes = is_alone ? c.l2_bytes : op.run_l2_bytes.value_or(c.l2_bytes),
         .l3_bytes = c.l3_bytes,
         .seconds = c.seconds},
        i == m.op);
  }
  result.measured = {.l1_bytes = total_of(m.l1),
                     .l2_bytes = total_of(m.l2),
                     .l3_bytes = total_of(m.l3),
                     .seconds = m.seconds,
                     .instructions = m.instructions,
                     .cycles = m.cycles};
  result.error = errors_of(result.predicted, result.measured);
  return result;
}

}  // namespace

std::optional<double> Profile::gflops(const ProfileOp& op) const {
  if (!op.measured.seconds || *op.measured.seconds <= 0 || op.flops <= 0) return std::nullopt;
  return op.flops / *op.measured.seconds * 1e-9;
}

std::optional<double> Profile::percent_of_peak(const ProfileOp& op) const {
  if (!gflops(op) || !std::isfinite(op.peak_seconds)) return std::nullopt;
  return 100 * op.peak_seconds / (*op.measured.seconds * plan.identity.threads);
}

std::optional<double> Profile::ratio_to_bound(const ProfileOp& op) {
  if (!op.measured.l2_bytes || op.bound_bytes <= 0) return std::nullopt;
  return *op.measured.l2_bytes / op.bound_bytes;
}

Profile make_profile(std::string model, PlanReport plan, const Machine& machine,
                     const MachineRates& rates, Measurement measured) {
  Profile profile{.model = std::move(model),
                  .plan = std::move(plan),
                  .machine = machine,
                  .rates = rates,
                  .measured = std::move(measured)};
  const std::vector<OpMeasurement>& seen = profile.measured.ops;
  for (std::size_t i = 0; i < profile.plan.ops.size();) {
    const auto found =
        std::find_if(seen.begin(), seen.end(), [&](const OpMeasurement& m) { return m.op == i; });
    profile.ops.push_back(op_of(profile.plan, rates,
                                found != seen.end() ? *found : OpMeasurement{i},
                                profile.measured.is_op_alone));
    i += std::max<std::size_t>(1, profile.ops.back().count);
  }
  ProfileOp& sum = profile.totals;
  sum.name = "total";
  sum.count = profile.plan.ops.size();
  for (const ProfileOp& op : profile.ops) {
    const bool is_first = &op == &profile.ops.front();
    sum.flops += op.flops;
    sum.peak_seconds += op.peak_seconds;
    sum.bound_bytes += op.bound_bytes;
    add(sum.predicted, op.predicted, is_first);
    add(sum.measured, op.measured, is_first);
  }
  if (profile.measured.run_seconds) sum.measured.seconds = profile.measured.run_seconds;
  sum.error = errors_of(sum.predicted, sum.measured);
  return profile;
}

}  // namespace tessera::meters
