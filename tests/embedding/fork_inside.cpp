// SPDX-License-Identifier: Apache-2.0
// fork() while other threads of the host are inside the library, again and again: what the child calls
// works or is a status, and nothing in it waits for a thread that it has not. fork_inside MODEL [FORKS]
//
//   info, error, cancel, memory, tokens    handles that are looked up, opened and closed
//   open       models that are opened from files in memory, prepared and closed
//   lanes      a session of two calls, three threads that wait for them
//   packing    one thread packs the weights of a model, which the child asks for
//   logging    one thread is in the log callback, and stays there; so are others that wait for it
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <span>
#include <thread>

#include "tests/embedding/host.hpp"

namespace {

namespace fs = std::filesystem;

int forks = 100;  // of each mode
constexpr unsigned kChildSeconds = 20;

void one_child(const std::string& mode, const std::function<void()>& use) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(kChildSeconds);  // ends it
    try {
      use();
    } catch (const std::exception& e) {
      host::fail(mode + ", in the child: " + e.what());
    }
    std::_Exit(0);
  }
  int status = -1;
  host::expect(waitpid(child, &status, 0) == child, "a child");
  host::expect(WIFEXITED(status) && WEXITSTATUS(status) == 0,
               mode + ": a child that ends with status 0, got " +
                   (WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status))
                                        : "status " + std::to_string(WEXITSTATUS(status))));
}

/// `threads` threads do `use` again and again, while children do `in_child`.
void fork_beside(const std::string& mode, int threads, const std::function<void()>& use,
                 const std::function<void()>& in_child) {
  std::atomic<bool> is_over{false};
  std::vector<std::thread> others;
  for (int i = 0; i < threads; ++i) {
    others.emplace_back([&] {
      while (!is_over) use();
    });
  }
  for (int i = 0; i < forks; ++i) one_child(mode, in_child);
  is_over = true;
  for (std::thread& other : others) other.join();
}

std::atomic<bool> is_inside{false}, may_return{false};
void stay(void*, tessera_log_level, const char*) {
  is_inside = true;
  while (!may_return) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}
std::atomic<int> messages{0};
void count(void*, tessera_log_level, const char*) {
  ++messages;
}

void logging(const std::string& path) {
  tessera_set_log_callback(stay, nullptr);
  std::vector<std::thread> others;
  for (int i = 0; i < 3; ++i) others.emplace_back([&] { host::provoke_warning(path); });
  while (!is_inside) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  for (int i = 0; i < 10; ++i) {
    one_child("logging", [&] {
      tessera_set_log_callback(count, nullptr);
      host::provoke_warning(path);
      host::expect(messages > 0, "a message in the child");
    });
  }
  may_return = true;
  for (std::thread& other : others) other.join();
  tessera_set_log_callback(nullptr, nullptr);
}

void packing(const std::string& path, const std::vector<float>& expected) {
  for (int i = 0; i < 20; ++i) {
    tessera::Model model(path);
    std::thread other([&] { model.prepare(); });
    std::this_thread::sleep_for(std::chrono::microseconds(200 * i));
    one_child("packing", [&] {
      tessera::Session session(model, host::with_threads(2));
      host::expect(session.embed(host::kText) == expected, "the child's vector");
    });
    other.join();
  }
}

void lanes(const std::string& path, const std::vector<float>& expected) {
  const tessera::Model model(path);
  tessera::SessionOptions options = host::with_threads(1);
  options.concurrent_calls = 2;
  options.busy = TESSERA_BUSY_WAIT;
  tessera::Session session(model, options);
  std::atomic<int> lost{0};
  fork_beside(
      "lanes", 3, [&] { host::expect(session.embed(host::kText) == expected, "the same vector"); },
      [&] {
        try {  // one that no thread of the parent was in, if there is one
          host::expect(session.embed(host::kText) == expected, "the child's vector");
        } catch (const tessera::Error& e) {
          const bool is_told = e.status() == TESSERA_INVALID_ARGUMENT &&
                               std::string(e.what()).find("when it forked") != std::string::npos;
          host::expect(is_told, std::string("what became of the lanes, got: ") + e.what());
        }
        session = tessera::Session(model, options);  // closes the copy
        host::expect(session.embed(host::kText) == expected, "the vector of the child's session");
      });
}

}  // namespace

int main(int argc, char** argv) {
  const std::string path = host::model(argc, argv);
  if (argc > 2) forks = std::atoi(argv[2]);
  const std::vector<float> expected = host::embed(path);
  const tessera::Model model(path);
  tessera::Session session(model, host::with_threads(1));
  const auto child = [&] {
    const tessera::Cancel cancel;
    model.info();
    host::expect(session.embed(host::kText) == expected, "the child's vector");
  };
  fork_beside(
      "info", 2, [&] { model.info(); }, child);
  fork_beside(
      "memory", 2, [&] { session.memory(); }, child);
  fork_beside(
      "cancel", 2, [] { const tessera::Cancel cancel; }, child);
  fork_beside(
      "error", 2,
      [] {
        tessera_session* const closed = reinterpret_cast<tessera_session*>(std::uintptr_t{12345});
        host::expect(tessera_session_close(closed) == TESSERA_INVALID_ARGUMENT, "a status");
      },
      child);
  fork_beside(
      "tokens", 2, [&] { model.tokenize(host::kText); }, [&] { model.tokenize(host::kText); });

  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    files[fs::relative(entry.path(), path)] = std::string(std::istreambuf_iterator<char>(in), {});
  }
  std::vector<tessera::File> parts;
  for (const auto& [name, text] : files) parts.push_back({name, std::as_bytes(std::span(text))});
  const auto open = [&] { tessera::Model(std::span<const tessera::File>(parts)).prepare(); };
  fork_beside("open", 2, open, open);

  lanes(path, expected);
  packing(path, expected);
  logging(path);
}
