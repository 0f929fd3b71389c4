// SPDX-License-Identifier: Apache-2.0
#include "models/text/split_pattern.hpp"

#include <string_view>

#include "models/text/unicode.hpp"

namespace tessera::text {

void PatternFinder::find(const std::vector<AlignedChar>& chars, WordRange word,
                         std::vector<Piece>& pieces) {
  pieces.clear();
  utf8_.clear();
  for (std::uint32_t i = word.begin; i < word.end; ++i) append_utf8(utf8_, chars[i].c);
  const std::string_view text = utf8_;
  std::size_t byte = 0;
  std::uint32_t at = word.begin;  // the character at `byte`
  const auto advance = [&](std::size_t to) {
    at += static_cast<std::uint32_t>(count_code_points(text.substr(byte, to - byte)));
    byte = to;
    return at;
  };
  search_.start(text);
  std::uint32_t done = word.begin;
  while (const auto match = search_.next()) {
    const std::uint32_t begin = advance(match->begin);
    const std::uint32_t end = advance(match->end);
    if (done < begin) pieces.push_back({{done, begin}, false});
    pieces.push_back({{begin, end}, true});
    done = end;
  }
  if (done < word.end) pieces.push_back({{done, word.end}, false});
}

}  // namespace tessera::text
