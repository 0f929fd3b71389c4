// SPDX-License-Identifier: Apache-2.0
// fork() with a session of two threads alive: the child embeds with its copy, destroys it and exits;
// so does a child that is made inside a callback, whether it ends there or goes on from it (log,
// parallel_for), and one of a thread. The parent goes on.
#include <sys/wait.h>
#include <unistd.h>

#include <thread>
#include <utility>

#include "tests/embedding/host.hpp"

namespace {

void wait_for(pid_t child) {
  int status = -1;
  host::expect(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0,
               "a child that ends with status 0");
}

enum class Child { none, ends, goes_on };
Child next = Child::none;
pid_t last = -1;  // 0: this is a child that goes on

/// One child, as `next` says.
void fork_once() {
  const Child how = std::exchange(next, Child::none);
  if (how == Child::none) return;
  last = fork();
  if (last == 0 && how == Child::ends) std::_Exit(0);
  if (last > 0) wait_for(last);
}
void forking_pool(void*, std::int64_t lanes, void (*body)(void*, std::int64_t), void* arg) {
  fork_once();
  for (std::int64_t lane = 0; lane < lanes; ++lane) body(arg, lane);
}
void forking_log(void*, tessera_log_level, const char*) {
  fork_once();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string path = host::model(argc, argv);
  const std::vector<float> expected = host::embed(path);
  {
    const tessera::Model model(path);
    tessera::Session session(model, host::with_threads(2));
    host::expect(session.embed(host::kText) == expected, "the same vector");
    const pid_t child = fork();
    if (child == 0) {
      host::expect(session.embed(host::kText) == expected, "the child's vector");
      host::expect(host::embed(path, 2) == expected, "the child's own session");
      return 0;  // destroys both
    }
    wait_for(child);
    host::expect(session.embed(host::kText) == expected, "the parent's vector");
  }
  tessera::SessionOptions options = host::with_threads(2);
  options.parallel_for = forking_pool;
  const tessera::Model model(path);
  tessera::Session session(model, options);
  for (const Child how : {Child::ends, Child::goes_on}) {
    next = how;
    host::expect(session.embed(host::kText) == expected, "the same vector");
    if (last == 0) return 0;
  }
  tessera_set_log_callback(forking_log, nullptr);
  for (const Child how : {Child::ends, Child::goes_on}) {
    next = how;
    tessera::ModelOptions cached;  // says where it keeps the packed weights
    cached.packed_cache = "fork_cache";
    tessera::Model logs(path, cached);
    logs.prepare();
    host::expect(next == Child::none, "a message");
    host::expect(tessera::Session(logs, host::with_threads(2)).embed(host::kText) == expected,
                 "the same vector");
    if (last == 0) return 0;
  }
  tessera_set_log_callback(nullptr, nullptr);
  std::thread([&] {
    const pid_t child = fork();
    if (child == 0) std::exit(host::embed(path) == expected ? 0 : 1);
    wait_for(child);
  }).join();
}
