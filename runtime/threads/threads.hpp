// SPDX-License-Identifier: Apache-2.0
// One way to run work in parallel. The plan decides what a task is; this only hands tasks to
// workers. Results must not depend on which worker runs which task, so tasks write disjoint memory.
#pragma once

#include <cstdint>
#include <memory>

#include "runtime/base/task_body.hpp"
#include "runtime/threads/callers_pool.hpp"

namespace tessera {

class RunStop;
namespace plugins {
struct OpenMp;
}

/// Who provides the threads.
///
///   pool     own threads that wait 50 µs for the next op and then sleep; a run never waits for a
///            worker that the system has not scheduled, only for tasks that one has begun
///   openmp   the process's OpenMP team: for hosts that are OpenMP programs themselves and want one
///            team. libgomp spins between ops and at their end (OMP_WAIT_POLICY), which costs
///            dearly when other processes want the CPUs
enum class WorkersBackend : std::uint8_t { pool, openmp };

/// TESSERA_THREADS = "pool" or "openmp" if set, else pool. Throws Error{invalid_argument} for
/// another value.
WorkersBackend default_backend();

/// A team of workers. With one worker, the caller runs everything and no thread is made.
///
/// After fork() the child has none of the threads: there the caller runs everything, from the next
/// begin_run() on.
class Workers {
 public:
  /// Precondition: 1 ≤ count ≤ 1024. Throws Error: out_of_memory if the system refuses a thread,
  /// invalid_argument if there is no plugin for OpenMP.
  explicit Workers(int count, WorkersBackend backend = default_backend());
  /// On the caller's pool. Precondition: pool.run is not null.
  Workers(int count, ParallelFor pool);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  int count() const noexcept { return count_; }

  /// Before the runs of one batch: tasks are left out once `stop` is requested, and when the
  /// caller's pool fails `stop` is. Null: neither. `stop` must live until the next call.
  void begin_run(RunStop* stop) noexcept;
  RunStop* stop() const noexcept { return stop_; }
  /// How the caller's pool failed since begin_run(); null: it did not.
  const char* failure() const noexcept { return failed_ ? callers_->failure() : nullptr; }

  /// Calls body(task, worker) once for every task in [0, tasks), worker in [0, count()), and
  /// returns when all are done. Tasks start in rising order and each goes to the next free worker.
  /// Not reentrant. tasks < 2³¹.
  void run(Index tasks, TaskBody body) const noexcept;

 private:
  void hand_out(Index tasks, const TaskBody& body) const noexcept;

  int count_;
  WorkersBackend backend_;
  std::uint64_t process_;  // that made the threads
  bool alone_ = false;     // in another process
  RunStop* stop_ = nullptr;
  mutable bool failed_ = false;
  class Pool;
  std::unique_ptr<Pool> pool_;
  const plugins::OpenMp* openmp_ = nullptr;
  std::unique_ptr<CallersPool> callers_;
};

/// The workers as an op sees them: all, or a single one that is itself inside a task.
class Team {
 public:
  Team(const Workers& all) noexcept : all_(&all) {}  // NOLINT(google-explicit-constructor)
  Team(const Team& team, int worker) noexcept : all_(team.all_), alone_(worker) {}

  int count() const noexcept { return alone_ < 0 ? all_->count() : 1; }
  RunStop* stop() const noexcept { return all_->stop(); }
  /// As Workers::run(); a single worker runs every task itself, under its own number.
  void run(Index tasks, TaskBody body) const noexcept;

 private:
  const Workers* all_;
  int alone_ = -1;
};

/// Worker count when the caller names none: the CPUs that affinity and cgroup quota leave to this
/// process, and at most OMP_NUM_THREADS where that is set to a positive number.
int default_thread_count();

}  // namespace tessera
