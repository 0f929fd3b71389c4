// SPDX-License-Identifier: Apache-2.0
// Metaspace: spaces become a visible character, "▁" as a rule, that opens the word behind it.
// tokenizers 0.23, pre_tokenizers/metaspace.rs.
#pragma once

#include <cstdint>
#include <vector>

#include "models/text/aligned_text.hpp"

namespace tessera::text {

/// Where one is put before a stretch of text that does not begin with one.
enum class PrependScheme : std::uint8_t {
  always,
  first,  ///< only where the whole text begins
  never,
};

struct Metaspace {
  char32_t replacement = 0x2581;
  PrependScheme prepend = PrependScheme::always;
  bool splits = true;  ///< whether every replacement opens a word

  /// Makes `out` of the words of `chars`, one after another, and splits them: `words` are then
  /// those of `out`.
  void apply(const std::vector<AlignedChar>& chars, std::vector<WordRange>& words,
             std::vector<AlignedChar>& out) const;
};

}  // namespace tessera::text
