// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/sequences.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "runtime/base/error.hpp"

namespace tessera {
namespace {

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorCode::invalid_argument, message);
}

void check_range(std::string_view what, std::span<const std::int32_t> values, Index count,
                 std::string_view table) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] >= 0 && values[i] < count) continue;
    refuse(fmt::format("{} {} is {}, expected 0 to {} ({})", what, i, values[i], count - 1, table));
  }
}

}  // namespace

void check_sequence(const TokenSpec& spec, const SequenceView& sequence) {
  const std::size_t count = sequence.ids.size();
  for (const auto& per_token : {sequence.types, sequence.positions, sequence.columns}) {
    if (!per_token.empty() && per_token.size() != count) {
      refuse(fmt::format("got {} values for {} token ids", per_token.size(), count));
    }
  }
  if (count == 0) refuse("got no token ids, expected at least 1");
  if (std::cmp_greater(count, spec.max_tokens)) {
    refuse(
        fmt::format("got {} tokens, expected at most {} (position table)", count, spec.max_tokens));
  }
  check_range("token id", sequence.ids, spec.vocab_size, "vocabulary");
  check_range("type id", sequence.types, std::max<Index>(spec.type_vocab_size, 1),
              spec.type_vocab_size > 0 ? "token types" : "the model has no token types");
  if (spec.position_rows > 0) {
    check_range("position", sequence.positions, spec.position_rows, "position table");
  }
}

void check_sequences(const TokenSpec& spec, const Sequences& sequences) {
  for (std::size_t s = 0; s < sequences.size(); ++s) {
    try {
      check_sequence(spec, sequences[s]);
    } catch (const Error& e) {
      throw Error(e.code(), fmt::format("sequence {}: {}", s, e.what()));
    }
  }
}

}  // namespace tessera
