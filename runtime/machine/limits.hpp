// SPDX-License-Identifier: Apache-2.0
// What Linux tells in text files about the limits of this process: cgroup v1 and v2 quotas, the
// CPU's name. Pure functions of a /proc and a /sys, so that tests can bring their own.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace tessera {

struct SystemRoots {
  std::filesystem::path proc = "/proc";
  std::filesystem::path sys = "/sys";
};

/// CPUs that "<quota> <period>" of cgroup v2's cpu.max grants, rounded up, at least 1; empty for
/// "max" and for anything else that is not two positive integers.
std::optional<int> parse_cpu_max(std::string_view text);

/// CPUs in a list like "0-3,8,10-11"; 0 if it is not one.
int count_cpu_list(std::string_view text);

/// The tightest CPU quota, in whole CPUs rounded up, of the process's cgroup and all its ancestors
/// that are mounted, in cgroup v2 (cpu.max) and v1 (cpu.cfs_quota_us); empty: none.
std::optional<int> cgroup_cpu_quota(const SystemRoots& roots);

/// The tightest memory limit in bytes, likewise (memory.max, memory.limit_in_bytes); empty: none.
std::optional<std::size_t> cgroup_memory_limit(const SystemRoots& roots);

/// "model name" of /proc/cpuinfo; "" if it has none.
std::string cpu_name_of(const SystemRoots& roots);

}  // namespace tessera
