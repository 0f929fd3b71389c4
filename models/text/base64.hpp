// SPDX-License-Identifier: Apache-2.0
// Base64 with the standard alphabet and padding (RFC 4648, section 4).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tessera::text {

/// The bytes that `text` spells; nothing if it is not base64 or not in its only spelling.
std::optional<std::string> decode_base64(std::string_view text);

/// What spells `bytes`.
std::string encode_base64(std::string_view bytes);

}  // namespace tessera::text
