// SPDX-License-Identifier: Apache-2.0
// Threads that are somebody else's, that are gone after a fork, that sleep, and runs that end
// early.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <sstream>

#include "runtime/base/error.hpp"
#include "runtime/execute/gemm.hpp"
#include "runtime/execute/run_observer.hpp"
#include "runtime/session/session.hpp"
#include "tests/runtime/ragged.hpp"
#include "tests/runtime/threads/pools.hpp"
#include "tests/runtime/tiny_model.hpp"
#include "tests/support/sanitizers.hpp"

namespace tessera {
namespace {

using test::results;
using test::Sequence;
using testing::HasSubstr;

std::vector<Sequence> some_sequences() {
  return {test::random_sequence(40, 50, 1), test::random_sequence(1, 50, 2),
          test::random_sequence(64, 50, 3)};
}

class ThreadsPromiseTest : public testing::Test {
 protected:
  std::unique_ptr<Session> session(int threads, ParallelFor pool = {}) const {
    return Session::create(
        model_, {.max_rows = 200, .max_sequences = 4, .threads = threads, .parallel_for = pool});
  }
  static std::string message(ErrorCode code, const std::function<void()>& run) {
    try {
      run();
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), code) << e.what();
      return e.what();
    }
    ADD_FAILURE() << "no error";
    return {};
  }
  /// The pool fails with `what`; the same session works when the pool does.
  void fails(void (*pool)(void*, std::int64_t, test::Lane, void*), const char* what) {
    struct Switch {
      void (*pool)(void*, std::int64_t, test::Lane, void*);
      std::vector<std::thread> threads{};
    } with{pool};
    const auto run = [](void* context, std::int64_t lanes, test::Lane body, void* arg) {
      auto& s = *static_cast<Switch*>(context);
      s.pool(&s.threads, lanes, body, arg);
    };
    const auto session = this->session(3, {.run = run, .context = &with});
    for (int i = 0; i < 5; ++i) {
      with.pool = pool;
      EXPECT_THAT(
          message(ErrorCode::invalid_argument, [&] { results(*session, some_sequences()); }),
          HasSubstr(what));
      EXPECT_EQ(session->output("last_hidden_state").rows, 0);
      for (std::thread& thread : with.threads) thread.join();
      with.threads.clear();
    }
    with.pool = test::thread_pool;
    try {  // a lane that came after the end is found now, once
      results(*session, some_sequences());
    } catch (const Error&) {
    }
    EXPECT_EQ(results(*session, some_sequences()), expected_);
  }

  test::TinyModel tiny_{test::TinyShape{}};
  std::shared_ptr<const Model> model_ = Model::create(tiny_.program(), tiny_.checkpoint(), {});
  std::vector<std::vector<float>> expected_ = results(*session(1), some_sequences());
};

TEST_F(ThreadsPromiseTest, APoolThatFailsIsAnErrorAndTheSessionWorksAgain) {
  fails(test::throwing_pool, "parallel_for: it threw \"no threads left\"");
  fails(test::throwing_late_pool, "parallel_for: it threw, expected it to return");
  fails(test::idle_pool, "it called 0 lanes, expected");
  fails(test::short_pool, "lanes, expected");
  fails(test::repeating_pool, "it called a lane twice");
  fails(test::crowded_pool, "it called a lane outside 0 to");
  fails(test::negative_pool, "it called a lane outside 0 to");
}

// Whether a lane is late or merely not done depends on the moment; neither may touch what is gone.
TEST_F(ThreadsPromiseTest, APoolThatReturnsTooEarlyIsWaitedForOrAnError) {
  std::vector<std::thread> threads;
  const auto session = this->session(3, {.run = test::hasty_pool, .context = &threads});
  for (int i = 0; i < 50; ++i) {
    try {
      results(*session, some_sequences());
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::invalid_argument) << e.what();
      EXPECT_THAT(e.what(), HasSubstr("parallel_for: it "));
    }
    for (std::thread& thread : threads) thread.join();
    threads.clear();
  }
}

TEST_F(ThreadsPromiseTest, SessionsOnSeveralHostThreadsShareAModel) {
  std::vector<std::thread> hosts;
  std::atomic<int> wrong{0};
  for (int host = 0; host < 4; ++host) {
    hosts.emplace_back([&, host] {
      const ParallelFor pool =
          host % 2 == 0 ? ParallelFor{} : ParallelFor{.run = test::thread_pool};
      for (int i = 0; i < 3; ++i) {
        const auto own = session(1 + host % 3, pool);
        for (int run = 0; run < 5; ++run) wrong += results(*own, some_sequences()) != expected_;
      }
    });
  }
  for (std::thread& host : hosts) host.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(ThreadsPromiseTest, ASessionMayEndOnAnotherThreadAndOutliveItsModelHandle) {
  auto one = session(3);
  model_.reset();
  std::vector<std::vector<float>> got;
  std::thread([&] { got = results(*one, some_sequences()); }).join();
  EXPECT_EQ(got, expected_);
  std::thread([moved = std::move(one)]() mutable { moved.reset(); }).join();
}

TEST_F(ThreadsPromiseTest, TwoRunsAtOnceAreRefused) {
  struct Again final : RunObserver {
    Session* session = nullptr;
    std::string got;
    void begin_ops(std::size_t, std::size_t) noexcept override {
      if (!got.empty()) return;
      try {
        session->trim();
      } catch (const Error& e) {
        got = e.what();
      }
    }
    void end_ops(std::size_t, std::size_t) noexcept override {}
  } again;
  const auto one = session(2);
  again.session = one.get();
  one->observe(&again);
  EXPECT_EQ(results(*one, some_sequences()), expected_);
  EXPECT_THAT(again.got, HasSubstr("another run is in progress, expected one at a time"));
}

/// State and CPU ticks of every thread of this process but the caller.
std::vector<std::pair<char, long>> other_threads() {
  std::vector<std::pair<char, long>> all;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    if (task.path().filename() == std::to_string(gettid())) continue;
    std::ifstream in(task.path() / "stat");
    std::string text((std::istreambuf_iterator<char>(in)), {});
    std::istringstream fields(text.substr(text.rfind(')') + 2));
    std::string state, skipped;
    long user = 0, system = 0;
    fields >> state;
    for (int i = 0; i < 10; ++i) fields >> skipped;
    fields >> user >> system;
    all.emplace_back(state[0], user + system);
  }
  return all;
}

TEST_F(ThreadsPromiseTest, IdleWorkersSleep) {
  if (test::kSanitized) GTEST_SKIP() << "a sanitizer has threads of its own";
  const auto one = session(4);
  results(*one, some_sequences());
  const auto all_sleep = [] {
    for (const auto& [state, ticks] : other_threads())
      if (state != 'S') return false;
    return true;
  };
  for (int i = 0; i < 1000 && !all_sleep(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  const auto before = other_threads();
  ASSERT_GE(before.size(), 3U);  // more where another test left an OpenMP team
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_EQ(other_threads(), before);  // asleep, and not a tick (10 ms) of CPU time more
}

/// The exit code of a child that runs `body`.
int in_child(const std::function<bool()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    _exit(body() ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST_F(ThreadsPromiseTest, AForkedChildComputesAloneAndCanEndTheSession) {
  if (test::kTsan) GTEST_SKIP() << "ThreadSanitizer does not follow a fork with threads";
  if (test::kAsan) {
    GTEST_SKIP() << "GCC 12's AddressSanitizer does not release its allocator's locks in a forked "
                    "child: one that another thread held stays held";
  }
  for (const ParallelFor pool : {ParallelFor{}, ParallelFor{.run = test::thread_pool}}) {
    auto one = session(3, pool);
    EXPECT_EQ(results(*one, some_sequences()), expected_);
    EXPECT_EQ(in_child([&] {
                const bool same = results(*one, some_sequences()) == expected_;
                one.reset();
                const auto fresh = session(2);
                return same && results(*fresh, some_sequences()) == expected_;
              }),
              0);
    EXPECT_EQ(results(*one, some_sequences()), expected_) << "the parent";
  }
}

/// Stores true when op `at` begins.
struct CancelAt final : RunObserver {
  std::size_t at = 0, begun = 0;
  std::atomic<bool> flag{false};
  void begin_ops(std::size_t op, std::size_t) noexcept override {
    ++begun;
    if (op >= at) flag = true;
  }
  void end_ops(std::size_t, std::size_t) noexcept override {}
};

TEST_F(ThreadsPromiseTest, ACancelledRunEndsWithinTheOpAndTheSessionWorksAgain) {
  const test::RaggedBatch batch = test::batch_of(some_sequences());
  for (const int threads : {1, 3}) {
    const auto one = session(threads);
    const std::size_t ops = one->program().ops.size();
    for (std::size_t at = 0; at < ops; ++at) {
      CancelAt cancel;
      cancel.at = at;
      one->observe(&cancel);
      EXPECT_THAT(message(ErrorCode::cancelled,
                          [&] { one->run(batch.batch(), {.cancelled = &cancel.flag}); }),
                  HasSubstr("was cancelled after"));
      EXPECT_EQ(one->output("last_hidden_state").rows, 0);
      EXPECT_LE(cancel.begun, at + 1) << "ops after the flag";
    }
    one->observe(nullptr);
    EXPECT_EQ(results(*one, some_sequences()), expected_);
  }
}

TEST_F(ThreadsPromiseTest, ADeadlineThatHasPassedEndsTheRun) {
  const test::RaggedBatch batch = test::batch_of(some_sequences());
  const auto one = session(2);
  using Clock = std::chrono::steady_clock;
  EXPECT_THAT(
      message(ErrorCode::cancelled, [&] { one->run(batch.batch(), {.deadline = Clock::now()}); }),
      HasSubstr("passed its deadline after 0 of"));
  one->run(batch.batch(), {.deadline = Clock::now() + std::chrono::hours(1)});
  EXPECT_EQ(one->output("last_hidden_state").rows, 105);
}

TEST(RunStopTest, TilesThatAreLeftAreLeftOut) {
  constexpr Index M = 40, N = 96, K = 16;
  const kernels::Gemm& gemm = kernels::kernels_at(best_isa()).gemm[Precision::f32];
  const Index panels = (N + gemm.NR - 1) / gemm.NR;
  const std::vector<float> a(static_cast<std::size_t>(M * K), 1.0F),
      b(static_cast<std::size_t>(panels * gemm.NR * K), 1.0F);
  std::vector<float> c(static_cast<std::size_t>(M * N), -7.0F);
  RunStop stop;
  execute::GemmOperands o{.gemm = gemm,
                          .a = a.data(),
                          .lda = K,
                          .panels = b.data(),
                          .c = c.data(),
                          .ldc = N,
                          .N = N,
                          .K = K,
                          .stop = &stop};
  stop.stop();
  execute::run_gemm(o, {.order = LoopOrder::is_os_a}, M);
  EXPECT_THAT(c, testing::Each(-7.0F));
  o.stop = nullptr;
  execute::run_gemm(o, {.order = LoopOrder::is_os_a}, M);
  EXPECT_THAT(c, testing::Each(16.0F));
}

}  // namespace
}  // namespace tessera
