// SPDX-License-Identifier: Apache-2.0
// A profile as text and as JSON.
#include <fmt/format.h>

#include "runtime/base/json_text.hpp"
#include "runtime/meters/profile.hpp"

namespace tessera::meters {
namespace {

using Value = std::optional<double>;

struct Level {
  const char *name, *key;
  Value ProfileValues::*member;
};
constexpr Level kLevels[] = {{"L1", "l1_bytes", &ProfileValues::l1_bytes},
                             {"L2", "l2_bytes", &ProfileValues::l2_bytes},
                             {"L3", "l3_bytes", &ProfileValues::l3_bytes}};

std::string shown(const Value& value, double scale, const char* format) {
  return value ? fmt::format(fmt::runtime(format), *value * scale) : "-";
}

std::string percent(const Value& error) {
  return error ? fmt::format("{:+.1f} %", 100 * *error) : "-";
}

std::string duration(const Value& seconds) {
  if (!seconds) return "-";
  if (*seconds < 1e-3) return fmt::format("{:.1f} us", *seconds * 1e6);
  return *seconds < 1 ? fmt::format("{:.2f} ms", *seconds * 1e3)
                      : fmt::format("{:.2f} s", *seconds);
}

/// Which columns there are: what was measured of any op.
struct Columns {
  bool levels[3] = {}, seconds = false, instructions = false, cycles = false;

  explicit Columns(const Profile& profile) {
    for (const ProfileOp& op : profile.ops) {
      for (std::size_t i = 0; i < 3; ++i) levels[i] |= (op.measured.*kLevels[i].member).has_value();
      seconds |= op.measured.seconds.has_value();
      instructions |= op.measured.instructions.has_value();
      cycles |= op.measured.cycles.has_value();
    }
  }
};

std::string heading(const Columns& columns) {
  std::string line = fmt::format("{:>3} {:<44} {:<10}", "#", "op", "order");
  for (std::size_t i = 0; i < 3; ++i) {
    line += fmt::format(" {:>9}", fmt::format("MB > {}", kLevels[i].name));
    if (columns.levels[i]) line += fmt::format(" {:>9} {:>9}", "measured", "error");
  }
  if (columns.levels[1]) line += fmt::format(" {:>7}", "x bound");
  line += fmt::format(" {:>10}", "time");
  if (columns.seconds)
    line += fmt::format(" {:>10} {:>9} {:>8} {:>7}", "measured", "error", "GFLOP/s", "% peak");
  if (columns.instructions) line += fmt::format(" {:>10}", "M instr.");
  if (columns.cycles) line += fmt::format(" {:>10}", "M cycles");
  line += "  limited by\n";
  return line;
}

std::string row(const Profile& profile, const ProfileOp& op, const Columns& columns) {
  const std::string name = op.kind.empty() ? op.name : op.kind + " " + op.name;
  const std::string number = op.kind.empty() ? "" : fmt::format("{}", op.index);
  std::string line = fmt::format("{:>3} {:<44} {:<10}", number, name, op.order);
  for (std::size_t i = 0; i < 3; ++i) {
    const auto member = kLevels[i].member;
    line += fmt::format(" {:>9}", shown(op.predicted.*member, 1e-6, "{:.2f}"));
    if (!columns.levels[i]) continue;
    line += fmt::format(" {:>9} {:>9}", shown(op.measured.*member, 1e-6, "{:.2f}"),
                        percent(op.error.*member));
  }
  if (columns.levels[1])
    line += fmt::format(" {:>7}", shown(Profile::ratio_to_bound(op), 1, "{:.2f}"));
  line += fmt::format(" {:>10}", duration(op.predicted.seconds));
  if (columns.seconds) {
    line += fmt::format(" {:>10} {:>9} {:>8} {:>7}", duration(op.measured.seconds),
                        percent(op.error.seconds), shown(profile.gflops(op), 1, "{:.1f}"),
                        shown(profile.percent_of_peak(op), 1, "{:.0f}"));
  }
  if (columns.instructions)
    line += fmt::format(" {:>10}", shown(op.measured.instructions, 1e-6, "{:.2f}"));
  if (columns.cycles) line += fmt::format(" {:>10}", shown(op.measured.cycles, 1e-6, "{:.2f}"));
  line += fmt::format("  {}\n", op.limit);
  return line;
}

std::string quoted(const std::string& text) {
  return detail::json_string(text);
}

void add_member(std::string& json, const char* key, const Value& value, const char* format) {
  if (!value) return;
  if (!json.empty()) json += ',';
  json += fmt::format("\"{}\":", key) + fmt::format(fmt::runtime(format), *value);
}

std::string json_of(const ProfileValues& v, bool are_ratios) {
  std::string json;
  const char* const count = are_ratios ? "{:.6g}" : "{:.0f}";
  for (const Level& level : kLevels) add_member(json, level.key, v.*level.member, count);
  add_member(json, "seconds", v.seconds, are_ratios ? "{:.6g}" : "{:.9g}");
  add_member(json, "instructions", v.instructions, count);
  add_member(json, "cycles", v.cycles, count);
  return fmt::format("{{{}}}", json);
}

/// predicted, measured, error and what follows from them, without braces.
std::string json_of_values(const Profile& profile, const ProfileOp& op) {
  std::string json =
      fmt::format(R"("flops":{:.0f},"bound_bytes":{:.0f},"predicted":{},"measured":{},"error":{})",
                  op.flops, op.bound_bytes, json_of(op.predicted, false),
                  json_of(op.measured, false), json_of(op.error, true));
  add_member(json, "ratio_to_bound", Profile::ratio_to_bound(op), "{:.6g}");
  add_member(json, "gflops", profile.gflops(op), "{:.6g}");
  add_member(json, "percent_of_peak", profile.percent_of_peak(op), "{:.6g}");
  return json;
}

std::string json_of(const Profile& profile, const ProfileOp& op) {
  return fmt::format(
      R"({{"index":{},"count":{},"kind":{},"name":{},"shape":{},"order":{},"blocks":{},)"
      R"("limit":{},"why":{},{}}})",
      op.index, op.count, quoted(op.kind), quoted(op.name), quoted(op.shape), quoted(op.order),
      quoted(op.blocks), quoted(op.limit), quoted(op.why), json_of_values(profile, op));
}

std::string notes_json(const Profile& profile) {
  std::string json;
  for (const auto* notes : {&profile.plan.fallbacks, &profile.measured.notes}) {
    for (const std::string& note : *notes) {
      if (!json.empty()) json += ',';
      json += quoted(note);
    }
  }
  return fmt::format("[{}]", json);
}

}  // namespace

std::string profile_text(const Profile& profile) {
  const PlanReport& plan = profile.plan;
  const Measurement& measured = profile.measured;
  std::string text = fmt::format(
      "{}: {} rows in {} sequence{}, {} thread{}, {}\nmachine: {}\nrates: {}\n", profile.model,
      plan.rows, plan.sequences, plan.sequences == 1 ? "" : "s", plan.identity.threads,
      plan.identity.threads == 1 ? "" : "s", plan.identity.isa, plan.identity.machine, plan.rates);
  text += fmt::format("meter: {}{}{}\n", measured.meter, measured.source.empty() ? "" : ": ",
                      measured.source);
  for (const std::string& fallback : plan.fallbacks)
    text += fmt::format("fallback: {}\n", fallback);
  for (const std::string& note : measured.notes) text += fmt::format("note: {}\n", note);
  const Columns columns(profile);
  text += '\n';
  text += heading(columns);
  for (const ProfileOp& op : profile.ops) text += row(profile, op, columns);
  text += row(profile, profile.totals, columns);
  text +=
      "MB > L1: megabytes across the edge into L1 (from L2), into L2 (from L3), into L3 (from "
      "memory), as the plan predicts;\nbeside it what was measured, and (predicted - measured) / "
      "measured. x bound: measured into L2, over the least that any order moves.\n"
      "On one thread MB > L2 is predicted for ops in a run, where those before left operands in L2 "
      "(--cold: for each op\nalone); the bound, L1 and L3 are for each op alone.\n";
  return text;
}

std::string profile_json(const Profile& profile) {
  const PlanReport& plan = profile.plan;
  const Machine& machine = profile.machine;
  const MachineRates& rates = profile.rates;
  std::string ops;
  for (const ProfileOp& op : profile.ops) {
    if (!ops.empty()) ops += ',';
    ops += json_of(profile, op);
  }
  return fmt::format(
      R"({{"model":{},"isa":{},"threads":{},"rows":{},"sequences":{},"meter":{},"source":{},)"
      R"("notes":{},"machine":{{"name":{},"l1_bytes":{},"l2_bytes":{},"l3_bytes":{},)"
      R"("flops":{:.9g},"l1_bytes_per_s":{:.9g},"l2_bytes_per_s":{:.9g},"l3_bytes_per_s":{:.9g},)"
      R"("memory_bytes_per_s":{:.9g}}},"ops":[{}],"totals":{{{}}}}})"
      "\n",
      quoted(profile.model), quoted(plan.identity.isa), plan.identity.threads, plan.rows,
      plan.sequences, quoted(profile.measured.meter), quoted(profile.measured.source),
      notes_json(profile), quoted(plan.identity.machine), machine.l1d.bytes, machine.l2.bytes,
      machine.l3.bytes, rates.flops[Precision::f32], rates.l1_bytes, rates.l2_bytes, rates.l3_bytes,
      rates.memory_bytes, ops, json_of_values(profile, profile.totals));
}

}  // namespace tessera::meters
