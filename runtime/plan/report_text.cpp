// SPDX-License-Identifier: Apache-2.0
// A plan report as text and as JSON.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "runtime/base/json_text.hpp"
#include "runtime/plan/report.hpp"

namespace tessera {
namespace {

std::string megabytes(double bytes) {
  return fmt::format("{:.2f}", bytes / 1e6);
}

std::string duration(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.1f} us", seconds * 1e6);
  return seconds < 1 ? fmt::format("{:.2f} ms", seconds * 1e3) : fmt::format("{:.2f} s", seconds);
}

std::string row(const std::string& name, const CandidateReport& c, double bound) {
  return fmt::format("{:<44} {:<10} {:<24} {:>9} {:>9} {:>9} {:>7} {:>10}  {}\n", name, c.name,
                     c.blocks, megabytes(c.l1_bytes), megabytes(c.l2_bytes), megabytes(c.l3_bytes),
                     bound > 0 ? fmt::format("{:.2f}", c.l2_bytes / bound) : "",
                     duration(c.seconds), c.limit);
}

/// What makes two ops print the same lines.
std::string key_of(const OpReport& op) {
  return fmt::format("{} {} {} {} {}", op.kind, op.shape, op.epilogue, op.chosen.name,
                     op.chosen.blocks);
}

std::string quoted(const std::string& text) {
  return detail::json_string(text);
}

std::string json_of(const CandidateReport& c) {
  return fmt::format(
      R"({{"name":{},"blocks":{},"l1_bytes":{:.0f},"l2_bytes":{:.0f},"l3_bytes":{:.0f},)"
      R"("seconds":{:.9g},"limit":{},"why":{}}})",
      quoted(c.name), quoted(c.blocks), c.l1_bytes, c.l2_bytes, c.l3_bytes, c.seconds,
      quoted(c.limit), quoted(c.why));
}

std::string text_of(const PrecisionCosts& costs) {
  const auto& [now, other] = costs;
  const auto mib = [](std::size_t bytes) { return static_cast<double>(bytes) / 0x1p20; };
  const auto of = [&](const char* what, std::size_t a, std::size_t b) {  // "0.50 x the arena (…)"
    const std::string ratio =
        b == 0 ? "" : fmt::format("{:.2f} x ", static_cast<double>(a) / static_cast<double>(b));
    return fmt::format("{}{} ({:.1f} -> {:.1f} MiB)", ratio, what, mib(b), mib(a));
  };
  return fmt::format("{} would take {:.2f} x the time ({} -> {} predicted), {}, {}\n", other.name,
                     other.seconds / now.seconds, duration(now.seconds), duration(other.seconds),
                     of("the packed weights", other.weights_packed_bytes, now.weights_packed_bytes),
                     of("the arena", other.arena_bytes, now.arena_bytes));
}

/// "row blocks: 12 chains of 7 ops in 8 blocks of 512 rows; values take 14.2 MiB instead of 61.3 at …"
std::string text_of_chains(const PlanReport& report) {
  if (report.chains.empty()) return "";
  const auto mib = [](std::size_t bytes) { return static_cast<double>(bytes) / 0x1p20; };
  std::string text = "row blocks: ";
  const auto alike = [](const ChainReport& a, const ChainReport& b) {
    return a.span.count == b.span.count && a.shape.blocks == b.shape.blocks;
  };
  for (std::size_t i = 0; i < report.chains.size(); ++i) {
    const ChainReport& chain = report.chains[i];
    const auto is_like = [&](const ChainReport& other) { return alike(other, chain); };
    const auto here = report.chains.begin() + static_cast<std::ptrdiff_t>(i);
    if (std::any_of(report.chains.begin(), here, is_like)) continue;  // counted with that one
    const auto same = std::count_if(here, report.chains.end(), is_like);
    text += fmt::format("{}{} chain{} of {} ops in {} block{} of {} rows", i == 0 ? "" : ", ", same,
                        same == 1 ? "" : "s", chain.span.count, chain.shape.blocks,
                        chain.shape.blocks == 1 ? "" : "s", chain.shape.rows);
  }
  return fmt::format("{}; values take {:.1f} MiB instead of {:.1f} at the largest batch\n", text,
                     mib(report.values_bytes), mib(report.unchained_values_bytes));
}

/// The fields that `tessera info --json` has, and the time.
std::string json_fields(const PrecisionCosts& costs) {
  const auto& [now, other] = costs;
  return fmt::format(
      R"("precision":{},"weights_packed_bytes":{},"arena_bytes":{},"other_precision":{},)"
      R"("other_seconds":{:.9g},"other_weights_packed_bytes":{},"other_arena_bytes":{},)",
      quoted(now.name), now.weights_packed_bytes, now.arena_bytes, quoted(other.name),
      other.seconds, other.weights_packed_bytes, other.arena_bytes);
}

/// As options spell it.
const char* name_of(Precision precision) {
  return precision == Precision::f32  ? "fp32"
         : precision == Precision::s8 ? "int8"
                                      : to_string(precision);
}

/// "multiplied in: attention 4 bf16; linear 12 int8, 4 bf16": ops by what their products read.
std::string text_of_products(const std::vector<OpReport>& ops) {
  std::map<std::string, std::map<Precision, int>> kinds;
  for (const OpReport& op : ops) {
    if (op.flops > 0) ++kinds[op.kind][op.precision];
  }
  std::string text;
  for (const auto& [kind, counts] : kinds) {
    text += fmt::format("{} {}", text.empty() ? "multiplied in:" : ";", kind);
    const char* separator = "";
    for (const auto& [precision, n] : counts) {
      text += fmt::format("{} {} {}", std::exchange(separator, ","), n, name_of(precision));
    }
  }
  return text.empty() ? text : text + '\n';
}

template <class Items, class Each>
std::string json_array(const Items& items, Each&& each) {
  std::string text;
  for (const auto& item : items) {
    if (!text.empty()) text += ',';
    text += each(item);
  }
  return fmt::format("[{}]", text);
}

}  // namespace

std::string PlanReport::text() const {
  std::string text =
      fmt::format("{} rows in {} sequence{}, {} thread{}, {}\nmachine: {}\nrates: {}\n", rows,
                  sequences, sequences == 1 ? "" : "s", identity.threads,
                  identity.threads == 1 ? "" : "s", identity.isa, identity.machine, rates);
  for (const std::string& fallback : fallbacks) text += fmt::format("fallback: {}\n", fallback);
  text += fmt::format("\n{:<44} {:<10} {:<24} {:>9} {:>9} {:>9} {:>7} {:>10}  {}\n", "op", "order",
                      "blocks", "MB > L1", "MB > L2", "MB > L3", "x bound", "time", "limited by");
  std::map<std::string, int> seen;
  std::string reasons;
  for (const OpReport& op : ops) {
    const std::string name = fmt::format("{} {}", op.kind, op.name);
    text += row(name, op.chosen, op.bound_bytes);
    if (op.rejected.empty() || seen[key_of(op)]++ > 0) continue;
    reasons += fmt::format("\n{} {}  {}\n", name, op.shape, op.epilogue);
    if (op.naive_bytes > 0) {
      reasons += fmt::format("  {:<10} {:<24} {:>9} chosen: {:.2f} % less than naive",
                             op.chosen.name, op.chosen.blocks, megabytes(op.chosen.l2_bytes),
                             100 * (1 - op.chosen.l2_bytes / op.naive_bytes));
      if (identity.threads == 1) {  // the textbook orders have one buffer
        reasons += fmt::format(", {:.2f} x IS, {:.2f} x WS, {:.2f} x OS with the same buffer",
                               op.chosen.l2_bytes / op.is_bytes, op.chosen.l2_bytes / op.ws_bytes,
                               op.chosen.l2_bytes / op.os_bytes);
      }
      reasons += '\n';
    }
    for (const CandidateReport& c : op.rejected) {
      reasons += fmt::format("  {:<10} {:<24} {:>9} {}\n", c.name, c.blocks,
                             c.l2_bytes > 0 ? megabytes(c.l2_bytes) : "", c.why);
    }
  }
  double bound = 0, flops = 0;
  for (const OpReport& op : ops) bound += op.bound_bytes, flops += op.flops;
  const CandidateReport sum = totals();
  text += row("total", sum, bound);
  if (const std::optional<double> moved = run_l2_bytes()) {
    text += fmt::format(
        "in a run {:.2f} MB > L2: each op above is alone, and an op before may leave operands in "
        "L2\n",
        *moved / 1e6);
  }
  text += fmt::format("{:.2f} GFLOP, {:.1f} GFLOP/s predicted\n", flops / 1e9,
                      flops / sum.seconds / 1e9);
  text += text_of_products(ops);
  text += text_of_chains(*this);
  if (precisions) text += text_of(*precisions);
  text += fmt::format(
      "MB > L1: megabytes that cross the edge into L1 (from L2), into L2 (from L3), into L3 (from "
      "memory).\nx bound: into L2, over the least that any order moves.\n\n"
      "why: of the candidates within 2 % of the least time, the one with the fewest bytes into L2 "
      "(the first op of each kind)\n{}\norder by rows, (K,N)\n",
      reasons);
  for (std::size_t i = 0; i < crossovers.size(); ++i) {
    const bool first =
        i == 0 || crossovers[i - 1].shape != crossovers[i].shape || crossovers[i].rows == 1;
    text += first ? fmt::format("{}  {}: {}", i == 0 ? "" : "\n", crossovers[i].shape,
                                crossovers[i].order)
                  : fmt::format(", from {} {}", crossovers[i].rows, crossovers[i].order);
  }
  text += '\n';
  return text;
}

std::string PlanReport::json() const {
  const auto op_json = [](const OpReport& op) {
    return fmt::format(
        R"({{"kind":{},"name":{},"shape":{},"epilogue":{},"precision":{},"flops":{:.0f},"bound_bytes":{:.0f},"run_l2_bytes":{},)"
        R"("chosen":{},"rejected":{},"naive_bytes":{:.0f},"is_bytes":{:.0f},"ws_bytes":{:.0f},)"
        R"("os_bytes":{:.0f}}})",
        quoted(op.kind), quoted(op.name), quoted(op.shape), quoted(op.epilogue),
        op.flops > 0 ? quoted(name_of(op.precision)) : "null", op.flops, op.bound_bytes,
        op.run_l2_bytes ? fmt::format("{:.0f}", *op.run_l2_bytes) : "null", json_of(op.chosen),
        json_array(op.rejected, json_of), op.naive_bytes, op.is_bytes, op.ws_bytes, op.os_bytes);
  };
  const auto range_json = [](const OrderRange& r) {
    return fmt::format(R"({{"shape":{},"rows":{},"order":{}}})", quoted(r.shape), r.rows,
                       quoted(r.order));
  };
  const auto chain_json = [&](const ChainReport& chain) {
    return fmt::format(R"({{"first_op":{},"ops":{},"blocks":{},"block_rows":{}}})",
                       quoted(ops[chain.span.first].name), chain.span.count, chain.shape.blocks,
                       chain.shape.rows);
  };
  return fmt::format(
      R"({{"version":{},"program":{},"machine":{},"isa":{},"threads":{},"rates":{},"rows":{},)"
      R"("sequences":{},{}"values_bytes":{},"unchained_values_bytes":{},"chains":{},)"
      R"("fallbacks":{},"totals":{},"crossovers":{},"ops":{}}})"
      "\n",
      quoted(identity.version), quoted(identity.program), quoted(identity.machine),
      quoted(identity.isa), identity.threads, quoted(rates), rows, sequences,
      precisions ? json_fields(*precisions) : "", values_bytes, unchained_values_bytes,
      json_array(chains, chain_json), json_array(fallbacks, quoted), json_of(totals()),
      json_array(crossovers, range_json), json_array(ops, op_json));
}

}  // namespace tessera
