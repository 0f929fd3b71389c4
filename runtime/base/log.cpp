// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/log.hpp"

#include <mutex>
#include <utility>
#include <vector>

namespace tessera {
namespace {

struct Sink {
  std::mutex mutex;
  LogCallback callback;
  std::vector<std::pair<const void*, LogCallback>> fallbacks;  // by owner
  bool is_set = false;
};

Sink& sink() {
  static auto* const instance =
      new Sink;  // lives until the process is gone: a host may log in exit()
  return *instance;
}

}  // namespace

void set_log_callback(LogCallback callback) {
  const std::lock_guard lock(sink().mutex);
  sink().callback = std::move(callback);
  sink().is_set = true;
}

void set_fallback_log_callback(const void* owner, LogCallback callback) {
  const std::lock_guard lock(sink().mutex);
  std::erase_if(sink().fallbacks, [owner](const auto& other) { return other.first == owner; });
  if (callback) sink().fallbacks.emplace_back(owner, std::move(callback));
}

void log(LogLevel level, std::string_view message) {
  const std::lock_guard lock(sink().mutex);
  const bool falls_back = !sink().is_set && !sink().fallbacks.empty();
  const LogCallback& callback = falls_back ? sink().fallbacks.back().second : sink().callback;
  if (callback) callback(level, message);
}

}  // namespace tessera
