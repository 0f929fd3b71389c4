// SPDX-License-Identifier: Apache-2.0
// Places of a text, answers and entities, as lines for people or as JSON lines.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "tessera/pipeline/answer_spans.hpp"
#include "tessera/pipeline/entities.hpp"

namespace tessera {

/// JSON: {"answers": [{"answer", "begin", "end", "score"}, …]}. Text: score, begin, end, answer between tabs,
/// a line each, and an empty line where `many`.
std::string answer_lines(std::span<const Answer> answers, bool is_json, bool many);

/// JSON: {"entities": [{"label", "text", "begin", "end", "score"}, …]}. Text: begin, end, text, label, score
/// between tabs, a line each, and an empty line. `text`: valid UTF-8.
std::string entity_lines(std::string_view text, std::span<const Entity> entities, bool is_json);

}  // namespace tessera
