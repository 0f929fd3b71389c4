// SPDX-License-Identifier: Apache-2.0
// WordLevel: a word is a token, or the unknown one. tokenizers 0.23, models/wordlevel/mod.rs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/text/vocabulary.hpp"
#include "models/text/wordpiece.hpp"

namespace tessera::text {

class WordLevel {
 public:
  /// Precondition: `vocabulary` is finished. It need not have `unk_token`.
  WordLevel(Vocabulary vocabulary, const std::string& unk_token)
      : vocabulary_(std::move(vocabulary)), unk_id_(vocabulary_.id(unk_token)) {}

  /// Errors    invalid_argument: `word` is not in the vocabulary, and no unknown token is.
  void tokenize(std::string_view word, std::vector<WordToken>& tokens) const;

  const Vocabulary& vocabulary() const noexcept { return vocabulary_; }
  std::optional<std::int32_t> unk_id() const noexcept { return unk_id_; }

 private:
  Vocabulary vocabulary_;
  std::optional<std::int32_t> unk_id_;
};

}  // namespace tessera::text
