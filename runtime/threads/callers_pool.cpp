// SPDX-License-Identifier: Apache-2.0
#include "runtime/threads/callers_pool.hpp"

#include <fmt/format.h>

#include <exception>
#include <thread>

#include "runtime/base/float_environment.hpp"

namespace tessera {

void CallersPool::enter(void* self, std::int64_t lane) noexcept {
  static_cast<CallersPool*>(self)->work(lane);
}

bool CallersPool::is_new(std::int64_t lane) noexcept {
  if (lane < 0 || lane >= lanes_) {
    fault_ = Fault::out_of_range;
    return false;
  }
  const auto bit = std::uint64_t{1} << (lane % 64);
  if ((seen_[static_cast<std::size_t>(lane / 64)].fetch_or(bit) & bit) == 0) return true;
  fault_ = Fault::repeated;
  return false;
}

void CallersPool::work(std::int64_t lane) noexcept {
  std::uint32_t state = state_.load(std::memory_order_relaxed);
  do {
    if ((state & kOpen) == 0) {  // after run() returned: body_ may be gone
      fault_ = Fault::late;
      return;
    }
  } while (!state_.compare_exchange_weak(state, state + 1, std::memory_order_acq_rel));
  if (is_new(lane)) {
    const FloatEnvironment floats;
    const int worker = entered_.fetch_add(1, std::memory_order_relaxed);
    for (;;) {
      const Index task = next_.fetch_add(1, std::memory_order_relaxed);
      if (task >= tasks_) break;
      (*body_)(task, worker);
    }
  }
  state_.fetch_sub(1, std::memory_order_release);
}

bool CallersPool::run(int lanes, Index tasks, const TaskBody& body) noexcept {
  const bool was_late = fault_.exchange(Fault::none) == Fault::late;
  body_ = &body;
  tasks_ = tasks;
  lanes_ = lanes;
  next_.store(0, std::memory_order_relaxed);
  entered_.store(0, std::memory_order_relaxed);
  for (auto& word : seen_) word.store(0, std::memory_order_relaxed);
  state_.store(kOpen, std::memory_order_release);

  const auto fail = [this](auto... arguments) noexcept {
    const auto end = fmt::format_to_n(failure_.data(), failure_.size() - 1, arguments...);
    *end.out = '\0';
    return false;
  };
  bool threw = false;
  try {
    pool_.run(pool_.context, lanes, &CallersPool::enter, this);
  } catch (const std::exception& e) {
    threw = true;
    fail(FMT_STRING("it threw \"{}\", expected it to return"), e.what());
  } catch (...) {
    threw = true;
    fail(FMT_STRING("it threw, expected it to return"));
  }
  // Nobody may come in any more; who is inside still reads body_.
  const bool returned_early = state_.fetch_and(~kOpen, std::memory_order_acq_rel) != kOpen;
  while (state_.load(std::memory_order_acquire) != 0) std::this_thread::yield();

  const int entered = entered_.load(std::memory_order_relaxed);
  if (threw) return false;
  if (returned_early) return fail(FMT_STRING("it returned before its lanes were done"));
  if (was_late || fault_ == Fault::late)
    return fail(FMT_STRING("it called a lane after it had returned"));
  if (fault_ == Fault::repeated) return fail(FMT_STRING("it called a lane twice, expected once"));
  if (fault_ == Fault::out_of_range)
    return fail(FMT_STRING("it called a lane outside 0 to {}"), lanes - 1);
  if (entered != lanes) return fail(FMT_STRING("it called {} lanes, expected {}"), entered, lanes);
  return true;
}

}  // namespace tessera
