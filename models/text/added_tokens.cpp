// SPDX-License-Identifier: Apache-2.0
#include "models/text/added_tokens.hpp"

#include <algorithm>
#include <cstring>

#include "models/text/unicode.hpp"

namespace tessera::text {
namespace {

std::string normalized_form(const std::string& content, const Normalizer& normalizer) {
  AlignedText text;
  text.assign(content, 0);
  normalizer.apply(text);
  std::string out;
  for (const AlignedChar& x : text.chars) append_utf8(out, x.c);
  return out;
}

bool ends_with_word(std::string_view s) {
  return !s.empty() && is_word(decode_utf8_before(s.data() + s.size()).c);
}

bool starts_with_word(std::string_view s) {
  return !s.empty() && is_word(decode_utf8(s.data()).c);
}

// Where the white space before `end` begins, `from` at the least.
std::size_t space_begin(std::string_view s, std::size_t end, std::size_t from) {
  while (end > from) {
    const Decoded d = decode_utf8_before(s.data() + end);
    if (!is_whitespace(d.c)) break;
    end -= d.length;
  }
  return end;
}

// Where the white space behind `at` ends.
std::size_t space_end(std::string_view s, std::size_t at) {
  while (at < s.size()) {
    const Decoded d = decode_utf8(s.data() + at);
    if (!is_whitespace(d.c)) break;
    at += d.length;
  }
  return at;
}

}  // namespace

void StringMatcher::add(std::string pattern, std::uint32_t value) {
  if (pattern.empty()) return;
  const char first = pattern.front();
  const std::size_t length = pattern.size();
  if (!values_.emplace(std::move(pattern), value).second) return;
  std::vector<std::size_t>& lengths = lengths_[static_cast<unsigned char>(first)];
  if (lengths.empty()) first_bytes_.push_back(first);
  const auto at = std::lower_bound(lengths.begin(), lengths.end(), length, std::greater<>());
  if (at == lengths.end() || *at != length) lengths.insert(at, length);
}

std::optional<StringMatcher::Match> StringMatcher::find(std::string_view text,
                                                        std::size_t from) const {
  for (; from < text.size(); ++from) {
    if (first_bytes_.size() == 1) {  // as a rule: '['
      const void* hit = std::memchr(text.data() + from, first_bytes_.front(), text.size() - from);
      if (hit == nullptr) return std::nullopt;
      from = static_cast<std::size_t>(static_cast<const char*>(hit) - text.data());
    }
    for (const std::size_t length : lengths_[static_cast<unsigned char>(text[from])]) {
      if (length > text.size() - from) continue;
      const auto at = values_.find(text.substr(from, length));
      if (at != values_.end()) return Match{from, from + length, at->second};
    }
  }
  return std::nullopt;
}

const AddedTokens::Entry* AddedTokens::entry(std::string_view content) const noexcept {
  const auto at = std::find_if(tokens_.begin(), tokens_.end(),
                               [&](const Entry& e) { return e.token.content == content; });
  return at == tokens_.end() ? nullptr : &*at;
}

void AddedTokens::add(const std::vector<AddedToken>& tokens, const Vocabulary& vocabulary,
                      const Normalizer& normalizer) {
  // The reference continues after the vocabulary's count, not after its largest id.
  auto next = static_cast<std::int32_t>(vocabulary.next_id());
  std::unordered_map<std::string_view, std::size_t> known;
  tokens_.reserve(tokens_.size() + tokens.size());  // keeps the views in `known` valid
  for (const AddedToken& token : tokens) {
    if (token.content.empty()) continue;
    const auto again = known.find(token.content);
    if (again != known.end()) {  // listed twice: the later flags count
      tokens_[again->second].token = token;
      continue;
    }
    const std::optional<std::int32_t> id = vocabulary.id(token.content);
    if (!id) ++new_count_;
    tokens_.push_back({token, id ? *id : next++});
    known.emplace(tokens_.back().token.content, tokens_.size() - 1);
  }
  for (std::uint32_t i = 0; i < tokens_.size(); ++i) {
    const AddedToken& token = tokens_[i].token;
    if (token.normalized) {
      normalized_.add(normalized_form(token.content, normalizer), i);
    } else {
      original_.add(token.content, i);
    }
  }
}

void AddedTokens::split(std::string_view text, bool normalized,
                        std::vector<AddedSplit>& out) const {
  out.clear();
  const StringMatcher& matcher = normalized ? normalized_ : original_;
  std::size_t done = 0;
  std::size_t from = 0;
  std::size_t stripped_to = 0;  // the end of the white space that the last rstrip took
  while (!matcher.empty()) {
    const auto match = matcher.find(text, from);
    if (!match) break;
    from = match->end;
    const AddedToken& token = tokens_[match->value].token;
    std::size_t begin = match->begin;
    std::size_t end = match->end;
    if (token.single_word &&
        (ends_with_word(text.substr(0, begin)) || starts_with_word(text.substr(end)))) {
      continue;
    }
    // What was looked at is not looked at again: a text of spaces takes time of its length.
    if (token.lstrip) begin = std::max(space_begin(text, begin, done), done);
    if (token.rstrip) {
      if (end >= stripped_to) stripped_to = space_end(text, end);
      end = stripped_to;
    }
    // A token in white space that the one before took with it counts all the same.
    if (end <= begin) continue;
    if (done < begin) out.push_back({AddedSplit::kText, done, begin});
    out.push_back({match->value, begin, end});
    done = end;
  }
  if (done < text.size()) out.push_back({AddedSplit::kText, done, text.size()});
}

std::optional<std::int32_t> AddedTokens::id(std::string_view content) const noexcept {
  const Entry* e = entry(content);
  if (e == nullptr) return std::nullopt;
  return e->id;
}

std::optional<std::string_view> AddedTokens::token(std::int32_t id) const noexcept {
  const auto at =
      std::find_if(tokens_.begin(), tokens_.end(), [&](const Entry& e) { return e.id == id; });
  if (at == tokens_.end()) return std::nullopt;
  return at->token.content;
}

bool AddedTokens::is_special(std::int32_t id) const noexcept {
  return std::any_of(tokens_.begin(), tokens_.end(),
                     [&](const Entry& e) { return e.id == id && e.token.special; });
}

std::size_t AddedTokens::id_count() const noexcept {
  std::size_t count = 0;
  for (const Entry& e : tokens_) count = std::max(count, static_cast<std::size_t>(e.id) + 1);
  return count;
}

}  // namespace tessera::text
