// SPDX-License-Identifier: Apache-2.0
#include "models/text/byte_alphabet.hpp"

#include <array>

#include "models/text/unicode.hpp"

namespace tessera::text {
namespace {

constexpr bool is_spelled_as_itself(unsigned byte) noexcept {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte != 0xAD);
}

constexpr std::array<char32_t, 256> kCharacters = [] {
  std::array<char32_t, 256> characters{};
  char32_t next = 0x100;
  for (unsigned b = 0; b < 256; ++b) {
    characters[b] = is_spelled_as_itself(b) ? static_cast<char32_t>(b) : next++;
  }
  return characters;
}();

}  // namespace

char32_t character_of_byte(unsigned char byte) noexcept {
  return kCharacters[byte];
}

void append_spelled(std::string& out, std::string_view bytes) {
  for (const char b : bytes) append_utf8(out, character_of_byte(static_cast<unsigned char>(b)));
}

}  // namespace tessera::text
