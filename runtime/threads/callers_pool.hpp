// SPDX-License-Identifier: Apache-2.0
// Work on the threads of the caller's pool. Results do not depend on how that pool behaves: tasks
// and worker numbers are handed out here, so no task runs twice and no two calls share scratch.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "runtime/base/task_body.hpp"

namespace tessera {

/// The caller's own pool in place of ours, in C's types.
///
/// run(context, lanes, body, arg) calls body(arg, lane) once for every lane in [0, lanes), on any
/// threads, in any order, as many at once as it likes (also all of them one after another on the
/// calling thread), and returns when all calls have returned. lanes ≤ SessionOptions::threads; a
/// lane takes tasks until none is left, so a lane that starts late costs nothing.
///
/// Errors    A pool that throws, leaves lanes out, repeats one, or returns before they are done
///           makes the run throw Error{invalid_argument}; the session can be used again. body must
///           not be called after the session is destroyed.
struct ParallelFor {
  void (*run)(void* context, std::int64_t lanes, void (*body)(void* arg, std::int64_t lane),
              void* arg) = nullptr;  ///< null: our threads
  void* context = nullptr;
};

class CallersPool {
 public:
  static constexpr int kMostLanes = 1024;

  explicit CallersPool(ParallelFor pool) noexcept : pool_(pool) {}

  /// Calls body(task, worker) once for each task, worker in [0, lanes). False: the pool failed as
  /// failure() says; tasks may have been left out, none is still running.
  /// Preconditions: 1 ≤ lanes ≤ kMostLanes; one call at a time.
  bool run(int lanes, Index tasks, const TaskBody& body) noexcept;

  /// What was got and expected when run() last returned false.
  const char* failure() const noexcept { return failure_.data(); }

 private:
  enum class Fault : std::uint8_t { none, repeated, out_of_range, late };

  static void enter(void* self, std::int64_t lane) noexcept;
  void work(std::int64_t lane) noexcept;
  bool is_new(std::int64_t lane) noexcept;

  static constexpr std::uint32_t kOpen = 1U << 31;  // of state_; the rest counts lanes inside

  ParallelFor pool_;
  const TaskBody* body_ = nullptr;
  Index tasks_ = 0;
  int lanes_ = 0;
  alignas(128) std::atomic<std::uint32_t> state_{0};
  alignas(128) std::atomic<Index> next_{0};
  std::atomic<int> entered_{0};
  std::atomic<Fault> fault_{Fault::none};
  std::array<std::atomic<std::uint64_t>, kMostLanes / 64> seen_{};  // one bit per lane
  std::array<char, 200> failure_{};
};

}  // namespace tessera
