// SPDX-License-Identifier: Apache-2.0
#include "runtime/machine/machine.hpp"

#include <fmt/format.h>

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <memory>

#include "runtime/base/fork_locks.hpp"
#include "runtime/machine/topology.hpp"

namespace tessera {
namespace {

/// CPUs in the calling thread's affinity mask; the CPUs that are online where it cannot be read.
int count_affinity() {
  for (int capacity = 1024; capacity <= (1 << 20); capacity *= 2) {  // EINVAL: the mask is larger
    const auto free_set = [](cpu_set_t* set) { CPU_FREE(set); };
    const std::unique_ptr<cpu_set_t, decltype(free_set)> set(
        CPU_ALLOC(static_cast<std::size_t>(capacity)), free_set);
    const std::size_t bytes = CPU_ALLOC_SIZE(static_cast<std::size_t>(capacity));
    if (set == nullptr) break;
    CPU_ZERO_S(bytes, set.get());
    if (::sched_getaffinity(0, bytes, set.get()) == 0) {
      return std::max(1, CPU_COUNT_S(bytes, set.get()));
    }
  }
  return static_cast<int>(std::clamp(::sysconf(_SC_NPROCESSORS_ONLN), 1L, 1L << 20));
}

std::size_t installed_memory() {
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long page_bytes = ::sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page_bytes <= 0) return 0;
  return static_cast<std::size_t>(pages) * static_cast<std::size_t>(page_bytes);
}

std::string bytes_to_string(Index bytes) {
  if (bytes >= Index{1} << 30) {
    return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / (1 << 30));
  }
  if (bytes >= 1 << 20 && bytes % (1 << 20) == 0) return fmt::format("{} MiB", bytes >> 20);
  return fmt::format("{} KiB", bytes >> 10);
}

std::string cache_to_string(const char* name, const CacheLevel& level) {
  if (level.bytes == 0) return fmt::format("{} none known", name);
  std::string text = fmt::format("{} {}", name, bytes_to_string(level.bytes));
  if (level.ways > 0) text += fmt::format(" {}-way", level.ways);
  if (level.sharing_cpus > 1) text += fmt::format(" per {} CPUs", level.sharing_cpus);
  return text;
}

}  // namespace

Machine detect_machine(const SystemRoots& roots) {
  Machine result;
  const long online = ::sysconf(_SC_NPROCESSORS_ONLN);
  result.logical_cpus = static_cast<int>(std::clamp(online, 1L, 1L << 20));
  const int cores = count_cores(roots);
  result.physical_cores = cores > 0 ? std::min(cores, result.logical_cpus) : result.logical_cpus;
  if (!read_sysfs_caches(roots, result)) read_cpuid_caches(cpuid, roots, result);
  std::string name = cpuid_name(cpuid);
  if (name.empty()) name = cpu_name_of(roots);
  if (!name.empty()) result.cpu_name = name;
  result.affinity_cpus = count_affinity();
  result.quota_cpus = cgroup_cpu_quota(roots);
  result.usable_cpus =
      std::min(result.affinity_cpus, result.quota_cpus.value_or(std::numeric_limits<int>::max()));
  result.best = best_isa();
  result.memory_bytes = installed_memory();
  if (const std::optional<std::size_t> limit = cgroup_memory_limit(roots)) {
    result.memory_bytes = result.memory_bytes == 0 ? *limit : std::min(result.memory_bytes, *limit);
  }
  return result;
}

const Machine& machine() {
  static constinit std::atomic<const Machine*> detected{nullptr};
  return made_once(detected, [] { return detect_machine(); });
}

std::string describe(const Machine& machine) {
  const std::string quota =
      machine.quota_cpus ? fmt::format("quota {}", *machine.quota_cpus) : "no quota";
  return fmt::format(
      "{}: {} cores, {} CPUs, {} usable (affinity {}, {}); {}; {}; {}; line {} B; memory {}; {}",
      machine.cpu_name, machine.physical_cores, machine.logical_cpus, machine.usable_cpus,
      machine.affinity_cpus, quota, cache_to_string("L1d", machine.l1d),
      cache_to_string("L2", machine.l2), cache_to_string("L3", machine.l3),
      machine.cache_line_bytes,
      machine.memory_bytes == 0 ? "unknown"
                                : bytes_to_string(static_cast<Index>(machine.memory_bytes)),
      to_string(machine.best));
}

std::string level_names() {
  std::string names;
  for (const Level& level : levels())
    names += (names.empty() ? "" : ", ") + std::string(level.name);
  return names;
}

}  // namespace tessera
