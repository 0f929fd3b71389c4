// SPDX-License-Identifier: Apache-2.0
// UTF-8: counting, decoding backwards, and the replacement of invalid parts (RFC 3629; Unicode
// 15, 3.9).
#include <algorithm>

#include "models/text/unicode.hpp"
#include "runtime/base/utf8.hpp"

namespace tessera::text {
namespace {

bool is_continuation(unsigned char b) noexcept {
  return (b & 0xC0) == 0x80;
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

std::u32string code_points(std::string_view utf8) {
  std::u32string out;
  for (std::size_t i = 0; i < utf8.size();) {
    const Decoded d = decode_utf8(utf8.data() + i);
    out.push_back(d.c);
    i += d.length;
  }
  return out;
}

std::vector<std::uint32_t> code_point_offsets(std::string_view text) {
  std::vector<std::uint32_t> offsets;
  offsets.reserve(text.size() + 1);
  for (std::size_t i = 0; i < text.size(); i += utf8_sequence(text.substr(i)).length) {
    offsets.push_back(static_cast<std::uint32_t>(i));
  }
  offsets.push_back(static_cast<std::uint32_t>(text.size()));
  return offsets;
}

std::string replace_invalid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const Utf8Sequence s = utf8_sequence(text.substr(i));
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
