// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/json_text.hpp"

#include <fmt/format.h>

#include <iterator>

#include "runtime/base/utf8.hpp"

namespace tessera::detail {
namespace {

constexpr std::size_t kMaxShown = 120;

bool is_control(char c) noexcept {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
}

/// As much of `text` as json_string() makes at most kMaxShown bytes of, not cut inside a UTF-8 sequence.
std::string_view head(std::string_view text) {
  std::size_t length = 0;
  for (std::size_t shown = 0; length < text.size(); ++length) {
    const char c = text[length];
    shown += is_control(c) ? 6U : c == '"' || c == '\\' ? 2U : 1U;
    if (shown > kMaxShown) break;
  }
  if (length == text.size()) return text;
  while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xC0U) == 0x80U) --length;
  return text.substr(0, length);
}

}  // namespace

std::string json_string(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (is_control(c)) {
      fmt::format_to(std::back_inserter(result), "\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      result += c;
    }
  }
  return result + '"';
}

std::string in_quotes(std::string_view text) {
  std::string shown(head(text));
  if (!is_utf8(shown)) {
    for (char& c : shown) c = static_cast<unsigned char>(c) < 0x80 ? c : '?';
  }
  return json_string(shown) + (text.size() > shown.size() ? "..." : "");
}

std::string plain_or_quoted(const std::string& text) {
  std::string quoted = in_quotes(text);
  return quoted == '"' + text + '"' ? text : quoted;
}

std::string shortened(json::Value value) {
  if (value.is_object()) return "an object";
  json::Array items;
  if (value.get(items)) {
    if (items.size() > 8) return fmt::format("an array of {} elements", items.size());
    for (const json::Value item : items) {
      if (item.is_object() || item.is_array()) return "a nested array";
    }
  }
  const std::string text = json::minify(value);
  return text.size() <= kMaxShown ? text : std::string(head(text)) + "...";
}

}  // namespace tessera::detail
