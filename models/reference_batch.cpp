// SPDX-License-Identifier: Apache-2.0
#include "models/reference_batch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "runtime/base/error.hpp"

namespace tessera::models {
namespace {

void check_input(const char* name, std::span<const std::int64_t> values, Index expected,
                 std::int64_t max) {
  if (static_cast<Index>(values.size()) != expected) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{} has {} elements, expected {}", name, values.size(), expected));
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] >= 0 && values[i] <= max) continue;
    throw Error(ErrorCode::invalid_argument,
                fmt::format("{}[{}] is {}, expected 0 to {}", name, i, values[i], max));
  }
}

}  // namespace

ReferenceBatch::ReferenceBatch(const TokenSpec& tokens, Index sequences, Index padded_tokens,
                               std::span<const std::int64_t> ids,
                               std::span<const std::int64_t> mask,
                               std::span<const std::int64_t> types) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  if (sequences < 1 || padded_tokens < 1 || padded_tokens > kMost / sequences) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("input_ids has shape ({},{}), expected one sequence of one token at "
                            "least",
                            sequences, padded_tokens));
  }
  const Index size = sequences * padded_tokens;
  check_input("input_ids", ids, size, std::max<std::int64_t>(tokens.vocab_size - 1, 0));
  if (!mask.empty()) check_input("attention_mask", mask, size, 1);
  const bool has_types = !types.empty() && tokens.type_vocab_size > 0;
  if (has_types) check_input("token_type_ids", types, size, tokens.type_vocab_size - 1);

  std::vector<std::int32_t> row_ids(static_cast<std::size_t>(padded_tokens));
  std::vector<std::int32_t> row_positions(row_ids.size());
  offsets_.push_back(0);
  for (Index s = 0; s < sequences; ++s) {
    const auto begin = static_cast<std::size_t>(s * padded_tokens);
    std::transform(ids.begin() + s * padded_tokens, ids.begin() + (s + 1) * padded_tokens,
                   row_ids.begin(), [](std::int64_t id) { return static_cast<std::int32_t>(id); });
    fill_positions(tokens, row_ids, row_positions);
    // Columns, with gaps (padding, holes) cut to the distance from which on all are alike: every
    // pair across such a gap stays at least that far apart, and the span stays within the bias.
    std::int32_t column = 0;
    std::size_t previous = 0;
    const auto column_after = [&](std::size_t t) {
      auto gap = static_cast<Index>(t - previous);
      if (tokens.far_distance > 0) gap = std::min(gap, tokens.far_distance);
      previous = t;
      return column += static_cast<std::int32_t>(gap);
    };
    const auto is_attended = [&](std::size_t t) { return mask.empty() || mask[begin + t] == 1; };
    const auto push = [&](std::size_t t, std::int32_t at_column) {
      ids_.push_back(row_ids[t]);
      if (has_types) types_.push_back(static_cast<std::int32_t>(types[begin + t]));
      positions_.push_back(row_positions[t]);
      columns_.push_back(at_column);
      padded_.push_back(static_cast<Index>(begin + t));
      masked_.push_back(!is_attended(t));
    };
    if (tokens.masked_rows == MaskedRows::see_all_if_nothing && !is_attended(0)) {
      // Under a window row 0 may attend to all that is masked, wherever it stands.
      query_only_.push_back(0);
      for (const bool attended : {false, true}) {
        for (std::size_t t = 0; t < row_ids.size(); ++t) {
          if (is_attended(t) != attended) continue;
          push(t, static_cast<std::int32_t>(t));
          if (!attended) ++query_only_.back();
        }
      }
      offsets_.push_back(static_cast<std::int32_t>(ids_.size()));
      continue;
    }
    if (tokens.masked_rows == MaskedRows::see_all && !is_attended(0)) {
      // Row 0 attends to all that is masked, wherever it stands: that comes first, and what is attended
      // to moves on by as much as was behind it. Distances stay what they were.
      std::int32_t masked = 0, leading = 0;
      for (std::size_t t = 0; t < row_ids.size(); ++t) {
        if (is_attended(t)) continue;
        if (std::cmp_equal(t, leading)) ++leading;
        push(t, masked++);
      }
      query_only_.push_back(masked);
      for (std::size_t t = 0; t < row_ids.size(); ++t) {
        if (is_attended(t)) push(t, static_cast<std::int32_t>(t) + masked - leading);
      }
      offsets_.push_back(static_cast<std::int32_t>(ids_.size()));
      continue;
    }
    for (std::size_t t = 0; t < row_ids.size(); ++t) {
      if (!is_attended(t) && t > 0) continue;
      push(t, column_after(t));
      if (t == 0) query_only_.push_back(is_attended(t) ? 0 : 1);
    }
    offsets_.push_back(static_cast<std::int32_t>(ids_.size()));
  }
}

Batch ReferenceBatch::view() const noexcept {
  return {.ids = ids_,
          .types = types_,
          .offsets = offsets_,
          .positions = positions_,
          .columns = columns_,
          .query_only = query_only_};
}

void ReferenceBatch::scatter(TensorView<const float> ragged,
                             std::span<float> padded) const noexcept {
  std::fill(padded.begin(), padded.end(), 0.0F);
  for (Index row = 0; row < rows(); ++row) {
    if (is_query_only(row)) continue;
    const std::span<const float> from = ragged.row(row);
    std::copy(from.begin(), from.end(), padded.begin() + padded_index(row) * ragged.cols);
  }
}

}  // namespace tessera::models
