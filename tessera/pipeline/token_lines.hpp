// SPDX-License-Identifier: Apache-2.0
// What a tokenizer made of a text, as a JSON line or as a table.
#pragma once

#include <string>
#include <string_view>

#include "models/text/tokenizer.hpp"
#include "tessera/pipeline/records.hpp"

namespace tessera {

/// {"ids": [...], "type_ids": [...], "offsets": [[begin, end], ...]}
std::string tokens_json(const text::Encoding& encoding);

/// {"error": message}
std::string tokens_error_json(std::string_view message);

/// Number, id, type, offsets, token, and the text that it covers.
std::string tokens_table(const text::Tokenizer& tokenizer, const Record& record,
                         const text::Encoding& encoding);

}  // namespace tessera
