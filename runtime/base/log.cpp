// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/log.hpp"

#include <mutex>
#include <utility>

namespace tessera {
namespace {

struct Sink {
  std::mutex mutex;
  LogCallback callback, fallback;
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

void set_fallback_log_callback(LogCallback callback) {
  const std::lock_guard lock(sink().mutex);
  sink().fallback = std::move(callback);
}

void log(LogLevel level, std::string_view message) {
  const std::lock_guard lock(sink().mutex);
  const LogCallback& callback = sink().is_set ? sink().callback : sink().fallback;
  if (callback) callback(level, message);
}

}  // namespace tessera
