// SPDX-License-Identifier: Apache-2.0
#include "runtime/meters/replay.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/meters/replay_kernels.hpp"

namespace tessera::meters {

std::vector<SimulatedCache> simulated_caches(const Machine& machine) {
  std::vector<SimulatedCache> caches;
  for (const CacheLevel& level : {machine.l1d, machine.l2, machine.l3}) {
    if (level.bytes == 0) break;
    const int ways = level.ways > 0 ? level.ways : 8;
    const Index set = ways * kLineBytes;
    caches.push_back({.bytes = std::max<Index>(1, level.bytes / set) * set, .ways = ways});
  }
  return caches;
}

// Owner 0 is what happens outside of ops.
ReplayMeter::ReplayMeter(std::size_t ops, std::span<const SimulatedCache> caches)
    : geometry_(caches.begin(), caches.end()),
      caches_(caches, {.owners = ops + 1}),
      counts_(ops, 0) {}

void ReplayMeter::begin_run() noexcept {
  caches_.charge(0);
  replay_into(&caches_);
}

void ReplayMeter::begin_ops(std::size_t op, std::size_t count) noexcept {
  if (op >= counts_.size()) return;  // of another program
  caches_.charge(op + 1);
  counts_[op] = count;
}

void ReplayMeter::end_ops(std::size_t, std::size_t) noexcept {
  caches_.charge(0);
}

void ReplayMeter::end_run() noexcept {
  replay_into(nullptr);
  ++runs_;
}

Measurement ReplayMeter::take() {
  Measurement result{.meter = "replay"};
  for (std::size_t i = 0; i < geometry_.size(); ++i) {
    result.source += fmt::format("{}L{} {} KiB {} ways", i == 0 ? "LRU: " : ", ", i + 1,
                                 geometry_[i].bytes / 1024, geometry_[i].ways);
  }
  result.notes.emplace_back(
      "replay: one thread; prefetches, gathering pixels and copies outside of kernels are not "
      "counted");
  if (runs_ == 0) {
    result.notes.emplace_back("replay: no run was measured");
    return result;
  }
  for (std::size_t op = 0; op < counts_.size(); ++op) {
    if (counts_[op] == 0) continue;
    const auto edge = [&](std::size_t level) -> std::optional<EdgeBytes> {
      if (level >= caches_.levels()) return std::nullopt;
      const EdgeLines lines = caches_.edge(level, op + 1);
      const double each = static_cast<double>(kLineBytes) / static_cast<double>(runs_);
      return EdgeBytes{.fills = each * static_cast<double>(lines.fills),
                       .written_back = each * static_cast<double>(lines.written_back)};
    };
    result.ops.push_back(
        {.op = op, .count = counts_[op], .l1 = edge(0), .l2 = edge(1), .l3 = edge(2)});
  }
  runs_ = 0;
  std::fill(counts_.begin(), counts_.end(), 0);
  caches_.forget_counts();
  return result;
}

}  // namespace tessera::meters
