// SPDX-License-Identifier: Apache-2.0
// Unigram: the split of one word into pieces whose scores have the largest sum.
//
//   best(0) = 0,   best(e) = max over b < e of  best(b) + score(word[b, e))     (Viterbi)
//   score(p)  of the vocabulary; of one character that is no piece: min score − 10, the unknown
//
// Of equal sums the one found first counts: b ascending. A run of unknowns is one token, or the
// bytes of it where byte_fallback is set and the vocabulary has a piece <0xNN> for each of them.
// tokenizers 0.23, models/unigram/model.rs, encode_optimized (Kudo 2018; Kudo & Richardson 2018).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/text/byte_trie.hpp"
#include "models/text/vocabulary.hpp"
#include "models/text/wordpiece.hpp"

namespace tessera::text {

/// A piece of a vocabulary; its place there is its id. Of equal pieces the last one counts.
struct ScoredPiece {
  std::string piece;
  double score;  ///< finite
};

class Unigram {
 public:
  /// Scratch space of one caller.
  struct Scratch {
    struct Node {  // the best path that ends at a byte of the word
      double score;
      std::uint32_t begin;  // where its last piece begins, kUnreached: no path yet
      std::int32_t id;
    };
    std::vector<Node> best;
    std::vector<WordToken> tokens;  ///< of the last word
  };

  /// Preconditions: between one and kMaxPieces pieces, all scores finite, `unk_id` < their number.
  Unigram(const std::vector<ScoredPiece>& pieces, std::optional<std::int32_t> unk_id,
          bool byte_fallback);

  static constexpr std::size_t kMaxPieces = ByteTrie::kMaxValue;

  /// Splits `word`, which is valid UTF-8 and not empty, into scratch.tokens.
  ///
  /// Errors    invalid_argument: a character that no piece covers, and there is no unk_id.
  void tokenize(std::string_view word, Scratch& scratch) const;

  const Vocabulary& vocabulary() const noexcept { return vocabulary_; }
  std::optional<std::int32_t> unk_id() const noexcept { return unk_id_; }

 private:
  void find_best_path(std::string_view word, Scratch& scratch) const;
  void push_unknown(std::string_view word, std::uint32_t begin, std::uint32_t end,
                    std::vector<WordToken>& tokens) const;

  Vocabulary vocabulary_;
  ByteTrie trie_;
  std::vector<double> scores_;  // by id
  double unk_score_;
  std::optional<std::int32_t> unk_id_;
  bool byte_fallback_;
  std::array<std::int32_t, 256> byte_ids_;  // of <0x00> to <0xFF>, −1 where there is none
};

}  // namespace tessera::text
