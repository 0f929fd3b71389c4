// SPDX-License-Identifier: Apache-2.0
// Byte-level byte pair encoding: the split of one word into tokens by merging.
//
//   s = the bytes of the word, the last one with the end-of-word suffix
//   while some pair (s[i], s[i + 1]) is in the list of merges:
//     of these pairs the one that is earliest in the list, of its places the leftmost → one symbol
//
// Every symbol is a token. A published vocabulary spells byte b as one printable character:
// itself for ! to ~ and U+00A1 to U+00FF without U+00AD, U+0100 and so on for the others in order.
// tokenizers 0.23, models/bpe (Sennrich, Haddow, Birch 2016; Radford et al. 2019).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "models/text/vocabulary.hpp"
#include "models/text/wordpiece.hpp"

namespace tessera::text {

struct BytePairsConfig {
  std::string unk_token;           ///< for bytes that the vocabulary lacks; "": these are dropped
  bool fuse_unk = false;           ///< a run of them is one token
  std::string end_of_word_suffix;  ///< CLIP: "</w>"
};

class BytePairs {
 public:
  using Merge = std::pair<std::string, std::string>;

  /// Scratch space of one caller.
  struct Scratch {
    struct Symbol {
      std::int32_t id;
      std::int32_t previous;  // index, −1: none
      std::int32_t next;
      std::uint32_t begin;  // bytes of the word
      std::uint32_t end;    // begin == end: merged into another
    };
    struct Candidate {
      std::uint32_t rank;
      std::int32_t place;
      std::int32_t id;
    };
    std::vector<Symbol> symbols;
    std::vector<Candidate> heap;
    std::vector<WordToken> tokens;  ///< of the last word
  };

  /// Precondition: `vocabulary` is finished.
  ///
  /// Errors    corrupt_file: a merge of tokens, or into a token, that the vocabulary lacks; an
  ///           unk_token that it lacks. `where` names the place of the merges.
  BytePairs(Vocabulary vocabulary, const std::vector<Merge>& merges, BytePairsConfig config,
            std::string_view where);

  /// Splits `word`, which is not empty, into scratch.tokens.
  void tokenize(std::string_view word, Scratch& scratch) const;

  const Vocabulary& vocabulary() const noexcept { return vocabulary_; }
  const BytePairsConfig& config() const noexcept { return config_; }
  std::optional<std::int32_t> unk_id() const noexcept { return unk_id_; }

 private:
  struct Merged {
    std::uint32_t rank;
    std::int32_t id;
  };
  static constexpr std::uint64_t key(std::int32_t a, std::int32_t b) noexcept {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(a)) << 32 |
           static_cast<std::uint32_t>(b);
  }
  void push_symbols(std::string_view word, Scratch& scratch) const;
  void push_candidate(std::int32_t left, Scratch& scratch) const;

  Vocabulary vocabulary_;
  BytePairsConfig config_;
  std::optional<std::int32_t> unk_id_;
  std::array<std::int32_t, 256> inner_;  // ids of the bytes, −1 where the vocabulary lacks one
  std::array<std::int32_t, 256> last_;   // the same with the end-of-word suffix
  std::unordered_map<std::uint64_t, Merged> merges_;
};

/// The character that a published byte-level vocabulary spells `byte` as.
char32_t character_of_byte(unsigned char byte) noexcept;

}  // namespace tessera::text
