// SPDX-License-Identifier: Apache-2.0
// Threads of a library run no handler of the host: what starts them blocks signals, which they inherit.
// Those of a fault stay, so that a host's crash handler sees one in our threads too, and a profiler's
// clock.
#pragma once

#include <pthread.h>
#include <signal.h>

namespace tessera {

/// All signals but those are blocked on this thread while this lives.
class BlockedSignals {
 public:
  BlockedSignals() noexcept {
    sigset_t all;
    sigfillset(&all);
    for (const int open : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT, SIGPROF}) {
      sigdelset(&all, open);
    }
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

 private:
  sigset_t before_;
};

}  // namespace tessera
