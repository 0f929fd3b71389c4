// SPDX-License-Identifier: Apache-2.0
#include "runtime/meters/profile.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>

namespace tessera {
namespace {

using meters::make_profile;
using meters::Measurement;
using meters::Profile;
using testing::HasSubstr;
using testing::Not;

/// A linear, and two linears that ran as a chain.
PlanReport report() {
  PlanReport plan;
  plan.identity.machine = "a \"CPU\"";
  plan.identity.isa = "avx2";
  plan.identity.threads = 2;
  plan.rates = "nominal";
  plan.rows = 8;
  plan.sequences = 1;
  plan.fallbacks.emplace_back("rates were never measured");
  plan.ops.push_back({.kind = "linear",
                      .name = "qkv",
                      .shape = "(8,4)x(4,4)",
                      .flops = 4e6,
                      .bound_bytes = 500,
                      .chosen = {.name = "WS-OS(a)",
                                 .blocks = "MC=8",
                                 .l1_bytes = 3000,
                                 .l2_bytes = 1100,
                                 .l3_bytes = 0,
                                 .seconds = 0.5e-3,
                                 .limit = "compute"},
                      .rejected = {{.name = "IS-OS(a)", .why = "1.2 x the time"}}});
  plan.ops.push_back({.kind = "linear",
                      .name = "ff1",
                      .flops = 1e6,
                      .bound_bytes = 300,
                      .chosen = {.name = "IS-OS(a)", .l2_bytes = 300, .seconds = 0.4e-3}});
  plan.ops.push_back({.kind = "linear",
                      .name = "ff2",
                      .flops = 2e6,
                      .bound_bytes = 200,
                      .chosen = {.name = "IS-OS(a)", .l2_bytes = 400, .seconds = 0.6e-3}});
  return plan;
}

Profile profile_of(Measurement measured) {
  Machine machine;
  machine.l1d.bytes = 1 << 15;
  MachineRates rates;
  rates.flops[Precision::f32] = 4e9;
  return make_profile("model", report(), machine, rates, std::move(measured));
}

TEST(ProfileTest, ErrorIsModelMinusMeasuredOverMeasured) {
  const Profile profile =
      profile_of({.meter = "x",
                  .ops = {{.op = 0,
                           .seconds = 1e-3,
                           .l2 = meters::EdgeBytes{.fills = 800, .written_back = 200}},
                          {.op = 1, .count = 2, .seconds = 2e-3}},
                  .run_seconds = 4e-3});
  ASSERT_EQ(profile.ops.size(), 2U);
  EXPECT_DOUBLE_EQ(profile.ops[0].error.l2_bytes.value(), 0.1);
  EXPECT_DOUBLE_EQ(profile.ops[0].error.seconds.value(), -0.5);
  EXPECT_FALSE(profile.ops[0].error.l1_bytes);
  EXPECT_FALSE(profile.ops[0].error.l3_bytes);
  EXPECT_DOUBLE_EQ(Profile::ratio_to_bound(profile.ops[0]).value(), 2.0);
  EXPECT_DOUBLE_EQ(profile.gflops(profile.ops[0]).value(), 4.0);
  EXPECT_DOUBLE_EQ(profile.percent_of_peak(profile.ops[0]).value(), 50);  // of two threads
  EXPECT_EQ(profile.ops[1].name, "ff1 ... ff2");
  EXPECT_EQ(profile.ops[1].kind, "2 ops");
  EXPECT_EQ(profile.ops[1].order, "chain");
  EXPECT_DOUBLE_EQ(profile.ops[1].flops, 3e6);
  EXPECT_DOUBLE_EQ(profile.ops[1].bound_bytes, 500);
  EXPECT_DOUBLE_EQ(profile.ops[1].predicted.l2_bytes.value(), 700);
  EXPECT_DOUBLE_EQ(profile.ops[1].predicted.seconds.value(), 1e-3);
  EXPECT_DOUBLE_EQ(profile.totals.measured.seconds.value(), 4e-3) << "of the run";
  EXPECT_FALSE(profile.totals.measured.l2_bytes) << "the chain's is not known";
  EXPECT_DOUBLE_EQ(profile.totals.predicted.l2_bytes.value(), 1800);
}

TEST(ProfileTest, TextHasColumnsOfWhatWasMeasured) {
  const std::string none = profile_text(profile_of({.meter = "none"}));
  EXPECT_THAT(none, Not(HasSubstr("measured     error")));
  EXPECT_THAT(none, HasSubstr("fallback: rates were never measured"));
  EXPECT_THAT(none, HasSubstr("linear ff2"));
  const std::string bytes = profile_text(
      profile_of({.meter = "callgrind",
                  .source = "valgrind 3",
                  .ops = {{.op = 0, .instructions = 3e6, .l2 = meters::EdgeBytes{.fills = 1000}}},
                  .notes = {"L3 is not simulated"}}));
  EXPECT_THAT(bytes, HasSubstr("meter: callgrind: valgrind 3"));
  EXPECT_THAT(bytes, HasSubstr("note: L3 is not simulated"));
  EXPECT_THAT(bytes, HasSubstr("+10.0 %"));
  EXPECT_THAT(bytes, HasSubstr("M instr."));
}

TEST(ProfileTest, JsonParsesAndLeavesOutWhatIsNotKnown) {
  simdjson::dom::parser parser;
  const Profile profile = profile_of({.meter = "time",
                                      .source = "clock",
                                      .ops = {{.op = 0, .seconds = 1e-3}},
                                      .notes = {"a \"note\""}});
  const simdjson::padded_string text(profile_json(profile));
  const simdjson::dom::element json = parser.parse(text);
  EXPECT_EQ(std::string_view(json["machine"]["name"]), "a \"CPU\"");
  EXPECT_EQ(std::int64_t(json["machine"]["l1_bytes"]), 1 << 15);
  EXPECT_EQ(std::string_view(json["notes"].at(0)), "rates were never measured");
  EXPECT_EQ(std::string_view(json["notes"].at(1)), "a \"note\"");
  const simdjson::dom::element op = json["ops"].at(0);
  EXPECT_EQ(std::string_view(op["why"]), "IS-OS(a): 1.2 x the time");
  EXPECT_EQ(std::int64_t(op["predicted"]["l2_bytes"]), 1100);
  EXPECT_DOUBLE_EQ(double(op["measured"]["seconds"]), 1e-3);
  EXPECT_DOUBLE_EQ(double(op["error"]["seconds"]), -0.5);
  EXPECT_NE(op["measured"]["l2_bytes"].error(), simdjson::SUCCESS);
  EXPECT_EQ(json["ops"].get_array().value().size(), 3U) << "ops that were not measured are there";
  EXPECT_DOUBLE_EQ(double(json["totals"]["flops"]), 7e6);
}

}  // namespace
}  // namespace tessera
