// SPDX-License-Identifier: Apache-2.0
#include "models/text/pre_tokenizer.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "models/text/byte_level.hpp"
#include "models/text/split_pattern.hpp"
#include "models/text/unicode.hpp"

namespace tessera::text {
namespace {

using Predicate = bool (*)(char32_t) noexcept;

// Every matching character by itself, and the stretches between them (tokenizer/pattern.rs).
void find_matches(const std::vector<AlignedChar>& chars, WordRange word, Predicate matches,
                  std::vector<Piece>& pieces) {
  pieces.clear();
  std::uint32_t begin = word.begin;
  for (std::uint32_t i = word.begin; i < word.end; ++i) {
    if (!matches(chars[i].c)) continue;
    if (begin < i) pieces.push_back({{begin, i}, false});
    pieces.push_back({{i, i + 1}, true});
    begin = i + 1;
  }
  if (begin < word.end) pieces.push_back({{begin, word.end}, false});
}

// NormalizedString::split (tokenizer/normalizer.rs).
void emit(const std::vector<Piece>& pieces, SplitBehavior behavior, std::vector<WordRange>& out) {
  const std::size_t first = out.size();
  bool previous = false;
  switch (behavior) {
    case SplitBehavior::removed:
      for (const Piece& p : pieces) {
        if (!p.is_match) out.push_back(p.range);
      }
      break;
    case SplitBehavior::isolated:
      for (const Piece& p : pieces) out.push_back(p.range);
      break;
    case SplitBehavior::contiguous:
    case SplitBehavior::merged_with_previous:
      for (const Piece& p : pieces) {
        const bool joins = behavior == SplitBehavior::contiguous ? p.is_match == previous
                                                                 : p.is_match && !previous;
        if (joins && out.size() > first) {
          out.back().end = p.range.end;
        } else {
          out.push_back(p.range);
        }
        previous = p.is_match;
      }
      break;
    case SplitBehavior::merged_with_next:
      for (auto p = pieces.rbegin(); p != pieces.rend(); ++p) {
        if (p->is_match && !previous && out.size() > first) {
          out.back().begin = p->range.begin;
        } else {
          out.push_back(p->range);
        }
        previous = p->is_match;
      }
      std::reverse(out.begin() + static_cast<std::ptrdiff_t>(first), out.end());
      break;
  }
  const auto is_empty = [](const WordRange& word) { return word.begin == word.end; };
  out.erase(std::remove_if(out.begin() + static_cast<std::ptrdiff_t>(first), out.end(), is_empty),
            out.end());
}

void split_at_word_change(const std::vector<AlignedChar>& chars, WordRange word,
                          std::vector<WordRange>& out) {
  enum class Kind : std::uint8_t { space, word_like, other };
  const auto kind_of = [&](std::uint32_t i) {
    if (is_word(chars[i].c)) return Kind::word_like;
    return is_whitespace(chars[i].c) ? Kind::space : Kind::other;
  };
  for (std::uint32_t i = word.begin; i < word.end;) {
    const Kind kind = kind_of(i);
    const std::uint32_t begin = i;
    while (i < word.end && kind_of(i) == kind) ++i;
    if (kind != Kind::space) out.push_back({begin, i});
  }
}

Predicate predicate_of(SplitAt at) noexcept {
  switch (at) {
    case SplitAt::whitespace:
      return is_whitespace;
    case SplitAt::punctuation:
      return is_punctuation;
    case SplitAt::numeric:
      return is_numeric;
    case SplitAt::word_change:
    case SplitAt::pattern:
    case SplitAt::prefix_space:
    case SplitAt::byte_level:
    case SplitAt::metaspace:
      break;
  }
  return nullptr;
}

void split_at_pattern(const SplitRule& rule, const std::vector<AlignedChar>& chars,
                      const std::vector<WordRange>& words, std::vector<WordRange>& out) {
  PatternFinder finder(rule.pattern.value());
  std::vector<Piece> pieces;
  for (const WordRange& word : words) {
    finder.find(chars, word, pieces);
    for (Piece& p : pieces) p.is_match = p.is_match != rule.invert;
    emit(pieces, rule.behavior, out);
  }
}

// Replaces `words` by the words that one rule finds in them.
void split_by(const SplitRule& rule, const std::vector<AlignedChar>& chars,
              std::vector<WordRange>& words) {
  std::vector<Piece> pieces;
  std::vector<WordRange> out;
  if (rule.at == SplitAt::pattern) {
    split_at_pattern(rule, chars, words, out);
    words.swap(out);
    return;
  }
  for (const WordRange& word : words) {
    if (rule.at == SplitAt::word_change) {
      split_at_word_change(chars, word, out);
    } else {
      find_matches(chars, word, predicate_of(rule.at), pieces);
      emit(pieces, rule.behavior, out);
    }
  }
  words.swap(out);
}

bool changes_text(const SplitRule& rule) noexcept {
  return rule.at == SplitAt::prefix_space || rule.at == SplitAt::byte_level ||
         rule.at == SplitAt::metaspace;
}

// Makes `out` of `chars` by one rule that changes the text.
void rewrite_by(const SplitRule& rule, const std::vector<AlignedChar>& chars,
                std::vector<WordRange>& words, std::vector<AlignedChar>& out) {
  if (rule.at == SplitAt::prefix_space) {
    prefix_spaces(chars, words, out);
  } else if (rule.at == SplitAt::byte_level) {
    spell_bytes(chars, words, out);
  } else {
    rule.metaspace.apply(chars, words, out);
  }
}

}  // namespace

bool PreTokenizer::rewrites() const noexcept {
  return std::any_of(rules.begin(), rules.end(), changes_text);
}

void PreTokenizer::split(const std::vector<AlignedChar>& chars,
                         std::vector<WordRange>& words) const {
  for (const SplitRule& rule : rules) split_by(rule, chars, words);
}

void PreTokenizer::rewrite(const std::vector<AlignedChar>& chars, std::vector<WordRange>& words,
                           std::vector<AlignedChar>& out) const {
  const std::vector<AlignedChar>* now = &chars;
  for (const SplitRule& rule : rules) {
    if (!changes_text(rule)) {
      split_by(rule, *now, words);
      continue;
    }
    std::vector<AlignedChar> before;
    if (now == &out) before.swap(out);
    rewrite_by(rule, now == &out ? before : *now, words, out);
    now = &out;
  }
}

SplitRule SplitRule::at_pattern(Regex regex, SplitBehavior behavior, bool invert) {
  SplitRule rule{SplitAt::pattern, behavior};
  rule.pattern = std::move(regex);
  rule.invert = invert;
  return rule;
}

SplitRule SplitRule::gpt2() {
  constexpr std::string_view kWords =
      R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
  return at_pattern(Regex(kWords, "ByteLevel"), SplitBehavior::isolated);
}

PreTokenizer PreTokenizer::bert() {
  return {{{SplitAt::whitespace, SplitBehavior::removed},
           {SplitAt::punctuation, SplitBehavior::isolated}}};
}

bool PreTokenizer::is_bert() const noexcept {
  return rules.size() == 2 && rules[0].at == SplitAt::whitespace &&
         rules[0].behavior == SplitBehavior::removed && rules[1].at == SplitAt::punctuation &&
         rules[1].behavior == SplitBehavior::isolated;
}

}  // namespace tessera::text
