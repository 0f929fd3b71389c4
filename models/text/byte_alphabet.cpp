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

constexpr std::size_t kEnd = 0x144;  // all characters are below

// The byte that each character stands for, −1: none.
constexpr std::array<int, kEnd> kBytes = [] {
  std::array<int, kEnd> bytes{};
  for (int& b : bytes) b = -1;
  for (std::size_t b = 0; b < 256; ++b) bytes[kCharacters[b]] = static_cast<int>(b);
  return bytes;
}();

}  // namespace

char32_t character_of_byte(unsigned char byte) noexcept {
  return kCharacters[byte];
}

void append_spelled(std::string& out, std::string_view bytes) {
  for (const char b : bytes) append_utf8(out, character_of_byte(static_cast<unsigned char>(b)));
}

std::optional<std::string> spelled_bytes(std::string_view spelling) {
  std::string bytes;
  for (std::size_t i = 0; i < spelling.size();) {
    const Decoded d = decode_utf8(spelling.data() + i);
    if (d.c >= kEnd || kBytes[d.c] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(kBytes[d.c]));
    i += d.length;
  }
  return bytes;
}

}  // namespace tessera::text
