// SPDX-License-Identifier: Apache-2.0
// The memory controllers as Linux lists them: /sys/bus/event_source/devices/uncore_imc*.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "runtime/meters/perf_group.hpp"

namespace tessera::meters {

/// One controller of one socket: it counts for every process of the machine.
struct MemoryController {
  std::string name{};  ///< "uncore_imc_0"
  int cpu = 0;         ///< that its counters are opened on
  PerfEncoding reads{}, writes{};
  double bytes = 64;  ///< per count
};

/// Empty where there is none, or where its files do not say how to count reads and writes.
std::vector<MemoryController> find_memory_controllers(
    const std::filesystem::path& devices = "/sys/bus/event_source/devices");

/// "event=0x04,umask=0x03" laid out as `format` (a folder of files such as umask: "config:8-15").
/// Empty if a term has no format.
std::optional<PerfEncoding> encode_sysfs_event(std::uint32_t type, const std::string& terms,
                                               const std::filesystem::path& format);

}  // namespace tessera::meters
