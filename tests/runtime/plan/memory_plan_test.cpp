// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan/memory_plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "runtime/program/rewrites.hpp"
#include "tests/runtime/tiny_model.hpp"

namespace tessera {
namespace {

/// Values whose lifetimes and bytes overlap may only be an op's output in the place of an input
/// that dies there.
void expect_no_conflict(const Program& program, const MemoryPlan& plan) {
  for (std::size_t a = 0; a < plan.slots.size(); ++a) {
    for (std::size_t b = a + 1; b < plan.slots.size(); ++b) {
      const MemorySlot &x = plan.slots[a], &y = plan.slots[b];
      const bool in_time = x.first_op < y.last_op && y.first_op < x.last_op;
      const bool touching = x.last_op == y.first_op || y.last_op == x.first_op;
      const bool in_space = x.offset < y.offset + y.bytes && y.offset < x.offset + x.bytes;
      if (!in_space) continue;
      EXPECT_FALSE(in_time) << program.values[a].name << " and " << program.values[b].name;
      if (touching) {
        EXPECT_EQ(x.offset, y.offset)
            << program.values[a].name << " and " << program.values[b].name;
      }
    }
  }
}

TEST(MemoryPlanTest, LiveValuesNeverShareBytes) {
  const test::TinyModel tiny{test::TinyShape{}};
  for (const Program& program : {tiny.program(), fuse_epilogues(tiny.program())}) {
    for (const Index rows : {1, 7, 500}) expect_no_conflict(program, plan_memory(program, rows, 3));
  }
}

/// The values whose buffer the op's output may stand in.
std::vector<ValueId> may_share(const Op& op) {
  if (std::holds_alternative<ActivationOp>(op) || std::holds_alternative<AddOp>(op) ||
      std::holds_alternative<LayerNormOp>(op) || std::holds_alternative<L2NormalizeOp>(op)) {
    return inputs_of(op);
  }
  const auto* linear = std::get_if<LinearOp>(&op);
  if (linear == nullptr || linear->residual == kNone || linear->residual == linear->in) return {};
  return {linear->residual};
}

TEST(MemoryPlanTest, OnlyElementwiseOpsWriteOverAnInput) {
  const test::TinyModel tiny{test::TinyShape{}};
  Program residual;  // y = x + f(x): fused, the linear's A is its residual too
  {
    Program& p = residual;
    const ParameterId t = p.add_parameter({.name = "t",
                                           .kind = ParameterKind::table,
                                           .rows = 9,
                                           .cols = 64,
                                           .sources = {{"t", 9}},
                                           .gather = {}});
    const ParameterId w = p.add_parameter({.name = "w",
                                           .kind = ParameterKind::matrix,
                                           .rows = 64,
                                           .cols = 64,
                                           .sources = {{"w", 64}},
                                           .gather = {}});
    const ValueId x = p.add_value("x", kTokens, 64), f = p.add_value("f", kTokens, 64),
                  y = p.add_value("y", kTokens, 64);
    p.ops.emplace_back(EmbeddingOp{.terms = {{t, TokenInput::ids}}, .out = x});
    p.ops.emplace_back(LinearOp{.in = x, .weight = w, .out = f});
    p.ops.emplace_back(AddOp{.a = f, .b = x, .out = y});
    p.outputs = {{"y", y}};
  }
  for (const Program& program :
       {fuse_epilogues(tiny.program()), tiny.program(), fuse_epilogues(residual)}) {
    const MemoryPlan plan = plan_memory(program, 10, 3);
    for (const Op& op : program.ops) {
      const MemorySlot& out = plan.slots[static_cast<std::size_t>(output_of(op))];
      const std::vector<ValueId> allowed = may_share(op);
      for (const ValueId in : inputs_of(op)) {
        const MemorySlot& slot = plan.slots[static_cast<std::size_t>(in)];
        const bool overlaps =
            slot.offset < out.offset + out.bytes && out.offset < slot.offset + slot.bytes;
        if (std::find(allowed.begin(), allowed.end(), in) == allowed.end()) {
          EXPECT_FALSE(overlaps) << name_of(op) << " "
                                 << program.values[static_cast<std::size_t>(in)].name;
        }
      }
    }
  }
}

// One worker would write columns over those of the residual that another has yet to read.
TEST(MemoryPlanTest, RowsOfAnotherTypeAreNotWrittenOverTheResidual) {
  for (const DType type : {DType::f32, DType::bf16}) {
    Program p;
    const ParameterId t = p.add_parameter(
        {.name = "t", .kind = ParameterKind::table, .rows = 9, .cols = 16, .sources = {{"t", 9}}});
    const ParameterId w = p.add_parameter({.name = "w",
                                           .kind = ParameterKind::matrix,
                                           .rows = 16,
                                           .cols = 16,
                                           .sources = {{"w", 16}}});
    const ValueId x = p.add_value("x", kTokens, 16), a = p.add_value("a", kTokens, 16),
                  y = p.add_value("y", kTokens, 16, type);
    p.ops.emplace_back(EmbeddingOp{.terms = {{t, TokenInput::ids}}, .out = x});
    p.ops.emplace_back(EmbeddingOp{.terms = {{t, TokenInput::ids}}, .out = a});
    p.ops.emplace_back(LinearOp{.in = a, .weight = w, .out = y, .residual = x});
    p.outputs = {{"y", y}};
    const MemoryPlan plan = plan_memory(p, 10, 1);
    ASSERT_EQ(plan.slots[at(x)].bytes, plan.slots[at(y)].bytes);
    EXPECT_EQ(plan.slots[at(x)].offset == plan.slots[at(y)].offset, type == DType::f32);
  }
}

TEST(MemoryPlanTest, DeepProgramsNeedNoMoreThanShallowOnes) {
  // x -> linear -> gelu -> linear -> add x -> norm, again and again: the same few buffers.
  const auto chain = [](int layers) {
    Program p;
    const ParameterId weight = p.add_parameter({.name = "w",
                                                .kind = ParameterKind::matrix,
                                                .rows = 64,
                                                .cols = 64,
                                                .sources = {{"w", 64}},
                                                .gather = {}});
    const ParameterId table = p.add_parameter({.name = "t",
                                               .kind = ParameterKind::table,
                                               .rows = 9,
                                               .cols = 64,
                                               .sources = {{"t", 9}},
                                               .gather = {}});
    const ParameterId vector = p.add_parameter({.name = "v",
                                                .kind = ParameterKind::vector,
                                                .rows = 64,
                                                .cols = 1,
                                                .sources = {{"v", 64}},
                                                .gather = {}});
    ValueId x = p.add_value("x", kTokens, 64);
    p.ops.emplace_back(EmbeddingOp{.terms = {{table, TokenInput::ids}}, .out = x});
    for (int i = 0; i < layers; ++i) {
      const std::string n = std::to_string(i);
      const ValueId a = p.add_value("a" + n, kTokens, 64), b = p.add_value("b" + n, kTokens, 64),
                    y = p.add_value("y" + n, kTokens, 64);
      p.ops.emplace_back(LinearOp{.in = x, .weight = weight, .out = a});
      p.ops.emplace_back(AddOp{.a = a, .b = x, .out = b});
      p.ops.emplace_back(
          LayerNormOp{.in = b, .gamma = vector, .beta = vector, .eps = 1e-5F, .out = y});
      x = y;
    }
    p.outputs = {{"out", x}};
    check(p);
    return plan_memory(p, 10, 1).bytes;
  };
  EXPECT_EQ(chain(2), chain(50));
  EXPECT_EQ(chain(2), 2 * 10 * static_cast<std::size_t>(activation_stride(64)) * sizeof(float));
}

TEST(MemoryPlanTest, RowStridesAreAnOddNumberOfLines) {
  for (Index width = 1; width < 5000; width += 13) {
    const Index stride = activation_stride(width);
    EXPECT_GE(stride, width);
    EXPECT_LE(stride, width + 32);
    EXPECT_EQ(stride % 16, 0);
    EXPECT_EQ(stride / 16 % 2, 1);
  }
}

TEST(MemoryPlanTest, SizesThatOverflowAreRefused) {
  Program p;
  p.add_value("x", kTokens, Index{1} << 40);
  EXPECT_ANY_THROW(plan_memory(p, Index{1} << 40, 1));
}

}  // namespace
}  // namespace tessera
