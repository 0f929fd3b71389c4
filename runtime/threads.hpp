// SPDX-License-Identifier: Apache-2.0
// One way to run work in parallel. The plan decides what a task is; this only hands tasks to
// workers. Results must not depend on which worker runs which task, so tasks write disjoint memory.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

#include "kernels/types.hpp"

namespace tessera {

/// A reference to a callable body(task, worker); no allocation, no ownership. The callable must not
/// throw.
class TaskBody {
 public:
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, TaskBody>) TaskBody(F&& f)
  noexcept  // NOLINT(google-explicit-constructor): it is a parameter type
      : object_(const_cast<void*>(static_cast<const void*>(&f))),
        call_([](void* object, Index task, int worker) {
          (*static_cast<std::remove_reference_t<F>*>(object))(task, worker);
        }) {}

  void operator()(Index task, int worker) const { call_(object_, task, worker); }

 private:
  void* object_;
  void (*call_)(void*, Index, int);
};

/// Who provides the threads.
///   pool     own threads that wait 50 µs for the next op and then sleep; a run never waits for a
///   worker
///            that the system has not scheduled, only for tasks that one has begun
///   openmp   the process's OpenMP team: for hosts that are OpenMP programs themselves and want one
///   team.
///            libgomp spins between ops and at their end (OMP_WAIT_POLICY), which costs dearly when
///            other processes want the CPUs
enum class WorkersBackend : std::uint8_t { pool, openmp };

/// TESSERA_THREADS = "pool" or "openmp" if set, else pool. Throws Error{invalid_argument} for
/// another value, or one that is not built in.
WorkersBackend default_backend();

/// A team of workers. With one worker, the caller runs everything and no thread is made.
class Workers {
 public:
  /// Precondition: count ≥ 1. Throws Error{out_of_memory} if the system refuses a thread.
  explicit Workers(int count, WorkersBackend backend = default_backend());
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  int count() const noexcept { return count_; }

  /// Calls body(task, worker) once for every task in [0, tasks), worker in [0, count()), and
  /// returns when all are done. Tasks start in rising order and each goes to the next free worker.
  /// Not reentrant. tasks < 2³¹.
  void run(Index tasks, TaskBody body) const;

 private:
  int count_;
  WorkersBackend backend_;
  class Pool;
  std::unique_ptr<Pool> pool_;
};

/// Worker count when the caller names none: the CPUs that affinity and cgroup quota leave to this
/// process, and at most OMP_NUM_THREADS where that is set to a positive number.
int default_thread_count();

}  // namespace tessera
