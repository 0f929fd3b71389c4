// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/log.hpp"

#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "runtime/base/fork_locks.hpp"

namespace tessera {
namespace {

/// Never changed: whoever sets a callback makes another.
struct Callbacks {
  LogCallback callback = {};
  std::vector<std::pair<const void*, LogCallback>> fallbacks = {};  // by owner
  bool is_set = false;
};

// Held while a callback runs; what it guards is one pointer.
constinit ProcessMutex turn;
constinit std::atomic<const Callbacks*> callbacks{nullptr};

/// When this returns, what was taken away is not called any more.
template <class Change>
void set(Change&& change) {
  const ProcessMutex::Lock lock(turn);
  const Callbacks* const old = callbacks.load();
  auto changed = old == nullptr ? std::make_unique<Callbacks>() : std::make_unique<Callbacks>(*old);
  change(*changed);
  callbacks = changed.release();
  delete old;
}

}  // namespace

void set_log_callback(LogCallback callback) {
  set([&](Callbacks& all) {
    all.callback = std::move(callback);
    all.is_set = true;
  });
}

void set_fallback_log_callback(const void* owner, LogCallback callback) {
  set([&](Callbacks& all) {
    std::erase_if(all.fallbacks, [owner](const auto& other) { return other.first == owner; });
    if (callback) all.fallbacks.emplace_back(owner, std::move(callback));
  });
}

void log(LogLevel level, std::string_view message) {
  const ProcessMutex::Lock lock(turn);
  const Callbacks* const all = callbacks.load();
  if (all == nullptr) return;
  const bool falls_back = !all->is_set && !all->fallbacks.empty();
  const LogCallback& callback = falls_back ? all->fallbacks.back().second : all->callback;
  if (callback) callback(level, message);
}

}  // namespace tessera
