// SPDX-License-Identifier: Apache-2.0
//
// Sequences of token ids, and the check of all of them before the first is computed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "runtime/base/error.hpp"
#include "runtime/session/sequence_check.hpp"

namespace tessera {

/// As SequenceView, with values of its own.
struct TokenSequence {
  std::vector<std::int32_t> ids, types, positions, columns;
  std::int32_t query_only = 0, pool_from = 0;

  Index size() const noexcept { return std::ssize(ids); }
  operator SequenceView() const noexcept {  // NOLINT(google-explicit-constructor): it is one
    return {ids, types, positions, columns, query_only, pool_from};
  }
};

/// Where rows of sequences begin and end, (S+1): sequence s has [offsets[s], offsets[s+1]).
using RowOffsets = std::span<const std::int64_t>;

/// S sequences where their owner keeps them: each for itself, or one after another.
class Sequences {
 public:
  Sequences(std::span<const TokenSequence> list) noexcept  // NOLINT(google-explicit-constructor)
      : list_(list) {}
  /// ids and types (ΣT), types or empty; offsets (S+1); pool_from (S) or empty.
  Sequences(std::span<const std::int32_t> ids, std::span<const std::int32_t> types,
            RowOffsets offsets, std::span<const std::int32_t> pool_from = {}) noexcept
      : ids_(ids), types_(types), pool_from_(pool_from), offsets_(offsets) {}

  std::size_t size() const noexcept {
    return offsets_.empty() ? list_.size() : offsets_.size() - 1;
  }
  SequenceView operator[](std::size_t s) const noexcept {
    if (offsets_.empty()) return list_[s];
    const auto begin = static_cast<std::size_t>(offsets_[s]);
    const std::size_t count = static_cast<std::size_t>(offsets_[s + 1]) - begin;
    return {.ids = ids_.subspan(begin, count),
            .types = types_.empty() ? types_ : types_.subspan(begin, count),
            .pool_from = pool_from_.empty() ? 0 : pool_from_[s]};
  }

 private:
  std::span<const TokenSequence> list_ = {};
  std::span<const std::int32_t> ids_ = {}, types_ = {}, pool_from_ = {};
  RowOffsets offsets_ = {};
};

/// What is wrong with one of many sequences. The message begins with its number; whoever knows it
/// by another name has number and reason apart.
class BadSequence : public Error {
 public:
  BadSequence(std::size_t index, const Error& reason);
  std::size_t index() const noexcept { return index_; }
  const std::string& reason() const noexcept { return reason_; }

 private:
  std::size_t index_;
  std::string reason_;
};

/// SequenceCheck of all, before the first is computed. Throws BadSequence.
void check_sequences(const Program& program, const Sequences& sequences);

}  // namespace tessera
