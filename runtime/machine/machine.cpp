// SPDX-License-Identifier: Apache-2.0
// hwloc first (it reads sysfs and, where that is silent, CPUID), then sysfs alone, then defaults.
#include "runtime/machine/machine.hpp"

#include <fmt/format.h>
#include <hwloc.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <memory>
#include <type_traits>

namespace tessera {
namespace {

using Topology = std::unique_ptr<std::remove_pointer_t<hwloc_topology_t>,
                                 decltype([](hwloc_topology_t t) { hwloc_topology_destroy(t); })>;

/// Null where hwloc cannot work.
Topology load_topology() {
  hwloc_topology_t topology = nullptr;
  if (hwloc_topology_init(&topology) != 0) return nullptr;
  Topology owner(topology);
  return hwloc_topology_load(topology) == 0 ? std::move(owner) : nullptr;
}

void read_hwloc_cache(hwloc_topology_t topology, hwloc_obj_type_t type, CacheLevel& level,
                      Index* line_bytes) {
  bool found = false;
  for (hwloc_obj_t cache = hwloc_get_next_obj_by_type(topology, type, nullptr); cache != nullptr;
       cache = hwloc_get_next_obj_by_type(topology, type, cache)) {
    const hwloc_obj_attr_u::hwloc_cache_attr_s& facts = cache->attr->cache;
    const auto bytes = static_cast<Index>(facts.size);
    if (bytes <= 0 || (found && bytes >= level.bytes)) continue;
    const int sharing = hwloc_bitmap_weight(cache->cpuset);
    level = {.bytes = bytes,
             .ways = std::max(0, facts.associativity),  // −1: fully associative
             .sharing_cpus = std::max(1, sharing)};
    if (line_bytes != nullptr && facts.linesize > 0) *line_bytes = facts.linesize;
    found = true;
  }
}

bool read_hwloc(Machine& machine) {
  const Topology owner = load_topology();
  if (!owner) return false;
  hwloc_topology_t topology = owner.get();
  read_hwloc_cache(topology, HWLOC_OBJ_L1CACHE, machine.l1d, &machine.cache_line_bytes);
  read_hwloc_cache(topology, HWLOC_OBJ_L2CACHE, machine.l2, nullptr);
  read_hwloc_cache(topology, HWLOC_OBJ_L3CACHE, machine.l3, nullptr);
  machine.logical_cpus = std::max(1, hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PU));
  const int cores = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE);  // 0: not known
  machine.physical_cores = cores > 0 ? cores : machine.logical_cpus;
  const hwloc_obj_t package = hwloc_get_obj_by_type(topology, HWLOC_OBJ_PACKAGE, 0);
  const hwloc_obj_t named = package != nullptr ? package : hwloc_get_root_obj(topology);
  const char* name = hwloc_obj_get_info_by_name(named, "CPUModel");
  if (name != nullptr && *name != '\0') machine.cpu_name = name;
  return hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_L1CACHE) > 0;
}

std::string first_line(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

/// "48K", "2M", "64"; 0 if it is no such thing.
Index parse_size(const std::string& text) {
  Index value = 0;
  std::size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9' && digits < 12) {
    value = value * 10 + (text[digits++] - '0');
  }
  const std::string unit = text.substr(digits);
  if (digits == 0) return 0;
  if (unit.empty()) return value;
  if (unit == "K") return value * 1024;
  if (unit == "M") return value * 1024 * 1024;
  return 0;
}

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

void read_sysfs_caches(const SystemRoots& roots, Machine& machine) {
  const std::filesystem::path caches = roots.sys / "devices/system/cpu/cpu0/cache";
  for (int index = 0; index < 16; ++index) {
    const std::filesystem::path folder = caches / fmt::format("index{}", index);
    const std::string level = first_line(folder / "level");
    const Index bytes = parse_size(first_line(folder / "size"));
    if (bytes == 0 || first_line(folder / "type") == "Instruction") continue;
    const Index ways = parse_size(first_line(folder / "ways_of_associativity"));
    const int cpus = count_cpu_list(first_line(folder / "shared_cpu_list"));
    const CacheLevel facts{.bytes = bytes,
                           .ways = static_cast<int>(std::min<Index>(ways, 4096)),
                           .sharing_cpus = std::max(1, cpus)};
    if (level == "1") {
      machine.l1d = facts;
      const Index line = parse_size(first_line(folder / "coherency_line_size"));
      if (line > 0) machine.cache_line_bytes = line;
    }
    if (level == "2") machine.l2 = facts;
    if (level == "3") machine.l3 = facts;
  }
}

Machine detect_machine(const SystemRoots& roots) {
  Machine result;
  const long online = ::sysconf(_SC_NPROCESSORS_ONLN);
  result.logical_cpus = static_cast<int>(std::clamp(online, 1L, 1L << 20));
  result.physical_cores = result.logical_cpus;
  if (!read_hwloc(result)) read_sysfs_caches(roots, result);
  if (result.cpu_name == Machine{}.cpu_name) {
    const std::string name = cpu_name_of(roots);
    if (!name.empty()) result.cpu_name = name;
  }
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
  static const Machine detected = detect_machine();
  return detected;
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
