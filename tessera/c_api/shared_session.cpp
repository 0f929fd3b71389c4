// SPDX-License-Identifier: Apache-2.0
//
// Who computes with what when several threads call one session: each lane has the process of who holds
// it. A call that waits looks again whenever one ends; with a flag that may cancel it, also every few
// milliseconds. No lock: in the child of a fork(), lanes that threads of its parent held are lost, for
// what they were writing is half-written, and the others are as they were.
#include <algorithm>
#include <chrono>

#include "runtime/base/fork_locks.hpp"
#include "runtime/base/futex.hpp"
#include "tessera/c_api/arguments.hpp"
#include "tessera/c_api/encode.hpp"
#include "tessera/c_api/objects.hpp"

namespace tessera::c_api {
namespace {

// With a flag that may cancel it; without, in case a signal handler forked.
constexpr std::chrono::milliseconds kLookAgain{2}, kLookAtProcess{50};
constexpr std::uint64_t kNobody = 0;

/// Lanes that cannot be destroyed, of every session: of no use, but no leak.
constinit std::atomic<SessionObject*> lost_lanes{nullptr};

}  // namespace

SharedSession::~SharedSession() {
  for (auto& lane : lanes_) {
    if (lane->holder == kNobody) continue;
    lane->next_lost = lost_lanes.load();
    while (!lost_lanes.compare_exchange_weak(lane->next_lost, lane.get())) {
    }
    (void)lane.release();
  }
}

std::uint64_t SharedSession::arena_bytes() const noexcept {
  std::uint64_t bytes = 0;
  for (const auto& lane : lanes_) bytes += lane->session->memory_bytes();
  return bytes;
}

bool SharedSession::are_lost() const noexcept {
  const std::uint64_t process = process_identity();
  return std::none_of(lanes_.begin(), lanes_.end(), [process](const auto& lane) {
    const std::uint64_t holder = lane->holder;
    return holder == kNobody || holder == process;
  });
}

void SharedSession::refuse(bool are_lost) const {
  require(
      !are_lost,
      "session: a thread of the parent process was in a call when it forked, expected a session "
      "that nobody used, or one that this process created");
  require(size() > 1, "session: another thread is in a call, expected one call at a time");
  throw Error(ErrorCode::invalid_argument,
              fmt::format("session: {0} threads are in calls, expected fewer (concurrent_calls is "
                          "{0})",
                          size()));
}

SessionObject* SharedSession::try_take() noexcept {
  const std::uint64_t process = process_identity();
  for (const auto& lane : lanes_) {
    std::uint64_t holder = kNobody;
    if (lane->holder.compare_exchange_strong(holder, process)) return lane.get();
  }
  return nullptr;
}

SessionObject& SharedSession::take(const RunLimits& limits) {
  while (true) {
    const std::uint32_t seen = freed_;
    // Before the limits: whoever is woken takes what was freed.
    if (SessionObject* const lane = try_take()) return *lane;
    if (const bool lost = are_lost(); lost || !waits_) refuse(lost);
    limits.check();
    const auto most = limits.cancel != nullptr ? kLookAgain : kLookAtProcess;
    wait_while(freed_, seen, std::min(limits.deadline, Clock::now() + most));
  }
}

void SharedSession::give_back(SessionObject& lane) noexcept {
  lane.holder = kNobody;
  ++freed_;
  if (waits_) wake_one(freed_);
}

void SharedSession::trim() {
  bool has_trimmed = false;
  const std::uint64_t process = process_identity();
  for (const auto& lane : lanes_) {
    std::uint64_t holder = kNobody;
    if (!lane->holder.compare_exchange_strong(holder, process)) continue;
    lane->session->trim();
    give_back(*lane);
    has_trimmed = true;
  }
  if (!has_trimmed) refuse(are_lost());
}

}  // namespace tessera::c_api
