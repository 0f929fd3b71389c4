// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/span_lines.hpp"

#include <fmt/format.h>

#include <iterator>
#include <vector>

#include "models/text/unicode.hpp"
#include "tessera/pipeline/answers.hpp"
#include "tessera/pipeline/json_text.hpp"
#include "tessera/pipeline/score_text.hpp"

namespace tessera {
namespace {

/// All of it on one line.
std::string shown(std::string_view text) {
  return one_line(std::string(text), text.size());
}

}  // namespace

std::string answer_lines(std::span<const Answer> answers, bool is_json, bool many) {
  std::string out = is_json ? "{\"answers\": [" : "";
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const Answer& answer = answers[i];
    if (!is_json) {
      fmt::format_to(std::back_inserter(out), "{}\t{}\t{}\t{}\n", probability_text(answer.score),
                     answer.begin, answer.end, shown(answer.text));
      continue;
    }
    out += i == 0 ? "{\"answer\": " : ", {\"answer\": ";
    append_json_string(out, answer.text);
    fmt::format_to(std::back_inserter(out), ", \"begin\": {}, \"end\": {}, \"score\": {}}}",
                   answer.begin, answer.end, score_text(answer.score));
  }
  if (is_json) return out + "]}\n";
  return out + (many ? "\n" : "");
}

std::string entity_lines(std::string_view text, std::span<const Entity> entities, bool is_json) {
  std::string out = is_json ? "{\"entities\": [" : "";
  const std::vector<std::uint32_t> bytes = text::code_point_offsets(text);
  for (std::size_t i = 0; i < entities.size(); ++i) {
    const Entity& entity = entities[i];
    const std::string_view covered =
        text.substr(bytes[entity.begin], bytes[entity.end] - bytes[entity.begin]);
    if (!is_json) {
      fmt::format_to(std::back_inserter(out), "{}\t{}\t{}\t{}\t{}\n", entity.begin, entity.end,
                     shown(covered), entity.label, probability_text(entity.score));
      continue;
    }
    out += i == 0 ? "{\"label\": " : ", {\"label\": ";
    append_json_string(out, entity.label);
    out += ", \"text\": ";
    append_json_string(out, covered);
    fmt::format_to(std::back_inserter(out), ", \"begin\": {}, \"end\": {}, \"score\": {}}}",
                   entity.begin, entity.end, score_text(entity.score));
  }
  return out + (is_json ? "]}\n" : "\n");
}

}  // namespace tessera
