// SPDX-License-Identifier: Apache-2.0
// Text from untrusted files, made fit for a message: quoted, escaped, cut.
#pragma once

#include <string>
#include <string_view>

#include "runtime/base/json.hpp"

namespace tessera::detail {

/// `text` as a JSON string literal: quotes, backslashes and control characters escaped.
std::string json_string(std::string_view text);

/// As json_string(), cut to a length that a message can carry; bytes that are no UTF-8 become '?'.
std::string in_quotes(std::string_view text);

/// `text` itself if it is short and plain, else in_quotes().
std::string plain_or_quoted(const std::string& text);

/// A JSON value as a message shows it: its text, cut.
std::string shortened(json::Value value);

}  // namespace tessera::detail
