// SPDX-License-Identifier: Apache-2.0
// WordPiece: the greedy split of one word into tokens.
//
//   start = 0
//   while start < |word|:
//     end = the largest end such that  prefix(start) + word[start, end)  is in the vocabulary,
//           where prefix(start) is "" for start = 0 and "##" after that
//     none → the whole word is the unknown token
//
// Also the unknown token: every word of more than max_input_chars_per_word code points.
// tokenizers 0.23, models/wordpiece/mod.rs (Schuster & Nakajima 2012; Wu et al. 2016).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "models/text/vocabulary.hpp"

namespace tessera::text {

struct WordPieceConfig {
  std::string unk_token = "[UNK]";
  std::string continuing_subword_prefix = "##";
  std::size_t max_input_chars_per_word = 100;
};

/// A token of a word: bytes [begin, end) of it.
struct WordToken {
  std::int32_t id;
  std::uint32_t begin;
  std::uint32_t end;
};

class WordPiece {
 public:
  /// Scratch space of one caller, so that no word costs an allocation.
  struct Scratch {
    std::vector<WordToken> tokens;  ///< of the last word
    std::vector<std::uint64_t> hashes;
  };

  /// Precondition: `config.unk_token` is in `vocabulary`, which is finished.
  WordPiece(Vocabulary vocabulary, WordPieceConfig config);

  /// Splits `word`, which has `code_points` code points and is not empty, into scratch.tokens.
  void tokenize(std::string_view word, std::size_t code_points, Scratch& scratch) const;

  const Vocabulary& vocabulary() const noexcept { return vocabulary_; }
  const WordPieceConfig& config() const noexcept { return config_; }
  std::int32_t unk_id() const noexcept { return unk_id_; }

 private:
  Vocabulary vocabulary_;
  WordPieceConfig config_;
  PrefixTable
      continuations_;  // tokens that begin with the prefix, without it; empty if the prefix is
  std::int32_t unk_id_;
};

}  // namespace tessera::text
