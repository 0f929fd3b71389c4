// SPDX-License-Identifier: Apache-2.0
// Software events go the way that hardware events go; what needs a PMU is tested on readings made
// by hand.
#include "runtime/meters/perf_group.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/perf_event.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "runtime/base/error.hpp"
#include "runtime/meters/hardware.hpp"

namespace tessera {
namespace {

using namespace meters;
using testing::HasSubstr;
using testing::Not;

PerfEvent named(const std::string& name) {
  return {name, encode_event(name)};
}

/// Whether this process may count its own page faults at all.
std::string refusal() {
  try {
    PerfGroup({named("perf::PAGE-FAULTS")}, 0, -1);
    return {};
  } catch (const Error& e) {
    return e.what();
  }
}

/// Touches `pages` pages that nobody touched before.
void fault(std::size_t pages) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  void* memory =
      mmap(nullptr, pages * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  madvise(memory, pages * page, MADV_NOHUGEPAGE);
  for (std::size_t i = 0; i < pages; ++i) static_cast<volatile char*>(memory)[i * page] = 1;
  munmap(memory, pages * page);
}

TEST(PerfGroupTest, CountsSoftwareEventsAsAGroup) {
  if (const std::string why = refusal(); !why.empty()) GTEST_SKIP() << why;
  PerfGroup group({named("perf::PAGE-FAULTS"), named("perf::TASK-CLOCK")}, 0, -1);
  fault(50);  // not enabled yet
  group.enable();
  const GroupReading before = group.read();
  fault(100);
  const GroupReading after = group.read();
  group.disable();
  fault(50);
  EXPECT_LT(before.counts[0], 50U);
  EXPECT_GE(after.counts[0] - before.counts[0], 100U);
  EXPECT_LT(after.counts[0] - before.counts[0], 150U);
  EXPECT_GT(after.counts[1], before.counts[1]);
  EXPECT_GT(after.enabled_ns, before.enabled_ns);
  EXPECT_EQ(counted_share(after), 1.0) << "software events are never multiplexed";
  EXPECT_LT(group.read().counts[0] - after.counts[0], 40U) << "stopped";
}

TEST(PerfGroupTest, ReadsIntoWordsWithoutAllocating) {
  if (const std::string why = refusal(); !why.empty()) GTEST_SKIP() << why;
  PerfGroup group({named("perf::PAGE-FAULTS")}, 0, -1);
  std::uint64_t words[4] = {};
  EXPECT_TRUE(group.read_words(words));
  EXPECT_EQ(words[0], 1U);
  EXPECT_FALSE(group.read_words(std::span(words).first(3)));
}

TEST(PerfGroupTest, MultiplexedReadingsAreScaledOrRefused) {
  // events, enabled, running, counts
  const std::uint64_t whole[] = {2, 1000, 1000, 10, 20}, most[] = {2, 1000, 800, 10, 20},
                      half[] = {2, 1000, 500, 10, 20}, never[] = {2, 1000, 0, 0, 0};
  EXPECT_EQ(scale_of(counted_share(parse_reading(whole, 2))), 1.0);
  EXPECT_EQ(scale_of(counted_share(parse_reading(most, 2))), 1.25);
  EXPECT_FALSE(scale_of(counted_share(parse_reading(half, 2))));
  EXPECT_FALSE(scale_of(counted_share(parse_reading(never, 2))));
  EXPECT_EQ(parse_reading(most, 2).counts[1], 20U);
  EXPECT_THROW(parse_reading(whole, 3), Error);
  EXPECT_THROW(parse_reading(std::span(whole).first(4), 2), Error);
}

TEST(PerfGroupTest, SaysWhyItWasRefused) {
  EXPECT_THAT(explain_refusal(ENOENT, "x::Y", "2"), HasSubstr("x::Y: this CPU exposes no such"));
  EXPECT_THAT(explain_refusal(EOPNOTSUPP, "x::Y", "2"), HasSubstr("without a PMU"));
  EXPECT_THAT(explain_refusal(EACCES, "x::Y", "4"),
              HasSubstr("perf_event_paranoid is 4; as root `sysctl"));
  EXPECT_THAT(explain_refusal(EPERM, "x::Y", ""), HasSubstr("paranoid is unknown"));
  EXPECT_THAT(explain_refusal(EINVAL, "x::Y", "2"), HasSubstr("cannot count it"));
  EXPECT_THAT(explain_refusal(EIO, "x::Y", "2"), HasSubstr("x::Y: Input/output error"));
}

TEST(PerfGroupTest, RefusesWhatTheKernelCannotCount) {
  if (const std::string why = refusal(); !why.empty()) GTEST_SKIP() << why;
  const PerfEvent absent{"no::such", {.type = PERF_TYPE_SOFTWARE, .config = 9999}};
  try {
    PerfGroup group({named("perf::PAGE-FAULTS"), absent}, 0, -1);
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("no::such: "));
  }
  EXPECT_THROW(PerfGroup({}, 0, -1), Error);
}

/// Page faults in the place of fills, the clock in that of cycles.
HardwareEvents software() {
  HardwareEvents events;
  events.instructions.clear();
  events.cycles = "perf::TASK-CLOCK";
  events.set = parse_event_sets(
                   "set software\nsource linux\nevent l1 fills perf::PAGE-FAULTS - 4096\n"
                   "event l2 written_back perf::PAGE-FAULTS - 64\nnote a note\n",
                   "test")
                   .front();
  return events;
}

TEST(HardwareMeterTest, AttributesCountsToOpsGroupByGroup) {
  if (const std::string why = refusal(); !why.empty()) GTEST_SKIP() << why;
  HardwareMeter meter(3, software());
  EXPECT_EQ(meter.groups(), 2U);
  for (int run = 0; run < 4; ++run) {
    meter.begin_run();
    meter.begin_ops(0, 1);
    fault(200);
    meter.end_ops(0, 1);
    fault(70);  // of no op
    meter.begin_ops(1, 2);
    meter.end_ops(1, 2);
    meter.end_run();
  }
  const Measurement result = meter.take();
  ASSERT_EQ(result.ops.size(), 2U);
  EXPECT_GE(result.ops[0].l1->fills, 200.0 * 4096);
  EXPECT_LT(result.ops[0].l1->fills, 260.0 * 4096) << "per run";
  EXPECT_EQ(result.ops[0].l1->written_back, 0);
  EXPECT_GE(result.ops[0].l2->written_back, 200.0 * 64);
  EXPECT_GT(result.ops[0].cycles.value(), 0);
  EXPECT_FALSE(result.ops[0].instructions);
  EXPECT_FALSE(result.ops[0].l3);
  EXPECT_EQ(result.ops[1].count, 2U);
  EXPECT_LT(result.ops[1].l1->fills, 60.0 * 4096);
  EXPECT_THAT(result.notes, testing::Contains("a note"));
  EXPECT_THAT(result.notes, testing::Contains(HasSubstr("L3: no memory controller")));
  EXPECT_THAT(meter.take().notes, testing::Contains(HasSubstr("no run was counted")));
}

TEST(HardwareMeterTest, ALevelThatCannotBeCountedIsANote) {
  if (const std::string why = refusal(); !why.empty()) GTEST_SKIP() << why;
  HardwareEvents events = software();
  events.memory = {{.name = "uncore_imc_0", .reads = {.type = 9999}, .writes = {.type = 9999}}};
  HardwareMeter meter(1, events);
  EXPECT_EQ(meter.groups(), 2U);
  EXPECT_THAT(meter.take().notes, testing::Contains(HasSubstr("L3: uncore_imc_0 reads: ")));
}

TEST(HardwareMeterTest, SaysWhyNothingCanBeCounted) {
  HardwareEvents events = software();
  events.set.events = {{.level = 1, .name = "no::such", .raw = {}}};
  try {
    HardwareMeter meter(1, events);
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("got \"no::such\""));
  }
  events.set.events = {{.level = 1, .name = "perf::PAGE-FAULTS"}};
  events.cycles = "perf::CYCLES";
  try {
    HardwareMeter meter(1, events);
    GTEST_SKIP() << "this machine has a PMU";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("meter hardware: nothing can be counted: perf::CYCLES: "));
    EXPECT_THAT(e.what(), Not(HasSubstr("\n")));
  }
}

}  // namespace
}  // namespace tessera
