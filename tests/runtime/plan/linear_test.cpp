// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan/linear.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tessera {
namespace {

PlanMachine a_machine(int threads = 1) {
  return {.l1_bytes = 48 << 10,
          .l2_bytes = 2 << 20,
          .l3_bytes = Index{64} << 20,
          .tile = {TileShape{.MR = 14, .NR = 32}},
          .threads = threads,
          .rates = {.flops = {170e9},
                    .l1_bytes = 400e9,
                    .l2_bytes = 100e9,
                    .l3_bytes = 28e9,
                    .memory_bytes = 14e9,
                    .exps = 5e9,
                    .source = "test"}};
}

std::vector<LinearTask> tasks() {
  std::vector<LinearTask> list;
  for (const Index M : {1, 8, 16, 100, 128, 197, 512, 2048, 16384}) {
    for (const auto& [N, K] : {std::pair<Index, Index>{768, 768},
                               {2304, 768},
                               {768, 3072},
                               {384, 384},
                               {1024, 4096},
                               {30522, 256},
                               {5, 37},
                               {1, 1}}) {
      for (const bool residual : {false, true}) {
        list.push_back({.shape = {M, N, K}, .residual = residual, .weights_stay_in_l3 = M > 100});
      }
    }
  }
  return list;
}

TEST(LinearPlanTest, TheChosenOneMovesTheFewestBytesOfThoseThatAreAsFast) {
  const PlanMachine machine = a_machine();
  for (const LinearTask& task : tasks()) {
    const LinearPlan plan = plan_linear(task, machine);
    for (const auto& best : plan.best) {
      if (!best) continue;
      EXPECT_GE(best->cost.seconds * 1.021, plan.chosen.cost.seconds);
      if (best->cost.seconds <= plan.chosen.cost.seconds) {
        EXPECT_LE(plan.chosen.cost.l2_bytes(), best->cost.l2_bytes() * 1.001)
            << to_string(plan.chosen.nest.order) << " against " << to_string(best->nest.order);
      }
    }
    EXPECT_GE(plan.chosen.cost.l2.bytes(), plan.bound_bytes * 0.999);
  }
}

TEST(LinearPlanTest, BlocksArePossible) {
  for (const int threads : {1, 2, 3, 8, 64}) {
    const PlanMachine machine = a_machine(threads);
    for (const LinearTask& task : tasks()) {
      const LinearPlan plan = plan_linear(task, machine);
      const LoopNest& nest = plan.chosen.nest;
      const Index panels = ceil_div(task.shape.N, machine.tile[Precision::f32].NR);
      ASSERT_GE(nest.row_blocks, 1);
      ASSERT_GE(nest.col_blocks, 1);
      ASSERT_GE(nest.k_blocks, 1);
      EXPECT_LE(nest.row_blocks, task.shape.M);
      EXPECT_LE(nest.col_blocks, panels);
      EXPECT_LE(nest.k_blocks, task.residual ? 1 : task.shape.K);
      if (panels * ceil_div(task.shape.M, machine.tile[Precision::f32].MR) >= 4 * threads) {
        EXPECT_GE(4 * nest.row_blocks * nest.col_blocks, 3 * threads) << "too few pieces";
      }
    }
  }
}

TEST(LinearPlanTest, TheInputStaysForFewRowsAndTheWeightsForMany) {
  PlanMachine machine = a_machine();
  machine.l2_bytes = 1 << 20;
  const auto chosen = [&](Index M) {
    return plan_linear({.shape = {M, 384, 384}, .weights_stay_in_l3 = true}, machine).chosen;
  };
  EXPECT_EQ(chosen(8192).nest.order, LoopOrder::ws_os_a);
  EXPECT_EQ(chosen(8192).cost.l2.b, 4 * 384.0 * 384);  // the weights once
  EXPECT_EQ(chosen(16).cost.l2.a, 4 * 16.0 * 384);     // the input once
}

TEST(LinearPlanTest, FewRowsWithColdWeightsAreLimitedByMemory) {
  const PlanMachine machine = a_machine();
  const LinearPlan cold = plan_linear({.shape = {1, 768, 768}}, machine);
  EXPECT_EQ(cold.chosen.cost.limit, Limit::memory);
  EXPECT_NEAR(cold.chosen.cost.l3_bytes(), 4.0 * 768 * 768, 4.0 * 4 * 768);
  const LinearPlan warm =
      plan_linear({.shape = {1, 768, 768}, .weights_stay_in_l3 = true}, machine);
  EXPECT_NE(warm.chosen.cost.limit, Limit::memory);
  EXPECT_LT(warm.chosen.cost.seconds, cold.chosen.cost.seconds);
}

TEST(LinearPlanTest, EveryRejectedCandidateHasAReason) {
  const PlanMachine machine = a_machine();
  for (const LinearTask& task : tasks()) {
    const LinearPlan plan = plan_linear(task, machine);
    for (const auto& best : plan.best) {
      if (best && best->nest.order != plan.chosen.nest.order) {
        EXPECT_FALSE(why_rejected(*best, plan).empty());
      }
    }
  }
}

TEST(LinearPlanTest, EpiloguesCostWhatTheyReadAgain) {
  const PlanMachine machine = a_machine();
  const auto epilogue = [&](LinearTask task, LoopNest nest) {
    return linear_cost(task, nest, machine).epilogue;
  };
  const LinearShape shape{128, 768, 768};
  const double C = 4 * 128.0 * 768;
  EXPECT_EQ(epilogue({.shape = shape}, {}), 0);
  EXPECT_EQ(epilogue({.shape = shape, .residual = true}, {}), C);
  EXPECT_EQ(epilogue({.shape = shape, .norm = true}, {}), 0);  // whole rows, still in L2
  EXPECT_EQ(epilogue({.shape = shape, .norm = true}, {.col_blocks = 2}), 2 * C);
  EXPECT_EQ(epilogue({.shape = {4096, 768, 768}, .norm = true}, {}), 8.0 * 4096 * 768);
}

TEST(LinearPlanTest, ActivationsComeFromMemoryOnlyWhereL3CannotHoldThem) {
  const PlanMachine machine = a_machine();  // L3 64 MiB, half of it counts
  const auto cost = [&](Index M) {
    return linear_cost({.shape = {M, 768, 768}, .weights_stay_in_l3 = true}, {}, machine);
  };
  EXPECT_EQ(cost(1024).l3_bytes(), 0);
  EXPECT_GE(cost(16384).l3_bytes(), 4.0 * 16384 * (768 + 768));
}

TEST(LinearPlanTest, WithoutL3EverythingBeyondL2IsMemory) {
  PlanMachine machine = a_machine();
  machine.l3_bytes = 0;
  const LinearPlan plan =
      plan_linear({.shape = {128, 768, 768}, .weights_stay_in_l3 = true}, machine);
  EXPECT_GE(plan.chosen.cost.l3_bytes(), 4.0 * 768 * 768);
}

// Elements, caches and rates of bytes all halved: the same nests in the same time, half the bytes.
// A size that is built in anywhere breaks this.
TEST(LinearPlanTest, HalfTheElementInHalfTheCacheIsTheSamePlan) {
  for (const int threads : {1, 2}) {
    const PlanMachine whole = a_machine(threads);
    PlanMachine half = whole;
    half.tile[Precision::f32].bytes = {2, 2, 2};
    for (Index* bytes : {&half.l1_bytes, &half.l2_bytes, &half.l3_bytes}) *bytes /= 2;
    for (double* rate : {&half.rates.l1_bytes, &half.rates.l2_bytes, &half.rates.l3_bytes,
                         &half.rates.memory_bytes}) {
      *rate /= 2;
    }
    for (const LinearTask& task : tasks()) {
      const LinearPlan a = plan_linear(task, whole), b = plan_linear(task, half);
      ASSERT_EQ(a.chosen.nest, b.chosen.nest) << task.shape.M << " rows";
      EXPECT_EQ(a.chosen.cost.seconds, b.chosen.cost.seconds);
      EXPECT_EQ(a.chosen.cost.l1_bytes(), 2 * b.chosen.cost.l1_bytes());
      EXPECT_EQ(a.chosen.cost.l2_bytes(), 2 * b.chosen.cost.l2_bytes());
      EXPECT_EQ(a.chosen.cost.l3_bytes(), 2 * b.chosen.cost.l3_bytes());
      EXPECT_EQ(a.bound_bytes, 2 * b.bound_bytes);
      EXPECT_EQ(a.classical.os, 2 * b.classical.os);
      EXPECT_EQ(a.fits, b.fits);
    }
  }
}

/// Ternary weights: each tile of rows takes as long as if it had so many more.
TEST(LinearPlanTest, LookupsCountAsRowsOfEachTile) {
  PlanMachine machine = a_machine();
  const LinearTask task{.shape = {100, 768, 768}, .weights_stay_in_l3 = true};  // eight tiles
  const LinearCost without = linear_cost(task, {}, machine);
  machine.tile[Precision::f32].lookup_rows = 3;
  const LinearCost with = linear_cost(task, {}, machine);
  ASSERT_EQ(with.limit, Limit::compute);
  EXPECT_NEAR(with.seconds - without.seconds, 2.0 * 3 * 8 * 768 * 768 / 170e9, 1e-12);

  kernels::Gemm ternary{.MR = 48, .NR = 48, .bits = {.a = 8, .b = 5, .b_elements = 3}};
  EXPECT_EQ(tile_shape(ternary).lookup_rows, kLookupRows);
  ternary.enter = [](kernels::UnitState&) noexcept {};
  EXPECT_EQ(tile_shape(ternary).lookup_rows, kLookupRowsOfUnit);
  EXPECT_EQ(tile_shape({.MR = 14, .NR = 32}).lookup_rows, 0);
}

// A bf16 result is written once: there is no place for sums of a part of K, whatever is forced; and it
// moves half the bytes of C.
TEST(LinearPlanTest, ANarrowResultKeepsKWhole) {
  const PlanMachine machine = a_machine();
  for (LinearTask task : tasks()) {
    if (task.residual) continue;
    task.narrow = true;
    for (const std::optional<LoopOrder> forced :
         {std::optional<LoopOrder>{}, {LoopOrder::is_os_b}, {LoopOrder::ws_os_b}}) {
      for (const auto& best : plan_linear(task, machine, forced).best) {
        if (!best) continue;
        EXPECT_EQ(best->nest.k_blocks, 1) << task.shape.K;
      }
    }
    LinearTask wide = task;
    wide.narrow = false;
    const LoopNest nest{.order = LoopOrder::is_os_a};
    const LinearCost a = linear_cost(task, nest, machine), b = linear_cost(wide, nest, machine);
    EXPECT_EQ(2 * a.l1.c, b.l1.c);
    EXPECT_EQ(a.l1.b, b.l1.b);
  }
}

}  // namespace
}  // namespace tessera
