// SPDX-License-Identifier: Apache-2.0
#include "runtime/threads/threads.hpp"

#include <fmt/format.h>

#include <immintrin.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include "runtime/base/blocked_signals.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/float_environment.hpp"
#include "runtime/base/fork_locks.hpp"
#include "runtime/machine/machine.hpp"
#include "runtime/plugins/plugin.hpp"
#include "runtime/threads/run_control.hpp"

namespace tessera {

int default_thread_count() {
  int count = machine().usable_cpus;
  if (const char* value = std::getenv("OMP_NUM_THREADS"); value != nullptr) {
    const long asked = std::strtol(value, nullptr, 10);  // "4,2" lists levels: the first counts
    if (asked > 0) count = static_cast<int>(std::min<long>(count, asked));
  }
  return std::max(count, 1);
}

WorkersBackend default_backend() {
  const char* value = std::getenv("TESSERA_THREADS");
  const std::string_view name = value == nullptr ? "" : value;
  if (name.empty() || name == "pool") return WorkersBackend::pool;
  if (name == "openmp") return WorkersBackend::openmp;
  throw Error(ErrorCode::invalid_argument,
              fmt::format("TESSERA_THREADS: got \"{}\", expected pool or openmp", name));
}

// A run is one 64-bit word: tasks (32) | next (32). Adding 1 claims task `next` and reads the limit
// that belongs to it in one step, so a worker that wakes late cannot hold one run's task against
// another's limit, and nobody has to wait until every worker has noticed that a run is over.
class Workers::Pool {
 public:
  explicit Pool(int count) {
    const BlockedSignals blocked;
    try {
      for (int worker = 1; worker < count; ++worker) {
        threads_->all.emplace_back([this, worker] { serve(worker); });
      }
    } catch (const std::system_error& e) {
      const std::size_t made = threads_->all.size() + 1;
      stop();
      throw Error(ErrorCode::out_of_memory,
                  fmt::format("threads: the system refused thread {} of {}: {}", made + 1, count,
                              e.what()));
    } catch (...) {
      stop();
      throw;
    }
  }

  ~Pool() {
    if (process_identity() == process_) {
      stop();
    } else {  // a forked child has none of these threads: there is nothing to join, nor to destroy
      Threads* const left = threads_.release();
      left->next = abandoned.load();
      while (!abandoned.compare_exchange_weak(left->next, left)) {
      }
    }
  }

  void run(Index tasks, const TaskBody& body) {
    body_ = &body;  // no task is in flight: nobody reads it
    done_.store(0, std::memory_order_relaxed);
    const auto all = static_cast<std::uint32_t>(tasks);
    work_.store(std::uint64_t{all} << 32, std::memory_order_release);
    // Sequentially consistent: notify_all() must not look for sleepers before the store is seen.
    generation_.fetch_add(1, std::memory_order_seq_cst);
    generation_.notify_all();
    drain(0);
    // All tasks are claimed; those of other workers may still run. Their length is that of a task.
    int spin = 0;
    while (done_.load(std::memory_order_acquire) != all) {
      if (spin < kSpins) {
        ++spin;
        _mm_pause();
      } else {
        std::this_thread::yield();
      }
    }
  }

 private:
  // About 50 µs (a pause takes 40 to 140 cycles): longer than the serial part between two ops.
  static constexpr int kSpins = 1000;

  struct Threads {
    std::vector<std::thread> all;
    Threads* next = nullptr;
  };
  /// What forked children were left with: of no use, but no leak.
  static constinit std::atomic<Threads*> abandoned;

  void stop() {
    stop_ = true;
    ++generation_;
    generation_.notify_all();
    for (std::thread& thread : threads_->all) thread.join();
  }

  void drain(int worker) {
    for (;;) {
      const std::uint64_t claim = work_.fetch_add(1, std::memory_order_acq_rel);
      const auto task = static_cast<std::uint32_t>(claim);
      if (task >= static_cast<std::uint32_t>(claim >> 32)) return;
      (*body_)(static_cast<Index>(task), worker);
      done_.fetch_add(1, std::memory_order_release);
    }
  }

  void serve(int worker) {
    FloatEnvironment::set();
    std::uint32_t seen = 0;
    while (!stop_) {
      for (int spin = 0; generation_.load(std::memory_order_acquire) == seen && spin < kSpins;
           ++spin) {
        _mm_pause();
      }
      generation_.wait(seen, std::memory_order_acquire);
      seen = generation_.load(std::memory_order_acquire);
      if (!stop_) drain(worker);
    }
  }

  alignas(128) std::atomic<std::uint64_t> work_{0};
  alignas(128) std::atomic<std::uint32_t> generation_{0};
  alignas(128) std::atomic<std::uint32_t> done_{0};
  std::atomic<bool> stop_{false};
  const TaskBody* body_ = nullptr;
  const std::uint64_t process_ = process_identity();
  std::unique_ptr<Threads> threads_ = std::make_unique<Threads>();
};

constinit std::atomic<Workers::Pool::Threads*> Workers::Pool::abandoned{nullptr};

Workers::Workers(int count, WorkersBackend backend)
    : count_(count), backend_(backend), process_(process_identity()) {
  if (count == 1) return;
  if (backend == WorkersBackend::pool) {
    pool_ = std::make_unique<Pool>(count);
    return;
  }
  std::string why;
  openmp_ = plugins::openmp(why);
  if (openmp_ == nullptr) {
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("threads: {}, expected the plugin tessera_openmp.so, which a build with "
                    "TESSERA_WITH_OPENMP=ON has",
                    why));
  }
}

Workers::Workers(int count, ParallelFor pool)
    : count_(count),
      backend_(WorkersBackend::pool),
      process_(process_identity()),
      callers_(std::make_unique<CallersPool>(pool)) {}

Workers::~Workers() = default;

void Workers::begin_run(RunStop* stop) noexcept {
  stop_ = stop;
  failed_ = false;
  alone_ = process_identity() != process_;
}

void Workers::hand_out(Index tasks, const TaskBody& body) const noexcept {
  if (count_ == 1 || tasks <= 1 || alone_) {
    for (Index task = 0; task < tasks; ++task) body(task, 0);
  } else if (callers_ != nullptr) {
    const int lanes = static_cast<int>(std::min<Index>(count_, tasks));
    if (callers_->run(lanes, tasks, body)) return;
    failed_ = true;
    if (stop_ != nullptr) stop_->stop();
  } else if (backend_ == WorkersBackend::openmp) {
    openmp_->run(count_, tasks, body);
  } else {
    pool_->run(tasks, body);
  }
}

void Workers::run(Index tasks, TaskBody body) const noexcept {
  if (stop_ == nullptr) return hand_out(tasks, body);
  hand_out(tasks, [&](Index task, int worker) {
    if (!stop_->requested()) body(task, worker);
  });
}

void Team::run(Index tasks, TaskBody body) const noexcept {
  if (alone_ < 0) return all_->run(tasks, body);
  for (Index task = 0; task < tasks; ++task) {
    if (stop() != nullptr && stop()->requested()) return;
    body(task, alone_);
  }
}

}  // namespace tessera
