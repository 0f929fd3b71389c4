// SPDX-License-Identifier: Apache-2.0
// Writing text and numbers as JSON.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tessera {

/// Appends `text` as a JSON string; control characters are escaped, invalid UTF-8 becomes U+FFFD.
void append_json_string(std::string& out, std::string_view text);

/// Appends a float so that reading it gives the same float ("%.9g"); null for NaN and infinities,
/// which JSON cannot say.
void append_json_float(std::string& out, float value);

/// The code points [begin, end) of valid UTF-8.
std::string_view code_points(std::string_view text, std::size_t begin, std::size_t end) noexcept;

}  // namespace tessera
