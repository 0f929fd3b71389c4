// SPDX-License-Identifier: Apache-2.0
#include "models/text/grapheme.hpp"

#include <utf8proc.h>

namespace tessera::text {
namespace {

using Break = utf8proc_boundclass_t;

Break break_of(char32_t c) noexcept {
  if (c >= 0x20 && c < 0x7F) return UTF8PROC_BOUNDCLASS_OTHER;
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
