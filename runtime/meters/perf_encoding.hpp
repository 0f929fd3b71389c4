// SPDX-License-Identifier: Apache-2.0
// Names of performance events, and what perf_event_open takes for them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace tessera::meters {

/// The fields of perf_event_attr that say what is counted.
struct PerfEncoding {
  std::uint32_t type = 0;
  std::uint64_t config = 0, config1 = 0, config2 = 0;

  friend bool operator==(const PerfEncoding&, const PerfEncoding&) = default;
};

/// "perf::INSTRUCTIONS", "perf::TASK-CLOCK" and other generic events of the kernel are known here;
/// all others by libpfm4, for the CPU that it finds ("skx::L2_LINES_IN:ALL").
/// Throws Error{not_found} naming the event: not known, or built without libpfm4.
PerfEncoding encode_event(const std::string& name);

/// The raw event `config` of the CPU's core.
PerfEncoding raw_encoding(std::uint64_t config) noexcept;

/// "libpfm 4.13"; empty: built without.
std::string libpfm_version();

}  // namespace tessera::meters
