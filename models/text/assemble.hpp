// SPDX-License-Identifier: Apache-2.0
// From the tokens of one or two texts to an Encoding: offsets trimmed, the template around them.
#pragma once

#include <vector>

#include "models/text/sequence_tokens.hpp"
#include "models/text/tokenizer_parts.hpp"

namespace tessera::text {

/// `second`: null for a text by itself. Offsets of the tokens are trimmed in place, where the template
/// says so. tokenizers 0.23, processors.
Encoding assemble(const TokenizerParts& parts, std::vector<SequenceToken>& first,
                  std::vector<SequenceToken>* second, bool add_special_tokens);

/// Encoding::opens_word of `out`, whose last text has the tokens `last`.
void add_words(const std::vector<SequenceToken>& last, Encoding& out);

}  // namespace tessera::text
