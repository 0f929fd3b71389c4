// SPDX-License-Identifier: Apache-2.0
// Scratch covers the most rows that an op may have, which are not those of the tokens everywhere.
#include <gtest/gtest.h>

#include "kernels/kernel_table.hpp"
#include "runtime/execute/execute.hpp"
#include "runtime/plan/memory_plan.hpp"
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

/// Floats of scratch of one op, with a unit that reads `rows_read` rows of `precision` at a time.
template <class O>
Index scratch_of(const Program& program, const O& op, Precision precision, Index rows_read,
                 Index rows, const OpSchedule& schedule = {}) {
  Program one = program;
  one.ops = {op};
  kernels::KernelTable kernels = kernels::kernels_at(Isa::baseline);
  kernels.gemm[precision].rows_read = rows_read;
  return scratch_elements(one, std::span(&schedule, 1), kernels, rows, 1);
}

/// Rows that lie in the scratch have those behind them that a unit takes with the last ones.
TEST(ScratchTest, RowsThatAUnitReadsBeyondAreThere) {
  constexpr Index kRows = 10, kRead = 16, K = 100, kRounded = 4 * 32;  // bytes, of a scratch
  const auto more = [&](const Program& program, const auto& op, Precision precision,
                        const OpSchedule& schedule = {}) {
    return scratch_of(program, op, precision, kRead, kRows, schedule) -
           scratch_of(program, op, precision, 1, kRows, schedule);
  };
  for (const auto& [precision, type] :
       {std::pair{Precision::bf16, DType::bf16}, {Precision::s8, DType::s8}}) {
    test::OpModel made;
    Program& program = made.program();
    program.inputs = TokenSpec{.vocab_size = 9, .max_tokens = kAnyLength};
    const ValueId in = program.add_value("in", kTokens, K, type),
                  scores = program.add_value("scores", kTokens, 1),
                  out = program.add_value("out", kTokens, K);
    ExpertsOp experts{.in = in,
                      .scores = scores,
                      .up = {made.parameter("up", ParameterKind::matrix, 2 * K, K)},
                      .down = {made.parameter("down", ParameterKind::matrix, K, 2 * K)},
                      .out = out};
    for (Parameter& p : program.parameters) p.precision = precision;
    const Index row_of_a = activation_stride(K, type) * size_of(type),
                row_of_u = activation_stride(2 * K, type) * size_of(type);
    EXPECT_GE(4 * more(program, experts, precision),
              (kRead - 1) * (row_of_a + row_of_u) - kRounded);
  }
  test::OpModel made;
  Program& program = made.program();
  program.inputs =
      ImageSpec{.channels = 1, .height = 30, .width = 30, .patch_height = 10, .patch_width = 10};
  const ValueId in = program.add_value("in", kTokens, K),
                out = program.add_value("out", kTokens, 4);
  const PatchEmbedOp patches{.weight = made.parameter("patches", ParameterKind::matrix, 4, K),
                             .out = out};
  const ConvolutionOp convolution{
      .in = in, .weight = made.parameter("taps", ParameterKind::matrix, 4, K), .out = out};
  for (Parameter& p : program.parameters) p.precision = Precision::bf16;
  const Index row = activation_stride(K, DType::bf16) * size_of(DType::bf16);
  OpSchedule schedule;
  schedule.patch_rows = kRows;
  EXPECT_GE(4 * more(program, patches, Precision::bf16, schedule), (kRead - 1) * row - kRounded);
  EXPECT_GE(4 * more(program, convolution, Precision::bf16), (kRead - 1) * row - kRounded);
}

}  // namespace
}  // namespace tessera::execute
