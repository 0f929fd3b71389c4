// SPDX-License-Identifier: Apache-2.0
#include "runtime/threads.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

namespace tessera {
namespace {

TEST(WorkersTest, EveryTaskRunsOnceWithAWorkerInRange) {
  for (const int count : {1, 2, 5}) {
    const Workers workers(count);
    for (const Index tasks : {Index{0}, Index{1}, Index{2}, Index{1000}}) {
      std::vector<std::atomic<int>> runs(static_cast<std::size_t>(tasks));
      std::atomic<bool> in_range{true};
      workers.run(tasks, [&](Index task, int worker) {
        ++runs[static_cast<std::size_t>(task)];
        if (worker < 0 || worker >= count) in_range = false;
      });
      EXPECT_TRUE(in_range);
      for (const auto& times : runs) EXPECT_EQ(times, 1);
    }
  }
}

TEST(WorkersTest, OneWorkerNeverRunsTwoTasksAtOnce) {
  const Workers workers(3);
  std::vector<std::atomic<int>> busy(3);
  std::atomic<bool> overlap{false};
  for (int i = 0; i < 200; ++i) {
    workers.run(20, [&](Index, int worker) {
      if (++busy[static_cast<std::size_t>(worker)] != 1) overlap = true;
      --busy[static_cast<std::size_t>(worker)];
    });
  }
  EXPECT_FALSE(overlap);
}

}  // namespace
}  // namespace tessera
