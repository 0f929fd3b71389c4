// SPDX-License-Identifier: Apache-2.0
// Facts about the machine that the planner and the thread pool start from: caches, cores, what this
// process may use of them. Never fails: what cannot be found out has the value stated here.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "kernels/isa.hpp"
#include "kernels/types.hpp"
#include "runtime/machine/limits.hpp"

namespace tessera {

/// One cache, as one core sees it. Where cores differ, the smallest of its level.
struct CacheLevel {
  Index bytes = 0;       ///< 0: no cache of this level is known
  int ways = 0;          ///< associativity; 0: unknown or fully associative
  int sharing_cpus = 1;  ///< logical CPUs that share one instance

  friend bool operator==(const CacheLevel&, const CacheLevel&) = default;
};

/// The values after '=' hold where neither sysfs nor CPUID tells.
struct Machine {
  std::string cpu_name = "unknown CPU";
  Index cache_line_bytes = 64;
  CacheLevel l1d{.bytes = 32 * 1024, .ways = 8, .sharing_cpus = 1};
  CacheLevel l2{.bytes = 256 * 1024, .ways = 8, .sharing_cpus = 1};
  CacheLevel l3{};
  int physical_cores = 1;  ///< that the operating system shows; = logical_cpus where unknown
  int logical_cpus = 1;
  int affinity_cpus = 1;          ///< in the affinity mask of the thread that asked first
  std::optional<int> quota_cpus;  ///< cgroup CPU quota in whole CPUs, rounded up; empty: no quota
  int usable_cpus = 1;            ///< min(affinity_cpus, quota_cpus); OMP_NUM_THREADS plays no part
  Isa best = Isa::baseline;       ///< highest level of the CPU; TESSERA_ISA plays no part
  std::size_t memory_bytes = 0;   ///< min(installed, cgroup limit); 0: unknown
};

/// This machine as it was at the first call. Thread-safe; the first call takes some milliseconds.
const Machine& machine();

/// Detects anew, reading `roots` in place of /proc and /sys.
Machine detect_machine(const SystemRoots& roots = {});

/// One line for logs and reports: name, cores, caches, memory, ISA level.
std::string describe(const Machine& machine);

/// The names of all levels of kernels: "baseline, avx2, …".
std::string level_names();

}  // namespace tessera
