// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan/linear.hpp"

#include <gtest/gtest.h>

#include <set>

namespace tessera {
namespace {

constexpr LinearMachine kMachine{.l2_bytes = Index{1} << 20, .MR = 14, .NR = 32, .threads = 1};

std::vector<LinearShape> shapes() {
  std::vector<LinearShape> list;
  for (const Index M : {1, 8, 16, 100, 128, 197, 512, 2048, 16384}) {
    for (const auto& [N, K] : {std::pair<Index, Index>{768, 768},
                               {2304, 768},
                               {3072, 768},
                               {768, 3072},
                               {384, 384},
                               {1024, 4096},
                               {30522, 256},
                               {5, 37}}) {
      list.push_back({M, N, K});
    }
  }
  return list;
}

// What the nests really load, tile by tile, when one block of the stationary operand stays in Z.
double count_words(const LinearCandidate& c, const LinearShape& s) {
  double words = 0;
  if (c.order == LoopOrder::is_os_a) {
    for (Index m = 0; m < s.M; m += c.MC) {
      const Index mc = std::min(c.MC, s.M - m);
      words += static_cast<double>(mc * s.K);                             // the block of A, once
      for (Index n = 0; n < s.N; ++n) words += static_cast<double>(s.K);  // every row of B passes
      words += 2 * static_cast<double>(mc * s.N);
    }
  } else {
    for (Index n = 0; n < s.N; n += c.NC) {
      const Index nc = std::min(c.NC, s.N - n);
      words += static_cast<double>(nc * s.K);
      for (Index m = 0; m < s.M; ++m) words += static_cast<double>(s.K);
      words += 2 * static_cast<double>(s.M * nc);
    }
  }
  return words;
}

TEST(LinearPlanTest, FormulaEqualsTheCountOfTheNest) {
  for (const LinearShape& shape : shapes()) {
    const LinearPlan plan = plan_linear(shape, kMachine);
    EXPECT_EQ(plan.chosen.words(), count_words(plan.chosen, shape)) << explain(plan, shape);
    EXPECT_EQ(plan.rejected.words(), count_words(plan.rejected, shape)) << explain(plan, shape);
  }
}

TEST(LinearPlanTest, TheChosenOrderMovesFewerWordsAndNeverLessThanTheBound) {
  for (const LinearShape& shape : shapes()) {
    const LinearPlan plan = plan_linear(shape, kMachine);
    EXPECT_LE(plan.chosen.words(), plan.rejected.words());
    EXPECT_NE(plan.chosen.order, plan.rejected.order);
    EXPECT_GE(plan.chosen.words(), plan.bound_words) << explain(plan, shape);
  }
}

TEST(LinearPlanTest, TheChoiceFlipsOnceAsTheSequenceGrows) {
  int flips = 0;
  LoopOrder last = LoopOrder::is_os_a;
  for (Index M = 1; M <= 16384; M *= 2) {
    const LoopOrder order = plan_linear({M, 768, 768}, kMachine).chosen.order;
    flips += order != last;
    last = order;
  }
  EXPECT_EQ(flips, 1);
  EXPECT_EQ(last, LoopOrder::ws_os_a);
}

TEST(LinearPlanTest, BlocksCoverTheMatrixForAnyNumberOfThreads) {
  for (const int threads : {1, 2, 3, 8}) {
    LinearMachine machine = kMachine;
    machine.threads = threads;
    for (const LinearShape& shape : shapes()) {
      const LinearPlan plan = plan_linear(shape, machine);
      const Index panels = (shape.N + machine.NR - 1) / machine.NR;
      ASSERT_GE(plan.row_tasks, 1);
      ASSERT_GE(plan.col_tasks, 1);
      EXPECT_LE(plan.row_tasks, shape.M);
      EXPECT_LE(plan.col_tasks, panels);
      // No piece is larger than the block that was priced.
      EXPECT_LE((shape.M + plan.row_tasks - 1) / plan.row_tasks, plan.chosen.MC);
      EXPECT_LE((panels + plan.col_tasks - 1) / plan.col_tasks * machine.NR,
                std::max(plan.chosen.NC, panels * machine.NR / plan.col_tasks + machine.NR));
      if (panels >= threads) {
        EXPECT_GE(plan.row_tasks * plan.col_tasks, threads) << explain(plan, shape);
      }
    }
  }
}

}  // namespace
}  // namespace tessera
