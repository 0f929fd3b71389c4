// SPDX-License-Identifier: Apache-2.0
#include "models/text/aligned_text.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "models/text/byte_level.hpp"
#include "models/text/split_pattern.hpp"
#include "models/text/unicode.hpp"
#include "runtime/base/error.hpp"

namespace tessera::text {
namespace {

constexpr std::size_t kMostGrowth = 64;
constexpr std::size_t kFreeGrowth = 1024;

struct Classified {
  int combining_class;
  Edit edit;
};

// D68 and D109 of the Unicode standard: full decomposition, then a stable sort by combining class
// between starters. An edit stays with its character when the order changes, as in the reference.
std::vector<Edit> decomposition(const std::vector<AlignedChar>& chars, bool compatibility) {
  std::vector<Classified> buffer;
  buffer.reserve(chars.size() + chars.size() / 2);
  std::size_t pending = 0;  // where the current run of non-starters begins
  const auto sort_pending = [&] {
    if (buffer.size() - pending > 1) {
      std::stable_sort(buffer.begin() + static_cast<std::ptrdiff_t>(pending), buffer.end(),
                       [](const Classified& a, const Classified& b) {
                         return a.combining_class < b.combining_class;
                       });
    }
    pending = buffer.size();
  };
  CodePoints parts;
  for (const AlignedChar& x : chars) {
    const std::size_t n = decompose(x.c, compatibility, parts);
    for (std::size_t i = 0; i < n; ++i) {
      const int k = combining_class(parts[i]);
      if (k == 0) sort_pending();
      buffer.push_back({k, {parts[i], i == 0 ? 0 : 1}});
    }
  }
  sort_pending();
  std::vector<Edit> edits;
  edits.reserve(buffer.size());
  for (const Classified& b : buffer) edits.push_back(b.edit);
  return edits;
}

// D117: composes each character with the last starter that nothing blocks it from. A composite
// swallows the places of both parts.
std::vector<Edit> composition(const std::vector<Edit>& decomposed) {
  std::vector<Edit> out;
  out.reserve(decomposed.size());
  std::vector<Edit> blocked;  // non-starters after the starter that did not compose with it
  std::optional<Edit> starter;
  int last_class = 0;  // combining class of blocked.back(), if there is one
  const auto flush = [&] {
    if (starter) out.push_back(*starter);
    out.insert(out.end(), blocked.begin(), blocked.end());
    blocked.clear();
  };
  for (const Edit& e : decomposed) {
    const int k = combining_class(e.c);
    if (!starter) {
      if (k != 0) {
        out.push_back(e);
      } else {
        starter = e;
      }
      continue;
    }
    if (blocked.empty() || last_class < k) {
      if (const auto composite = compose(starter->c, e.c)) {
        *starter = {*composite, starter->change + e.change - 1};
        continue;
      }
    }
    if (k == 0) {
      flush();
      starter = e;
    } else {
      blocked.push_back(e);
      last_class = k;
    }
  }
  flush();
  return out;
}

}  // namespace

void AlignedText::assign(std::string_view utf8, std::uint32_t first) {
  origin = first;
  most_chars = kNoGrowth;
  chars.clear();
  chars.reserve(utf8.size());
  for (std::size_t i = 0; i < utf8.size();) {
    const Decoded d = decode_utf8(utf8.data() + i);
    chars.push_back({d.c, first, first + 1});
    ++first;
    i += d.length;
  }
  most_chars = std::min(kNoGrowth, kMostGrowth * chars.size() + kFreeGrowth);
}

void AlignedText::check_growth(std::size_t size) const {
  if (size <= most_chars) return;
  throw Error(ErrorCode::invalid_argument,
              fmt::format("tokenizer: the normalizer makes at least {} characters of a stretch of "
                          "the text, expected at most {}, {} for each of its own and {}",
                          size, most_chars, kMostGrowth, kFreeGrowth));
}

void transform(AlignedText& text, const std::vector<Edit>& edits) {
  const std::vector<AlignedChar> old = std::move(text.chars);
  text.chars.clear();
  text.chars.reserve(edits.size());
  std::size_t i = 0;  // next old character
  for (const Edit& e : edits) {
    AlignedChar place{e.c, text.origin, text.origin};
    if (e.change > 0) {
      if (i > 0) place = old[i - 1];
    } else if (i < old.size()) {
      place = old[i];
      i = std::min(old.size(), i + 1 + static_cast<std::size_t>(-e.change));
    }
    text.chars.push_back({e.c, place.begin, place.end});
  }
}

void AlignedText::normalize(UnicodeForm form) {
  const bool compatibility = form == UnicodeForm::nfkc || form == UnicodeForm::nfkd;
  const bool composed = form == UnicodeForm::nfc || form == UnicodeForm::nfkc;
  // Below U+00A0 nothing decomposes, is reordered or composes with its like.
  const bool is_nfc = form == UnicodeForm::nfc;
  if (std::all_of(chars.begin(), chars.end(), [&](const AlignedChar& x) {
        return x.c < 0xA0 || (is_nfc && is_inert_in_nfc(x.c));
      })) {
    return;
  }
  const std::vector<Edit> edits = decomposition(chars, compatibility);
  transform(*this, composed ? composition(edits) : edits);
}

void AlignedText::lowercase() {
  CodePoints lower;
  std::size_t done = 0;  // up to here in place: as a rule, all of it
  for (; done < chars.size() && to_lowercase(chars[done].c, lower) == 1; ++done) {
    chars[done].c = lower[0];
  }
  if (done == chars.size()) return;
  std::vector<AlignedChar> out;
  out.reserve(chars.size());
  out.assign(chars.begin(), chars.begin() + static_cast<std::ptrdiff_t>(done));
  for (; done < chars.size(); ++done) {
    const AlignedChar x = chars[done];
    const std::size_t n = to_lowercase(x.c, lower);
    for (std::size_t i = 0; i < n; ++i) out.push_back({lower[i], x.begin, x.end});
  }
  chars = std::move(out);
}

void AlignedText::isolate_cjk_ideographs() {
  if (std::none_of(chars.begin(), chars.end(),
                   [](const AlignedChar& x) { return is_cjk_ideograph(x.c); })) {
    return;
  }
  std::vector<AlignedChar> out;
  out.reserve(3 * chars.size());
  for (const AlignedChar& x : chars) {
    const bool isolate = is_cjk_ideograph(x.c);
    if (isolate) out.push_back({U' ', x.begin, x.end});
    out.push_back(x);
    if (isolate) out.push_back({U' ', x.begin, x.end});
  }
  chars = std::move(out);
}

void AlignedText::strip(bool left, bool right) {
  const auto is_text = [](const AlignedChar& x) { return !is_whitespace(x.c); };
  if (right) chars.erase(std::find_if(chars.rbegin(), chars.rend(), is_text).base(), chars.end());
  if (left) chars.erase(chars.begin(), std::find_if(chars.begin(), chars.end(), is_text));
}

void AlignedText::replace(std::u32string_view pattern, std::u32string_view content) {
  const auto matches = [](const AlignedChar& x, char32_t c) { return x.c == c; };
  std::vector<AlignedChar> out;
  out.reserve(chars.size());
  auto from = chars.cbegin();
  for (;;) {
    const auto hit = std::search(from, chars.cend(), pattern.begin(), pattern.end(), matches);
    out.insert(out.end(), from, hit);
    if (hit == chars.cend()) break;
    from = hit + static_cast<std::ptrdiff_t>(pattern.size());
    check_growth(out.size() + content.size());
    // The reference gives every inserted character the place of the last replaced one.
    for (const char32_t c : content) out.push_back({c, from[-1].begin, from[-1].end});
  }
  chars = std::move(out);
}

void AlignedText::replace(const Regex& pattern, std::u32string_view content) {
  std::vector<Piece> pieces;
  PatternFinder(pattern).find(chars, {0, static_cast<std::uint32_t>(chars.size())}, pieces);
  const auto is_match = [](const Piece& p) { return p.is_match; };
  if (std::none_of(pieces.begin(), pieces.end(), is_match)) return;
  std::vector<AlignedChar> out;
  out.reserve(chars.size());
  for (const auto& [range, is_replaced] : pieces) {
    if (!is_replaced) {
      out.insert(out.end(), chars.begin() + range.begin, chars.begin() + range.end);
      continue;
    }
    AlignedChar place{0, origin, origin};
    if (range.end > 0) place = chars[range.end - 1];
    check_growth(out.size() + content.size());
    for (const char32_t c : content) out.push_back({c, place.begin, place.end});
  }
  chars = std::move(out);
}

void AlignedText::spell_bytes() {
  std::vector<AlignedChar> out;
  out.reserve(chars.size() + chars.size() / 2);
  for (const AlignedChar& x : chars) append_spelled(x, out);
  chars = std::move(out);
}

void AlignedText::prepend(std::u32string_view prefix) {
  if (chars.empty()) return;
  check_growth(chars.size() + prefix.size());
  const AlignedChar first = chars.front();
  std::vector<AlignedChar> head;
  head.reserve(prefix.size());
  for (const char32_t c : prefix) head.push_back({c, first.begin, first.end});
  chars.insert(chars.begin(), head.begin(), head.end());
}

}  // namespace tessera::text
