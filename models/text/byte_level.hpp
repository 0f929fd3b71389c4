// SPDX-License-Identifier: Apache-2.0
// The steps of a ByteLevel pre-tokenizer that change the text. Each makes `out` of what the words of
// `chars` become, one behind the other, and replaces `words` by their places there; what is in no
// word is dropped.
// tokenizers 0.23, pre_tokenizers/byte_level.rs.
#pragma once

#include <vector>

#include "models/text/aligned_text.hpp"

namespace tessera::text {

/// Puts a space before every word that begins without one.
void prefix_spaces(const std::vector<AlignedChar>& chars, std::vector<WordRange>& words,
                   std::vector<AlignedChar>& out);

/// Spells every byte of the words as a character (byte_alphabet.hpp); all have the place of theirs.
void spell_bytes(const std::vector<AlignedChar>& chars, std::vector<WordRange>& words,
                 std::vector<AlignedChar>& out);

/// Appends the bytes of one character, spelled.
void append_spelled(AlignedChar x, std::vector<AlignedChar>& out);

}  // namespace tessera::text
