// SPDX-License-Identifier: Apache-2.0
// The symbols that byte pair encoding begins with: the bytes of a word, or its characters.
//
//   character c, the first of the word → the token  c
//                a later one           → the token  continuing_subword_prefix c
//                the last one          → the same with  end_of_word_suffix  behind it
//   none, byte_fallback                → the tokens <0x00> to <0xFF> of its bytes, if all are there
//   none                               → unk_token (a run of them one token: fuse_unk), or nothing
// tokenizers 0.23, models/bpe/model.rs, merge_word.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/text/vocabulary.hpp"

namespace tessera::text {

struct BytePairsConfig {
  bool byte_level = true;  ///< symbols are bytes, which the vocabulary spells (byte_alphabet.hpp)
  std::string unk_token;   ///< for what the vocabulary lacks; "": that is dropped
  bool fuse_unk = false;   ///< a run of them is one token
  bool byte_fallback = false;
  bool ignore_merges = false;  ///< a word that is a token is that token, whatever merges say
  std::string continuing_subword_prefix;
  std::string end_of_word_suffix;  ///< CLIP: "</w>"
};

struct PairSymbol {
  std::int32_t id;
  std::int32_t previous;  // index, −1: none
  std::int32_t next;
  std::uint32_t begin;  // bytes of the word
  std::uint32_t end;    // begin == end: merged into another
};

class FirstSymbols {
 public:
  FirstSymbols(const Vocabulary& vocabulary, const BytePairsConfig& config);

  /// The bytes of `word`. Returns false, and leaves some out, where the vocabulary lacks one, or
  /// where it takes more than bytes to tell (a continuing_subword_prefix).
  bool of_bytes(std::string_view word, std::vector<PairSymbol>& symbols) const;

  /// The characters of `text`. What has no token takes no place either, as in the reference: the
  /// places of those behind it move forward. `key` is scratch space.
  ///
  /// Returns whether the symbols stand for the bytes at their places: nothing was unknown.
  ///
  /// Errors    corrupt_file, `where`: an unk_token that the vocabulary lacks is needed.
  bool of_characters(std::string_view text, const Vocabulary& vocabulary,
                     const BytePairsConfig& config, std::string_view where, std::string& key,
                     std::vector<PairSymbol>& symbols) const;

  std::optional<std::int32_t> unk_id() const noexcept { return unk_id_; }
  /// The ids of these and of the unknown token, rising.
  std::vector<std::int32_t> substitutes() const;

 private:
  bool push_bytes(std::string_view bytes, std::vector<PairSymbol>& symbols) const;

  std::optional<std::int32_t> unk_id_;
  std::array<std::int32_t, 256> inner_;   // ids of the bytes, −1 where the vocabulary lacks one
  std::array<std::int32_t, 256> last_;    // the same with the end-of-word suffix
  std::array<std::int32_t, 256> pieces_;  // <0x00> to <0xFF>
};

}  // namespace tessera::text
