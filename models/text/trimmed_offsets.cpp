// SPDX-License-Identifier: Apache-2.0
#include "models/text/trimmed_offsets.hpp"

#include <algorithm>

#include "models/text/unicode.hpp"

namespace tessera::text {
namespace {

bool is_trimmed(char32_t c) noexcept {
  return c == 0x120 || is_whitespace(c);
}

}  // namespace

void measure_spaces(std::string_view text, SequenceToken& token) {
  token.has_spaces_measured = true;
  for (std::string_view rest = text; !rest.empty();) {
    const Decoded d = decode_utf8(rest.data());
    if (!is_trimmed(d.c)) break;
    ++token.leading_space;
    rest.remove_prefix(d.length);
  }
  for (std::string_view rest = text; !rest.empty();) {
    const Decoded d = decode_utf8_before(rest.data() + rest.size());
    if (!is_trimmed(d.c)) break;
    ++token.trailing_space;
    rest.remove_suffix(d.length);
  }
}

void trim_offsets(bool keeps_first, const WordModel& model, std::vector<SequenceToken>& tokens) {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    SequenceToken& t = tokens[i];
    if (!t.has_spaces_measured) {
      measure_spaces(model.vocabulary().token(t.id).value_or(std::string_view{}), t);
    }
    const bool is_first = i == 0 || t.begin == 0;
    if (!(is_first && keeps_first && t.leading_space == 1)) {
      t.begin = std::min(t.begin + t.leading_space, t.end);
    }
    if (t.end >= t.trailing_space) t.end = std::max(t.end - t.trailing_space, t.begin);
  }
}

}  // namespace tessera::text
