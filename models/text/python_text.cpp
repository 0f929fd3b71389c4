// SPDX-License-Identifier: Apache-2.0
#include "models/text/python_text.hpp"

#include <utf8proc.h>

#include <algorithm>
#include <iterator>

#include "models/text/unicode.hpp"
#include "runtime/base/utf8.hpp"

namespace tessera::text {
namespace {

constexpr char32_t kCapitalSigma = 0x3A3, kFinalSigma = 0x3C2;

struct Range {
  char32_t first;
  char32_t last;
};

// Case_Ignorable that is no mark, format character, modifier letter or symbol: what stands inside of
// words (Word_Break MidLetter, MidNumLet, Single_Quote).
constexpr Range kInsideWords[] = {
    {0x27, 0x27},     {0x2E, 0x2E},     {0x3A, 0x3A},     {0xB7, 0xB7},
    {0x387, 0x387},   {0x55F, 0x55F},   {0x5F4, 0x5F4},   {0x2018, 0x2019},
    {0x2024, 0x2024}, {0x2027, 0x2027}, {0xFE13, 0xFE13}, {0xFE52, 0xFE52},
    {0xFE55, 0xFE55}, {0xFF07, 0xFF07}, {0xFF0E, 0xFF0E}, {0xFF1A, 0xFF1A},
};
// Cased that is no letter with case: Other_Lowercase and Other_Uppercase.
constexpr Range kOtherCased[] = {
    {0xAA, 0xAA},       {0xBA, 0xBA},       {0x2160, 0x217F},   {0x24B6, 0x24E9},
    {0x1F130, 0x1F149}, {0x1F150, 0x1F169}, {0x1F170, 0x1F189},
};

template <std::size_t N>
bool contains(const Range (&ranges)[N], char32_t c) noexcept {
  return std::any_of(std::begin(ranges), std::end(ranges),
                     [c](const Range& r) { return r.first <= c && c <= r.last; });
}

bool is_case_ignorable(char32_t c) noexcept {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
      return true;
    default:
      return contains(kInsideWords, c);
  }
}

bool is_cased(char32_t c) noexcept {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
      return true;
    default:
      return contains(kOtherCased, c);
  }
}

// Letters before it and none after it, whatever case-ignorable stands between: SpecialCasing.txt,
// Final_Sigma. [at, after): the bytes of the sigma. Linear in a text: what is ignored between two
// sigmas is looked at from both.
bool is_final(std::string_view text, std::size_t at, std::size_t after) noexcept {
  bool follows_cased = false;
  while (at > 0) {
    const Decoded before = decode_utf8_before(text.data() + at);
    at -= before.length;
    if (is_case_ignorable(before.c)) continue;
    follows_cased = is_cased(before.c);
    break;
  }
  if (!follows_cased) return false;
  while (after < text.size()) {
    const Decoded next = decode_utf8(text.data() + after);
    after += next.length;
    if (!is_case_ignorable(next.c)) return !is_cased(next.c);
  }
  return true;
}

bool is_python_space(char32_t c) noexcept {
  return is_whitespace(c) || (c >= 0x1C && c <= 0x1F);
}

}  // namespace

std::string_view stripped(std::string_view text) noexcept {
  // A character's bytes are looked for as white space has them, so that others need not be UTF-8.
  constexpr std::size_t kLongest = 3;
  const auto is_space = [](std::string_view s) {
    if (!is_utf8(s)) return false;
    const Decoded first = decode_utf8(s.data());
    return first.length == s.size() && is_python_space(first.c);
  };
  const auto space_before = [&](auto part) {
    for (std::size_t n = 1; n <= std::min(kLongest, text.size()); ++n) {
      if (is_space(part(n))) return n;
    }
    return std::size_t{0};
  };
  while (const std::size_t n = space_before([&](std::size_t k) { return text.substr(0, k); })) {
    text.remove_prefix(n);
  }
  while (const std::size_t n =
             space_before([&](std::size_t k) { return text.substr(text.size() - k); })) {
    text.remove_suffix(n);
  }
  return text;
}

std::string lower_case(std::string_view text) {
  std::string repaired;
  if (!is_utf8(text)) {
    repaired = replace_invalid_utf8(text);
    text = repaired;
  }
  std::string out;
  out.reserve(text.size());
  CodePoints lower;
  for (std::size_t at = 0; at < text.size();) {
    const Decoded decoded = decode_utf8(text.data() + at);
    const std::size_t after = at + decoded.length;
    if (decoded.c == kCapitalSigma && is_final(text, at, after)) {
      append_utf8(out, kFinalSigma);
    } else {
      const std::size_t count = to_lowercase(decoded.c, lower);
      for (std::size_t i = 0; i < count; ++i) append_utf8(out, lower[i]);
    }
    at = after;
  }
  return out;
}

}  // namespace tessera::text
