// SPDX-License-Identifier: Apache-2.0
#include "tessera/cli/process.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "tessera/pipeline/output_file.hpp"

namespace tessera::cli {
namespace {

// The temporary file that a signal handler removes: a handler may touch no std::string.
constexpr std::size_t kPathBytes = 4096;
char pending_path[kPathBytes];
volatile std::sig_atomic_t has_pending_path = 0;

void remember_for_signals(const char* path) {
  has_pending_path = 0;
  if (path == nullptr || std::strlen(path) >= kPathBytes) return;
  std::strcpy(pending_path, path);
  has_pending_path = 1;
}

extern "C" void remove_and_die(int signal_number) {
  if (has_pending_path != 0) ::unlink(pending_path);
  ::signal(signal_number, SIG_DFL);
  ::raise(signal_number);
}

volatile std::sig_atomic_t deferred_signal = 0, deferred_signals = 0;

extern "C" void remember_signal(int signal_number) {
  if (deferred_signal == 0) deferred_signal = signal_number;
  deferred_signals = deferred_signals + 1;
  if (deferred_signals >= 3) remove_and_die(signal_number);
}

constexpr int kEndingSignals[] = {SIGINT, SIGTERM, SIGHUP};

/// For those of them that the parent did not ignore, which means it (nohup).
void handle_ending_signals(void (*handler)(int)) {
  for (const int number : kEndingSignals) {
    struct sigaction previous {};
    if (::sigaction(number, nullptr, &previous) == 0 && previous.sa_handler == SIG_IGN) continue;
    struct sigaction action {};
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART;
    ::sigemptyset(&action.sa_mask);
    ::sigaction(number, &action, nullptr);
  }
}

}  // namespace

void defer_signals() {
  handle_ending_signals(remember_signal);
}

bool is_interrupted() noexcept {
  return deferred_signal != 0;
}

void end_by_deferred_signal() {
  const int number = deferred_signal;
  std::signal(number, SIG_DFL);
  std::raise(number);
  ::_exit(128 + number);
}

void prepare_process() {
  set_temporary_hook(remember_for_signals);
  // A closed descriptor 0, 1 or 2 would be given to the next file that is opened. These stand-ins
  // keep the place, and make reading (0) or writing (1, 2) fail as on a closed one.
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(descriptor, F_GETFD) >= 0) continue;
    if (::open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0) return;
  }
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  handle_ending_signals(remove_and_die);
}

}  // namespace tessera::cli
