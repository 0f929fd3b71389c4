// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan/row_wise.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

namespace tessera {
namespace {

constexpr Index kRows = 10, kWidth = 192, kHeadDim = 64;

Program of_tokens() {
  return {.inputs = TokenSpec{.vocab_size = 2, .max_tokens = kAnyLength},
          .parameters = {},
          .values = {},
          .ops = {},
          .outputs = {}};
}

double bytes_of(const Program& program, const Op& op) {
  const PlanMachine machine{
      .l1_bytes = 32 << 10, .l2_bytes = 1 << 20, .l3_bytes = 32 << 20, .tile = {}, .rates = {}};
  return row_wise_cost(program, op, kRows, 1, machine).bytes;
}

TEST(RowWiseCostTest, ANormReadsAndWritesAllAndHeadsThatTurnAreQAndKWhereTheyLie) {
  Program program = of_tokens();
  const ValueId in = program.add_value("in", kTokens, kWidth),
                out = program.add_value("out", kTokens, kWidth);
  const Op norm = LayerNormOp{.in = in, .gamma = kNone, .beta = kNone, .eps = 0.0F, .out = out};
  EXPECT_EQ(bytes_of(program, norm), 3.0 * 4.0 * kRows * kWidth);  // a write is a read, too
  const Op turn = RotateOp{.in = in,
                           .out = out,
                           .q = {.first = 0, .count = 1},
                           .k = {.first = kHeadDim, .count = 1},
                           .head_dim = kHeadDim};
  EXPECT_EQ(bytes_of(program, turn), 2.0 * 4.0 * kRows * 2 * kHeadDim);
}

TEST(RowWiseCostTest, TakesTheLongerOfBytesAndArithmetic) {
  Program program = of_tokens();
  const ValueId in = program.add_value("in", kTokens, kWidth),
                out = program.add_value("out", kTokens, kWidth),
                half = program.add_value("half", kTokens, kWidth, DType::bf16),
                other = program.add_value("other", kTokens, kWidth);
  PlanMachine machine{
      .l1_bytes = 32 << 10, .l2_bytes = 1 << 20, .l3_bytes = 32 << 20, .tile = {}, .rates = {}};
  machine.rates.l2_bytes = 1e11;
  const auto cost = [&](const Op& op, double flops) {
    machine.rates.flops[Precision::f32] = flops;
    return row_wise_cost(program, op, kRows, 1, machine);
  };
  const Op norm = LayerNormOp{.in = in, .gamma = kNone, .beta = kNone, .eps = 0.0F, .out = out},
           narrow = NarrowOp{.in = in, .out = half}, add = AddOp{.a = in, .b = in, .out = other};
  const double elements = kRows * kWidth;
  for (const auto& [op, bytes, w] :
       {std::tuple{norm, 12.0, 21.0}, {narrow, 8.0, 11.0}, {add, 16.0, 0.0}}) {
    const RowWiseCost slow = cost(op, 1e10), fast = cost(op, 1e13);
    EXPECT_DOUBLE_EQ(fast.seconds, elements * bytes / 1e11);
    EXPECT_EQ(fast.limit, Limit::l2);
    EXPECT_DOUBLE_EQ(slow.seconds, std::max(elements * w / 1e10, elements * bytes / 1e11));
    EXPECT_EQ(slow.limit, w > 0 ? Limit::compute : Limit::l2);
  }
}

}  // namespace
}  // namespace tessera
