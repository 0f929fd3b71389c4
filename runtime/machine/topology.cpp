// SPDX-License-Identifier: Apache-2.0
#include "runtime/machine/topology.hpp"

#include <cpuid.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <fstream>
#include <set>
#include <string>
#include <vector>

namespace tessera {
namespace {

namespace fs = std::filesystem;

std::string first_line(const fs::path& path) {
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

/// The folders cpu0, cpu1, ... in the order of their numbers.
std::vector<fs::path> cpu_folders(const SystemRoots& roots) {
  std::vector<std::pair<int, fs::path>> found;
  std::error_code error;
  for (fs::directory_iterator at(roots.sys / "devices/system/cpu", error), end; !error && at != end;
       at.increment(error)) {
    const std::string name = at->path().filename().string();
    int number = 0;
    if (!name.starts_with("cpu")) continue;
    const char* last = name.data() + name.size();
    const auto [stop, problem] = std::from_chars(name.data() + 3, last, number);
    if (problem == std::errc{} && stop == last) found.emplace_back(number, at->path());
  }
  std::sort(found.begin(), found.end());
  std::vector<fs::path> folders;
  for (auto& [number, folder] : found) folders.push_back(std::move(folder));
  return folders;
}

/// Caches by level, the smallest of each; `fill` gives what was found to a machine.
struct Caches {
  CacheLevel level[4];  // [0] is not used
  Index line_bytes = 0;

  void take(Index number, const CacheLevel& facts, Index line) {
    if (number < 1 || number > 3 || facts.bytes <= 0) return;
    CacheLevel& known = level[number];
    if (known.bytes != 0 && known.bytes <= facts.bytes) return;
    known = facts;
    if (number == 1) line_bytes = line;
  }
  bool fill(Machine& machine) const {
    if (level[1].bytes > 0) machine.l1d = level[1];
    if (level[2].bytes > 0) machine.l2 = level[2];
    if (level[3].bytes > 0) machine.l3 = level[3];
    if (line_bytes > 0) machine.cache_line_bytes = line_bytes;
    return level[1].bytes > 0;
  }
};

std::vector<std::uint32_t> apic_ids(const SystemRoots& roots) {
  std::vector<std::uint32_t> ids;
  std::ifstream in(roots.proc / "cpuinfo");
  for (std::string line; std::getline(in, line);) {
    const std::size_t colon = line.find(':');
    if (!line.starts_with("apicid") || colon == std::string::npos) continue;
    const std::size_t begin = std::min(line.find_first_not_of(" \t", colon + 1), line.size());
    std::uint32_t id = 0;
    if (std::from_chars(line.data() + begin, line.data() + line.size(), id).ec == std::errc{}) {
      ids.push_back(id);
    }
  }
  return ids;
}

/// The most CPUs whose ids agree but for as many bits as `slots` ids need.
int count_sharing(const std::vector<std::uint32_t>& ids, std::uint32_t slots) {
  const auto bits = static_cast<int>(std::bit_width(slots - 1));
  int most = 1;
  for (const std::uint32_t id : ids) {
    most = std::max(
        most, static_cast<int>(std::count_if(ids.begin(), ids.end(), [&](std::uint32_t other) {
          return other >> bits == id >> bits;
        })));
  }
  return most;
}

/// Entries of a leaf of deterministic cache parameters.
Caches read_parameters(const Cpuid& ask, std::uint32_t leaf,
                       const std::vector<std::uint32_t>& ids) {
  constexpr std::uint32_t kNone = 0, kInstruction = 2;
  Caches caches;
  for (std::uint32_t n = 0; n < 16; ++n) {
    const auto [eax, ebx, ecx, edx] = ask(leaf, n);
    const std::uint32_t type = eax & 0x1FU;
    if (type == kNone) break;
    if (type == kInstruction) continue;
    const bool is_fully_associative = (eax >> 9 & 1U) != 0;
    const Index line = (ebx & 0xFFFU) + 1;
    const Index partitions = (ebx >> 12 & 0x3FFU) + 1;
    const Index ways = (ebx >> 22) + 1;
    const Index sets = Index{ecx} + 1;
    caches.take(eax >> 5 & 7U,
                {.bytes = line * partitions * ways * sets,
                 .ways = is_fully_associative ? 0 : static_cast<int>(ways),
                 .sharing_cpus = count_sharing(ids, (eax >> 14 & 0xFFFU) + 1)},
                line);
  }
  return caches;
}

/// AMD's cache identifiers.
Caches read_identifiers(const Cpuid& ask, int cpus) {
  constexpr int kWays[16] = {0, 1, 2, 3, 4, 6, 8, 0, 16, 0, 32, 48, 64, 96, 128, 0};
  const std::uint32_t l1 = ask(0x80000005U, 0).ecx;
  const CpuidWords l23 = ask(0x80000006U, 0);
  const Index line = l1 & 0xFFU;
  const std::uint32_t l1_ways = l1 >> 16 & 0xFFU;  // 255: fully associative
  Caches caches;
  caches.take(
      1, {.bytes = Index{l1 >> 24} << 10, .ways = l1_ways == 255 ? 0 : static_cast<int>(l1_ways)},
      line);
  caches.take(2, {.bytes = Index{l23.ecx >> 16} << 10, .ways = kWays[l23.ecx >> 12 & 0xFU]}, line);
  caches.take(3,
              {.bytes = Index{l23.edx >> 18} << 19,
               .ways = kWays[l23.edx >> 12 & 0xFU],
               .sharing_cpus = std::max(1, cpus)},
              line);
  return caches;
}

}  // namespace

bool read_sysfs_caches(const SystemRoots& roots, Machine& machine) {
  constexpr Index kMostWays = 4096;
  Caches caches;
  for (const fs::path& cpu : cpu_folders(roots)) {
    for (int index = 0; index < 16; ++index) {
      const fs::path folder = cpu / "cache" / fmt::format("index{}", index);
      const Index bytes = parse_size(first_line(folder / "size"));
      if (bytes == 0) break;
      if (first_line(folder / "type") == "Instruction") continue;
      const Index ways = parse_size(first_line(folder / "ways_of_associativity"));
      const int cpus = count_cpu_list(first_line(folder / "shared_cpu_list"));
      caches.take(parse_size(first_line(folder / "level")),
                  {.bytes = bytes,
                   .ways = static_cast<int>(std::min(ways, kMostWays)),
                   .sharing_cpus = std::max(1, cpus)},
                  parse_size(first_line(folder / "coherency_line_size")));
    }
  }
  return caches.fill(machine);
}

CpuidWords cpuid(std::uint32_t leaf, std::uint32_t subleaf) {
  CpuidWords words;
  if (leaf <= static_cast<std::uint32_t>(__get_cpuid_max(leaf & 0x80000000U, nullptr))) {
    __cpuid_count(leaf, subleaf, words.eax, words.ebx, words.ecx, words.edx);
  }
  return words;
}

void read_cpuid_caches(const Cpuid& ask, const SystemRoots& roots, Machine& machine) {
  const std::vector<std::uint32_t> ids = apic_ids(roots);
  for (const std::uint32_t leaf : {4U, 0x8000001DU}) {
    if (read_parameters(ask, leaf, ids).fill(machine)) return;
  }
  read_identifiers(ask, static_cast<int>(ids.size())).fill(machine);
}

std::string cpuid_name(const Cpuid& ask) {
  std::string name;
  for (std::uint32_t leaf = 0x80000002U; leaf <= 0x80000004U; ++leaf) {
    const auto [eax, ebx, ecx, edx] = ask(leaf, 0);
    for (const std::uint32_t word : {eax, ebx, ecx, edx}) {
      for (int byte = 0; byte < 4; ++byte) name += static_cast<char>(word >> (8 * byte) & 0xFFU);
    }
  }
  name.erase(std::min(name.find('\0'), name.size()));
  name.erase(0, name.find_first_not_of(' '));
  name.erase(name.find_last_not_of(' ') + 1);
  return name;
}

int count_cores(const SystemRoots& roots) {
  std::set<std::string> cores;
  for (const fs::path& cpu : cpu_folders(roots)) {
    std::string threads = first_line(cpu / "topology/core_cpus_list");
    if (threads.empty()) threads = first_line(cpu / "topology/thread_siblings_list");
    if (!threads.empty()) cores.insert(std::move(threads));  // none: this CPU is offline
  }
  return static_cast<int>(cores.size());
}

}  // namespace tessera
