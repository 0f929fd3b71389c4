// SPDX-License-Identifier: Apache-2.0
// Scratch covers the most rows that an op may have, which are not those of the tokens everywhere.
#include <gtest/gtest.h>

#include "kernels/kernel_table.hpp"
#include "runtime/execute/execute.hpp"
#include "tests/runtime/op_model.hpp"

namespace tessera::execute {
namespace {

TEST(ScratchTest, SumsBetweenChunksOfKCoverEveryRowOfTheirSpace) {
  constexpr Index kQueries = 64, kRows = 64, kSequences = 64, kWidth = 96;
  test::OpModel made;
  Program& program = made.program();
  program.spaces.push_back(
      {.name = "queries", .parent = kTokens, .rule = RowRule::constant, .n = kQueries});
  const SpaceId queries = static_cast<SpaceId>(program.spaces.size() - 1);
  const ParameterId w = made.parameter("w", ParameterKind::matrix, kWidth, kWidth);
  const ValueId x = program.add_value("x", queries, kWidth);
  const ValueId y = made.add("y", queries, kWidth, LinearOp{.in = x, .weight = w, .out = {}});
  program.values[at(y)].type = DType::bf16;
  const kernels::KernelTable& kernels = kernels::kernels_at(Isa::baseline);
  const Index NR = kernels.gemm[Precision::f32].NR, most = kQueries * kSequences;
  for (const Index k_blocks : {1, 2}) {
    OpSchedule schedule;
    schedule.nests = {{most, {.order = LoopOrder::is_os_a, .k_blocks = k_blocks}}};
    const Index elements =
        scratch_elements(program, std::span(&schedule, 1), kernels, kRows, kSequences);
    if (k_blocks == 1) {
      EXPECT_EQ(elements, 0);
    } else {
      EXPECT_GE(elements, most * NR);
    }
  }
}

}  // namespace
}  // namespace tessera::execute
