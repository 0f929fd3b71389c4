// SPDX-License-Identifier: Apache-2.0
// From a text to the tokens of one sequence: TokenizerImpl::encode_single_sequence (tokenizers
// 0.23, tokenizer/mod.rs), with AddedVocabulary::extract_and_normalize before it.
#include "models/text/tokenizer_parts.hpp"

#include <algorithm>

#include "models/text/trimmed_offsets.hpp"
#include "models/text/unicode.hpp"

namespace tessera::text {
namespace {

// A place in a text, in bytes and in code points.
struct Place {
  std::size_t byte = 0;
  std::uint32_t position = 0;

  std::uint32_t move_to(std::size_t to, std::string_view text) {
    const auto [from, end] = std::minmax(byte, to);
    const auto count = static_cast<std::uint32_t>(count_code_points(text.substr(from, end - from)));
    position = byte <= to ? position + count : position - count;
    byte = to;
    return position;
  }
};

SequenceToken added_token(std::int32_t id, std::uint32_t begin, std::uint32_t end,
                          std::string_view text) {
  SequenceToken token{id, begin, end, true, true};
  measure_spaces(text, token);
  return token;
}

// The same of the next token of a text. Where it lies in the white space that the one before took
// with it, nothing is measured again.
SequenceToken next_added_token(std::int32_t id, std::uint32_t begin, std::uint32_t end,
                               std::string_view text, const std::vector<SequenceToken>& before) {
  const bool is_space = !before.empty() && before.back().is_added && before.back().end == end &&
                        before.back().begin <= begin &&
                        before.back().leading_space == end - before.back().begin;
  if (!is_space) return added_token(id, begin, end, text);
  SequenceToken token{id, begin, end, true, true, true};
  token.leading_space = token.trailing_space = end - begin;
  return token;
}

// Normalises a stretch of text as a whole, cuts out the added tokens that are sought there, and
// splits the rest into words.
bool append_general(const TokenizerParts& parts, std::string_view text, std::uint32_t first,
                    std::size_t limit, WordScratch& scratch, std::vector<SequenceToken>& tokens) {
  AlignedText normalized;
  normalized.assign(text, first);
  parts.normalizer.apply(normalized);
  const std::vector<AlignedChar>& chars = normalized.chars;
  if (!parts.added.any_normalized()) {
    return append_text_tokens(chars, {0, static_cast<std::uint32_t>(chars.size())},
                              parts.pre_tokenizer, parts.model, limit, scratch, tokens);
  }
  std::string utf8;
  std::vector<std::uint32_t> byte_to_char;
  for (std::uint32_t i = 0; i < chars.size(); ++i) {
    append_utf8(utf8, chars[i].c);
    byte_to_char.resize(utf8.size(), i);
  }
  byte_to_char.push_back(static_cast<std::uint32_t>(chars.size()));
  std::vector<AddedSplit> splits;
  parts.added.split(utf8, true, splits);
  for (const AddedSplit& split : splits) {
    const WordRange range{byte_to_char[split.begin], byte_to_char[split.end]};
    if (split.token != AddedSplit::kText) {
      tokens.push_back(added_token(
          parts.added.id(split.token), chars[range.begin].begin, chars[range.end - 1].end,
          std::string_view(utf8).substr(split.begin, split.end - split.begin)));
    } else if (!append_text_tokens(chars, range, parts.pre_tokenizer, parts.model, limit, scratch,
                                   tokens)) {
      return false;
    }
  }
  return true;
}

struct IsLowercasing {
  bool operator()(const BertNormalizer& n) const noexcept { return n.lowercase; }
  bool operator()(LowercaseNormalizer) const noexcept { return true; }
  template <class Other>
  bool operator()(const Other&) const noexcept {
    return false;
  }
};

}  // namespace

std::optional<std::int32_t> TokenizerParts::id(std::string_view token) const noexcept {
  const auto known = added.id(token);
  return known ? known : model.vocabulary().id(token);
}

void TokenizerParts::finish() {
  info.model = model.name();
  info.normalizer = normalizer.describe();
  info.lowercase =
      std::any_of(normalizer.steps.begin(), normalizer.steps.end(),
                  [](const NormalizerStep& step) { return std::visit(IsLowercasing{}, step); });
  info.pads = padding.has_value();
  info.marks_continuations = model.marks_continuations();
  const BertNormalizer* bert = normalizer.as_bert();
  if (bert != nullptr && pre_tokenizer.is_bert() && !added.any_normalized()) scanner.emplace(*bert);
}

std::vector<SequenceToken> TokenizerParts::tokenize(std::string_view text,
                                                    std::size_t limit) const {
  std::vector<SequenceToken> tokens;
  tokens.reserve(std::min(limit, text.size() / 4 + 8));
  WordScratch scratch;
  std::vector<AddedSplit> splits;
  added.split(text, false, splits);
  Place begin_place, end_place;  // two, since many stretches may end at one place
  for (const AddedSplit& split : splits) {
    const std::string_view stretch = text.substr(split.begin, split.end - split.begin);
    const std::uint32_t begin = begin_place.move_to(split.begin, text);
    if (split.token != AddedSplit::kText) {
      const std::uint32_t end = end_place.move_to(split.end, text);
      tokens.push_back(next_added_token(added.id(split.token), begin, end, stretch, tokens));
      continue;
    }
    const bool goes_on = scanner ? scanner->scan(stretch, begin, model, limit, scratch, tokens)
                                 : append_general(*this, stretch, begin, limit, scratch, tokens);
    if (!goes_on) break;
  }
  return tokens;
}

}  // namespace tessera::text
