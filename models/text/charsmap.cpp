// SPDX-License-Identifier: Apache-2.0
#include "models/text/charsmap.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "models/text/grapheme.hpp"
#include "models/text/unicode.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/utf8.hpp"

namespace tessera::text {
namespace {

constexpr std::size_t kLongestCluster = 5;    // bytes
constexpr std::size_t kLongestCharacter = 4;  // bytes
constexpr std::uint32_t kIsValue = 1U << 31;

constexpr std::uint32_t label(std::uint32_t unit) noexcept {
  return unit & (kIsValue | 0xFF);
}
constexpr bool has_value(std::uint32_t unit) noexcept {
  return (unit >> 8 & 1) != 0;
}
constexpr std::uint32_t offset(std::uint32_t unit) noexcept {
  return unit >> 10 << ((unit & 1U << 9) >> 6);
}
constexpr std::uint32_t value(std::uint32_t unit) noexcept {
  return unit & ~kIsValue;
}

std::uint32_t read_u32(std::string_view bytes) noexcept {
  std::uint32_t x = 0;
  for (std::size_t i = 4; i-- > 0;) x = x << 8 | static_cast<unsigned char>(bytes[i]);
  return x;
}

[[noreturn]] void complain(std::string_view where, const std::string& got,
                           std::string_view expected) {
  throw Error(ErrorCode::corrupt_file, fmt::format("{} {}, expected {}", where, got, expected));
}

// The characters [begin, end) became `content`. As in the reference: new characters take the places
// of the old ones from the left, more than there were share the last place, and places that are
// left over go to the character before; at the front of a text there is none, and all places shift.
void push_edits(std::string_view content, std::size_t old_count, std::vector<Edit>& edits) {
  std::size_t new_count = 0;
  for (std::size_t i = 0; i < content.size(); ++new_count) {
    const Decoded d = decode_utf8(content.data() + i);
    edits.push_back({d.c, new_count < old_count ? 0 : 1});
    i += d.length;
  }
  if (new_count < old_count && !edits.empty()) {
    edits.back().change -= static_cast<int>(old_count - new_count);
  }
}

}  // namespace

Charsmap::Charsmap(std::string_view bytes, std::string_view where) {
  if (bytes.size() < 4) {
    complain(where, fmt::format("has {} bytes", bytes.size()), "4 that say the size of the trie");
  }
  const std::uint32_t trie_bytes = read_u32(bytes);
  bytes.remove_prefix(4);
  if (trie_bytes % 4 != 0 || trie_bytes == 0 || trie_bytes > bytes.size()) {
    complain(where, fmt::format("says that its trie has {} bytes", trie_bytes),
             fmt::format("a multiple of 4 from 4 to {}, the bytes that are there", bytes.size()));
  }
  units_.reserve(trie_bytes / 4);
  for (std::size_t i = 0; i < trie_bytes; i += 4) units_.push_back(read_u32(bytes.substr(i)));
  bytes.remove_prefix(trie_bytes);
  if (!is_utf8(bytes)) complain(where, "has replacements that are not UTF-8", "UTF-8");
  replacements_ = bytes;
  check_values(where);
  for (std::size_t c = 0; c < is_kept_.size(); ++c) {
    const char byte = static_cast<char>(c);
    is_kept_[c] = byte != '\r' && !find(std::string_view(&byte, 1));
  }
}

void Charsmap::check_values(std::string_view where) const {
  for (std::size_t i = 0; i < units_.size(); ++i) {
    const std::uint32_t unit = units_[i];
    if ((unit & kIsValue) != 0 || !has_value(unit)) continue;
    const std::size_t place = i ^ offset(unit);
    if (place >= units_.size()) {
      complain(where, fmt::format("has the value of unit {} at unit {}", i, place),
               fmt::format("one of its {} units", units_.size()));
    }
    const std::size_t begin = value(units_[place]);
    const bool is_inside_character =
        begin < replacements_.size() &&
        (static_cast<unsigned char>(replacements_[begin]) & 0xC0) == 0x80;
    if (begin > replacements_.size() || is_inside_character) {
      complain(where, fmt::format("has a replacement at byte {}", begin),
               fmt::format("the beginning of a character in {} bytes", replacements_.size()));
    }
  }
}

std::optional<std::string_view> Charsmap::find(std::string_view text) const noexcept {
  std::size_t place = offset(units_[0]);
  for (const char byte : text) {
    const auto c = static_cast<unsigned char>(byte);
    place ^= c;
    if (c == 0 || place >= units_.size()) break;
    const std::uint32_t unit = units_[place];
    if (label(unit) != c) break;
    place ^= offset(unit);
    if (!has_value(unit)) continue;
    const std::size_t begin = value(units_[place]);
    const std::size_t end = std::min(replacements_.find('\0', begin), replacements_.size());
    return std::string_view(replacements_).substr(begin, end - begin);
  }
  return std::nullopt;
}

bool Charsmap::changes_nothing(const AlignedText& text) const noexcept {
  return std::all_of(text.chars.begin(), text.chars.end(),
                     [&](const AlignedChar& x) { return x.c < 128 && is_kept_[x.c]; });
}

void Charsmap::apply(AlignedText& text) const {
  if (changes_nothing(text)) return;
  const std::vector<AlignedChar>& chars = text.chars;
  std::vector<Edit> edits;
  edits.reserve(chars.size() + chars.size() / 8);
  bool is_changed = false;
  std::string bytes;
  const auto replace = [&](std::size_t count) {
    const auto content = find(bytes);
    if (!content) return false;
    text.check_growth(edits.size() + content->size() / kLongestCharacter);
    push_edits(*content, count, edits);
    is_changed = true;
    return true;
  };
  for (std::size_t i = 0; i < chars.size();) {
    const std::size_t end = grapheme_end(chars, i);
    bytes.clear();
    for (std::size_t k = i; k < end && bytes.size() <= kLongestCluster; ++k) {
      append_utf8(bytes, chars[k].c);
    }
    if (bytes.size() > kLongestCluster || !replace(end - i)) {
      for (std::size_t k = i; k < end; ++k) {
        bytes.clear();
        append_utf8(bytes, chars[k].c);
        if (!replace(1)) edits.push_back({chars[k].c, 0});
      }
    }
    i = end;
  }
  if (is_changed) transform(text, edits);
}

}  // namespace tessera::text
