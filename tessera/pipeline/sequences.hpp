// SPDX-License-Identifier: Apache-2.0
//
// Sequences of token ids, and the check of them that names what is wrong before anything runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/program/program.hpp"

namespace tessera {

/// One sequence where its owner keeps it, T ≥ 1, and what else the model reads per token.
struct SequenceView {
  std::span<const std::int32_t> ids;             // (T)
  std::span<const std::int32_t> types = {};      // (T), or empty: all 0
  std::span<const std::int32_t> positions = {};  // (T), or empty: by the model's rule
  std::span<const std::int32_t> columns = {};    // (T), or empty: 0 … T-1
  std::int32_t query_only = 0;                   // see Batch::query_only

  Index size() const noexcept { return std::ssize(ids); }
};

/// As SequenceView, with values of its own.
struct TokenSequence {
  std::vector<std::int32_t> ids, types, positions, columns;
  std::int32_t query_only = 0;

  Index size() const noexcept { return std::ssize(ids); }
  operator SequenceView() const noexcept {  // NOLINT(google-explicit-constructor): it is one
    return {ids, types, positions, columns, query_only};
  }
};

/// Where rows of sequences begin and end, (S+1): sequence s has [offsets[s], offsets[s+1]).
using RowOffsets = std::span<const std::int64_t>;

/// S sequences where their owner keeps them: each for itself, or one after another.
class Sequences {
 public:
  Sequences(std::span<const TokenSequence> list) noexcept  // NOLINT(google-explicit-constructor)
      : list_(list) {}
  /// ids and types (ΣT), types or empty; offsets (S+1).
  Sequences(std::span<const std::int32_t> ids, std::span<const std::int32_t> types,
            RowOffsets offsets) noexcept
      : ids_(ids), types_(types), offsets_(offsets) {}

  std::size_t size() const noexcept {
    return offsets_.empty() ? list_.size() : offsets_.size() - 1;
  }
  SequenceView operator[](std::size_t s) const noexcept {
    if (offsets_.empty()) return list_[s];
    const auto begin = static_cast<std::size_t>(offsets_[s]);
    const std::size_t count = static_cast<std::size_t>(offsets_[s + 1]) - begin;
    return {.ids = ids_.subspan(begin, count),
            .types = types_.empty() ? types_ : types_.subspan(begin, count)};
  }

 private:
  std::span<const TokenSequence> list_ = {};
  std::span<const std::int32_t> ids_ = {}, types_ = {};
  RowOffsets offsets_ = {};
};

/// Throws Error{invalid_argument} naming the element, got and expected, unless every id, type and
/// position is a row of its table and the length is one that the model accepts.
void check_sequence(const TokenSpec& spec, const SequenceView& sequence);
/// Of all of them, before the first is computed; messages begin with the number of the sequence.
void check_sequences(const TokenSpec& spec, const Sequences& sequences);

}  // namespace tessera
