// SPDX-License-Identifier: Apache-2.0
//
// From texts and token ids as users give them to sequences that a model accepts: prompt, lower
// case, truncation, and the checks that name what is wrong.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/package.hpp"

namespace tessera {

/// Token ids of one sequence, T ≥ 1, and what else the model reads per token.
struct TokenSequence {
  std::vector<std::int32_t> ids;        // (T)
  std::vector<std::int32_t> types;      // (T), or empty: all 0
  std::vector<std::int32_t> positions;  // (T), or empty: by the model's rule
  std::vector<std::int32_t> columns;    // (T), or empty: 0 … T-1
  std::int32_t query_only = 0;          // see Batch::query_only

  Index size() const noexcept { return static_cast<Index>(ids.size()); }
};

/// What users may say about the way from text to tokens; nullopt: as the checkpoint's files say.
struct TextOptions {
  std::optional<Index> max_length;  ///< tokens, special tokens included
  std::optional<text::TruncationStrategy> truncation;
  std::optional<text::Side> truncation_side;
  std::optional<std::string> prompt;       ///< put before every text
  std::optional<std::string> prompt_name;  ///< one of Package::prompts
};

/// Encodes texts for one Package, which must outlive it. Immutable.
class TextInputs {
 public:
  /// Throws Error: not_found (no tokenizer, no such prompt), invalid_argument (a limit that the
  /// model or the tokenizer cannot keep, two prompts).
  TextInputs(const models::Package& package, const TextOptions& options);

  /// Errors    invalid_argument: the text has more tokens than the model takes and nothing allows
  /// to cut it.
  text::Encoding encode(std::string_view text, std::optional<std::string_view> pair = {}) const;

  /// The longest sequence that encode() returns.
  Index max_tokens() const noexcept { return max_tokens_; }
  /// Whether longer texts are cut; otherwise they are errors.
  bool truncates() const noexcept { return options_.max_length.has_value(); }
  const std::string& prompt() const noexcept { return prompt_; }

 private:
  const text::Tokenizer* tokenizer_;
  text::EncodeOptions options_;
  std::string prompt_;
  std::string limit_reason_;  // for messages: where max_tokens_ comes from
  Index max_tokens_ = 0;
  bool lower_case_first_ = false;
};

/// The ids and types of `encoding` as the model reads them.
TokenSequence to_sequence(const TokenSpec& spec, const text::Encoding& encoding);

/// Throws Error{invalid_argument} naming the element, got and expected, unless every id, type and
/// position is a row of its table and the length is one that the model accepts.
void check_sequence(const TokenSpec& spec, const TokenSequence& sequence);
/// As above, of spans; `types` may be empty.
void check_sequence(const TokenSpec& spec, std::span<const std::int32_t> ids,
                    std::span<const std::int32_t> types);

/// Lower case, code point by code point; invalid UTF-8 becomes U+FFFD.
std::string lower_case(std::string_view text);

}  // namespace tessera
