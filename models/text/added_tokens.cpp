// SPDX-License-Identifier: Apache-2.0
#include "models/text/added_tokens.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "models/text/unicode.hpp"
#include "runtime/base/error.hpp"

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
  begins_match_[static_cast<unsigned char>(pattern.front())] = true;
  values_.emplace(std::move(pattern), static_cast<std::int32_t>(value));
}

void StringMatcher::finish() {
  std::vector<ByteTrie::Key> keys;
  keys.reserve(values_.size());
  for (const auto& [pattern, value] : values_) keys.push_back({pattern, value});
  trie_ = ByteTrie(keys);
  const auto count = std::count(begins_match_.begin(), begins_match_.end(), true);
  only_first_byte_.reset();
  if (count == 1) only_first_byte_ = values_.begin()->first.front();
}

std::optional<StringMatcher::Match> StringMatcher::find(std::string_view text,
                                                        std::size_t from) const {
  for (; from < text.size(); ++from) {
    if (only_first_byte_) {  // as a rule: '[' or '<'
      const void* hit = std::memchr(text.data() + from, *only_first_byte_, text.size() - from);
      if (hit == nullptr) return std::nullopt;
      from = static_cast<std::size_t>(static_cast<const char*>(hit) - text.data());
    } else if (!begins_match_[static_cast<unsigned char>(text[from])]) {
      continue;
    }
    std::optional<Match> longest;
    trie_.for_each_prefix(text.substr(from), [&](std::size_t length, std::int32_t value) {
      longest = Match{from, from + length, static_cast<std::uint32_t>(value)};
    });
    if (longest) return longest;
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
  if (tokens_.size() > ByteTrie::kMaxValue) {
    throw Error(ErrorCode::unsupported_model,
                fmt::format("tokenizer: there are {} added tokens, expected at most {}",
                            tokens_.size(), ByteTrie::kMaxValue));
  }
  for (std::uint32_t i = 0; i < tokens_.size(); ++i) {
    const AddedToken& token = tokens_[i].token;
    if (token.normalized) {
      normalized_.add(normalized_form(token.content, normalizer), i);
    } else {
      original_.add(token.content, i);
    }
  }
  original_.finish();
  normalized_.finish();
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
