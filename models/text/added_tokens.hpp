// SPDX-License-Identifier: Apache-2.0
// Tokens that are cut out of the text before the model sees it: [MASK], [SEP] and those that a user
// added. tokenizers 0.23, tokenizer/added_vocabulary.rs.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/text/byte_trie.hpp"
#include "models/text/normalizer.hpp"
#include "models/text/vocabulary.hpp"

namespace tessera::text {

struct AddedToken {
  std::string content;
  bool single_word = false;  ///< only where no word character stands next to it
  bool lstrip = false;       ///< takes the white space on its left with it
  bool rstrip = false;
  bool normalized = false;  ///< sought in the normalised text, by its own normalised form
  bool special = true;
};

/// Finds strings of a set: leftmost, and of those the longest, without overlap.
class StringMatcher {
 public:
  struct Match {
    std::size_t begin;  ///< in bytes
    std::size_t end;
    std::uint32_t value;
  };

  /// Adds a string with its value, at most ByteTrie::kMaxValue; an empty or known one is ignored.
  void add(std::string pattern, std::uint32_t value);
  /// To be called between add() and find().
  void finish();
  bool empty() const noexcept { return values_.empty(); }

  /// The first match that begins at `from` or later.
  std::optional<Match> find(std::string_view text, std::size_t from) const;

 private:
  std::map<std::string, std::int32_t> values_;
  ByteTrie trie_;                         // of values_
  std::array<bool, 256> begins_match_{};  // by first byte
  std::optional<char> only_first_byte_;   // where they all begin with the same
};

/// A stretch of a text: an added token, or what lies between two. In bytes. They follow each other,
/// but a token may lie in white space that the one before took with it.
struct AddedSplit {
  static constexpr std::uint32_t kText = 0xFFFFFFFF;
  std::uint32_t token;  ///< index for AddedTokens::id(), or kText
  std::size_t begin;
  std::size_t end;
};

class AddedTokens {
 public:
  /// Gives each token the id that it has in `vocabulary`, or the next free one, in this order. Of
  /// several that are sought in the normalised text and look alike there the first is found: the
  /// reference takes one by chance, another each time that it reads the file.
  void add(const std::vector<AddedToken>& tokens, const Vocabulary& vocabulary,
           const Normalizer& normalizer);

  bool empty() const noexcept { return tokens_.empty(); }
  /// Whether some token is sought in the normalised text.
  bool any_normalized() const noexcept { return !normalized_.empty(); }

  /// Splits `text` at the tokens sought in the original text (or the normalised one).
  void split(std::string_view text, bool normalized, std::vector<AddedSplit>& out) const;

  std::int32_t id(std::uint32_t index) const noexcept { return tokens_[index].id; }
  std::optional<std::int32_t> id(std::string_view content) const noexcept;
  std::optional<std::string_view> token(std::int32_t id) const noexcept;
  bool is_special(std::int32_t id) const noexcept;
  /// Largest id + 1, or 0.
  std::size_t id_count() const noexcept;
  /// Tokens that the vocabulary does not have.
  std::size_t new_count() const noexcept { return new_count_; }

 private:
  struct Entry {
    AddedToken token;
    std::int32_t id;
  };
  const Entry* entry(std::string_view content) const noexcept;

  std::vector<Entry> tokens_;
  StringMatcher original_;
  StringMatcher normalized_;
  std::size_t new_count_ = 0;
};

}  // namespace tessera::text
