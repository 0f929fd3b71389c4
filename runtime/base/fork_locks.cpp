// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/fork_locks.hpp"

#include <pthread.h>

namespace tessera {

constinit HeldOverFork* HeldOverFork::first = nullptr;

HeldOverFork::HeldOverFork(std::mutex& mutex) noexcept : mutex_(mutex), next_(first) {
  // Without memory for the handlers: as if there were none.
  if (first == nullptr) (void)pthread_atfork(&lock_all, &unlock_all, &unlock_all);
  first = this;
}

// None is locked while another is held but here: any order will do.
void HeldOverFork::lock_all() noexcept {
  for (HeldOverFork* each = first; each != nullptr; each = each->next_) each->mutex_.lock();
}

void HeldOverFork::unlock_all() noexcept {
  for (HeldOverFork* each = first; each != nullptr; each = each->next_) each->mutex_.unlock();
}

}  // namespace tessera
