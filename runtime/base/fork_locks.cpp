// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/fork_locks.hpp"

#include <pthread.h>
#include <unistd.h>

namespace tessera {
namespace {

// Forks that led to this process since the library was loaded. The number of the process beside it: a
// host's handler that runs in the child before ours may call the library.
constinit std::atomic<std::uint32_t> forks{0};

void count_fork() noexcept {
  forks.fetch_add(1, std::memory_order_relaxed);
}

// When the library is loaded. dlclose() takes it back.
[[maybe_unused]] const int kHandler = pthread_atfork(nullptr, nullptr, &count_fork);

}  // namespace

std::uint64_t process_identity() noexcept {
  return std::uint64_t{forks.load(std::memory_order_relaxed)} << 32 |
         static_cast<std::uint32_t>(::getpid());
}

}  // namespace tessera
