// SPDX-License-Identifier: Apache-2.0
//
// The model of attention against the kernels: every count of AttentionStats, exactly, for every
// dataflow, mask, level and a ragged set of lengths; the choice; masks that are refused.
#include "runtime/plan/attention.hpp"
#include "runtime/program/mask.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/attention/blocks.hpp"
#include "runtime/base/error.hpp"
#include "runtime/machine/machine.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/random.hpp"

namespace tessera {
namespace {

using kernels::AttentionDataflow;
using kernels::AttentionMask;
using kernels::AttentionStats;

constexpr AttentionCaches kCaches{48 << 10, 2 << 20, 256 << 20};

std::vector<AttentionMask> some_masks() {
  return {{},
          sliding_window(1),
          sliding_window(129),
          causal(),
          causal_window(77),
          log_sparse(1, 0, false),
          log_sparse(9, 100, true)};
}

class AttentionPlanTest : public testing::TestWithParam<Isa> {};
INSTANTIATE_FOR_ALL_ISAS(AttentionPlanTest);

TEST_P(AttentionPlanTest, CountsAreWhatTheKernelsDo) {
  SKIP_UNLESS_SUPPORTED(GetParam());
  const kernels::Attention& kernel = kernels::kernels_at(GetParam()).attention;
  constexpr Index d = 8;
  for (Index n = 0; n < kernels::kAttentionDataflows; ++n) {
    const auto dataflow = static_cast<AttentionDataflow>(n);
    for (const AttentionMask& mask : some_masks()) {
      for (const Index T : {1, 31, 64, 65, 197, 300, 777, 1100}) {
        const test::GuardedBuffer<float> qkv = test::random_normal(T * 3 * d, 7);
        std::vector<float> out(static_cast<std::size_t>(T * d));
        const Index step = rows_per_task(dataflow, T, kernel.Br);
        test::GuardedBuffer<float> scratch(
            kernel.scratch_elements(dataflow, std::min(step, T), T, d));
        AttentionStats stats;
        const Index blocks = kernels::count_blocks(T, step);
        for (Index b = 0; b < blocks; ++b) {
          const Index i0 = kernels::first_row(T, blocks, kernel.V, b),
                      i1 = kernels::first_row(T, blocks, kernel.V, b + 1);
          kernels::AttentionTask t{};
          t.q = qkv.data() + i0 * 3 * d;
          t.k = qkv.data() + d;
          t.v = qkv.data() + 2 * d;
          t.ldq = t.ldk = t.ldv = 3 * d;
          t.o = out.data() + i0 * d;
          t.ldo = d;
          t.Tq = i1 - i0;
          t.Tk = T;
          t.d = d;
          t.scale = 0.1F;
          t.q_begin = i0;
          t.scratch = scratch.data();
          t.dataflow = dataflow;
          t.mask = mask;
          t.stats = &stats;
          kernel.run(t);
        }
        const AttentionStats predicted =
            attention_cost(dataflow, {.T = T, .d = d, .heads = 1, .mask = mask}, kCaches, kernel)
                .counts;
        const std::string where =
            std::string(to_string(dataflow)) + ", " + to_string(mask) + ", T=" + std::to_string(T);
        ASSERT_EQ(stats.repeated_tiles, 0) << where;
        ASSERT_EQ(stats.tiles, predicted.tiles) << where;
        ASSERT_EQ(stats.boundary_tiles, predicted.boundary_tiles) << where;
        ASSERT_EQ(stats.score_cells, predicted.score_cells) << where;
        ASSERT_EQ(stats.exp_cells, predicted.exp_cells) << where;
        ASSERT_EQ(stats.value_cells, predicted.value_cells) << where;
        ASSERT_EQ(stats.words, predicted.words) << where;
      }
    }
  }
}

TEST(AttentionBlocksTest, AreNearEqualWholeVectorsButForTheLast) {
  for (const Index V : {4, 8, 16}) {
    for (Index T = 1; T <= 1200; ++T) {
      for (const Index most : {64, 128, 1024}) {
        const Index blocks = kernels::count_blocks(T, most), vectors = (T + V - 1) / V;
        ASSERT_EQ(kernels::first_row(T, blocks, V, 0), 0);
        ASSERT_EQ(kernels::first_row(T, blocks, V, blocks), T);
        for (Index n = 0; n < blocks; ++n) {
          const Index begin = kernels::first_row(T, blocks, V, n);
          const Index rows = kernels::first_row(T, blocks, V, n + 1) - begin;
          ASSERT_EQ(begin % V, 0);
          ASSERT_LE(rows, most);
          ASSERT_GT(rows, (vectors / blocks - 1) * V);
          ASSERT_LE(rows, (vectors + blocks - 1) / blocks * V);
        }
      }
    }
  }
}

TEST(AttentionModelTest, MovesNoLessThanTheBoundAndMoreThroughSmallerCaches) {
  const kernels::Attention& kernel = kernels::kernels_at(Isa::baseline).attention;
  for (Index n = 0; n < kernels::kAttentionDataflows; ++n) {
    for (const Index T : {128, 512, 4096}) {
      const AttentionCost cost = attention_cost(static_cast<AttentionDataflow>(n),
                                                {.T = T, .d = 64, .heads = 12}, kCaches, kernel);
      EXPECT_GE(cost.l3_bytes, cost.bound_bytes);
      EXPECT_GE(cost.l2_bytes, cost.l3_bytes);
      EXPECT_GE(cost.l1_bytes, cost.l2_bytes);
    }
  }
  // K, V and the scores of a block stay: each word moves once, O and the scratch twice
  const AttentionCost small = attention_cost(AttentionDataflow::streaming,
                                             {.T = 512, .d = 64, .heads = 12}, kCaches, kernel);
  EXPECT_EQ(small.l2_bytes, 1.25 * small.bound_bytes + 2 * 4 * (64 * 256 + 64 * 68));
  // all of S and P through memory: 6·T² words more
  const AttentionCost whole = attention_cost(AttentionDataflow::layerwise,
                                             {.T = 4096, .d = 64, .heads = 1}, kCaches, kernel);
  EXPECT_GE(whole.l2_bytes, 4.0 * 4096 * 4096 * 6);
}

TEST(AttentionModelTest, ScratchOfStreamingDoesNotGrowWithTheLength) {
  const kernels::Attention& kernel = kernels::kernels_at(Isa::baseline).attention;
  EXPECT_EQ(kernel.scratch_elements(AttentionDataflow::streaming, 64, 128, 64),
            kernel.scratch_elements(AttentionDataflow::streaming, 64, 16384, 64));
  const Index most = rows_per_task(AttentionDataflow::streaming_keys, 16384, kernel.Br);
  EXPECT_EQ(kernel.scratch_elements(AttentionDataflow::streaming_keys, most, 2048, 64),
            kernel.scratch_elements(AttentionDataflow::streaming_keys, most, 16384, 64));
}

TEST(AttentionModelTest, TheRuleOfTheRunIsTheChoiceOfTheModel) {
  const kernels::Attention& kernel = kernels::kernels_at(Isa::baseline).attention;
  const MachineRates rates = nominal_rates(Machine{}, Isa::avx512);
  for (const Index d : {32, 64, 128}) {
    for (const Index T : {16, 64, 197, 512, 1000, 2000, 4096, 8192, 16384}) {
      for (const AttentionMask& mask : {AttentionMask{}, sliding_window(257)}) {
        const AttentionShape shape{.T = T, .d = d, .heads = 12, .mask = mask};
        const AttentionPlan plan = plan_attention(shape, kCaches, rates, kernel);
        EXPECT_EQ(plan.chosen.dataflow, dataflow_of(T, d, mask, kCaches.l2_bytes, kernel))
            << explain(plan, shape);
        ASSERT_EQ(std::ssize(plan.rejected), kernels::kAttentionDataflows - 1);
        for (const AttentionCost& cost : plan.rejected) {
          EXPECT_GE(cost.seconds, plan.chosen.seconds * 0.99);
          EXPECT_FALSE(cost.why.empty());
          EXPECT_THAT(explain(plan, shape), testing::HasSubstr(cost.why));
        }
      }
    }
  }
}

TEST(AttentionMaskTest, RefusesMasksThatMakeNoSense) {
  EXPECT_THROW(sliding_window(0), Error);
  EXPECT_THROW(sliding_window(-3), Error);
  EXPECT_THROW(sliding_window(64), Error);  // even: not the same on both sides
  EXPECT_THROW(causal_window(0), Error);
  EXPECT_THROW(log_sparse(0, 0, false), Error);
  EXPECT_THROW(log_sparse(8, 8, true), Error);
  EXPECT_THROW(log_sparse(8, -1, true), Error);
  EXPECT_THROW(check_mask({.left = -1}, "test"), Error);
  try {
    check_mask({.right = -2}, "layer.0.attention");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::invalid_argument);
    EXPECT_THAT(e.what(), testing::HasSubstr("layer.0.attention"));
    EXPECT_THAT(e.what(), testing::HasSubstr("-2"));
  }
  EXPECT_EQ(to_string(sliding_window(100001)), "window (50000 left, 50000 right)");  // wider than T
}

}  // namespace
}  // namespace tessera
