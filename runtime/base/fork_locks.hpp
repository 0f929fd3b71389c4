// SPDX-License-Identifier: Apache-2.0
//
// Locks and fork(). The child has the thread that forked and no other: a lock that another thread held
// stays held for ever there, and what that thread was writing stays half-written. Three ways out:
//
//   HeldOverFork  for a std::mutex that is held for a few instructions and no call out of the
//                 library: fork() takes it, so that the child finds it free and its data whole.
//   ProcessMutex  for a lock that is held long, or while the host's code runs: fork() does not wait
//                 for it; in the child it is free. What it guards has to be whole at every moment.
//   made_once     for a value that whoever comes first makes: nobody waits for anybody. (A static
//                 variable of a function has a lock, of the second kind, but of the first duration.)
#pragma once

#include <unistd.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <type_traits>

namespace tessera {

/// Place at namespace scope, beside the mutex: what is registered when the library is loaded is
/// registered before the first call.
class HeldOverFork {
 public:
  explicit HeldOverFork(std::mutex& mutex) noexcept;

 private:
  static void lock_all() noexcept;
  static void unlock_all() noexcept;

  static constinit HeldOverFork* first;
  std::mutex& mutex_;
  HeldOverFork* next_;
};
static_assert(std::is_trivially_destructible_v<HeldOverFork>, "threads may outlive exit()");

/// A mutex whose holder is a process: in a child of fork() nobody holds what a thread of its parent
/// does. One lock costs two system calls at most while nobody waits.
class ProcessMutex {
 public:
  constexpr ProcessMutex() noexcept = default;
  ProcessMutex(const ProcessMutex&) = delete;
  ProcessMutex& operator=(const ProcessMutex&) = delete;

  class [[nodiscard]] Lock {
   public:
    explicit Lock(ProcessMutex& mutex) noexcept : mutex_(mutex), process_(::getpid()) {
      mutex_.lock(process_);
    }
    ~Lock() { mutex_.unlock(process_); }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;

   private:
    ProcessMutex& mutex_;
    const pid_t process_;
  };

 private:
  void lock(pid_t process) noexcept {
    for (pid_t holder = kNobody;;) {
      // Nobody, or a thread that this process has not.
      if (holder != process && holder_.compare_exchange_weak(holder, process)) return;
      if (holder != process) continue;
      holder_.wait(holder);
      holder = holder_.load();
    }
  }
  /// Of what the thread that forked had locked before, the child may have locked more since.
  void unlock(pid_t process) noexcept {
    if (holder_.compare_exchange_strong(process, kNobody)) holder_.notify_one();
  }

  static constexpr pid_t kNobody = 0;
  std::atomic<pid_t> holder_{kNobody};
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
