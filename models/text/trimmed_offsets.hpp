// SPDX-License-Identifier: Apache-2.0
// Offsets without the white space at either end of a token: what ByteLevel and RobertaProcessing do
// with trim_offsets. tokenizers 0.23, pre_tokenizers/byte_level.rs, process_offsets.
#pragma once

#include <string_view>
#include <vector>

#include "models/text/sequence_tokens.hpp"
#include "models/text/word_model.hpp"

namespace tessera::text {

/// Fills the white space that `token` begins and ends with, whose text is `text`. U+0120, as which
/// byte-level tokens spell a space, counts as one.
void measure_spaces(std::string_view text, SequenceToken& token);

/// Cuts the white space off; `keeps_first`: all but a single one before the first token.
void trim_offsets(bool keeps_first, const WordModel& model, std::vector<SequenceToken>& tokens);

}  // namespace tessera::text
