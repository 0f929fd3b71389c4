// SPDX-License-Identifier: Apache-2.0
// Waiting for a number to change, for a time: what std::atomic::wait() is without one. Nobody is
// registered anywhere: what a fork() leaves behind in the child disturbs nobody (std::condition_variable
// counts its waiters and waits for them).
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <ctime>

namespace tessera {

static_assert(std::atomic<std::uint32_t>::is_always_lock_free &&
                  sizeof(std::atomic<std::uint32_t>) == 4,
              "the kernel reads it as it is");

/// Returns when `word` may be another than `seen`, or after `deadline`; also for no reason.
inline void wait_while(const std::atomic<std::uint32_t>& word, std::uint32_t seen,
                       std::chrono::steady_clock::time_point deadline) noexcept {
  const auto span = std::chrono::duration_cast<std::chrono::nanoseconds>(
      deadline - std::chrono::steady_clock::now());
  if (span.count() <= 0) return;
  const timespec left{.tv_sec = static_cast<std::time_t>(span.count() / 1'000'000'000),
                      .tv_nsec = static_cast<long>(span.count() % 1'000'000'000)};
  (void)::syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, seen, &left, nullptr, 0);
}

/// Wakes one of those who wait for `word`, if there are any.
inline void wake_one(const std::atomic<std::uint32_t>& word) noexcept {
  (void)::syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

}  // namespace tessera
