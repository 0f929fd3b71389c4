// SPDX-License-Identifier: Apache-2.0
// tessera profile: each meter, and what is said where one cannot run.
#include <gmock/gmock.h>
#include <simdjson.h>

#include <filesystem>

#include "kernels/isa.hpp"
#include "runtime/meters/callgrind.hpp"
#include "tests/support/sanitizers.hpp"
#include "tests/tessera/cli/cli_test.hpp"

namespace tessera::test {
namespace {

using testing::HasSubstr;
using testing::Not;

/// With nominal rates, so that nobody measures for two seconds.
class ProfileTest : public CliTest {
 protected:
  CommandResult profile(const std::string& arguments, const std::string& environment = "") {
    return sh("XDG_CACHE_HOME=\"$PWD\" " + environment +
              " \"$TESSERA\" profile model --rows 9 --no-measure " + arguments);
  }
  /// The report is there, the message too, and the exit status says that something is missing.
  void expect_partial(const CommandResult& result, const std::string& part) {
    EXPECT_EQ(result.status, 1);
    EXPECT_THAT(result.out, HasSubstr("linear layer.0"));
    EXPECT_THAT(result.out, HasSubstr("note: " + part));
    EXPECT_THAT(result.err, HasSubstr("tessera profile: " + part));
  }
};

TEST_F(ProfileTest, TimeIsShownBesideThePrediction) {
  const CommandResult result = profile("--runs 3 --sequences 2 --threads 1");
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("model (BertModel): 9 rows in 2 sequences, 1 thread"));
  EXPECT_THAT(result.out, HasSubstr("meter: time: monotonic clock, median of 3 runs"));
  EXPECT_THAT(result.out, HasSubstr("GFLOP/s  % peak"));
  EXPECT_THAT(result.out, HasSubstr("total "));
}

TEST_F(ProfileTest, JsonHasEveryOpAndItsMeasurement) {
  const CommandResult result = profile("--json -o profile.json --runs 2");
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.out, "");
  simdjson::dom::parser parser;
  const simdjson::dom::element json = parser.load(path("profile.json").string());
  EXPECT_EQ(std::int64_t(json["rows"]), 9);
  EXPECT_EQ(std::string_view(json["meter"]), "time");
  EXPECT_GT(double(json["machine"]["flops"]), 0);
  std::size_t next = 0;
  for (const simdjson::dom::element op : json["ops"]) {
    EXPECT_EQ(std::size_t(op["index"]), next);
    EXPECT_GT(double(op["measured"]["seconds"]), 0);
    next += std::size_t(op["count"]);
  }
  EXPECT_GT(next, 5U);
  EXPECT_GT(double(json["totals"]["measured"]["seconds"]), 0);
}

TEST_F(ProfileTest, WithoutAMeterThereAreThePredictions) {
  const CommandResult result = profile("--meter none");
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("MB > L2"));
  EXPECT_THAT(result.out, Not(HasSubstr("GFLOP/s  % peak")));
}

TEST_F(ProfileTest, WrongArgumentsAreNamed) {
  expect_failure(profile("--meter stopwatch"), 2,
                 "--meter: got 'stopwatch', expected one of time, hardware, callgrind");
  expect_failure(profile("--runs 0"), 2, "--runs: got '0'");
  expect_failure(profile("--sequences 10"), 2, "--sequences: got 10, expected at most 9");
  expect_failure(profile("--meter callgrind --threads 2"), 2, "--meter callgrind: got --threads");
  for (const char* flags : {"--events my.events", "--meter callgrind --events my.events"}) {
    expect_failure(profile(flags), 2, "expected hardware");
  }
  for (const char* flags : {"--cold", "--callgrind-d1 4096,4,64", "--callgrind-ll l3"}) {
    expect_failure(profile(flags), 2, "got --meter time, expected callgrind");
  }
  for (const char* meter : {"callgrind", "replay", "none"}) {
    expect_failure(profile(std::string("--runs 3 --meter ") + meter), 2,
                   "--runs: got --meter " + std::string(meter) + ", expected time or hardware");
  }
  for (const char* meter : {"time", "replay", "none"}) {  // what it computes is the token vectors
    expect_failure(profile(std::string("--as query --meter ") + meter), 2, "--as: ");
  }
  expect_failure(profile("-o nowhere/profile.txt"), 1, "nowhere/profile.txt");
  expect_failure(profile("--meter none -o /dev/full"), 1, "No space left");
}

TEST_F(ProfileTest, UnknownEventsAreNamedAndTheRestIsPrinted) {
  expect_partial(profile("--meter hardware --events missing.events"),
                 "events: got missing.events, expected a file that can be read");
  file("my.events", "set mine\nevent l1 fills perf::TEA-BREAKS - 64\n");
  const CommandResult unknown = profile("--meter hardware --events my.events");
  EXPECT_EQ(unknown.status, 1);
  EXPECT_THAT(unknown.out, HasSubstr("linear layer.0"));
  EXPECT_THAT(unknown.err, HasSubstr("event: got \"perf::TEA-BREAKS\", expected one that "));
  file("my.events", "set mine\nevent l9 fills x - 64\n");
  expect_partial(profile("--meter hardware --events my.events"),
                 "my.events: line 2: got level \"l9\"");
}

TEST_F(ProfileTest, AMachineWithoutCountersSaysSo) {
  const CommandResult result = profile("--meter hardware --runs 3");
  if (result.status == 0) GTEST_SKIP() << "this machine has a PMU";
  expect_partial(result, "meter hardware: nothing can be counted: perf::INSTRUCTIONS: ");
}

TEST_F(ProfileTest, AMissingValgrindIsNamedAndTheRestIsPrinted) {
  if (!meters::has_callgrind_requests()) GTEST_SKIP() << "built without Valgrind's header";
  expect_partial(profile("--meter callgrind", "PATH=/nowhere"),
                 "meter callgrind: got no program \"valgrind\" in PATH");
}

TEST_F(ProfileTest, AValgrindThatFailsIsQuotedAndLeavesNothingBehind) {
  if (!meters::has_callgrind_requests()) GTEST_SKIP() << "built without Valgrind's header";
  std::filesystem::create_directories(path("bin"));
  std::filesystem::create_directories(path("tmp"));
  file("bin/valgrind", "#!/bin/sh\necho '==1== no such tool' >&2\nexit 3\n");
  std::filesystem::permissions(path("bin/valgrind"), std::filesystem::perms::owner_all);
  expect_partial(profile("--meter callgrind", "TMPDIR=\"$PWD/tmp\" PATH=\"$PWD/bin:$PATH\""),
                 "meter callgrind: valgrind ended with status 3: no such tool");
  EXPECT_TRUE(std::filesystem::is_empty(path("tmp")));
  expect_partial(profile("--meter callgrind", "TMPDIR=/nowhere"),
                 "meter callgrind: cannot make a directory");
  expect_partial(profile("--meter callgrind --callgrind-d1 12"), "cache geometry: got \"12\"");
  expect_partial(profile("--meter callgrind --callgrind-ll L2"), "cache geometry: got \"L2\"");
}

TEST_F(ProfileTest, CallgrindCountsEveryOp) {
  if (kSanitized) GTEST_SKIP() << "Valgrind runs no sanitized binary";
  if (!meters::has_callgrind_requests()) GTEST_SKIP() << "built without Valgrind's header";
  if (sh("valgrind --version").status != 0) GTEST_SKIP() << "no valgrind here";
  std::filesystem::create_directories(path("tmp"));
  double l2_bytes[2] = {};
  for (const bool is_cold : {false, true}) {
    const CommandResult result =
        profile(std::string("--meter callgrind --json --callgrind-d1 4096,4,64 --callgrind-ll "
                            "65536,16,64") +
                    (is_cold ? " --cold" : ""),
                "TMPDIR=\"$PWD/tmp\"");
    ASSERT_EQ(result.status, 0) << result.err;
    EXPECT_TRUE(std::filesystem::is_empty(path("tmp")));
    simdjson::dom::parser parser;
    const simdjson::padded_string text(result.out);
    const simdjson::dom::element json = parser.parse(text);
    EXPECT_THAT(std::string(std::string_view(json["source"])), HasSubstr("D1 4096 B, 64 B, 4-way"));
    EXPECT_FALSE(std::string_view(json["isa"]).starts_with("avx512"));
    for (const simdjson::dom::element op : json["ops"]) {
      EXPECT_GT(double(op["measured"]["instructions"]), 0);
      EXPECT_GE(double(op["measured"]["l1_bytes"]), 0);
      EXPECT_EQ(op["measured"]["l3_bytes"].error(), simdjson::NO_SUCH_FIELD);
    }
    EXPECT_GT(double(json["totals"]["measured"]["l1_bytes"]), 10000);
    l2_bytes[is_cold ? 1 : 0] = double(json["totals"]["measured"]["l2_bytes"]);
  }
  // The tiny model stays in 64 KiB between its ops; alone, each fetches and writes back all it has.
  EXPECT_GT(l2_bytes[1], 2 * l2_bytes[0]);
}

}  // namespace
}  // namespace tessera::test
