// SPDX-License-Identifier: Apache-2.0
#include "runtime/meters/callgrind.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "runtime/base/error.hpp"

namespace tessera {
namespace {

using namespace meters;
using testing::HasSubstr;

/// The first three ops of models/demo/text at 4 rows, avx2, as Valgrind 3.19 wrote them (function
/// lines shortened), and the part that ends the program.
std::string recorded() {
  std::ifstream file(TESSERA_SOURCE_DIR "/tests/data/callgrind/text_rows4.out");
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST(CallgrindDumpTest, AttributesEventsToOps) {
  const Measurement result = parse_callgrind(recorded(), LastLevel::l2);
  EXPECT_THAT(result.source, HasSubstr("callgrind-3.19.0; D1 49152 B, 64 B, 12-way"));
  EXPECT_THAT(result.source, HasSubstr("LL 2097152 B, 64 B, 16-way"));
  ASSERT_EQ(result.ops.size(), 3U) << "the end of the program is no op";
  const OpMeasurement& linear = result.ops[2];  // 216815 81249 1000 0 12356 192 0 12342 3 0 1
  EXPECT_EQ(linear.op, 2U);
  EXPECT_EQ(linear.count, 1U);
  EXPECT_EQ(linear.instructions, 216815);
  EXPECT_EQ(linear.l1->fills, 64 * (12356 + 192));
  EXPECT_EQ(linear.l2->fills, 64 * (12342 + 3));
  EXPECT_EQ(linear.l2->written_back, 64 * 1) << "trailing zeros are left out";
  EXPECT_FALSE(linear.l3 || linear.seconds);
  const Measurement far = parse_callgrind(recorded(), LastLevel::l3);
  EXPECT_FALSE(far.ops[2].l2);
  EXPECT_EQ(far.ops[2].l3->fills, 64 * (12342 + 3));
}

TEST(CallgrindDumpTest, TheRestOfAnOpIsWrittenBack) {
  std::string dump = recorded();
  dump.replace(dump.find("op 2 1"), 6, "rest 1 1");  // ... 0 12342 3 0 1
  const Measurement result = parse_callgrind(dump, LastLevel::l2);
  ASSERT_EQ(result.ops.size(), 2U);
  EXPECT_EQ(result.ops[1].l2->fills, 64 * (9 + 37)) << "of the op alone";
  EXPECT_EQ(result.ops[1].l2->written_back, 64 * 1);
  EXPECT_EQ(result.ops[1].instructions, 2831);
}

// Ops of a chain come once for every block.
TEST(CallgrindDumpTest, AddsUpTheBlocksOfAnOp) {
  std::string dump = recorded();
  dump.replace(dump.find("op 2 1"), 6, "op 0 1");
  const Measurement once = parse_callgrind(recorded(), LastLevel::l2),
                    result = parse_callgrind(dump, LastLevel::l2);
  ASSERT_EQ(result.ops.size(), 2U);
  EXPECT_EQ(result.ops[0].instructions, *once.ops[0].instructions + *once.ops[2].instructions);
  EXPECT_EQ(result.ops[0].l1->fills, once.ops[0].l1->fills + once.ops[2].l1->fills);
  EXPECT_EQ(result.ops[0].l2->written_back,
            once.ops[0].l2->written_back + once.ops[2].l2->written_back);
}

TEST(CallgrindDumpTest, RefusesWhatItCannotRead) {
  const auto refuses = [](const std::string& dump, const std::string& part) {
    try {
      parse_callgrind(dump, LastLevel::l2);
      FAIL() << part;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::corrupt_file);
      EXPECT_THAT(e.what(), HasSubstr(part));
    }
  };
  const std::string good = recorded();
  refuses("", "got no part");
  refuses(good.substr(0, good.find("summary:")), "got no part");
  refuses(good.substr(0, good.find("summary:", good.find("op 1 1"))),
          "ends inside the part of op 1");
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string bad = good;
    return bad.replace(bad.find(from), from.size(), to);
  };
  refuses(with("op 0 1", "op zero 1"), "expected the part's name");
  refuses(with("op 0 1", "op 0 0"), "expected the part's name");
  refuses(with(" ILdmr DLdmr DLdmw", ""), "got no event ILdmr");
  refuses(with("summary: 4897", "summary: x4897"), "got \"x4897\"");
  refuses(with("49152 B, 64 B", "49152 B; 64 B"), "line size");
  refuses(with("op 2 1", "rest 0 1"), "got the rest of op 0");
  refuses(with("op 0 1", "rest 0 1"), "got the rest of op 0");
}

TEST(CallgrindGeometryTest, IsReadAndWritten) {
  EXPECT_EQ(geometry_from_string("49152,12,64"), (CacheGeometry{49152, 12, 64}));
  EXPECT_EQ(to_string(CacheGeometry{49152, 12, 64}), "49152,12,64");
  for (const char* bad : {"", "49152", "49152,12", "49152,12,64,1", "49152,0,64", "-1,2,64",
                          "49152,12,60", "64,2,64", "49152;12;64", "1e9,2,64"}) {
    EXPECT_THROW(geometry_from_string(bad), Error) << bad;
  }
  EXPECT_EQ(geometry_of({.bytes = 1 << 20, .ways = 0}, 64).ways, 8);
}

TEST(CallgrindGeometryTest, BecomesAPowerOfTwoOfSets) {
  const auto valid = [](CacheGeometry asked, bool is_changed) {
    std::vector<std::string> notes;
    const CacheGeometry g = valid_for_callgrind(asked, "L3", notes);
    EXPECT_EQ(notes.size(), is_changed ? 1U : 0U) << to_string(asked);
    const Index sets = g.bytes / g.line_bytes / g.ways;
    EXPECT_EQ(sets * g.line_bytes * g.ways, g.bytes);
    EXPECT_EQ(sets & (sets - 1), 0) << to_string(g);
    EXPECT_LE(g.bytes, asked.bytes);
    return g;
  };
  EXPECT_EQ(valid({49152, 12, 64}, false), (CacheGeometry{49152, 12, 64}));
  EXPECT_EQ(valid({2 << 20, 16, 64}, false), (CacheGeometry{2 << 20, 16, 64}));
  EXPECT_EQ(valid({272629760, 20, 64}, true), (CacheGeometry{272629760, 65, 64})) << "260 MiB";
  EXPECT_EQ(valid({36 << 20, 12, 64}, true).bytes, 36 << 20);
  valid({64 * 1009, 8, 64}, true);  // a prime number of lines
  valid({64 * 3 + 1, 3, 64}, true);
  valid({64 * 2, 2, 64}, false);
}

TEST(CallgrindRunTest, SaysWhatIsMissing) {
  CallgrindRun run{.valgrind = "no-such-valgrind",
                   .executable = "/bin/true",
                   .d1 = {49152, 12, 64},
                   .ll = {2 << 20, 16, 64},
                   .directory = testing::TempDir()};
  const auto expect = [&](ErrorCode code, const std::string& part) {
    try {
      run_callgrind(run);
      FAIL() << part;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), code);
      EXPECT_THAT(e.what(), HasSubstr(part));
    }
  };
  expect(ErrorCode::not_found, "got no program \"no-such-valgrind\" in PATH");
  run.valgrind = "/bin/false";
  expect(ErrorCode::io_error, "/bin/false ended with status 1: it said nothing");
  run.valgrind = "/bin/true";
  expect(ErrorCode::io_error, "left no dump");
  run.valgrind = "/bin/ls";
  expect(ErrorCode::io_error, "/bin/ls ended with status 2: ");
}

}  // namespace
}  // namespace tessera
