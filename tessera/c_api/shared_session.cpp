// SPDX-License-Identifier: Apache-2.0
//
// Who computes with what when several threads call one session. A call that waits looks again
// whenever one ends; with a flag that may cancel it, also every few milliseconds.
#include <algorithm>
#include <chrono>

#include "tessera/c_api/arguments.hpp"
#include "tessera/c_api/encode.hpp"
#include "tessera/c_api/objects.hpp"

namespace tessera::c_api {
namespace {

constexpr std::chrono::milliseconds kLookAgain{2};

}  // namespace

std::uint64_t SharedSession::arena_bytes() const noexcept {
  std::uint64_t bytes = 0;
  for (const auto& lane : lanes_) bytes += lane->session->memory_bytes();
  return bytes;
}

void SharedSession::refuse() const {
  require(size() > 1, "session: another thread is in a call, expected one call at a time");
  throw Error(ErrorCode::invalid_argument,
              fmt::format("session: {0} threads are in calls, expected fewer (concurrent_calls is "
                          "{0})",
                          size()));
}

SessionObject& SharedSession::take(const RunLimits& limits) {
  std::unique_lock lock(mutex_);
  while (true) {
    for (const auto& lane : lanes_) {  // before the limits: whoever is woken takes what was freed
      if (lane->is_busy) continue;
      lane->is_busy = true;
      return *lane;
    }
    if (!waits_) refuse();
    limits.check();
    if (limits.cancel != nullptr) {
      freed_.wait_until(lock, std::min(limits.deadline, Clock::now() + kLookAgain));
    } else if (limits.deadline != Clock::time_point::max()) {
      freed_.wait_until(lock, limits.deadline);
    } else {
      freed_.wait(lock);
    }
  }
}

void SharedSession::give_back(SessionObject& lane) noexcept {
  {
    const std::lock_guard lock(mutex_);
    lane.is_busy = false;
  }
  freed_.notify_one();
}

void SharedSession::trim() {
  const std::lock_guard lock(mutex_);
  bool has_trimmed = false;
  for (const auto& lane : lanes_) {
    if (lane->is_busy) continue;
    lane->session->trim();
    has_trimmed = true;
  }
  if (!has_trimmed) refuse();
}

}  // namespace tessera::c_api
