// SPDX-License-Identifier: Apache-2.0
// A timer interrupts the host every 200 microseconds, without SA_RESTART, while models are opened and
// texts embedded. No call fails for it, and the handler runs on threads of the host only.
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

#include <atomic>

#include "tests/embedding/host.hpp"

namespace {
std::atomic<int> here{0}, elsewhere{0};
pthread_t main_thread;
void tick(int) {
  ++(pthread_equal(pthread_self(), main_thread) != 0 ? here : elsewhere);
}
}  // namespace

int main(int argc, char** argv) {
  const std::string path = host::model(argc, argv);
  const std::vector<float> expected = host::embed(path);
  main_thread = pthread_self();
  struct sigaction action {};
  action.sa_handler = tick;
  sigaction(SIGALRM, &action, nullptr);
  const itimerval every{{0, 200}, {0, 200}};
  setitimer(ITIMER_REAL, &every, nullptr);
  for (int i = 0; i < 20; ++i) {
    host::expect(host::embed(path, 2) == expected, "the same vector");
  }
  host::expect(here > 10, "interrupts");
  host::expect(elsewhere == 0, "no handler on a thread of the library");
}
