// SPDX-License-Identifier: Apache-2.0
// How a normalised text is split into words: the "pre_tokenizer" of a tokenizer.json.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "models/text/aligned_text.hpp"
#include "models/text/metaspace.hpp"
#include "models/text/regex.hpp"

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
  word_change,   ///< \w+|[^\w\s]+: runs of word characters and runs of others are words, space is
                 ///< removed
  pattern,       ///< as SplitRule::pattern says
  prefix_space,  ///< nowhere: puts a space before a word that begins without
  byte_level,    ///< nowhere: spells every byte as a character (byte_level.hpp)
  metaspace,     ///< as SplitRule::metaspace says; the behaviour is not looked at
};

struct SplitRule {
  SplitAt at;
  SplitBehavior behavior = SplitBehavior::isolated;
  Metaspace metaspace = {};
  std::optional<Regex> pattern = {};
  bool invert = false;  ///< splits at what the pattern leaves

  static SplitRule at_pattern(Regex regex, SplitBehavior behavior, bool invert = false);
  /// The words of GPT-2, which a ByteLevel step has by itself; everything is in some word.
  static SplitRule gpt2();
};

/// Rules in order, each splitting the words of the one before. None: the whole text is one word.
struct PreTokenizer {
  std::vector<SplitRule> rules;

  /// Whether some rule changes the text, so that rewrite() is to be called instead of split().
  bool rewrites() const noexcept;

  /// Replaces `words`, whose ranges are to be split, by the words inside them.
  ///
  /// Errors    those of RegexSearch::next().
  void split(const std::vector<AlignedChar>& chars, std::vector<WordRange>& words) const;
  /// The same, and the words are those of `out`.
  ///
  /// Precondition: rewrites().
  void rewrite(const std::vector<AlignedChar>& chars, std::vector<WordRange>& words,
               std::vector<AlignedChar>& out) const;

  /// Whether the last rule spells bytes, which a model of bytes does by itself.
  bool ends_in_bytes() const noexcept {
    return !rules.empty() && rules.back().at == SplitAt::byte_level;
  }

  /// White space removed, punctuation isolated: BertPreTokenizer.
  static PreTokenizer bert();
  bool is_bert() const noexcept;
};

}  // namespace tessera::text
