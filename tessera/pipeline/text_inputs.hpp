// SPDX-License-Identifier: Apache-2.0
//
// From texts and token ids as users give them to sequences that a model accepts: prompt, lower
// case, truncation, and the checks that name what is wrong.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/package.hpp"
#include "tessera/pipeline/sequences.hpp"

namespace tessera {

/// What a text is to a model that reads queries and documents apart (late interaction).
enum class TextRole : std::uint8_t {
  none,  ///< neither: no length of its own, no expansion
  document,
  query,
};

/// What users may say about the way from text to tokens; nullopt: as the checkpoint's files say.
struct TextOptions {
  std::optional<Index> max_length;  ///< tokens, special tokens included
  std::optional<text::TruncationStrategy> truncation;
  std::optional<text::Side> truncation_side;
  std::optional<std::string> prompt;       ///< put before every text
  std::optional<std::string> prompt_name;  ///< one of Package::prompts
  TextRole role = TextRole::none;
};

/// Where texts of model2vec end.
struct StaticCut {
  std::size_t code_points;
  Index tokens;
};

/// A text that stands first in many pairs, as far as it can be prepared.
struct PairFirst {
  std::optional<text::PairStart> tokens;
  std::string text;  ///< of a model whose pairs are written as one text
};

/// Encodes texts for one Package, which must outlive it. Only its counters change.
class TextInputs {
 public:
  /// Throws Error: not_found (no tokenizer, no such prompt), invalid_argument (a limit that the
  /// model or the tokenizer cannot keep, two prompts).
  TextInputs(const models::Package& package, const TextOptions& options);

  /// Texts are cut at the limit of the model's files, or at the position table, as the reference
  /// does; Encoding::is_cut says so. Where the model reads its padding (SigLIP), they are padded. Where
  /// its Pooling has include_prompt false, Encoding::pool_from says how many tokens the prompt has.
  /// Queries of late interaction are filled up where it expands them. A text without tokens, which
  /// only static embeddings have, becomes a token that is not pooled: the result of no tokens is 0.
  ///
  /// Errors    invalid_argument: the text has more tokens than the model takes, and is not to be cut
  text::Encoding encode(std::string_view text, std::optional<std::string_view> pair = {}) const;
  /// The same in two steps, for a text that stands first in many pairs. Pairs of a model that has a
  /// PairTemplate are written as it says, the prompt as its instruction.
  PairFirst pair_start(std::string_view text) const;
  text::Encoding encode(const PairFirst& start, std::string_view pair) const;

  /// A text, or the second of a pair, that may be longer than max_tokens(), as windows: see
  /// text::Tokenizer::encode_windows(). Nothing is cut.
  std::vector<text::Encoding> encode_windows(std::string_view text,
                                             std::optional<std::string_view> pair,
                                             std::size_t stride) const;

  /// The longest sequence that encode() returns.
  Index max_tokens() const noexcept { return max_tokens_; }
  /// Where max_tokens() comes from, in words: "max_seq_length of sentence_bert_config.json".
  const std::string& limit_reason() const noexcept { return limit_reason_; }
  /// How many texts encode() has returned, and how many of them cut.
  std::size_t encoded() const noexcept { return encoded_; }
  std::size_t cut() const noexcept { return cut_; }
  const std::string& prompt() const noexcept { return prompt_; }
  /// What decides where texts are cut: "256 tokens, longest_first, right".
  std::string cutting() const;

 private:
  const text::Tokenizer* tokenizer_;
  text::EncodeOptions options_;
  std::string prompt_;
  std::string limit_reason_;
  Index max_tokens_ = 0;
  Index padded_to_ = 0;  // 0: not
  Index longest_ = 0;    // of the position table
  text::TextPadding padding_{};
  bool writes_pairs_ = false;  // as a PairTemplate says, with this instruction, between these
  std::string instruction_;
  text::Encoding before_, after_;
  const models::MultiVector* filled_ = nullptr;             // queries are filled up as it says
  const models::StaticModelTexts* static_model_ = nullptr;  // texts are read as model2vec does
  std::optional<StaticCut> static_cut_;                     // of those
  bool strips_ = false;
  bool lower_case_first_ = false;
  std::size_t prompt_tokens_ = 0;  // that poolings leave out
  std::size_t count_prompt_tokens() const;
  std::string prepared(std::string_view prompt, std::string_view text) const;
  text::Encoding encode_written(std::string_view query, std::string_view document) const;
  text::Encoding finished(text::Encoding encoding) const;
  void pad(text::Encoding& encoding) const;
  void expand(text::Encoding& encoding) const;

  mutable std::atomic<std::size_t> encoded_ = 0, cut_ = 0;
};

/// `options` for texts of this role: with the prompt that the model has for them, unless a prompt was
/// chosen. sentence-transformers takes the prompt called "query" for queries, and for what is
/// searched the first of "document", "passage", "corpus".
TextOptions as(TextRole role, const models::Package& package, TextOptions options);

/// The ids and types of `encoding` as the model reads them. Tokens that nobody attends to come first
/// (Batch::query_only), with the positions and columns that they have at the end.
TokenSequence to_sequence(const TokenSpec& spec, const text::Encoding& encoding);

}  // namespace tessera
