// SPDX-License-Identifier: Apache-2.0
// Six detached threads share a session of two lanes; four of them wait for one at any time while the
// process ends by how (return, exit, thread: exit() of another thread, quick_exit). A handler of atexit
// and the destructor of a static object wait for a lane, too, one with a timeout; in mode close the
// destructor closes the session under those who wait. Vectors or statuses; nothing aborts or hangs.
//
//   exit_wait MODEL HOW
#include <atomic>
#include <chrono>
#include <thread>

#include "tests/embedding/host.hpp"

namespace {

// What the threads use to the end is never destroyed.
std::string& how = *new std::string;
std::vector<float>& before = *new std::vector<float>;
std::atomic<int> calls{0};
tessera::Session* session = nullptr;

void use(std::chrono::nanoseconds timeout) {
  try {
    tessera::RunOptions options;
    options.timeout = timeout;
    host::expect(session->embed(host::kText, options) == before, "the same vector");
  } catch (const tessera::Error& e) {
    host::expect(how == "close" || e.status() == TESSERA_CANCELLED, e.what());
  }
  ++calls;
}

struct Static {
  ~Static() {
    if (how == "close") tessera_session_close(session->get());
    use(std::chrono::nanoseconds(0));
  }
};
Static object;

void at_exit() {
  use(std::chrono::milliseconds(200));
}

}  // namespace

int main(int argc, char** argv) {
  const std::string path = host::model(argc, argv);
  how = host::argument(argc, argv, 2);
  before = host::embed(path);
  std::atexit(at_exit);
  tessera::SessionOptions options = host::with_threads(1);
  options.concurrent_calls = 2;
  options.busy = TESSERA_BUSY_WAIT;
  session = new tessera::Session(tessera::Model(path), options);
  for (int i = 0; i < 6; ++i) {
    std::thread([i] {
      for (;;) use(i % 2 == 0 ? std::chrono::nanoseconds(0) : std::chrono::milliseconds(1));
    }).detach();
  }
  while (calls < 20) std::this_thread::yield();
  if (how == "exit") std::exit(0);
  if (how == "quick_exit") std::quick_exit(0);
  if (how == "thread") {
    std::thread([] { std::exit(0); }).detach();
    for (;;) std::this_thread::sleep_for(std::chrono::seconds(1));
  }
}
