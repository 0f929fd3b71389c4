// SPDX-License-Identifier: Apache-2.0
// BertNormalizer, BertPreTokenizer and WordPiece in one pass over the bytes.
//
// Every ASCII character is a boundary of normalisation: it neither decomposes nor composes, and no
// mark is reordered across it. So a text can be cut at ASCII spaces and punctuation, which also end
// words, and each stretch be treated alone: purely printable ASCII by a table look-up per byte,
// anything else by the general code (AlignedText). So is every CJK ideograph, which the normaliser
// puts between spaces before it does anything else that would join: it is a word of its own, as it
// stands. Results are those of the general code.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "models/text/normalizer.hpp"
#include "models/text/sequence_tokens.hpp"

namespace tessera::text {

class BertScanner {
 public:
  explicit BertScanner(const BertNormalizer& normalizer);

  /// Appends the tokens of `text`, valid UTF-8 that begins at code point `first` of the original,
  /// and stops after the word that brings `tokens` to `limit`. Returns whether it did not have to.
  bool scan(std::string_view text, std::uint32_t first, const WordModel& model, std::size_t limit,
            WordScratch& scratch, std::vector<SequenceToken>& tokens) const;

 private:
  enum class ByteClass : std::uint8_t { plain, space, punctuation, complex };

  bool ends_word(char byte) const noexcept {
    const ByteClass c = classes_[static_cast<unsigned char>(byte)];
    return c == ByteClass::space || c == ByteClass::punctuation;
  }

  // The bytes of the ideograph that `text` has at `at` and that no step changes; 0: another
  // character.
  std::size_t ideograph_length(std::string_view text, std::size_t at) const noexcept;

  Normalizer normalizer_;
  bool isolates_ideographs_;
  PreTokenizer pre_tokenizer_ = PreTokenizer::bert();
  std::array<ByteClass, 256> classes_;
  std::array<char, 256> folded_;  // lower case where the normaliser lowercases
};

}  // namespace tessera::text
