// SPDX-License-Identifier: Apache-2.0
// Threads of a library run no handler of the host: what starts them blocks all signals, which they
// inherit.
#pragma once

#include <pthread.h>
#include <signal.h>

namespace tessera {

/// All signals are blocked on this thread while this lives.
class BlockedSignals {
 public:
  BlockedSignals() noexcept {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

 private:
  sigset_t before_;
};

}  // namespace tessera
