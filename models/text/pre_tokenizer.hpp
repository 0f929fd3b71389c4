// SPDX-License-Identifier: Apache-2.0
// How a normalised text is split into words: the "pre_tokenizer" of a tokenizer.json.
#pragma once

#include <cstdint>
#include <vector>

#include "models/text/aligned_text.hpp"
#include "models/text/metaspace.hpp"

namespace tessera::text {

/// What becomes of the characters that a rule splits at (tokenizers, SplitDelimiterBehavior).
enum class SplitBehavior : std::uint8_t {
  removed,
  isolated,              ///< each is a word
  merged_with_previous,  ///< each closes the word before it
  merged_with_next,      ///< each opens the word after it
  contiguous,            ///< a run of them is a word
};

/// Which characters a rule splits at.
enum class SplitAt : std::uint8_t {
  whitespace,
  punctuation,
  numeric,
  gpt2,         ///< the pattern of GPT-2's words; everything is in some word
  clip,         ///< the pattern of CLIP's words; space is removed
  word_change,  ///< \w+|[^\w\s]+: runs of word characters and runs of others are words, space is
                ///< removed
  metaspace,    ///< as SplitRule::metaspace says; the behaviour is not looked at
};

struct SplitRule {
  SplitAt at;
  SplitBehavior behavior;
  Metaspace metaspace = {};
};

/// [begin, end) in characters of an AlignedText; never empty.
struct WordRange {
  std::uint32_t begin;
  std::uint32_t end;
};

/// Rules in order, each splitting the words of the one before. None: the whole text is one word.
struct PreTokenizer {
  std::vector<SplitRule> rules;
  bool is_byte_level = false;     ///< has a ByteLevel step: what byte pair encoding needs
  bool add_prefix_space = false;  ///< puts a space before a stretch of text that begins without

  /// Whether some rule changes the text, so that rewrite() is to be called instead of split().
  bool rewrites() const noexcept;

  /// Replaces `words`, whose ranges are to be split, by the words inside them.
  void split(const std::vector<AlignedChar>& chars, std::vector<WordRange>& words) const;
  /// The same, and the words are those of `out`.
  void rewrite(const std::vector<AlignedChar>& chars, std::vector<WordRange>& words,
               std::vector<AlignedChar>& out) const;

  /// White space removed, punctuation isolated: BertPreTokenizer.
  static PreTokenizer bert();
  bool is_bert() const noexcept;
};

}  // namespace tessera::text
