// SPDX-License-Identifier: Apache-2.0
// The only file that knows OpenMP.
#include "runtime/threads.hpp"

#include <algorithm>
#include <cstdlib>

#include "runtime/machine.hpp"

#if TESSERA_WITH_OPENMP
#include <omp.h>
#else
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>
#endif

namespace tessera {

int default_thread_count() {
  int count = machine().usable_cpus;
  if (const char* value = std::getenv("OMP_NUM_THREADS"); value != nullptr) {
    const long asked = std::strtol(value, nullptr, 10);  // "4,2" lists levels: the first counts
    if (asked > 0) count = static_cast<int>(std::min<long>(count, asked));
  }
  return std::max(count, 1);
}

#if TESSERA_WITH_OPENMP

struct Workers::Pool {};

Workers::Workers(int count) : count_(count) {}
Workers::~Workers() = default;

void Workers::run(Index tasks, TaskBody body) const {
  if (count_ == 1 || tasks <= 1) {
    for (Index task = 0; task < tasks; ++task) body(task, 0);
    return;
  }
  // A team of the same size every time: libgomp keeps its threads from one region to the next.
  Index next = 0;
#pragma omp parallel num_threads(count_) default(none) shared(next, tasks, body)
  {
    const int worker = omp_get_thread_num();
    for (;;) {
      Index task = 0;
#pragma omp atomic capture
      task = next++;
      if (task >= tasks) break;
      body(task, worker);
    }
  }
}

#else

// Workers sleep on a condition variable between runs; a run is a generation number.
struct Workers::Pool {
  std::mutex mutex;
  std::condition_variable start, done;
  std::uint64_t generation = 0;
  int busy = 0;
  bool stop = false;
  Index tasks = 0;
  const TaskBody* body = nullptr;
  std::atomic<Index> next{0};
  std::vector<std::thread> threads;

  void drain(int worker) {
    for (Index task = next.fetch_add(1); task < tasks; task = next.fetch_add(1))
      (*body)(task, worker);
  }

  void serve(int worker) {
    std::uint64_t seen = 0;
    std::unique_lock lock(mutex);
    for (;;) {
      start.wait(lock, [&] { return stop || generation != seen; });
      if (stop) return;
      seen = generation;
      lock.unlock();
      drain(worker);
      lock.lock();
      if (--busy == 0) done.notify_one();
    }
  }
};

Workers::Workers(int count) : count_(count) {
  if (count == 1) return;
  pool_ = std::make_unique<Pool>();
  for (int worker = 1; worker < count; ++worker) {
    pool_->threads.emplace_back([pool = pool_.get(), worker] { pool->serve(worker); });
  }
}

Workers::~Workers() {
  if (!pool_) return;
  {
    const std::lock_guard lock(pool_->mutex);
    pool_->stop = true;
  }
  pool_->start.notify_all();
  for (std::thread& thread : pool_->threads) thread.join();
}

void Workers::run(Index tasks, TaskBody body) const {
  if (count_ == 1 || tasks <= 1) {
    for (Index task = 0; task < tasks; ++task) body(task, 0);
    return;
  }
  Pool& pool = *pool_;
  {
    const std::lock_guard lock(pool.mutex);
    pool.tasks = tasks;
    pool.body = &body;
    pool.next = 0;
    pool.busy = count_ - 1;
    ++pool.generation;
  }
  pool.start.notify_all();
  pool.drain(0);
  std::unique_lock lock(pool.mutex);
  pool.done.wait(lock, [&] { return pool.busy == 0; });
}

#endif

}  // namespace tessera
