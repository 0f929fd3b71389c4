// SPDX-License-Identifier: Apache-2.0
// UTF-8: counting, decoding backwards, and the replacement of invalid parts (RFC 3629; Unicode
// 15, 3.9).
#include <simdjson.h>

#include <algorithm>

#include "models/text/unicode.hpp"

namespace tessera::text {
namespace {

bool is_continuation(unsigned char b) noexcept {
  return (b & 0xC0) == 0x80;
}

struct Sequence {
  std::size_t length;  // of the well-formed sequence, or of the maximal invalid part
  bool is_valid;
};

// The well-formed sequence at `s`, or the longest part of one that the text does not continue.
// Table 3-7 of the Unicode standard: only the second byte has a range that depends on the first.
Sequence next_sequence(const unsigned char* s, std::size_t n) noexcept {
  const unsigned char first = s[0];
  if (first < 0x80) return {1, true};
  std::size_t length = 0;
  unsigned char low = 0x80;
  unsigned char high = 0xBF;
  if (first >= 0xC2 && first <= 0xDF) {
    length = 2;
  } else if (first >= 0xE0 && first <= 0xEF) {
    length = 3;
    if (first == 0xE0) low = 0xA0;   // not overlong
    if (first == 0xED) high = 0x9F;  // not a surrogate
  } else if (first >= 0xF0 && first <= 0xF4) {
    length = 4;
    if (first == 0xF0) low = 0x90;   // not overlong
    if (first == 0xF4) high = 0x8F;  // not above U+10FFFF
  } else {
    return {1, false};
  }
  if (n < 2 || s[1] < low || s[1] > high) return {1, false};
  for (std::size_t i = 2; i < length; ++i) {
    if (i >= n || !is_continuation(s[i])) return {i, false};
  }
  return {length, true};
}

}  // namespace

Decoded decode_utf8_before(const char* end) noexcept {
  const char* begin = end - 1;
  while (is_continuation(static_cast<unsigned char>(*begin))) --begin;
  return decode_utf8(begin);
}

void append_utf8(std::string& out, char32_t c) {
  if (c < 0x80) {
    out.push_back(static_cast<char>(c));
    return;
  }
  if (c < 0x800) {
    out.push_back(static_cast<char>(0xC0 | c >> 6));
  } else {
    if (c < 0x10000) {
      out.push_back(static_cast<char>(0xE0 | c >> 12));
    } else {
      out.push_back(static_cast<char>(0xF0 | c >> 18));
      out.push_back(static_cast<char>(0x80 | (c >> 12 & 0x3F)));
    }
    out.push_back(static_cast<char>(0x80 | (c >> 6 & 0x3F)));
  }
  out.push_back(static_cast<char>(0x80 | (c & 0x3F)));
}

std::size_t count_code_points(std::string_view text) noexcept {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char b) {
    return !is_continuation(static_cast<unsigned char>(b));
  }));
}

bool is_valid_utf8(std::string_view text) noexcept {
  return simdjson::validate_utf8(text.data(), text.size());
}

std::size_t find_invalid_utf8(std::string_view text) noexcept {
  if (is_valid_utf8(text)) return std::string_view::npos;
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  for (std::size_t i = 0; i < text.size();) {
    const Sequence s = next_sequence(bytes + i, text.size() - i);
    if (!s.is_valid) return i;
    i += s.length;
  }
  return std::string_view::npos;
}

std::string replace_invalid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  for (std::size_t i = 0; i < text.size();) {
    const Sequence s = next_sequence(bytes + i, text.size() - i);
    if (s.is_valid) {
      out.append(text.substr(i, s.length));
    } else {
      append_utf8(out, kReplacementCharacter);
    }
    i += s.length;
  }
  return out;
}

}  // namespace tessera::text
