// SPDX-License-Identifier: Apache-2.0
// The tokens of one sequence, before truncation and template.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "models/text/aligned_text.hpp"
#include "models/text/pre_tokenizer.hpp"
#include "models/text/word_model.hpp"

namespace tessera::text {

inline constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();

struct SequenceToken {
  std::int32_t id;
  std::uint32_t begin;  ///< code points of the original text
  std::uint32_t end;
  bool opens_word;  ///< the first token of its word; an added token is a word of its own
  bool is_added;
  bool has_spaces_measured = false;
  std::uint32_t leading_space = 0;  ///< white space that the token begins with, if it was measured
  std::uint32_t trailing_space = 0;
};

/// Scratch space of one encode() call.
struct WordScratch {
  WordModel::Scratch pieces;
  std::string word;                         // UTF-8 of the word
  std::vector<std::uint32_t> byte_to_char;  // for every byte of it, the index of its character
  AlignedText text;
  std::vector<WordRange> words;
  std::vector<AlignedChar> rewritten;  // by the pre-tokenizer
};

/// Appends the tokens of `word`, whose characters are chars[range].
void append_word_tokens(const std::vector<AlignedChar>& chars, WordRange range,
                        const WordModel& model, WordScratch& scratch,
                        std::vector<SequenceToken>& tokens);

/// Normalised text → words → tokens; stops after the word that brings `tokens` to `limit`. Returns
/// whether it did not have to.
bool append_text_tokens(const std::vector<AlignedChar>& chars, WordRange range,
                        const PreTokenizer& pre_tokenizer, const WordModel& model,
                        std::size_t limit, WordScratch& scratch,
                        std::vector<SequenceToken>& tokens);

/// Drops whole words at the front while `limit` tokens remain behind them.
///
/// The reference stops tokenising a sequence once it has max_length tokens, counted from the end
/// that is kept. That cannot change which tokens are kept of one sequence, but longest_first then
/// compares these lengths, so of two long sequences with an odd limit it can decide which one keeps
/// the odd token. (tokenizers 0.23, PreTokenizedString::tokenize_with_limit)
void limit_from_left(std::size_t limit, std::vector<SequenceToken>& tokens);

}  // namespace tessera::text
