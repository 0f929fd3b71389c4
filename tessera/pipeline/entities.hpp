// SPDX-License-Identifier: Apache-2.0
//
// Named entities: the labels of tokens put together. transformers 4.57,
// pipelines/token_classification.py.
//
//   none     every token that is not "O"
//   simple   neighbours of one tag, the label without "B-" and "I-"; a "B-" begins anew
//   first    words first: a word has the scores of its first token
//   average  likewise, the mean of the scores of its tokens
//   max      likewise, those of the token that has the highest
//
// The score of a group is the mean over its tokens, or words. What is a word: of a vocabulary that
// marks continuations ("##ing") a token goes on if it is longer or shorter than the text that it
// stands for; of others, if there is no space before it. An unknown token begins a word.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/package.hpp"
#include "models/text/tokenizer.hpp"
#include "runtime/base/tensor_view.hpp"

namespace tessera {

enum class EntityGrouping : std::uint8_t { none, simple, first, average, max };

/// "none", "simple", "first", "average", "max".
const char* to_string(EntityGrouping grouping) noexcept;
std::optional<EntityGrouping> grouping_from_string(std::string_view name) noexcept;

/// Throws Error{unsupported_model} for a model that labels no tokens, or whose texts are not read as they
/// are given; not_found for one without a tokenizer.
void require_labelled_tokens(const models::Package& package);

struct Entity {
  std::uint32_t begin, end;  ///< code points of the text
  std::string label;         ///< "PER"; of EntityGrouping::none as the model has it: "B-PER"
  double score;
};

/// One window of a text and its logits (T, labels).
struct EntityWindow {
  const text::Encoding& encoding;
  TensorView<const float> logits;
};

class EntityFinder {
 public:
  /// `labels`: of the columns of the logits. `tokenizer` is copied, which shares it.
  EntityFinder(text::Tokenizer tokenizer, std::vector<std::string> labels, EntityGrouping grouping);

  /// The entities of `text`, valid UTF-8, in its order. Of several windows those that overlap are
  /// one: the longest, of these the one with the highest score.
  std::vector<Entity> operator()(std::string_view text,
                                 std::span<const EntityWindow> windows) const;

 private:
  struct Piece;  // a token, or a word

  std::vector<Piece> tokens(const std::u32string& text, const EntityWindow& window) const;
  Piece word(std::span<const Piece> tokens) const;
  bool goes_on(const std::u32string& text, std::int32_t id, std::uint32_t begin,
               std::uint32_t end) const;
  std::vector<Entity> groups(const std::vector<Piece>& pieces) const;
  std::vector<Entity> entities(const std::u32string& text, const EntityWindow& window) const;

  text::Tokenizer tokenizer_;
  std::vector<std::string> labels_;
  EntityGrouping grouping_;
};

}  // namespace tessera
