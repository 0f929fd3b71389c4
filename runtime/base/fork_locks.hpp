// SPDX-License-Identifier: Apache-2.0
//
// Locks and fork(). The child has the thread that forked and no other: a lock that another thread held
// stays held for ever there, and what that thread was writing stays half-written.
//
//   ProcessMutex  a lock whose holder is a process: in the child it is free. What it guards has to be
//                 whole at every moment: one atomic store publishes what was written before.
//   made_once     for a value that whoever comes first makes: nobody waits for anybody. (A static
//                 variable of a function has a lock.)
//
// fork() itself takes none of them: a host forks inside callbacks, in signal handlers, and with locks of
// its own that another thread holds while it calls the library.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>

#include "runtime/base/futex.hpp"

namespace tessera {

/// Of this process: another one in every child of fork(), also where the system gives it the number of an
/// ancestor. Never 0.
std::uint64_t process_identity() noexcept;

/// A mutex that nobody holds in a child of fork() but who locked it there. One thread must not lock it
/// twice.
class ProcessMutex {
 public:
  constexpr ProcessMutex() noexcept = default;
  ProcessMutex(const ProcessMutex&) = delete;
  ProcessMutex& operator=(const ProcessMutex&) = delete;

  class [[nodiscard]] Lock {
   public:
    explicit Lock(ProcessMutex& mutex) noexcept : mutex_(mutex), process_(mutex.lock()) {}
    ~Lock() { mutex_.unlock(process_); }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;

   private:
    ProcessMutex& mutex_;
    const std::uint64_t process_;
  };

 private:
  /// The process that has it now. A signal handler may fork while a thread waits here: it looks again.
  std::uint64_t lock() noexcept {
    constexpr std::chrono::milliseconds kLookAgain{50};
    for (;;) {
      const std::uint32_t seen = released_;
      const std::uint64_t process = process_identity();
      std::uint64_t holder = holder_;
      if (holder == process) {  // a thread of ours
        ++waiting_;
        wait_while(released_, seen, std::chrono::steady_clock::now() + kLookAgain);
        --waiting_;
      } else if (holder_.compare_exchange_weak(holder, process)) {
        return process;  // nobody had it, or a thread that is not here
      }
    }
  }
  /// What the thread that forked had locked before, the child may have locked anew.
  void unlock(std::uint64_t process) noexcept {
    if (!holder_.compare_exchange_strong(process, kNobody)) return;
    ++released_;
    if (waiting_ > 0) wake_one(released_);
  }

  static constexpr std::uint64_t kNobody = 0;
  std::atomic<std::uint64_t> holder_{kNobody};
  std::atomic<std::uint32_t> released_{0};  // times that it was
  // Threads that wait, and those that did when this process was forked.
  std::atomic<std::uint32_t> waiting_{0};
};

/// What `make()` gave to the first that came; it is never destroyed. Where several come at once, each
/// makes one, and one is kept. Precondition: `known` lives as long as the process.
template <class T, class Make>
const T& made_once(std::atomic<const T*>& known, Make&& make) {
  const T* found = known.load(std::memory_order_acquire);
  if (found != nullptr) return *found;
  auto made = std::make_unique<const T>(make());
  if (!known.compare_exchange_strong(found, made.get(), std::memory_order_acq_rel)) return *found;
  return *made.release();
}

/// A global that is there before the first call and after the last: constinit, and never destroyed.
template <class T>
union NeverDestroyed {
  constexpr NeverDestroyed() : value() {}
  ~NeverDestroyed() {}  // NOLINT(modernize-use-equals-default): that would need T's

  T value;
};

}  // namespace tessera
