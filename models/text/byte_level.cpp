// SPDX-License-Identifier: Apache-2.0
#include "models/text/byte_level.hpp"

#include <string>

#include "models/text/byte_alphabet.hpp"
#include "models/text/unicode.hpp"

namespace tessera::text {
namespace {

template <class Append>
void rewrite_words(std::vector<WordRange>& words, std::vector<AlignedChar>& out,
                   const Append& append) {
  out.clear();
  for (WordRange& word : words) {
    const auto begin = static_cast<std::uint32_t>(out.size());
    append(word);
    word = {begin, static_cast<std::uint32_t>(out.size())};
  }
}

}  // namespace

void prefix_spaces(const std::vector<AlignedChar>& chars, std::vector<WordRange>& words,
                   std::vector<AlignedChar>& out) {
  out.reserve(chars.size() + words.size());
  rewrite_words(words, out, [&](WordRange word) {
    const AlignedChar first = chars[word.begin];
    if (first.c != U' ') out.push_back({U' ', first.begin, first.end});
    out.insert(out.end(), chars.begin() + word.begin, chars.begin() + word.end);
  });
}

void append_spelled(AlignedChar x, std::vector<AlignedChar>& out) {
  std::string bytes;
  append_utf8(bytes, x.c);
  for (const char b : bytes) {
    out.push_back({character_of_byte(static_cast<unsigned char>(b)), x.begin, x.end});
  }
}

void spell_bytes(const std::vector<AlignedChar>& chars, std::vector<WordRange>& words,
                 std::vector<AlignedChar>& out) {
  out.reserve(chars.size());
  rewrite_words(words, out, [&](WordRange word) {
    for (std::uint32_t i = word.begin; i < word.end; ++i) append_spelled(chars[i], out);
  });
}

}  // namespace tessera::text
