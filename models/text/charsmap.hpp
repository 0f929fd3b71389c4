// SPDX-License-Identifier: Apache-2.0
// The character map of a SentencePiece model: strings and what they become, compiled.
//
//   bytes of the trie (u32)   trie (u32 each)   replacements, each ended by a zero byte
//
// The trie is a double array of darts-clone. Unit u of a state at place p:
//   bits 0 to 7, 31  the byte that leads here (bit 31: a value, which no byte leads to)
//   bit 8            whether a key ends here: then unit p ⊕ offset(u) is its value
//   bits 10 to 30    offset, times 256 if bit 9 is set; byte c leads to unit p ⊕ offset(u) ⊕ c
// A value is the place of a replacement.
//
// What is replaced is what the reference replaces, oddities included: a grapheme cluster of fewer
// than 6 bytes is looked up as a whole, and the *shortest* key that it begins with replaces all of
// it; where there is none, and in longer clusters, each character by itself.
// (crate spm_precompiled 0.1; tokenizers 0.23, normalizers/precompiled.rs)
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/text/aligned_text.hpp"

namespace tessera::text {

class Charsmap {
 public:
  /// Errors    corrupt_file: too short for what it says, a value outside the replacements or inside
  ///           a character, replacements that are not UTF-8. `where` opens the message.
  Charsmap(std::string_view bytes, std::string_view where);

  /// What the shortest key that `text` begins with becomes, in UTF-8.
  std::optional<std::string_view> find(std::string_view text) const noexcept;

  void apply(AlignedText& text) const;

 private:
  void check_values(std::string_view where) const;
  bool changes_nothing(const AlignedText& text) const noexcept;

  std::vector<std::uint32_t> units_;
  std::string replacements_;
  std::array<bool, 128> is_kept_;  // ASCII characters that are no key, except '\r'
};

}  // namespace tessera::text
