// SPDX-License-Identifier: Apache-2.0
// What a model accepts of one sequence of tokens. Session::run() asks it of every sequence of a
// batch; whoever forms batches may ask it of all sequences before the first batch.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/program/program.hpp"

namespace tessera {

/// One sequence where its owner keeps it, T ≥ 1, and what else the model reads per token.
struct SequenceView {
  std::span<const std::int32_t> ids;             // (T)
  std::span<const std::int32_t> types = {};      // (T), or empty: all 0
  std::span<const std::int32_t> positions = {};  // (T), or empty: by the model's rule
  std::span<const std::int32_t> columns = {};    // (T), or empty: 0 … T-1
  std::int32_t query_only = 0;                   // see Batch::query_only
  std::int32_t pool_from = 0;                    // see Batch::pool_from

  Index size() const noexcept { return std::ssize(ids); }
};

class SequenceCheck {
 public:
  /// `program` must outlive it.
  explicit SequenceCheck(const Program& program);

  /// Throws Error{invalid_argument} naming the element, got and expected, unless every id, type and
  /// position is a row of its table, and length and columns are such that the model accepts them.
  void operator()(const SequenceView& sequence) const;

 private:
  void check_reach(const SequenceView& sequence) const;

  const TokenSpec& spec_;
  Index reach_ = -1;  // of the smallest relative position bias; −1: there is none
};

}  // namespace tessera
