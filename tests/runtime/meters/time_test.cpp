// SPDX-License-Identifier: Apache-2.0
#include "runtime/meters/time.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/runtime/tiny_model.hpp"

namespace tessera {
namespace {

using meters::Measurement;
using meters::OpMeasurement;
using meters::TimeMeter;

/// A clock that tests turn by hand.
std::int64_t now = 0;
std::int64_t hand_clock() noexcept {
  return now;
}

/// A run of three ops, the last two as a chain, that take these nanoseconds, and 1 before each.
void run(TimeMeter& meter, std::int64_t first, std::int64_t chain) {
  meter.begin_run();
  now += 1;
  meter.begin_ops(0, 1);
  now += first;
  meter.end_ops(0, 1);
  now += 1;
  meter.begin_ops(1, 2);
  now += chain;
  meter.end_ops(1, 2);
  meter.end_run();
}

TEST(TimeMeterTest, AttributesTimeToOpsAndChains) {
  TimeMeter meter(3, 8, &hand_clock);
  run(meter, 20, 50);
  const Measurement result = meter.take();
  ASSERT_EQ(result.ops.size(), 2U);
  EXPECT_EQ(result.ops[0].op, 0U);
  EXPECT_EQ(result.ops[0].count, 1U);
  EXPECT_DOUBLE_EQ(result.ops[0].seconds.value(), 21e-9);
  EXPECT_EQ(result.ops[1].op, 1U);
  EXPECT_EQ(result.ops[1].count, 2U);
  EXPECT_DOUBLE_EQ(result.ops[1].seconds.value(), 51e-9);
  EXPECT_DOUBLE_EQ(result.run_seconds.value(), 72e-9) << "the ops add up to the run";
  EXPECT_FALSE(result.ops[0].l2 || result.ops[0].instructions);
}

// Ops of a chain on one thread come again for every block.
TEST(TimeMeterTest, AddsUpTheBlocksOfARun) {
  TimeMeter meter(2, 8, &hand_clock);
  for (int i = 0; i < 2; ++i) {
    meter.begin_run();
    for (const std::int64_t ns : {5, 7}) {
      for (const std::size_t op : {0U, 1U}) {
        meter.begin_ops(op, 1);
        now += ns + static_cast<std::int64_t>(op);
        meter.end_ops(op, 1);
      }
    }
    meter.end_run();
  }
  const Measurement result = meter.take();
  ASSERT_EQ(result.ops.size(), 2U);
  EXPECT_DOUBLE_EQ(result.ops[0].seconds.value(), 12e-9);
  EXPECT_DOUBLE_EQ(result.ops[1].seconds.value(), 14e-9);
  EXPECT_DOUBLE_EQ(result.run_seconds.value(), 26e-9);
}

TEST(TimeMeterTest, TakesTheMedianOfTheLastRuns) {
  TimeMeter meter(3, 3, &hand_clock);
  for (const std::int64_t ns : {400, 20, 300, 10})
    run(meter, ns, 0);  // the fourth replaces the first
  const Measurement odd = meter.take();
  EXPECT_DOUBLE_EQ(odd.ops[0].seconds.value(), 21e-9);
  EXPECT_THAT(odd.source, testing::HasSubstr("median of 3 runs"));
  for (const std::int64_t ns : {30, 10}) run(meter, ns, 0);
  EXPECT_DOUBLE_EQ(meter.take().ops[0].seconds.value(), 21e-9) << "the mean of the middle two";
}

TEST(TimeMeterTest, TakingBeginsAnew) {
  TimeMeter meter(3);
  run(meter, 0, 0);
  EXPECT_EQ(meter.take().ops.size(), 2U);
  const Measurement nothing = meter.take();
  EXPECT_TRUE(nothing.ops.empty());
  EXPECT_THAT(nothing.notes, testing::ElementsAre("time: no run was measured"));
}

TEST(TimeMeterTest, OpsOfASessionAreMeasuredInOrderAndFillTheRun) {
  const test::TinyModel tiny{test::TinyShape{}};
  const auto session = Session::create(Model::create(tiny.program(), tiny.checkpoint()),
                                       {.max_rows = 16, .max_sequences = 1, .threads = 1});
  const std::vector<std::int32_t> ids(16, 3), offsets{0, 16};
  TimeMeter meter(session->program().ops.size());
  session->observe(&meter);
  for (int i = 0; i < 5; ++i) session->run({.ids = ids, .offsets = offsets});
  session->observe(nullptr);
  session->run({.ids = ids, .offsets = offsets});  // nobody is told
  const Measurement result = meter.take();
  EXPECT_THAT(result.source, testing::HasSubstr("5 runs"));
  std::size_t next = 0;
  for (const OpMeasurement& op : result.ops) {
    EXPECT_EQ(op.op, next);
    EXPECT_GT(op.seconds.value(), 0);
    next += op.count;
  }
  EXPECT_EQ(next, session->program().ops.size());
}

}  // namespace
}  // namespace tessera
