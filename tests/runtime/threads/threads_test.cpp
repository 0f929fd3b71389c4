// SPDX-License-Identifier: Apache-2.0
#include "runtime/threads/threads.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>
#include <vector>

#include "runtime/base/error.hpp"

namespace tessera {
namespace {

class WorkersTest : public testing::TestWithParam<WorkersBackend> {
 protected:
  void SetUp() override {
    if (GetParam() == WorkersBackend::openmp && !kHasOpenMp) GTEST_SKIP() << "built without OpenMP";
  }

 private:
#ifdef TESSERA_TEST_OPENMP
  static constexpr bool kHasOpenMp = true;
#else
  static constexpr bool kHasOpenMp = false;
#endif
};

TEST_P(WorkersTest, EveryTaskRunsOnceWithAWorkerInRange) {
  for (const int count : {1, 2, 5}) {
    const Workers workers(count, GetParam());
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

// Short runs of changing size, back to back: a worker that comes late from one run must not take or
// repeat a task of the next.
TEST_P(WorkersTest, RunsThatFollowEachOtherAtOnceDoNotMix) {
  const Workers workers(4, GetParam());
  for (int i = 0; i < 20000; ++i) {
    const Index tasks = 2 + i % 7;
    std::atomic<Index> sum{0};
    workers.run(tasks, [&](Index task, int) { sum += task + 1; });
    ASSERT_EQ(sum, tasks * (tasks + 1) / 2) << "run " << i;
  }
}

TEST_P(WorkersTest, OneWorkerNeverRunsTwoTasksAtOnce) {
  const Workers workers(3, GetParam());
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

TEST_P(WorkersTest, WorkersThatSleptWakeUpAndIdleTeamsEnd) {
  const Workers workers(3, GetParam());
  for (int i = 0; i < 3; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    std::atomic<Index> count{0};
    workers.run(50, [&](Index, int) { ++count; });
    EXPECT_EQ(count, 50);
  }
  for (int i = 0; i < 50; ++i) const Workers unused(3, GetParam());
}

TEST(WorkersBackendTest, AnUnknownNameIsAnErrorAndNoFallback) {
  setenv("TESSERA_THREADS", "opnemp", 1);
  EXPECT_THROW(default_backend(), Error);
  setenv("TESSERA_THREADS", "pool", 1);
  EXPECT_EQ(default_backend(), WorkersBackend::pool);
  unsetenv("TESSERA_THREADS");
  EXPECT_EQ(default_backend(), WorkersBackend::pool);
}

INSTANTIATE_TEST_SUITE_P(Backends, WorkersTest,
                         testing::Values(WorkersBackend::pool, WorkersBackend::openmp),
                         [](const auto& p) {
                           return p.param == WorkersBackend::pool ? "pool" : "openmp";
                         });

}  // namespace
}  // namespace tessera
