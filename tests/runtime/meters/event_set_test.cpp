// SPDX-License-Identifier: Apache-2.0
#include "runtime/meters/event_set.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "runtime/base/error.hpp"
#include "runtime/meters/perf_encoding.hpp"

namespace tessera {
namespace {

using namespace meters;
using testing::ElementsAre;
using testing::HasSubstr;

void expect_refusal(const std::string& text, const std::string& part) {
  try {
    parse_event_sets(text, "my.events");
    FAIL() << "accepted: " << text;
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::corrupt_file);
    EXPECT_THAT(e.what(), HasSubstr("my.events: line "));
    EXPECT_THAT(e.what(), HasSubstr(part));
  }
}

TEST(EventSetTest, ReadsSets) {
  const auto sets = parse_event_sets(
      "# a comment\n"
      "set One CPU\ncpu Vendor 6 85 86\nsource a manual, table 3\n"
      "event l1 fills a::B:C 0x0151 64\nevent l2\twritten_back d - 128\nnote L3: no\n",
      "my.events");
  ASSERT_EQ(sets.size(), 1U);
  EXPECT_EQ(sets[0].name, "One CPU");
  EXPECT_EQ(sets[0].source, "a manual, table 3");
  EXPECT_THAT(sets[0].cpus[0].models, ElementsAre(85, 86));
  EXPECT_THAT(sets[0].notes, ElementsAre("L3: no"));
  ASSERT_EQ(sets[0].events.size(), 2U);
  EXPECT_EQ(sets[0].events[0].raw, 0x0151U);
  EXPECT_FALSE(sets[0].events[0].is_written_back);
  EXPECT_EQ(sets[0].events[1].level, 2);
  EXPECT_TRUE(sets[0].events[1].is_written_back);
  EXPECT_FALSE(sets[0].events[1].raw);
  EXPECT_EQ(sets[0].events[1].bytes, 128);
}

TEST(EventSetTest, RefusesWhatIsNoSet) {
  expect_refusal("", "got no set");
  expect_refusal("event l1 fills x - 64\n", "before any set");
  expect_refusal("set a\n", "has no event");
  expect_refusal("set a\nevnt l1 fills x - 64\n", "got \"evnt\"");
  expect_refusal("set a\nevent l4 fills x - 64\n", "got level \"l4\"");
  expect_refusal("set a\nevent l1 misses x - 64\n", "got kind \"misses\"");
  expect_refusal("set a\nevent l1 fills x 51 64\n", "got raw \"51\"");
  expect_refusal("set a\nevent l1 fills x - 0\n", "got bytes \"0\"");
  expect_refusal("set a\nevent l1 fills x\n", "expected event LEVEL");
  expect_refusal("set a\ncpu Intel 6\n", "expected cpu");
  expect_refusal("set a\ncpu Intel six 1\n", "got \"six\"");
}

TEST(EventSetTest, ChoosesByVendorFamilyAndModel) {
  const auto& sets = known_event_sets();
  EXPECT_EQ(event_set_for({"GenuineIntel", 6, 85}, sets).name, "Intel Skylake-SP, Cascade Lake");
  EXPECT_EQ(event_set_for({"GenuineIntel", 6, 207}, sets).name,
            "Intel Sapphire Rapids, Emerald Rapids");
  EXPECT_EQ(event_set_for({"AuthenticAMD", 25, 17}, sets).name, "AMD Zen 4");
  EXPECT_EQ(event_set_for({"AuthenticAMD", 23, 49}, sets).name, "AMD Zen 2");
  for (const CpuModel& other :
       {CpuModel{"GenuineIntel", 6, 1}, CpuModel{"AuthenticAMD", 6, 85}, CpuModel{"X", 1, 1}}) {
    const EventSet generic = event_set_for(other, sets);
    EXPECT_EQ(generic.name, "generic");
    EXPECT_THAT(generic.notes.front(), HasSubstr("no event set for " + other.vendor));
  }
}

TEST(EventSetTest, ReadsCpuinfo) {
  const CpuModel cpu = parse_cpuinfo(
      "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: "
      "AMD 7\n\nprocessor\t: 1\nmodel\t: 3\n");
  EXPECT_EQ(cpu.vendor, "AuthenticAMD");
  EXPECT_EQ(cpu.family, 25);
  EXPECT_EQ(cpu.model, 17);
  EXPECT_EQ(parse_cpuinfo("").vendor, "unknown");
}

TEST(PerfEncodingTest, KnowsTheEventsOfTheKernel) {
  EXPECT_EQ(encode_event("perf::INSTRUCTIONS"), (PerfEncoding{.type = 0, .config = 1}));
  EXPECT_EQ(encode_event("perf::TASK-CLOCK"), (PerfEncoding{.type = 1, .config = 1}));
}

TEST(PerfEncodingTest, NamesAnEventThatNobodyKnows) {
  try {
    encode_event("perf::TEA-BREAKS");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::not_found);
    EXPECT_THAT(e.what(), HasSubstr("got \"perf::TEA-BREAKS\""));
  }
}

/// libpfm4 encodes events of CPUs that are not here if it is told before it starts.
const bool kInactive = setenv("LIBPFM_ENCODE_INACTIVE", "1", 1) == 0;

TEST(PerfEncodingTest, RawEncodingsOfTheFilesAreLibpfms) {
  if (libpfm_version().empty()) GTEST_SKIP() << "built without libpfm4";
  ASSERT_TRUE(kInactive);
  int compared = 0;
  for (const EventSet& set : known_event_sets()) {
    for (const CountedEvent& event : set.events) {
      const PerfEncoding encoding = encode_event(event.name);  // throws for a name that is no name
      if (!event.raw) continue;
      EXPECT_EQ(encoding.config & 0xffff, *event.raw) << event.name;
      ++compared;
    }
  }
  EXPECT_GE(compared, 18);
}

}  // namespace
}  // namespace tessera
