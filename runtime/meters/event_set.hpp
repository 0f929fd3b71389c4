// SPDX-License-Identifier: Apache-2.0
//
// Which events of which CPU count the lines into and out of each cache. The sets are text
// (events/*.inc), compiled in; `tessera profile --events FILE` reads the same format.
//
//   set NAME                 begins a set
//   cpu VENDOR FAMILY MODEL… decimal, as /proc/cpuinfo has them
//   source TEXT              manual and table
//   event l1|l2|l3 fills|written_back NAME RAW|- BYTES    counts of equal kind are added up
//   note TEXT                what the set cannot tell
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::meters {

struct CountedEvent {
  int level = 1;  ///< 1, 2, 3: the edge into L1, L2, L3
  bool is_written_back = false;
  std::string name{};                  ///< libpfm4's
  std::optional<std::uint64_t> raw{};  ///< umask << 8 | event, where libpfm4 does not know the CPU
  double bytes = 64;                   ///< per count
};

struct EventSet {
  struct Cpu {
    std::string vendor{};
    int family = 0;
    std::vector<int> models{};
  };
  std::string name{}, source{};
  std::vector<Cpu> cpus{};
  std::vector<CountedEvent> events{};
  std::vector<std::string> notes{};
};

struct CpuModel {
  std::string vendor = "unknown";
  int family = 0, model = 0;
};

/// The first CPU of /proc/cpuinfo's text.
CpuModel parse_cpuinfo(std::string_view text);
CpuModel this_cpu();

/// Throws Error{corrupt_file} naming `file`, line, got and expected.
std::vector<EventSet> parse_event_sets(std::string_view text, const std::string& file);

/// Every set that is compiled in; the last one is the generic.
const std::vector<EventSet>& known_event_sets();

/// The set for `cpu`, or the generic one with a note that says so.
EventSet event_set_for(const CpuModel& cpu, const std::vector<EventSet>& sets);

}  // namespace tessera::meters
