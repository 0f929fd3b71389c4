// SPDX-License-Identifier: Apache-2.0
#include "models/text/pre_tokenizer.hpp"

#include <algorithm>

#include "models/text/unicode.hpp"

namespace tessera::text {
namespace {

struct Piece {
  WordRange range;
  bool is_match;
};

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

// 's 't 're 've 'm 'll 'd: how many characters of one begin at `i`, or 0.
std::uint32_t contraction(const std::vector<AlignedChar>& chars, std::uint32_t i,
                          std::uint32_t end) {
  if (chars[i].c != U'\'' || i + 1 == end) return 0;
  const char32_t a = chars[i + 1].c;
  const char32_t b = i + 2 < end ? chars[i + 2].c : U'\0';
  if (a == U's' || a == U't' || a == U'm' || a == U'd') return 2;
  return ((a == U'r' || a == U'v') && b == U'e') || (a == U'l' && b == U'l') ? 3 : 0;
}

enum class CharKind : std::uint8_t { space, letter, number, other };

CharKind kind_of(char32_t c) noexcept {
  if (is_whitespace(c)) return CharKind::space;
  if (is_letter(c)) return CharKind::letter;
  return is_numeric(c) ? CharKind::number : CharKind::other;
}

std::uint32_t end_of_run(const std::vector<AlignedChar>& chars, std::uint32_t i, std::uint32_t end,
                         CharKind kind) {
  while (i < end && kind_of(chars[i].c) == kind) ++i;
  return i;
}

//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
void split_gpt2(const std::vector<AlignedChar>& chars, WordRange word,
                std::vector<WordRange>& out) {
  for (std::uint32_t i = word.begin; i < word.end;) {
    std::uint32_t end = i + contraction(chars, i, word.end);
    if (end == i) {
      const bool takes_space = chars[i].c == U' ' && i + 1 < word.end;
      const std::uint32_t first = takes_space ? i + 1 : i;
      const CharKind kind = kind_of(chars[first].c);
      end = end_of_run(chars, first, word.end, kind);
      if (kind == CharKind::space) {
        // The last space of a run goes to the word behind it, unless it is the only one.
        if (end < word.end && end > i + 1) --end;
      }
    }
    out.push_back({i, end});
    i = end;
  }
}

//   's|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+
void split_clip(const std::vector<AlignedChar>& chars, WordRange word,
                std::vector<WordRange>& out) {
  for (std::uint32_t i = word.begin; i < word.end;) {
    std::uint32_t end = i + contraction(chars, i, word.end);
    const CharKind kind = kind_of(chars[i].c);
    if (end == i) end = kind == CharKind::number ? i + 1 : end_of_run(chars, i, word.end, kind);
    if (kind != CharKind::space) out.push_back({i, end});
    i = end;
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
    case SplitAt::gpt2:
    case SplitAt::clip:
    case SplitAt::metaspace:
      break;
  }
  return nullptr;
}

// Replaces `words` by the words that one rule finds in them.
void split_by(const SplitRule& rule, const std::vector<AlignedChar>& chars,
              std::vector<WordRange>& words) {
  std::vector<Piece> pieces;
  std::vector<WordRange> out;
  for (const WordRange& word : words) {
    if (rule.at == SplitAt::word_change) {
      split_at_word_change(chars, word, out);
    } else if (rule.at == SplitAt::gpt2) {
      split_gpt2(chars, word, out);
    } else if (rule.at == SplitAt::clip) {
      split_clip(chars, word, out);
    } else {
      find_matches(chars, word, predicate_of(rule.at), pieces);
      emit(pieces, rule.behavior, out);
    }
  }
  words.swap(out);
}

}  // namespace

bool PreTokenizer::rewrites() const noexcept {
  return std::any_of(rules.begin(), rules.end(),
                     [](const SplitRule& rule) { return rule.at == SplitAt::metaspace; });
}

void PreTokenizer::split(const std::vector<AlignedChar>& chars,
                         std::vector<WordRange>& words) const {
  for (const SplitRule& rule : rules) split_by(rule, chars, words);
}

void PreTokenizer::rewrite(const std::vector<AlignedChar>& chars, std::vector<WordRange>& words,
                           std::vector<AlignedChar>& out) const {
  const std::vector<AlignedChar>* now = &chars;
  for (const SplitRule& rule : rules) {
    if (rule.at != SplitAt::metaspace) {
      split_by(rule, *now, words);
      continue;
    }
    std::vector<AlignedChar> before;
    if (now == &out) before.swap(out);
    rule.metaspace.apply(now == &out ? before : *now, words, out);
    now = &out;
  }
}

PreTokenizer PreTokenizer::bert() {
  return {{{SplitAt::whitespace, SplitBehavior::removed},
           {SplitAt::punctuation, SplitBehavior::isolated}}};
}

bool PreTokenizer::is_bert() const noexcept {
  return !is_byte_level && rules.size() == 2 && rules[0].at == SplitAt::whitespace &&
         rules[0].behavior == SplitBehavior::removed && rules[1].at == SplitAt::punctuation &&
         rules[1].behavior == SplitBehavior::isolated;
}

}  // namespace tessera::text
