// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/batching.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace tessera {
namespace {

TEST(BatchingTest, EverySequenceIsInOneBatchWithinTheBudget) {
  std::mt19937 random(1);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<Index> lengths(random() % 200);
    for (Index& length : lengths) length = 1 + static_cast<Index>(random() % 60);
    const Index budget = 1 + static_cast<Index>(random() % 100),
                most = 1 + static_cast<Index>(random() % 9);
    const BatchPlan plan = plan_batches(lengths, budget, most);
    std::vector<std::size_t> seen = plan.order;
    std::sort(seen.begin(), seen.end());
    ASSERT_EQ(seen.size(), lengths.size());
    for (std::size_t i = 0; i < seen.size(); ++i) ASSERT_EQ(seen[i], i);
    std::size_t next = 0;
    for (const BatchRange& batch : plan.batches) {
      ASSERT_EQ(batch.first, next);
      ASSERT_GT(batch.last, batch.first);
      next = batch.last;
      Index rows = 0;
      for (std::size_t i = batch.first; i < batch.last; ++i) rows += lengths[plan.order[i]];
      ASSERT_EQ(rows, batch.rows);
      ASSERT_TRUE(rows <= budget || batch.last - batch.first == 1);
      ASSERT_LE(static_cast<Index>(batch.last - batch.first), most);
      ASSERT_LE(rows, plan.max_rows);
    }
    ASSERT_EQ(next, lengths.size());
  }
}

TEST(BatchingTest, LongestComeFirstAndTiesKeepTheOrder) {
  const std::vector<Index> lengths{2, 5, 2, 9};
  const BatchPlan plan = plan_batches(lengths, 7, 8);
  EXPECT_EQ(plan.order, (std::vector<std::size_t>{3, 1, 0, 2}));
  ASSERT_EQ(plan.batches.size(), 3U);
  EXPECT_EQ(plan.batches[0].rows, 9);
  EXPECT_EQ(plan.batches[1].rows, 7);
  EXPECT_EQ(plan.batches[2].rows, 2);
}

TEST(BatchingTest, NothingGivesNoBatch) {
  EXPECT_TRUE(plan_batches({}, 7, 8).batches.empty());
}

TEST(BatchingTest, WindowsNameEverySequenceOnceLongestFirst) {
  const std::vector<std::int64_t> offsets{0, 2, 7, 8, 12, 15, 16};  // lengths 2 5 1 4 3 1
  BatchWindows windows(4);
  std::vector<std::vector<std::size_t>> batches;
  const auto add = [&batches](std::span<const std::size_t> chosen) {
    batches.emplace_back(chosen.begin(), chosen.end());
  };
  windows.each(offsets, 7, 2, add);
  EXPECT_EQ(batches, (std::vector<std::vector<std::size_t>>{{1}, {3, 0}, {2}, {4, 5}}));
  batches.clear();
  windows.each(std::span(offsets).first(1), 7, 2, add);
  EXPECT_TRUE(batches.empty());
}

}  // namespace
}  // namespace tessera
