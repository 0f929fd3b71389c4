// SPDX-License-Identifier: Apache-2.0
// Byte pair encoding: the split of one word into tokens by merging.
//
//   s = the bytes or characters of the word (first_symbols.hpp)
//   while some pair (s[i], s[i + 1]) is in the list of merges:
//     of these pairs the one that is earliest in the list, of its places the leftmost → one symbol
//
// Every symbol is a token. A queue of the pairs and a list of the symbols make a word of n symbols
// cost O(n log n). What makes words cheap as a rule changes nothing of the result: a word that
// becomes one token is looked up (whole_words.hpp), a longer one falls apart where no merge reaches
// across (merge_bounds.hpp), and a few symbols need no queue.
// tokenizers 0.23, models/bpe (Sennrich, Haddow, Birch 2016; Radford et al. 2019).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/text/first_symbols.hpp"
#include "models/text/merge_bounds.hpp"
#include "models/text/merge_queue.hpp"
#include "models/text/pair_table.hpp"
#include "models/text/vocabulary.hpp"
#include "models/text/whole_words.hpp"
#include "models/text/wordpiece.hpp"
#include "runtime/base/late.hpp"

namespace tessera::text {

class BytePairs {
 public:
  using Merge = std::pair<std::string, std::string>;

  /// Scratch space of one caller.
  struct Scratch {
    std::vector<PairSymbol> symbols;
    MergeQueue queue;
    std::vector<WordToken> tokens;  ///< of the last word
    bool is_general = false;        ///< tokens may be others than the bytes at their places spell
    std::string spelled;            // the word as a byte-level vocabulary spells it
    std::string key;
  };

  /// Precondition: `vocabulary` is finished.
  ///
  /// Errors    corrupt_file: a merge of tokens, or into a token, that the vocabulary lacks;
  ///           byte_fallback without all of its tokens and without an unk_token. `where` names the
  ///           place of the merges.
  BytePairs(Vocabulary vocabulary, const std::vector<Merge>& merges, BytePairsConfig config,
            std::string_view where);

  /// Splits `word`, which is not empty, into scratch.tokens. Any number of threads, each with a
  /// Scratch of its own; one call among many also finds the whole words (whole_words.hpp).
  ///
  /// Errors    corrupt_file: an unk_token that the vocabulary lacks is needed.
  void tokenize(std::string_view word, Scratch& scratch) const;

  const Vocabulary& vocabulary() const noexcept { return vocabulary_; }
  const BytePairsConfig& config() const noexcept { return config_; }
  std::optional<std::int32_t> unk_id() const noexcept { return first_.unk_id(); }

 private:
  // What is known of words before any merging.
  struct Known {
    const WholeWords* words = nullptr;  // what merging makes one token of, if it is known
    bool tokens = false;                // a word that is a token is that token (ignore_merges)
  };

  void tokenize(std::string_view word, const Known& known, Scratch& scratch) const;
  void tokenize_characters(std::string_view text, const Known& known, Scratch& scratch) const;
  void tokenize_spelled(std::string_view word, const Known& known, Scratch& scratch) const;
  WholeWords find_whole_words() const;

  // scratch.symbols → scratch.tokens. `text`: the bytes that the symbols stand for, if they do.
  void merge(std::string_view text, const WholeWords* words, Scratch& scratch) const;
  void merge_range(std::size_t begin, std::size_t end, Scratch& scratch) const;
  void merge_few(std::size_t begin, std::size_t end, Scratch& scratch) const;
  void push_candidate(std::int32_t left, Scratch& scratch) const;

  Vocabulary vocabulary_;
  BytePairsConfig config_;
  std::string where_;
  FirstSymbols first_;
  PairTable merges_;
  std::vector<std::int32_t> merged_;  // by rank: what the pair becomes
  std::optional<MergeBounds> bounds_;
  std::unique_ptr<Late<WholeWords>> whole_words_;  // none without bounds_
};

}  // namespace tessera::text
