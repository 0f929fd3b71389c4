// SPDX-License-Identifier: Apache-2.0
// What happens to a text before it is split into words: the "normalizer" of a tokenizer.json.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "models/text/aligned_text.hpp"
#include "models/text/charsmap.hpp"

namespace tessera::text {

/// tokenizers 0.23, normalizers/bert.rs; in this order:
///   clean_text            removes U+0000, U+FFFD and control characters; other white space → ' '
///   handle_chinese_chars  puts spaces around CJK ideographs
///   strip_accents         NFD, then without Mn
///   lowercase             character by character
struct BertNormalizer {
  bool clean_text = true;
  bool handle_chinese_chars = true;
  std::optional<bool> strip_accents;  ///< nullopt: as `lowercase`
  bool lowercase = true;

  bool strips_accents() const noexcept { return strip_accents.value_or(lowercase); }
};

struct StripNormalizer {
  bool left;
  bool right;
};
struct StripAccentsNormalizer {};
struct LowercaseNormalizer {};
struct ReplaceNormalizer {
  std::u32string pattern;  ///< not empty
  std::u32string content;
};
struct ReplacePatternNormalizer {
  Regex pattern;
  std::u32string content;
};
/// Every byte → the character that spells it.
struct ByteLevelNormalizer {};
struct PrependNormalizer {
  std::u32string prefix;
};
/// Control characters away, and what else SentencePiece takes for white space → ' '.
struct NmtNormalizer {};
struct PrecompiledNormalizer {
  std::shared_ptr<const Charsmap> map;
};

using NormalizerStep =
    std::variant<BertNormalizer, UnicodeForm, LowercaseNormalizer, StripAccentsNormalizer,
                 StripNormalizer, ReplaceNormalizer, ReplacePatternNormalizer, ByteLevelNormalizer,
                 PrependNormalizer, NmtNormalizer, PrecompiledNormalizer>;

/// Steps in order; none leaves the text as it is.
struct Normalizer {
  std::vector<NormalizerStep> steps;

  void apply(AlignedText& text) const;

  /// The BertNormalizer if that is the only step: what BertScanner can do in one pass.
  const BertNormalizer* as_bert() const noexcept {
    return steps.size() == 1 ? std::get_if<BertNormalizer>(&steps.front()) : nullptr;
  }

  /// "lowercase, strips accents, …", for people.
  std::string describe() const;
};

}  // namespace tessera::text
