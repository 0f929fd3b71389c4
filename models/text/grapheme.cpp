// SPDX-License-Identifier: Apache-2.0
// UAX #29, table 1c, by the classes of utf8proc 2.8 (Unicode 15) and a list of where Unicode 17 has
// others: found by comparing what tokenizers 0.23.2 makes of every code point before and behind
// "a" under a map that replaces whole clusters.
//
// Left out is GB9c, which joins Indic consonants across a virama: such a cluster has at least 9
// bytes, and what the reference asks about clusters ends at 5 (charsmap.hpp).
#include "models/text/grapheme.hpp"

#include <utf8proc.h>

#include <algorithm>
#include <iterator>

namespace tessera::text {
namespace {

using Break = utf8proc_boundclass_t;

struct Range {
  char32_t first;
  char32_t last;
};

// Extend and SpacingMark of Unicode 16 and 17.
constexpr Range kNewExtend[] = {
    {0x897, 0x897},     {0x1ACF, 0x1ADD},   {0x1AE0, 0x1AEB},   {0x10D69, 0x10D6D},
    {0x10EFA, 0x10EFC}, {0x113B8, 0x113C0}, {0x113C2, 0x113C2}, {0x113C5, 0x113C5},
    {0x113C7, 0x113CA}, {0x113CC, 0x113D0}, {0x113D2, 0x113D2}, {0x113E1, 0x113E2},
    {0x11B60, 0x11B67}, {0x11F5A, 0x11F5A}, {0x1611E, 0x1612F}, {0x1E5EE, 0x1E5EF},
    {0x1E6E3, 0x1E6E3}, {0x1E6E6, 0x1E6E6}, {0x1E6EE, 0x1E6EF}, {0x1E6F5, 0x1E6F5},
};

bool is_new_extend(char32_t c) noexcept {
  const Range* r = std::lower_bound(std::begin(kNewExtend), std::end(kNewExtend), c,
                                    [](const Range& range, char32_t x) { return range.last < x; });
  return r != std::end(kNewExtend) && r->first <= c;
}

Break break_of(char32_t c) noexcept {
  if (c >= 0x20 && c < 0x7F) return UTF8PROC_BOUNDCLASS_OTHER;
  if (c == 0x113D1) return UTF8PROC_BOUNDCLASS_PREPEND;
  if (c == 0x11A3A) return UTF8PROC_BOUNDCLASS_OTHER;
  if (c >= kNewExtend[0].first && is_new_extend(c)) return UTF8PROC_BOUNDCLASS_EXTEND;
  return static_cast<Break>(utf8proc_get_property(static_cast<utf8proc_int32_t>(c))->boundclass);
}

bool is_control(Break b) noexcept {
  return b == UTF8PROC_BOUNDCLASS_CR || b == UTF8PROC_BOUNDCLASS_LF ||
         b == UTF8PROC_BOUNDCLASS_CONTROL;
}

bool is_extending(Break b) noexcept {
  return b == UTF8PROC_BOUNDCLASS_EXTEND || b == UTF8PROC_BOUNDCLASS_ZWJ;
}

// GB6 to GB8.
bool is_hangul_syllable(Break a, Break b) noexcept {
  switch (a) {
    case UTF8PROC_BOUNDCLASS_L:
      return b == UTF8PROC_BOUNDCLASS_L || b == UTF8PROC_BOUNDCLASS_V ||
             b == UTF8PROC_BOUNDCLASS_LV || b == UTF8PROC_BOUNDCLASS_LVT;
    case UTF8PROC_BOUNDCLASS_LV:
    case UTF8PROC_BOUNDCLASS_V:
      return b == UTF8PROC_BOUNDCLASS_V || b == UTF8PROC_BOUNDCLASS_T;
    case UTF8PROC_BOUNDCLASS_LVT:
    case UTF8PROC_BOUNDCLASS_T:
      return b == UTF8PROC_BOUNDCLASS_T;
    default:
      return false;
  }
}

}  // namespace

std::size_t grapheme_end(const std::vector<AlignedChar>& chars, std::size_t begin) noexcept {
  Break before = break_of(chars[begin].c);
  bool is_emoji = before == UTF8PROC_BOUNDCLASS_EXTENDED_PICTOGRAPHIC;  // \p{ExtPict} Extend* ZWJ?
  bool is_half_flag = before == UTF8PROC_BOUNDCLASS_REGIONAL_INDICATOR;
  for (std::size_t i = begin + 1; i < chars.size(); ++i) {
    const Break b = break_of(chars[i].c);
    if (is_control(before) || is_control(b)) {  // GB3 to GB5
      const bool is_line_end =
          before == UTF8PROC_BOUNDCLASS_CR && b == UTF8PROC_BOUNDCLASS_LF && i == begin + 1;
      return is_line_end ? i + 1 : i;
    }
    const bool joins_emoji = is_emoji && before == UTF8PROC_BOUNDCLASS_ZWJ &&
                             b == UTF8PROC_BOUNDCLASS_EXTENDED_PICTOGRAPHIC;  // GB11
    const bool joins_flag = is_half_flag && before == UTF8PROC_BOUNDCLASS_REGIONAL_INDICATOR &&
                            b == UTF8PROC_BOUNDCLASS_REGIONAL_INDICATOR;  // GB12, GB13
    const bool joins = is_extending(b) || b == UTF8PROC_BOUNDCLASS_SPACINGMARK ||
                       before == UTF8PROC_BOUNDCLASS_PREPEND ||  // GB9, GB9a, GB9b
                       is_hangul_syllable(before, b) || joins_emoji || joins_flag;
    if (!joins) return i;
    is_half_flag = b == UTF8PROC_BOUNDCLASS_REGIONAL_INDICATOR && !joins_flag;
    if (!is_extending(b)) is_emoji = b == UTF8PROC_BOUNDCLASS_EXTENDED_PICTOGRAPHIC;
    before = b;
  }
  return chars.size();
}

}  // namespace tessera::text
