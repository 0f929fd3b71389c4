// SPDX-License-Identifier: Apache-2.0
// Bytes of ops one after another, in caches that hold everything, nothing, and something.
#include "runtime/plan/run_traffic.hpp"

#include <gtest/gtest.h>

#include "runtime/machine/machine.hpp"
#include "runtime/plan/plan.hpp"

namespace tessera {
namespace {

constexpr Index kRows = 96, kWidth = 192, kLinears = 5;
constexpr double kValue = kRows * kWidth * 4.0, kWeight = kWidth * kWidth * 4.0;  // bytes

/// Linears (rows,192) → (rows,192) one after another.
class RunTrafficTest : public testing::Test {
 protected:
  RunTrafficTest() {
    const auto parameter = [&](const std::string& name, ParameterKind kind, Index rows) {
      return program_.add_parameter(
          {.name = name, .kind = kind, .rows = rows, .cols = kWidth, .sources = {{name, rows}}});
    };
    ValueId x = program_.add_value("x", kTokens, kWidth);
    program_.ops.emplace_back(EmbeddingOp{
        .terms = {{parameter("table", ParameterKind::table, 9), TokenInput::ids}}, .out = x});
    for (Index i = 0; i < kLinears; ++i) {
      const std::string name = "linear" + std::to_string(i);
      const ValueId out = program_.add_value(name, kTokens, kWidth);
      program_.ops.emplace_back(
          LinearOp{.in = x, .weight = parameter(name, ParameterKind::matrix, kWidth), .out = out});
      x = out;
    }
    program_.outputs = {{"last", x}};
  }

  PlanReport report(Index l2_bytes, int threads = 1) {
    machine_ = machine();
    machine_.l2.bytes = l2_bytes;
    const PlanInput input{.program = program_,
                          .machine = machine_,
                          .rates = {.flops = {1e11},
                                    .l1_bytes = 4e11,
                                    .l2_bytes = 1e11,
                                    .l3_bytes = 3e10,
                                    .memory_bytes = 1e10,
                                    .exps = 1e10,
                                    .source = "test"},
                          .isa = Isa::baseline,
                          .tile = {TileShape{.MR = 4, .NR = 12}},
                          .threads = threads,
                          .max_rows = kRows,
                          .max_sequences = 1};
    return report_plan(make_plan(input), input, kRows, 1);
  }

  Program program_;
  Machine machine_;
};

TEST_F(RunTrafficTest, ACacheThatHoldsEverythingMovesNothingTwice) {
  // ... but the rows of the table: which these are is not followed
  EXPECT_NEAR(report(64 << 20).run_l2_bytes().value(), kValue, 1);
}

TEST_F(RunTrafficTest, ACacheOfActivationsMovesTheWeights) {
  // Two values and a weight lie between two uses of a value; all five weights do not fit.
  const PlanReport r = report(static_cast<Index>(4 * kValue + 2 * kWeight));
  for (Index i = 2; i <= kLinears; ++i) {
    const OpReport& op = r.ops[static_cast<std::size_t>(i)];
    EXPECT_NEAR(op.run_l2_bytes.value(), kWeight, 0.05 * kWeight) << op.name;
    EXPECT_GE(op.chosen.l2_bytes, kWeight + 3 * kValue) << "alone";
  }
}

TEST_F(RunTrafficTest, ASmallCacheMovesWhatEveryOpMovesAlone) {
  const PlanReport r = report(8 << 10);
  EXPECT_NEAR(r.run_l2_bytes().value() / r.totals().l2_bytes, 1.0, 0.02);
}

TEST_F(RunTrafficTest, SeveralThreadsAreNotFollowed) {
  EXPECT_FALSE(report(1 << 20, 2).run_l2_bytes());
}

}  // namespace
}  // namespace tessera
