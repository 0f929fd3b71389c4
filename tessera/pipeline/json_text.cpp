// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/json_text.hpp"

#include <fmt/format.h>

#include <cmath>
#include <iterator>

#include "models/text/unicode.hpp"
#include "runtime/base/utf8.hpp"

namespace tessera {

void append_json_string(std::string& out, std::string_view text) {
  std::string repaired;
  if (!is_utf8(text)) {
    repaired = text::replace_invalid_utf8(text);
    text = repaired;
  }
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
          fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

std::string_view code_points(std::string_view text, std::size_t begin, std::size_t end) noexcept {
  std::size_t at = 0, first = 0;
  for (std::size_t i = 0; i < end && at < text.size(); ++i) {
    if (i == begin) first = at;
    at += text::decode_utf8(text.data() + at).length;
  }
  return end <= begin ? std::string_view{} : text.substr(first, at - first);
}

void append_json_float(std::string& out, float value) {
  if (std::isfinite(value)) {
    fmt::format_to(std::back_inserter(out), "{:.9g}", value);
  } else {
    out += "null";
  }
}

}  // namespace tessera
