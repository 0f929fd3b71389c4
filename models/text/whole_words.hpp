// SPDX-License-Identifier: Apache-2.0
// The words that byte pair encoding makes one token of: most words of a text are such.
//
// To find them all takes as long as they save in a megabyte or more of text (17 ms with the 50,265 tokens
// of RoBERTa, on a Zen 4), which a process that embeds a few queries would spend for nothing. So they are found
// late, by the caller whose text is the one that crosses kWholeWordsAfter. Tokens do not depend on it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "models/text/vocabulary.hpp"

namespace tessera::text {

class WholeWords {
 public:
  static constexpr std::size_t kLongest = 24;  ///< bytes; longer words are not kept

  WholeWords() = default;
  WholeWords(WholeWords&&) = default;  // views into bytes_ survive a move, but not a copy
  WholeWords& operator=(WholeWords&&) = default;

  /// Keeps room for `size` bytes, which all words together must not exceed, and `count` words.
  WholeWords(std::size_t size, std::size_t count);

  /// Precondition: `word` is no longer than kLongest.
  void add(std::string_view word, std::int32_t id);

  std::optional<std::int32_t> find(std::string_view word) const noexcept {
    if (word.size() > kLongest) return std::nullopt;
    return table_.find(word);
  }

 private:
  std::unique_ptr<std::string> bytes_;
  PrefixTable table_;
};

/// Bytes of words that are tokenized before the whole words are worthwhile.
inline constexpr std::size_t kWholeWordsAfter = std::size_t{1} << 20;

}  // namespace tessera::text
