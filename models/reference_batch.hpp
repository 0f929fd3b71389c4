// SPDX-License-Identifier: Apache-2.0
//
// The inputs of the reference, padded [B,T] arrays, as a ragged batch, and results back in padded
// coordinates.
//
// A sequence is its columns with attention_mask = 1, in order. Positions are those of the padded
// row, as the reference derives them; columns go along for relative position biases. The
// reference's pooler and classifiers read column 0 even where it is masked (padding on the left):
// then column 0 becomes the sequence's first row, which attends to the others and to which none
// attends (Batch::query_only has an example). Where masked rows may attend to one another (MaskedRows), all
// that are masked come first.
//
// A sequence without any attended column has that one row: its pooled outputs are computed from a
// query without keys, which is not what the reference gives (it attends to all padding alike).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/program/program.hpp"
#include "runtime/session/session.hpp"

namespace tessera::models {

class ReferenceBatch {
 public:
  /// Shapes  ids (B,T); mask (B,T) of 0 and 1, or empty: all 1; types (B,T), or empty: all 0
  ///         (and ignored where the model has none).
  /// Errors  invalid_argument naming the input, got, expected.
  ReferenceBatch(const TokenSpec& tokens, Index sequences, Index padded_tokens,
                 std::span<const std::int64_t> ids, std::span<const std::int64_t> mask,
                 std::span<const std::int64_t> types);

  /// Valid as long as this object.
  Batch view() const noexcept;

  Index rows() const noexcept { return static_cast<Index>(ids_.size()); }
  Index sequences() const noexcept { return static_cast<Index>(query_only_.size()); }

  /// Index b·T + t of the column that ragged row `row` is.
  Index padded_index(Index row) const noexcept { return padded_[static_cast<std::size_t>(row)]; }
  /// Is row `row` a masked column 0?
  bool is_query_only(Index row) const noexcept { return masked_[static_cast<std::size_t>(row)]; }

  /// ragged (rows,W) into padded (B,T,W); masked columns become 0.
  void scatter(TensorView<const float> ragged, std::span<float> padded) const noexcept;

 private:
  std::vector<std::int32_t> ids_, types_, positions_, columns_;  // (rows)
  std::vector<std::int32_t> offsets_, query_only_;               // (B+1), (B)
  std::vector<Index> padded_;                                    // (rows)
  std::vector<bool> masked_;                                     // (rows)
};

}  // namespace tessera::models
