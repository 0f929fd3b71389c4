// SPDX-License-Identifier: Apache-2.0
//
// From texts and token ids as users give them to sequences that a model accepts: prompt, lower
// case, truncation, and the checks that name what is wrong.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "models/package.hpp"
#include "tessera/pipeline/sequences.hpp"

namespace tessera {

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
  ///           to cut it.
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

/// Lower case, code point by code point; invalid UTF-8 becomes U+FFFD.
std::string lower_case(std::string_view text);

}  // namespace tessera
