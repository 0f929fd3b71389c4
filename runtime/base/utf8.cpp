// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/utf8.hpp"

#include <cstdint>
#include <cstring>

namespace tessera {

// Table 3-7 of the Unicode standard: only the second byte has a range that depends on the first.
Utf8Sequence utf8_sequence(std::string_view text) noexcept {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = at(0);
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
  if (text.size() < 2 || at(1) < low || at(1) > high) return {1, false};
  for (std::size_t i = 2; i < length; ++i) {
    if (i >= text.size() || (at(i) & 0xC0U) != 0x80U) return {i, false};
  }
  return {length, true};
}

std::size_t utf8_prefix(std::string_view text) noexcept {
  std::size_t i = 0;
  while (i < text.size()) {
    // Eight bytes of ASCII at a time.
    std::uint64_t word = 0;
    while (text.size() - i >= sizeof(word)) {
      std::memcpy(&word, text.data() + i, sizeof(word));
      if ((word & 0x8080808080808080U) != 0) break;
      i += sizeof(word);
    }
    if (i == text.size()) break;
    const Utf8Sequence sequence = utf8_sequence(text.substr(i));
    if (!sequence.is_valid) return i;
    i += sequence.length;
  }
  return i;
}

}  // namespace tessera
