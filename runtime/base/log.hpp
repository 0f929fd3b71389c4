// SPDX-License-Identifier: Apache-2.0
// Messages that are not errors (a NaN in the weights, a fallback) go to the caller's callback;
// without one, nowhere. The library itself never prints.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

namespace tessera {

enum class LogLevel : std::uint8_t { debug, info, warning };

using LogCallback = std::function<void(LogLevel, std::string_view message)>;

/// Replaces the process-wide callback; an empty function silences. Thread-safe. The callback may be
/// called from any thread that uses the library, one call at a time, and must not throw.
void set_log_callback(LogCallback callback);
/// The callback of `owner` until set_log_callback() is called, with whatever: the last that an owner gave
/// and did not take back with an empty function.
void set_fallback_log_callback(const void* owner, LogCallback callback);

/// Hands `message` to the callback, if there is one.
void log(LogLevel level, std::string_view message);

}  // namespace tessera
