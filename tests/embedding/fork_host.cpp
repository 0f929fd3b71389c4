// SPDX-License-Identifier: Apache-2.0
// A host that forks with locks of its own in play; nothing of the library's may join them. fork_host MODE:
//
//   allocator  operator new has a lock, which handlers of the host keep over fork()
//   lock       a thread calls the library with a lock that handlers of the host take
//   signal     a signal handler forks in the middle of a call
#include <pthread.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>

#include "tests/embedding/host.hpp"

namespace {

constexpr int kForks = 500;
constexpr unsigned kSeconds = 60;  // more is a deadlock: SIGALRM ends the program

pthread_mutex_t host_lock = PTHREAD_MUTEX_INITIALIZER;
bool allocator_locks = false;  // before threads

void take() {
  pthread_mutex_lock(&host_lock);
}
void give() {
  pthread_mutex_unlock(&host_lock);
}
void* allocate(std::size_t bytes) {
  if (allocator_locks) take();
  void* const memory = std::malloc(bytes == 0 ? 1 : bytes);
  if (allocator_locks) give();
  return memory;
}

/// Handles that are opened, looked up, refused and closed.
void use() {
  tessera_session* const closed = reinterpret_cast<tessera_session*>(std::uintptr_t{12345});
  host::expect(tessera_session_close(closed) == TESSERA_INVALID_ARGUMENT, "a status");
  tessera_cancel* cancels[50];
  for (tessera_cancel*& each : cancels)
    host::expect(tessera_cancel_create(&each) == TESSERA_OK, "a flag");
  for (tessera_cancel* const each : cancels) tessera_cancel_close(each);
}

void fork_and_wait() {
  const pid_t child = fork();
  if (child == 0) std::_Exit(0);
  waitpid(child, nullptr, 0);
}

volatile std::sig_atomic_t forked = 0;
void fork_in_signal(int) {
  fork_and_wait();
  forked = forked + 1;
}

}  // namespace

void* operator new(std::size_t bytes) {
  if (void* const memory = allocate(bytes)) return memory;
  throw std::bad_alloc();
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return allocate(bytes);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

int main(int argc, char** argv) {
  const std::string mode = host::argument(argc, argv, 1);
  if (mode == "signal") {
    signal(SIGPROF, fork_in_signal);
    alarm(kSeconds);
    const itimerval often{{0, 1000}, {0, 1000}};
    setitimer(ITIMER_PROF, &often, nullptr);
    while (forked < kForks) {
      tessera_cancel* flag = nullptr;
      if (tessera_cancel_create(&flag) == TESSERA_OK) tessera_cancel_close(flag);
    }
    return 0;
  }
  pthread_atfork(take, give, give);
  allocator_locks = mode == "allocator";
  alarm(kSeconds);
  std::atomic<bool> is_over{false};
  std::thread other([&] {
    while (!is_over) {
      if (!allocator_locks) take();
      use();
      if (!allocator_locks) give();
    }
  });
  for (int i = 0; i < kForks; ++i) fork_and_wait();
  is_over = true;
  other.join();
}
