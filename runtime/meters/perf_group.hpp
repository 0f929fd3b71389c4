// SPDX-License-Identifier: Apache-2.0
//
// A group of events that the kernel counts together or not at all (perf_event_open), for one thread
// or one CPU. Software events take the same path as hardware events.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/meters/perf_encoding.hpp"

namespace tessera::meters {

struct PerfEvent {
  std::string name;
  PerfEncoding encoding;
};

/// What read() of a group gives (PERF_FORMAT_GROUP | TOTAL_TIME_ENABLED | TOTAL_TIME_RUNNING): the
/// number of events, ns that the group was enabled, ns that it had counters, a count per event.
struct GroupReading {
  std::uint64_t enabled_ns = 0, running_ns = 0;
  std::vector<std::uint64_t> counts{};
};

/// Throws Error{io_error} if `words` is no reading of `events` events.
GroupReading parse_reading(std::span<const std::uint64_t> words, std::size_t events);

/// running / enabled: 1 if the group had its counters all the time, 0 if never.
double counted_share(const GroupReading& reading) noexcept;

/// Below this share a count says too little to be reported.
inline constexpr double kLeastShare = 0.75;
/// What a count is multiplied by if its group had counters for `share` of the time: 1/share; empty:
/// less than kLeastShare, refused.
std::optional<double> scale_of(double share) noexcept;

/// Why perf_event_open refused: no PMU, kernel.perf_event_paranoid (and what to set), an event that
/// this PMU lacks, too many at once. `paranoid`: as read from /proc, "" where it cannot be.
std::string explain_refusal(int error, const std::string& event, const std::string& paranoid);

/// The value of kernel.perf_event_paranoid; "" where it cannot be read.
std::string read_paranoid();

class PerfGroup {
 public:
  static constexpr std::size_t kMostEvents = 8;

  /// Opens the events, stopped, in user mode only if `user_only`. thread: 0 for the caller, else a
  /// thread of this process, −1 for all; cpu: −1 for any. Throws Error{io_error} with
  /// explain_refusal().
  PerfGroup(std::vector<PerfEvent> events, int thread, int cpu, bool user_only = true);
  ~PerfGroup();
  PerfGroup(PerfGroup&& other) noexcept;
  PerfGroup& operator=(PerfGroup&&) = delete;

  void enable() noexcept;
  void disable() noexcept;
  std::size_t size() const noexcept { return events_.size(); }

  /// Reads into words (3 + size()); false if the kernel did not give that many. Allocates nothing.
  bool read_words(std::span<std::uint64_t> words) const noexcept;
  GroupReading read() const;

 private:
  void close_all() noexcept;

  std::vector<PerfEvent> events_;
  std::vector<int> descriptors_;  // the first leads the group
};

}  // namespace tessera::meters
