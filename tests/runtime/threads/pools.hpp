// SPDX-License-Identifier: Apache-2.0
// Pools as a host might bring them: good ones, and ones that break each clause of the contract.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "runtime/threads/threads.hpp"

namespace tessera::test {

using Lane = void (*)(void*, std::int64_t);

inline void serial_pool(void*, std::int64_t lanes, Lane body, void* arg) {
  for (std::int64_t lane = lanes; lane-- > 0;) body(arg, lane);
}
/// A thread per lane.
inline void thread_pool(void*, std::int64_t lanes, Lane body, void* arg) {
  std::vector<std::thread> threads;
  for (std::int64_t lane = 0; lane < lanes; ++lane) threads.emplace_back(body, arg, lane);
  for (std::thread& thread : threads) thread.join();
}

inline void throwing_pool(void*, std::int64_t, Lane, void*) {
  throw std::runtime_error("no threads left");
}
inline void throwing_late_pool(void*, std::int64_t lanes, Lane body, void* arg) {
  serial_pool(nullptr, lanes, body, arg);
  throw 42;
}
inline void idle_pool(void*, std::int64_t, Lane, void*) {}
inline void short_pool(void*, std::int64_t lanes, Lane body, void* arg) {
  for (std::int64_t lane = 0; lane + 1 < lanes; ++lane) body(arg, lane);
}
inline void repeating_pool(void*, std::int64_t lanes, Lane body, void* arg) {
  for (std::int64_t lane = 0; lane < lanes; ++lane) body(arg, 0);
}
/// More calls at once than there are lanes.
inline void crowded_pool(void*, std::int64_t lanes, Lane body, void* arg) {
  std::vector<std::thread> threads;
  for (std::int64_t lane = 0; lane < 4 * lanes; ++lane) threads.emplace_back(body, arg, lane);
  for (std::thread& thread : threads) thread.join();
}
inline void negative_pool(void*, std::int64_t lanes, Lane body, void* arg) {
  body(arg, -1);
  thread_pool(nullptr, lanes, body, arg);
}
/// Returns at once; context is a std::vector<std::thread> that the test joins.
inline void hasty_pool(void* context, std::int64_t lanes, Lane body, void* arg) {
  auto& threads = *static_cast<std::vector<std::thread>*>(context);
  for (std::int64_t lane = 0; lane < lanes; ++lane) threads.emplace_back(body, arg, lane);
}

}  // namespace tessera::test
