// SPDX-License-Identifier: Apache-2.0
// What splits a word into tokens: the "model" of a tokenizer.json.
#pragma once

#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "models/text/byte_pairs.hpp"
#include "models/text/unigram.hpp"
#include "models/text/word_level.hpp"
#include "models/text/wordpiece.hpp"

namespace tessera::text {

class WordModel {
 public:
  /// Scratch space of one caller.
  struct Scratch {
    WordPiece::Scratch word_piece;
    BytePairs::Scratch byte_pairs;
    Unigram::Scratch unigram;
    std::vector<WordToken> word_level;
  };

  explicit WordModel(WordPiece model) : model_(std::move(model)) {}
  explicit WordModel(BytePairs model) : model_(std::move(model)) {}
  explicit WordModel(Unigram model) : model_(std::move(model)) {}
  explicit WordModel(WordLevel model) : model_(std::move(model)) {}

  /// The tokens of `word`, which has `code_points` code points and is not empty; they stay valid
  /// until the next call with this scratch.
  const std::vector<WordToken>& tokenize(std::string_view word, std::size_t code_points,
                                         Scratch& scratch) const {
    if (const auto* model = std::get_if<BytePairs>(&model_)) {
      model->tokenize(word, scratch.byte_pairs);
      return scratch.byte_pairs.tokens;
    }
    if (const auto* model = std::get_if<Unigram>(&model_)) {
      model->tokenize(word, scratch.unigram);
      return scratch.unigram.tokens;
    }
    if (const auto* model = std::get_if<WordLevel>(&model_)) {
      model->tokenize(word, scratch.word_level);
      return scratch.word_level;
    }
    std::get<WordPiece>(model_).tokenize(word, code_points, scratch.word_piece);
    return scratch.word_piece.tokens;
  }

  /// Whether its symbols are bytes: a ByteLevel step before it has nothing left to do.
  bool is_byte_level() const noexcept {
    const auto* model = std::get_if<BytePairs>(&model_);
    return model != nullptr && model->config().byte_level;
  }
  /// Whether the text of an unknown token is what stands there, not that of the vocabulary.
  bool spells_unknown() const noexcept { return std::holds_alternative<Unigram>(model_); }
  /// Whether tokens inside a word have a prefix that says so.
  bool marks_continuations() const noexcept {
    if (const auto* model = std::get_if<BytePairs>(&model_)) {
      return !model->config().continuing_subword_prefix.empty();
    }
    const auto* model = std::get_if<WordPiece>(&model_);
    return model != nullptr && !model->config().continuing_subword_prefix.empty();
  }
  std::string_view name() const noexcept {
    if (std::holds_alternative<Unigram>(model_)) return "Unigram";
    if (std::holds_alternative<WordLevel>(model_)) return "WordLevel";
    if (std::holds_alternative<WordPiece>(model_)) return "WordPiece";
    return is_byte_level() ? "byte-level BPE" : "BPE";
  }
  const Vocabulary& vocabulary() const noexcept {
    return std::visit([](const auto& m) -> const Vocabulary& { return m.vocabulary(); }, model_);
  }
  std::optional<std::int32_t> unk_id() const noexcept {
    return std::visit([](const auto& m) { return std::optional<std::int32_t>(m.unk_id()); },
                      model_);
  }

 private:
  std::variant<WordPiece, BytePairs, Unigram, WordLevel> model_;
};

}  // namespace tessera::text
