// SPDX-License-Identifier: Apache-2.0
// Machine facts: sanity on this machine, exact values on made-up /proc and /sys trees.
#include "runtime/machine/machine.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <filesystem>

#include "runtime/machine/topology.hpp"
#include "tests/support/temporary.hpp"

namespace tessera {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// A folder that plays /proc, /sys and the cgroup mounts.
class FakeSystem {
 public:
  void add(const std::string& file, const std::string& text) const { root_.write(file, text); }
  /// Mounts the part `root` of the hierarchy at the folder cg2 (v2), or cg1 and cgm (v1).
  void mount_v2(const std::string& root) const {
    add("proc/self/mountinfo", "22 1 0:20 / /proc rw - proc proc rw\n29 22 0:26 " + root + " " +
                                   path("cg2") +
                                   " rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n");
  }
  void mount_v1(const std::string& root) const {
    add("proc/self/mountinfo", "31 22 0:29 " + root + " " + path("cg1") +
                                   " rw - cgroup cgroup rw,cpuacct,cpu\n32 22 0:30 " + root + " " +
                                   path("cgm") + " rw - cgroup cgroup rw,memory\n");
  }
  SystemRoots roots() const { return {.proc = root_ / "proc", .sys = root_ / "sys"}; }

 private:
  std::string path(const char* name) const { return (root_ / name).string(); }
  test::TemporaryDirectory root_;
};

TEST(MachineTest, ThisMachineMakesSense) {
  const Machine& m = machine();
  EXPECT_EQ(&m, &machine());
  EXPECT_FALSE(m.cpu_name.empty());
  EXPECT_GE(m.cache_line_bytes, 16);
  EXPECT_GE(m.l1d.bytes, 4 * 1024);
  EXPECT_GE(m.l2.bytes, m.l1d.bytes);
  EXPECT_GE(m.physical_cores, 1);
  EXPECT_GE(m.logical_cpus, m.physical_cores);
  EXPECT_GE(m.usable_cpus, 1);
  EXPECT_LE(m.usable_cpus, m.affinity_cpus);
  EXPECT_EQ(m.best, best_isa());
  EXPECT_GT(m.memory_bytes, std::size_t{1} << 26);
  EXPECT_THAT(describe(m), HasSubstr(m.cpu_name));
  EXPECT_THAT(describe(m), HasSubstr(" usable "));
}

TEST(MachineTest, AffinityNarrowsWhatIsUsable) {
  cpu_set_t before;
  if (::sched_getaffinity(0, sizeof before, &before) != 0) GTEST_SKIP() << "large affinity mask";
  cpu_set_t one;
  CPU_ZERO(&one);
  for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &before)) {
      CPU_SET(cpu, &one);
      break;
    }
  }
  ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
  const Machine narrowed = detect_machine();
  ASSERT_EQ(::sched_setaffinity(0, sizeof before, &before), 0);
  EXPECT_EQ(narrowed.affinity_cpus, 1);
  EXPECT_EQ(narrowed.usable_cpus, 1);
}

TEST(MachineTest, AnEmptySystemIsNoError) {
  const SystemRoots nowhere{.proc = "/nonexistent/proc", .sys = "/nonexistent/sys"};
  const Machine m = detect_machine(nowhere);
  EXPECT_EQ(m.quota_cpus, std::nullopt);
  EXPECT_GE(m.usable_cpus, 1);
  EXPECT_EQ(cpu_name_of(nowhere), "");
  Machine defaults;
  EXPECT_FALSE(read_sysfs_caches(nowhere, defaults));
  EXPECT_EQ(count_cores(nowhere), 0);
  EXPECT_EQ(defaults.l1d, Machine{}.l1d);
  EXPECT_EQ(defaults.l3.bytes, 0);
  EXPECT_THAT(describe(defaults), HasSubstr("L3 none known"));
}

TEST(MachineTest, SysfsCachesAreRead) {
  const FakeSystem fake;
  const auto cache = [&](int i, const char* level, const char* type, const char* size,
                         const char* ways, const char* cpus) {
    const std::string folder = "sys/devices/system/cpu/cpu0/cache/index" + std::to_string(i) + "/";
    fake.add(folder + "level", std::string(level) + "\n");
    fake.add(folder + "type", std::string(type) + "\n");
    fake.add(folder + "size", std::string(size) + "\n");
    fake.add(folder + "ways_of_associativity", std::string(ways) + "\n");
    fake.add(folder + "shared_cpu_list", std::string(cpus) + "\n");
    fake.add(folder + "coherency_line_size", "128\n");
  };
  cache(0, "1", "Data", "48K", "12", "0,4");
  cache(1, "1", "Instruction", "32K", "8", "0,4");
  cache(2, "2", "Unified", "2M", "16", "0,4");
  cache(3, "3", "Unified", "266240K", "20", "0-3,8-11");
  Machine m;
  EXPECT_TRUE(read_sysfs_caches(fake.roots(), m));
  EXPECT_EQ(m.l1d, (CacheLevel{.bytes = 48 * 1024, .ways = 12, .sharing_cpus = 2}));
  EXPECT_EQ(m.l2, (CacheLevel{.bytes = 2 * 1024 * 1024, .ways = 16, .sharing_cpus = 2}));
  EXPECT_EQ(m.l3, (CacheLevel{.bytes = 260 * 1024 * 1024, .ways = 20, .sharing_cpus = 8}));
  EXPECT_EQ(m.cache_line_bytes, 128);
}

TEST(MachineTest, WhereCoresDifferTheSmallestCacheCounts) {
  const FakeSystem fake;
  const auto core = [&](const std::string& cpu, const char* l1, const char* l2,
                        const char* threads) {
    const std::string folder = "sys/devices/system/cpu/" + cpu + "/";
    fake.add(folder + "cache/index0/level", "1\n");
    fake.add(folder + "cache/index0/size", l1);
    fake.add(folder + "cache/index1/level", "2\n");
    fake.add(folder + "cache/index1/size", l2);
    fake.add(folder + "topology/core_cpus_list", threads);
  };
  core("cpu0", "48K\n", "2M\n", "0-1\n");
  core("cpu1", "48K\n", "2M\n", "0-1\n");
  core("cpu10", "32K\n", "4M\n", "10\n");
  fake.add("sys/devices/system/cpu/cpufreq/none", "");
  fake.add("sys/devices/system/cpu/cpu11/online", "0\n");
  Machine m;
  EXPECT_TRUE(read_sysfs_caches(fake.roots(), m));
  EXPECT_EQ(m.l1d.bytes, 32 * 1024);
  EXPECT_EQ(m.l2.bytes, 2 * 1024 * 1024);
  EXPECT_EQ(count_cores(fake.roots()), 2);
}

TEST(MachineTest, CpuidTellsCachesWhereSysfsDoesNot) {
  const FakeSystem fake;
  std::string cpuinfo;  // two threads a core, two cores
  for (const char* id : {"0", "1", "2", "3"}) cpuinfo += "apicid\t\t: " + std::string(id) + "\n\n";
  fake.add("proc/cpuinfo", cpuinfo);
  // Leaf 4: type | level << 5 | ids that share, less 1, << 14; line, partitions, ways; sets.
  const auto entry = [](std::uint32_t type, std::uint32_t level, std::uint32_t ids,
                        std::uint32_t ways, std::uint32_t sets) {
    return CpuidWords{type | level << 5 | (ids - 1) << 14, 63U | (ways - 1) << 22, sets - 1};
  };
  const CpuidWords entries[] = {entry(1, 1, 2, 12, 64),
                                entry(2, 1, 2, 8, 64),
                                entry(3, 2, 2, 16, 2048),
                                entry(3, 3, 128, 20, 212992),
                                {}};
  for (const std::uint32_t list : {4U, 0x8000001DU}) {
    Machine m;
    read_cpuid_caches([&](std::uint32_t leaf,
                          std::uint32_t n) { return leaf == list ? entries[n] : CpuidWords{}; },
                      fake.roots(), m);
    EXPECT_EQ(m.l1d, (CacheLevel{.bytes = 48 * 1024, .ways = 12, .sharing_cpus = 2}));
    EXPECT_EQ(m.l2, (CacheLevel{.bytes = 2 * 1024 * 1024, .ways = 16, .sharing_cpus = 2}));
    EXPECT_EQ(m.l3, (CacheLevel{.bytes = 260 * 1024 * 1024, .ways = 20, .sharing_cpus = 4}));
    EXPECT_EQ(m.cache_line_bytes, 64);
  }
}

TEST(MachineTest, IdentifiersOfAmdTellCachesWhereNoParametersDo) {
  const FakeSystem fake;
  fake.add("proc/cpuinfo", "apicid\t\t: 0\n\napicid\t\t: 1\n");
  const auto ask = [](std::uint32_t leaf, std::uint32_t) {
    if (leaf == 0x80000005U) return CpuidWords{.ecx = 0x300C0140U};
    if (leaf == 0x80000006U) return CpuidWords{.ecx = 0x04006140U, .edx = 0x0FE09140U};
    return CpuidWords{};
  };
  Machine m;
  read_cpuid_caches(ask, fake.roots(), m);
  EXPECT_EQ(m.l1d, (CacheLevel{.bytes = 48 * 1024, .ways = 12, .sharing_cpus = 1}));
  EXPECT_EQ(m.l2, (CacheLevel{.bytes = 1024 * 1024, .ways = 8, .sharing_cpus = 1}));
  EXPECT_EQ(m.l3, (CacheLevel{.bytes = 508 * 1024 * 1024, .ways = 0, .sharing_cpus = 2}));
}

TEST(MachineTest, ACpuThatTellsNothingLeavesTheDefaults) {
  Machine m;
  read_cpuid_caches([](std::uint32_t, std::uint32_t) { return CpuidWords{}; }, {}, m);
  EXPECT_EQ(m.l1d, Machine{}.l1d);
  EXPECT_EQ(m.l2, Machine{}.l2);
  EXPECT_EQ(cpuid_name([](std::uint32_t, std::uint32_t) { return CpuidWords{}; }), "");
}

TEST(MachineTest, CpuidOfThisMachineIsBelieved) {
  Machine m;
  m.l1d = m.l2 = {};
  read_cpuid_caches(cpuid, {}, m);
  EXPECT_GE(m.l1d.bytes, 8 * 1024);
  EXPECT_GE(m.l2.bytes, m.l1d.bytes);
  const auto name = [](std::uint32_t leaf, std::uint32_t) {
    // "  Some" " CPU", blanks, a zero
    return leaf == 0x80000002U   ? CpuidWords{0x6F532020U, 0x2020656DU, 0x55504320U, 0x20202020U}
           : leaf == 0x80000003U ? CpuidWords{0x20202020U, 0x00202020U, 0x41414141U, 0}
                                 : CpuidWords{};
  };
  EXPECT_EQ(cpuid_name(name), "Some   CPU");
}

TEST(MachineTest, CpuNameIsTheFirstModelName) {
  const FakeSystem fake;
  fake.add("proc/cpuinfo",
           "processor\t: 0\nmodel\t\t: 207\nmodel name\t: Some CPU @ 2 GHz\nx : y\n");
  EXPECT_EQ(cpu_name_of(fake.roots()), "Some CPU @ 2 GHz");
}

TEST(MachineLimitsTest, CpuMaxIsRoundedUp) {
  EXPECT_EQ(parse_cpu_max("max 100000"), std::nullopt);
  EXPECT_EQ(parse_cpu_max("100000 100000"), 1);
  EXPECT_EQ(parse_cpu_max("100001 100000\n"), 2);
  EXPECT_EQ(parse_cpu_max("1000 100000"), 1);
  EXPECT_EQ(parse_cpu_max("9223372036854775807 1"), 2147483647);
  for (const char* odd : {"", "max", "5", "0 100000", "-1 100000", "1 0", "a b", "1 1 1", " "}) {
    EXPECT_EQ(parse_cpu_max(odd), std::nullopt) << odd;
  }
}

TEST(MachineLimitsTest, CpuListsAreCounted) {
  EXPECT_EQ(count_cpu_list("0"), 1);
  EXPECT_EQ(count_cpu_list("0-3,8,10-11"), 7);
  for (const char* odd : {"", "a", "3-1", "1-", "-1", "0-99999999999999999999", "0,,1"}) {
    EXPECT_EQ(count_cpu_list(odd), 0) << odd;
  }
}

TEST(MachineLimitsTest, TheTightestAncestorOfVersionTwoBinds) {
  const FakeSystem fake;
  fake.mount_v2("/");
  fake.add("proc/self/cgroup", "0::/a/b/c\n");
  EXPECT_EQ(cgroup_cpu_quota(fake.roots()), std::nullopt);
  fake.add("cg2/a/b/c/cpu.max", "max 100000\n");
  fake.add("cg2/a/b/cpu.max", "800000 100000\n");
  fake.add("cg2/a/cpu.max", "250000 100000\n");
  fake.add("cg2/a/memory.max", "1000000\n");
  fake.add("cg2/a/b/memory.max", "max\n");
  EXPECT_EQ(cgroup_cpu_quota(fake.roots()), 3);
  EXPECT_EQ(cgroup_memory_limit(fake.roots()), 1000000U);
  const Machine m = detect_machine(fake.roots());
  EXPECT_EQ(m.quota_cpus, 3);
  EXPECT_LE(m.usable_cpus, 3);
  EXPECT_EQ(m.memory_bytes, 1000000U);
}

TEST(MachineLimitsTest, AContainerSeesItsOwnPartOfTheHierarchy) {
  const FakeSystem fake;
  fake.mount_v2("/docker/abc");  // bind mount without a namespace: the path includes the root
  fake.add("proc/self/cgroup", "0::/docker/abc/x\n");
  fake.add("cg2/x/cpu.max", "200000 100000\n");
  fake.add("cg2/cpu.max", "400000 100000\n");
  EXPECT_EQ(cgroup_cpu_quota(fake.roots()), 2);
  fake.add("proc/self/cgroup", "0::/../other\n");  // outside of the namespace
  EXPECT_EQ(cgroup_cpu_quota(fake.roots()), 4);
  fake.mount_v2("/");
  fake.add("proc/self/cgroup", "0::/\n");  // cgroup namespace
  EXPECT_EQ(cgroup_cpu_quota(fake.roots()), 4);
}

TEST(MachineLimitsTest, VersionOneIsReadByController) {
  const FakeSystem fake;
  fake.mount_v1("/");
  fake.add("proc/self/cgroup", "5:memory:/m\n4:cpuacct,cpu:/c\n0::/\n");
  fake.add("cg1/c/cpu.cfs_quota_us", "150000\n");
  fake.add("cg1/c/cpu.cfs_period_us", "100000\n");
  fake.add("cg1/cpu.cfs_quota_us", "-1\n");
  fake.add("cg1/cpu.cfs_period_us", "100000\n");
  fake.add("cgm/m/memory.limit_in_bytes", "5000\n");
  fake.add("cgm/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(cgroup_cpu_quota(fake.roots()), 2);
  EXPECT_EQ(cgroup_memory_limit(fake.roots()), 5000U);
}

TEST(MachineLimitsTest, MangledFilesAreNoLimit) {
  const FakeSystem fake;
  fake.add("proc/self/cgroup", "\n:\n::\n0:\nnonsense\n0::relative\n");
  fake.add("proc/self/mountinfo", "\n - \n1 2 3 - cgroup2\n1 2 3 / - cgroup2 x y\n");
  EXPECT_EQ(cgroup_cpu_quota(fake.roots()), std::nullopt);
  EXPECT_EQ(cgroup_memory_limit(fake.roots()), std::nullopt);
}

}  // namespace
}  // namespace tessera
