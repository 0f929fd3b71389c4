// SPDX-License-Identifier: Apache-2.0
#include "runtime/session/sequence_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "runtime/base/error.hpp"

namespace tessera {
namespace {

template <class... Args>
void require(bool condition, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) {
    throw Error(ErrorCode::invalid_argument, fmt::format(format, std::forward<Args>(args)...));
  }
}

void check_range(std::string_view what, std::span<const std::int32_t> values, Index count,
                 std::string_view table) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    require(values[i] >= 0 && values[i] < count, "{} {} is {}, expected 0 to {} ({})", what, i,
            values[i], count - 1, table);
  }
}

}  // namespace

SequenceCheck::SequenceCheck(const Program& program) : spec_(require_tokens(program)) {
  for (const Parameter& p : program.parameters) {
    if (p.kind != ParameterKind::bias) continue;
    reach_ = reach_ < 0 ? p.cols / 2 : std::min(reach_, p.cols / 2);
  }
}

void SequenceCheck::check_reach(const SequenceView& sequence) const {
  const std::span<const std::int32_t> columns = sequence.columns;
  if (columns.empty()) {
    require(reach_ < 0 || sequence.size() - 1 <= reach_,
            "got {} tokens, expected at most {} (the relative position bias)", sequence.size(),
            reach_ + 1);
    return;
  }
  for (auto t = static_cast<std::size_t>(sequence.query_only) + 1; t < columns.size(); ++t) {
    require(columns[t] > columns[t - 1],
            "columns do not rise at {}: got {} after {}, expected more", t, columns[t],
            columns[t - 1]);
  }
  const auto [least, most] = std::minmax_element(columns.begin(), columns.end());
  const Index span = static_cast<Index>(*most) - *least;
  require(reach_ < 0 || span <= reach_,
          "columns span {}, expected at most {} (the relative position bias)", span, reach_);
}

void SequenceCheck::operator()(const SequenceView& sequence) const {
  const Index count = sequence.size();
  for (const auto& per_token : {sequence.types, sequence.positions, sequence.columns}) {
    require(per_token.empty() || std::ssize(per_token) == count, "got {} values for {} token ids",
            per_token.size(), count);
  }
  require(count > 0, "got no token ids, expected at least 1");
  require(sequence.query_only >= 0 && sequence.query_only <= count,
          "query_only is {}, expected 0 to {}", sequence.query_only, count);
  require(sequence.pool_from >= 0 && sequence.pool_from <= count,
          "pool_from is {}, expected 0 to {}", sequence.pool_from, count);
  // Where the caller gives positions (checked below), rows that nobody attends to need not fit.
  const Index attended = sequence.positions.empty() ? count : count - sequence.query_only;
  require(attended <= spec_.max_tokens, "got {} tokens, expected at most {} (position table)",
          count, spec_.max_tokens);
  check_reach(sequence);
  check_range("token id", sequence.ids, spec_.vocab_size, "vocabulary");
  check_range("type id", sequence.types, std::max<Index>(spec_.type_vocab_size, 1),
              spec_.type_vocab_size > 0 ? "token types" : "the model has no token types");
  if (spec_.position_rows > 0) {
    check_range("position", sequence.positions, spec_.position_rows, "position table");
  }
}

}  // namespace tessera
