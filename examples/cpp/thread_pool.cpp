// SPDX-License-Identifier: Apache-2.0
//
// The program's own threads in place of the library's: a session that computes in a pool which the
// program already has, so that there are never more threads than it planned for.
//
//   thread_pool MODEL TEXT...
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <string>
#include <tessera/tessera.hpp>
#include <thread>
#include <vector>

namespace {

/// Threads that sleep until there is a job, and share its lanes with the caller. One job at a time.
class Pool {
 public:
  explicit Pool(int threads) {
    for (int i = 0; i < threads; ++i) {
      threads_.emplace_back([this](const std::stop_token& stop) { work(stop); });
    }
  }

  /// The contract of tessera_parallel_for: body(arg, lane) once for every lane, on any threads; all
  /// calls have returned when this returns. Must not throw.
  static void parallel_for(void* context, std::int64_t lanes,
                           void (*body)(void* arg, std::int64_t lane), void* arg) {
    static_cast<Pool*>(context)->run(lanes, body, arg);
  }

  std::int64_t jobs_run() const { return jobs_run_; }

 private:
  void run(std::int64_t lanes, void (*body)(void*, std::int64_t), void* arg) {
    std::unique_lock lock(mutex_);
    body_ = body;
    arg_ = arg;
    lanes_ = left_ = lanes;
    ++jobs_run_;
    wake_.notify_all();
    take_lanes(lock);  // the caller is one of the threads
    done_.wait(lock, [this] { return left_ == 0; });
  }

  void work(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (wake_.wait(lock, stop, [this] { return lanes_ > 0; })) take_lanes(lock);
  }

  /// Takes lanes until none is left. Holds the lock on entry and exit, not while a lane runs.
  void take_lanes(std::unique_lock<std::mutex>& lock) {
    while (lanes_ > 0) {
      const std::int64_t lane = --lanes_;
      const auto body = body_;
      void* const arg = arg_;
      lock.unlock();
      body(arg, lane);
      lock.lock();
      if (--left_ == 0) done_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable_any wake_, done_;
  void (*body_)(void*, std::int64_t) = nullptr;
  void* arg_ = nullptr;
  std::int64_t lanes_ = 0;  ///< that no thread has taken
  std::int64_t left_ = 0;   ///< that have not returned
  std::int64_t jobs_run_ = 0;
  std::vector<std::jthread> threads_;  // last: they end before what they use
};

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 3) {
    std::fprintf(stderr, "usage: thread_pool MODEL TEXT...\n");
    return 2;
  }
  const std::vector<std::string> texts(argv + 2, argv + argc);
  const tessera::Model model(argv[1]);

  Pool pool(3);
  tessera::Session own(
      model, {.threads = 4, .parallel_for = Pool::parallel_for, .parallel_for_context = &pool});
  const std::vector<float> mine = own.embed(texts);

  tessera::Session one(model, {.threads = 1});
  const bool same = mine == one.embed(texts);
  std::printf("jobs were given to the pool: %s\n", pool.jobs_run() > 0 ? "yes" : "no");
  std::printf("the same bits as with one thread: %s\n", same ? "yes" : "no");
  return same && pool.jobs_run() > 0 ? 0 : 1;
} catch (const tessera::Error& error) {
  std::fprintf(stderr, "%s: %s\n", tessera_status_name(error.status()), error.what());
  return 1;
}
