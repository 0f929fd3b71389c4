// SPDX-License-Identifier: Apache-2.0
// A normalised text that remembers, for every code point, where it came from in the original.
//
// The alignment of each kind of edit is that of NormalizedString::transform (tokenizers 0.23,
// tokenizer/normalizer.rs), which keeps one (begin, end) per byte. All bytes of a code point share
// theirs, so one per code point says the same.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "models/text/regex.hpp"

namespace tessera::text {

/// `c` stands for the code points [begin, end) of the original text.
struct AlignedChar {
  char32_t c;
  std::uint32_t begin;
  std::uint32_t end;
};

/// [begin, end) in characters of an AlignedText; never empty.
struct WordRange {
  std::uint32_t begin;
  std::uint32_t end;
};

enum class UnicodeForm : std::uint8_t { nfc, nfd, nfkc, nfkd };

/// A piece of text under normalisation. `origin` is where the piece begins in the original text.
struct AlignedText {
  std::vector<AlignedChar> chars;
  std::uint32_t origin = 0;
  std::size_t most_chars = kNoGrowth;  ///< what an edit may make of it; set by assign()

  static constexpr std::size_t kNoGrowth = 0xFFFFFFFF;

  /// Refills from valid UTF-8 that begins at code point `first` of the original.
  void assign(std::string_view utf8, std::uint32_t first);

  /// Throws invalid_argument if `size` characters are more than may become of this text: 64 for
  /// each that it had, and 1024. Normalisers of published files stay below 20; one that repeats what
  /// it replaces asks for all memory there is.
  void check_growth(std::size_t size) const;

  /// Brings the text into a Unicode normalisation form.
  void normalize(UnicodeForm form);
  void lowercase();
  /// Puts a space on either side of every CJK ideograph.
  void isolate_cjk_ideographs();
  /// Removes white space at either end.
  void strip(bool left, bool right);
  /// Replaces every occurrence of `pattern`, which is not empty.
  void replace(std::u32string_view pattern, std::u32string_view content);
  /// Replaces every match of `pattern`, the empty ones too.
  void replace(const Regex& pattern, std::u32string_view content);
  /// Replaces every character by those that spell its bytes (byte_alphabet.hpp).
  void spell_bytes();
  /// Puts `prefix` before a text that is not empty.
  void prepend(std::u32string_view prefix);

  template <class Predicate>
  void remove_if(Predicate&& predicate) {
    std::erase_if(chars, [&](const AlignedChar& x) { return predicate(x.c); });
  }
};

/// One code point of the result of an edit: `change` 0 takes the place of the next old one, 1 is
/// inserted and shares the place of the old one before it, −n takes the next old one's place and
/// swallows n more.
struct Edit {
  char32_t c;
  int change;
};

/// Applies `edits` to the whole text.
void transform(AlignedText& text, const std::vector<Edit>& edits);

}  // namespace tessera::text
