// SPDX-License-Identifier: Apache-2.0
#include "runtime/meters/hardware.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "runtime/base/error.hpp"

namespace tessera::meters {
namespace {

constexpr std::size_t kHead = 3;  // words of a reading before the counts

/// The threads of this process.
std::vector<int> threads_of_process() {
  std::vector<int> threads;
  std::error_code error;
  for (std::filesystem::directory_iterator at("/proc/self/task", error), end; !error && at != end;
       at.increment(error)) {
    const std::string name = at->path().filename().string();
    int thread = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), thread).ec == std::errc{}) {
      threads.push_back(thread);
    }
  }
  if (threads.empty()) threads.push_back(0);  // the caller
  return threads;
}

/// By name; by its raw encoding where libpfm4 does not know this CPU.
PerfEvent resolve(const CountedEvent& event) {
  try {
    return {event.name, encode_event(event.name)};
  } catch (const Error&) {
    if (!event.raw) throw;
    return {event.name, raw_encoding(*event.raw)};
  }
}

std::optional<EdgeBytes>& edge_of(OpMeasurement& op, int level) {
  return level == 1 ? op.l1 : level == 2 ? op.l2 : op.l3;
}

}  // namespace

HardwareEvents HardwareEvents::for_this_machine(const std::filesystem::path& file) {
  HardwareEvents events;
  events.memory = find_memory_controllers();
  if (file.empty()) {
    events.set = event_set_for(this_cpu(), known_event_sets());
    return events;
  }
  std::ifstream in(file, std::ios::binary);
  if (!in) {
    throw Error(ErrorCode::not_found,
                fmt::format("events: got {}, expected a file that can be read", file.string()));
  }
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  events.set = event_set_for(this_cpu(), parse_event_sets(text, file.string()));
  return events;
}

HardwareMeter::HardwareMeter(std::size_t ops, HardwareEvents events)
    : ops_(ops), counts_(ops, 0), notes_(events.set.notes) {
  for (const int level : {1, 2, 3}) add_level(level, events);
  add_memory(events);
  if (groups_.empty()) {
    std::sort(refusals_.begin(), refusals_.end());
    refusals_.erase(std::unique(refusals_.begin(), refusals_.end()), refusals_.end());
    throw Error(ErrorCode::io_error,
                fmt::format("meter hardware: nothing can be counted: {}",
                            refusals_.empty() ? "the set has no event" : refusals_.front()));
  }
  source_ = fmt::format("perf_event_open, {} ({})", events.set.name, events.set.source);
}

void HardwareMeter::add_level(int level, const HardwareEvents& events) {
  if (level == 3 && !events.memory.empty()) return;  // the controllers count more
  Group group{.level = level};
  std::vector<PerfEvent> opened;
  const auto add = [&](const CountedEvent& event, Kind kind) {
    opened.push_back(resolve(event));
    group.counters.push_back({kind, event.bytes});
  };
  if (!events.instructions.empty()) add({.name = events.instructions}, Kind::instructions);
  if (!events.cycles.empty()) add({.name = events.cycles}, Kind::cycles);
  const std::size_t base = opened.size();
  for (const CountedEvent& event : events.set.events) {
    if (event.level != level) continue;
    add(event, event.is_written_back ? Kind::written_back : Kind::fills);
  }
  if (opened.size() == base) {
    notes_.push_back(fmt::format("L{}: no event in this set", level));
    return;
  }
  open(std::move(group), opened, fmt::format("L{}", level));
}

void HardwareMeter::add_memory(const HardwareEvents& events) {
  if (events.memory.empty()) {
    notes_.emplace_back("L3: no memory controller in /sys/bus/event_source/devices (uncore_imc)");
    return;
  }
  Group group{.level = 3};
  const double bytes = events.memory.front().bytes;
  group.counters = {{Kind::fills, bytes}, {Kind::written_back, bytes}};
  try {
    for (const MemoryController& c : events.memory) {
      group.open.emplace_back(
          std::vector<PerfEvent>{{c.name + " reads", c.reads}, {c.name + " writes", c.writes}}, -1,
          c.cpu, false);
    }
  } catch (const Error& e) {
    refusals_.emplace_back(e.what());
    notes_.push_back(fmt::format("L3: {}", e.what()));
    return;
  }
  notes_.emplace_back("L3: memory controllers count for every process of the machine");
  open(std::move(group), {}, "L3");
}

/// Keeps the group if it opens; `events` empty: it is open already.
void HardwareMeter::open(Group group, const std::vector<PerfEvent>& events,
                         const std::string& what) {
  try {
    if (!events.empty()) {
      for (const int thread : threads_of_process()) group.open.emplace_back(events, thread, -1);
    }
  } catch (const Error& e) {
    refusals_.emplace_back(e.what());
    notes_.push_back(fmt::format("{}: {}", what, e.what()));
    return;
  }
  group.sums.assign(ops_ * group.counters.size(), 0);
  group.before.assign(group.open.size() * (kHead + group.counters.size()), 0);
  groups_.push_back(std::move(group));
}

void HardwareMeter::begin_run() noexcept {
  for (PerfGroup& open : groups_[runs_ % groups_.size()].open) open.enable();
}

void HardwareMeter::begin_ops(std::size_t, std::size_t) noexcept {
  Group& group = groups_[runs_ % groups_.size()];
  const std::size_t words = kHead + group.counters.size();
  for (std::size_t i = 0; i < group.open.size(); ++i) {
    group.open[i].read_words(std::span(group.before).subspan(i * words, words));
  }
}

void HardwareMeter::end_ops(std::size_t op, std::size_t count) noexcept {
  Group& group = groups_[runs_ % groups_.size()];
  const std::size_t counters = group.counters.size(), words = kHead + counters;
  if (op >= ops_) return;  // of another program
  counts_[op] = count;
  std::array<std::uint64_t, kHead + PerfGroup::kMostEvents> after{};
  for (std::size_t i = 0; i < group.open.size(); ++i) {
    const auto before = std::span(group.before).subspan(i * words, words);
    if (!group.open[i].read_words(after)) continue;
    group.enabled_ns += after[1] - before[1];
    group.running_ns += after[2] - before[2];
    for (std::size_t c = 0; c < counters; ++c) {
      group.sums[op * counters + c] += static_cast<double>(after[kHead + c] - before[kHead + c]);
    }
  }
}

void HardwareMeter::end_run() noexcept {
  Group& group = groups_[runs_ % groups_.size()];
  for (PerfGroup& open : group.open) open.disable();
  ++group.runs;
  ++runs_;
}

Measurement HardwareMeter::take() {
  Measurement result{.meter = "hardware", .source = source_, .notes = notes_};
  std::vector<OpMeasurement> ops(ops_);
  for (Group& group : groups_) {
    report(group, ops, result.notes);
    group.runs = 0;
    group.enabled_ns = group.running_ns = 0;
    std::fill(group.sums.begin(), group.sums.end(), 0.0);
  }
  for (std::size_t i = 0; i < ops_; ++i) {
    if (counts_[i] == 0) continue;
    ops[i].op = i;
    ops[i].count = counts_[i];
    result.ops.push_back(ops[i]);
  }
  std::fill(counts_.begin(), counts_.end(), 0);
  runs_ = 0;
  return result;
}

/// Adds what `group` counted to `ops`, per run; a line to `notes` for what it could not.
void HardwareMeter::report(const Group& group, std::vector<OpMeasurement>& ops,
                           std::vector<std::string>& notes) {
  if (group.runs == 0) {
    notes.push_back(fmt::format("L{}: no run was counted, expected at least {} runs", group.level,
                                groups_.size()));
    return;
  }
  const double share =
      counted_share({.enabled_ns = group.enabled_ns, .running_ns = group.running_ns});
  const std::optional<double> scale = scale_of(share);
  if (!scale) {
    notes.push_back(fmt::format(
        "L{}: multiplexed: the group had counters for {:.0f} % of the time, expected at least "
        "{:.0f} %: not reported",
        group.level, 100 * share, 100 * kLeastShare));
    return;
  }
  if (share < 0.999) {
    notes.push_back(fmt::format(
        "L{}: multiplexed: the group had counters for {:.1f} % of the time: counts are scaled",
        group.level, 100 * share));
  }
  const std::size_t counters = group.counters.size();
  for (std::size_t i = 0; i < ops_; ++i) {
    if (counts_[i] == 0) continue;
    EdgeBytes edge;
    for (std::size_t c = 0; c < counters; ++c) {
      const double value = *scale * group.sums[i * counters + c] / static_cast<double>(group.runs);
      switch (group.counters[c].kind) {
        case Kind::instructions:
          ops[i].instructions = value;
          break;
        case Kind::cycles:
          ops[i].cycles = value;
          break;
        case Kind::fills:
          edge.fills += value * group.counters[c].bytes;
          break;
        case Kind::written_back:
          edge.written_back += value * group.counters[c].bytes;
          break;
      }
    }
    if (group.level > 0) edge_of(ops[i], group.level) = edge;
  }
}

}  // namespace tessera::meters
