// SPDX-License-Identifier: Apache-2.0
// Any pattern gives a regular expression or an Error; its search ends, by a limit if need be. The
// first line is the pattern, the rest the text.
#include <algorithm>
#include <chrono>

#include "models/text/regex.hpp"
#include "models/text/unicode.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace tessera::fuzz {
namespace {

// Smaller than those of tokenizers, so that a pattern that backtracks is given up soon.
constexpr text::RegexLimits kLimits{200'000, 64 << 10, std::chrono::milliseconds(500),
                                    std::chrono::milliseconds(500)};

void search(const text::Regex& regex, std::string_view utf8) {
  text::RegexSearch search(regex);
  search.start(utf8);
  std::size_t done = 0;
  while (const auto match = search.next()) {
    require(done <= match->begin && match->begin <= match->end && match->end <= utf8.size(),
            "matches follow each other inside the text");
    const auto is_character = [&](std::size_t at) {
      return at == utf8.size() || (static_cast<unsigned char>(utf8[at]) & 0xC0) != 0x80;
    };
    require(is_character(match->begin) && is_character(match->end), "matches are of characters");
    done = match->end;
  }
}

}  // namespace

void run(std::string_view input) {
  const std::size_t end = std::min(input.find('\n'), input.size());
  const std::string pattern = text::replace_invalid_utf8(input.substr(0, end));
  const std::string utf8 =
      text::replace_invalid_utf8(input.substr(std::min(end + 1, input.size())));
  constexpr const char* kWhere = "tokenizer.json: pre_tokenizer.pattern.Regex";
  static const std::string same(2000, 'a');
  search(text::Regex::literal(pattern, kWhere), utf8);
  const text::Regex regex(pattern, kWhere, kLimits);
  search(regex, utf8);
  search(regex, same);
}

Seeds seeds() {
  const std::string hello = "\nHello, world's  2024 \u4E2D\u6587 \u00E9t\u00E9\r\n aaaa";
  Seeds out;
  std::size_t i = 0;
  for (const char* pattern :
       {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
        R"((?i:'s|'t|'re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)", R"(\s+)",
        " {2,}", "", "(a|b)*c", "(a*)*b", "(?:a|aa)+$", R"(^(?<n>.)\k<n>(?=x)(?<!y))",
        R"([[:alpha:]&&[^aeiou]]++)", R"(\A\w\W\d\D\h\H\b\B\z\Z\R\X)",
        R"(\x{41}\u0041\101[a-\x7f])", "(?>a{2,5}?)+?(?#note)(?m:.)(?x) [^]a]"}) {
    out.emplace_back(std::to_string(i++), pattern + hello);
  }
  return out;
}

}  // namespace tessera::fuzz
