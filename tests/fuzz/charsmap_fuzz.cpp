// SPDX-License-Identifier: Apache-2.0
// Any bytes give a character map or an Error; what they give changes texts in bounded time.
#include "models/text/aligned_text.hpp"
#include "models/text/charsmap.hpp"
#include "models/text/unicode.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/models/text/small_charsmap.hpp"

namespace tessera::fuzz {
namespace {

void change(const text::Charsmap& map, std::string_view utf8) {
  text::AlignedText aligned;
  aligned.assign(utf8, 0);
  const std::size_t length = aligned.chars.size();
  map.apply(aligned);
  std::uint32_t before = 0;
  for (const text::AlignedChar& x : aligned.chars) {
    require(before <= x.begin && x.begin <= x.end && x.end <= length, "places stay in the text");
    require(x.c <= 0x10FFFF && (x.c < 0xD800 || x.c > 0xDFFF), "replacements are characters");
    before = x.begin;
  }
}

}  // namespace

void run(std::string_view input) {
  const text::Charsmap map(input, "spiece.model: normalizer_spec.precompiled_charsmap");
  change(map,
         "Hello, e\u0301\u0323 world\r\n \u4E2D\u6587 \U0001F468\u200D\U0001F469 \u1100\u1161");
  std::string all;
  for (char32_t c = 1; c < 0x700; ++c) text::append_utf8(all, c);
  change(map, all);
}

Seeds seeds() {
  return {{"empty-map", text::small_charsmap({})},
          {"few", text::small_charsmap({{'a', "b"}, {'\t', " "}, {'2', "two"}, {'-', ""}})},
          {"accents", text::small_charsmap({{'e', "\u00E9\u0301"}, {'\r', "\n"}, {0xC3, "x"}})}};
}

}  // namespace tessera::fuzz
