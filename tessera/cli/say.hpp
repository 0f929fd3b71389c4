// SPDX-License-Identifier: Apache-2.0
// Words for whoever watches.
#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <string>
#include <utility>

namespace tessera::cli {

/// Writes to stderr. Where nobody can read it (closed, a pipe without a reader, a full disk) nothing happens:
/// the work goes on. fmt::print() would throw.
template <class... Args>
void say(fmt::format_string<Args...> format, Args&&... args) {
  const std::string text = fmt::format(format, std::forward<Args>(args)...);
  static_cast<void>(std::fwrite(text.data(), 1, text.size(), stderr));
}

}  // namespace tessera::cli
