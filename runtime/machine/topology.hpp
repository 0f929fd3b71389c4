// SPDX-License-Identifier: Apache-2.0
// Caches and cores: from sysfs, and where that is silent (in many virtual machines), from CPUID.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "runtime/machine/machine.hpp"

namespace tessera {

/// The caches that `roots.sys` lists, of all CPUs the smallest of a level; levels that are not listed
/// are left as they are. Gives whether a first-level data cache is listed.
bool read_sysfs_caches(const SystemRoots& roots, Machine& machine);

/// What CPUID answers; zeros for a leaf that a CPU does not have.
struct CpuidWords {
  std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};
using Cpuid = std::function<CpuidWords(std::uint32_t leaf, std::uint32_t subleaf)>;
/// The CPU that runs this.
CpuidWords cpuid(std::uint32_t leaf, std::uint32_t subleaf);

/// The caches of the CPU that `ask` asks: by the first of three lists that is there, the deterministic
/// cache parameters (Intel SDM vol. 2, leaf 4; AMD APM vol. 3, leaf 8000_001Dh: the same layout), then
/// AMD's identifiers (leaves 8000_0005h and 8000_0006h). An instance is shared by the CPUs of
/// /proc/cpuinfo whose APIC ids agree but for the bits that the first two give; an L3 of the third by
/// all. Levels that are not listed are left as they are.
void read_cpuid_caches(const Cpuid& ask, const SystemRoots& roots, Machine& machine);

/// The CPU's name for itself (leaves 8000_0002h to 8000_0004h), "" if it has none.
std::string cpuid_name(const Cpuid& ask);

/// Cores that `roots.sys` shows: CPUs without those that are a further thread of one. 0: not known.
int count_cores(const SystemRoots& roots);

}  // namespace tessera
