// SPDX-License-Identifier: Apache-2.0
//
// The meter `hardware`: the CPU's own counters, read where an op begins and ends, in user mode, for
// every thread that the process has when the meter is made (make it after the session).
//
// Each cache level has its own group of events, and each run counts one group, in turn: a group
// that fits the PMU is never multiplexed by us. Where another user of the PMU makes the
// kernel multiplex, counts are scaled and said to be, or refused (kLeastShare).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "runtime/meters/event_set.hpp"
#include "runtime/meters/meter.hpp"
#include "runtime/meters/perf_group.hpp"
#include "runtime/meters/uncore.hpp"

namespace tessera::meters {

/// What a HardwareMeter counts.
struct HardwareEvents {
  std::string instructions = "perf::INSTRUCTIONS", cycles = "perf::CYCLES";  ///< "": not counted
  EventSet set{};
  std::vector<MemoryController> memory{};  ///< in place of the set's l3, where they can be opened

  /// For this CPU: the set of `file` if given, else a known one; the memory controllers of /sys.
  /// Throws Error: not_found, corrupt_file for the file.
  static HardwareEvents for_this_machine(const std::filesystem::path& file = {});
};

class HardwareMeter final : public Meter {
 public:
  /// For a program of `ops` ops. What cannot be opened is a note; throws Error{io_error} with the
  /// reasons if nothing can, and Error{not_found} for an event name that nobody knows.
  HardwareMeter(std::size_t ops, HardwareEvents events);

  std::size_t groups() const noexcept { return groups_.size(); }  ///< runs until each had its turn

  void begin_run() noexcept override;
  void begin_ops(std::size_t op, std::size_t count) noexcept override;
  void end_ops(std::size_t op, std::size_t count) noexcept override;
  void end_run() noexcept override;
  Measurement take() override;

 private:
  enum class Kind : std::uint8_t { instructions, cycles, fills, written_back };
  struct Counter {
    Kind kind;
    double bytes;  // per count
  };
  /// The same events on every thread, or on every memory controller.
  struct Group {
    int level = 0;  // 0: no edge
    std::vector<Counter> counters{};
    std::vector<PerfGroup> open{};
    std::size_t runs = 0;
    std::uint64_t enabled_ns = 0, running_ns = 0;
    std::vector<double> sums{};           // (ops, counters)
    std::vector<std::uint64_t> before{};  // (open, 3 + counters) words
  };

  void add_level(int level, const HardwareEvents& events);
  void add_memory(const HardwareEvents& events);
  void open(Group group, const std::vector<PerfEvent>& events, const std::string& what);
  void report(const Group& group, std::vector<OpMeasurement>& ops, std::vector<std::string>& notes);

  std::size_t ops_;
  std::vector<Group> groups_;
  std::vector<std::size_t> counts_;  // (ops) ops that ran as one from here; 0: began none
  std::size_t runs_ = 0;
  std::string source_;
  std::vector<std::string> notes_, refusals_;
};

}  // namespace tessera::meters
