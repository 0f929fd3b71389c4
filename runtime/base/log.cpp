// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/log.hpp"

#include <mutex>
#include <utility>

namespace tessera {
namespace {

struct Sink {
  std::mutex mutex;
  LogCallback callback;
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
}

void log(LogLevel level, std::string_view message) {
  const std::lock_guard lock(sink().mutex);
  if (sink().callback) sink().callback(level, message);
}

}  // namespace tessera
