// SPDX-License-Identifier: Apache-2.0
#include "tessera/c_api/text_parts.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "tessera/c_api/arguments.hpp"
#include "tessera/c_api/guard.hpp"

namespace tessera::c_api {

void TextParts::append(text::Encoding encoding) {
  const Index max_rows = session_.any().session->options().max_rows;
  require(!items_.are_wanted() || std::cmp_less_equal(encoding.size(), max_rows),
          "got {} tokens, expected at most {} (the session's max_rows)", encoding.size(), max_rows);
  encodings_.push_back(std::move(encoding));
}

void TextParts::compute(std::span<const char* const> names) {
  const Program& program = session_.any().model->package().program;
  for (const text::Encoding& encoding : encodings_) {
    sequences_.push_back(to_sequence(require_tokens(program), encoding));
    offsets_.push_back(offsets_.back() + sequences_.back().size());
  }
  std::vector<tessera_output> targets;
  outputs_.reserve(names.size());
  for (const char* name : names) {
    const std::vector<std::string>& computed = session_.any().session->options().outputs;
    const std::int32_t found = program.find_output(name);
    if (found == kNone || std::find(computed.begin(), computed.end(), name) == computed.end()) {
      throw Error(ErrorCode::not_found, fmt::format("the session computes {}, expected {} too",
                                                    fmt::join(computed, ", "), name));
    }
    const Value& value = program.values[static_cast<std::size_t>(
        program.outputs[static_cast<std::size_t>(found)].value)];
    const bool is_per_token = value.space != kSequences;
    const auto rows = is_per_token ? static_cast<std::size_t>(offsets_.back()) : encodings_.size();
    outputs_.push_back({.width = value.width,
                        .is_per_token = is_per_token,
                        .rows = std::vector<float>(rows * static_cast<std::size_t>(value.width))});
    tessera_output target = TESSERA_OUTPUT_INIT;
    target.name = name;
    target.data = outputs_.back().rows.data();
    target.capacity = outputs_.back().rows.size();
    targets.push_back(target);
  }
  if (encodings_.empty()) return;
  const Turn turn(session_, limits_);
  encode_sequences(turn.lane(), Sequences(sequences_), offsets_, limits_, targets.data(),
                   targets.size(), encodings_.size(), {});
}

TensorView<const float> TextParts::output(std::size_t part, std::size_t output) const noexcept {
  const Output& of = outputs_[output];
  const Index first = of.is_per_token ? offsets_[part] : static_cast<Index>(part);
  return {.data = of.rows.data() + first * of.width,
          .rows = of.is_per_token ? offsets_[part + 1] - offsets_[part] : 1,
          .cols = of.width,
          .stride = of.width};
}

}  // namespace tessera::c_api
