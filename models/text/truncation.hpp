// SPDX-License-Identifier: Apache-2.0
// How many tokens of each sequence are kept. tokenizers 0.23, utils/truncation.rs.
//
// For a pair of n₁ ≤ n₂ tokens and a limit L < n₁ + n₂, longest_first keeps
//   n₁ and L − n₁               if that leaves the longer one the longer
//   ⌊L/2⌋ and ⌈L/2⌉             otherwise
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace tessera::text {

enum class TruncationStrategy : std::uint8_t {
  do_not_truncate,
  longest_first,  ///< takes from the longer sequence until both are equal, then from both
  only_first,
  only_second,
};

/// The end that is cut off.
enum class Side : std::uint8_t { right, left };

struct Truncation {
  std::size_t max_length = 0;  ///< of the result, special tokens included
  TruncationStrategy strategy = TruncationStrategy::longest_first;
  Side side = Side::right;
};

const char* to_string(TruncationStrategy strategy) noexcept;
const char* to_string(Side side) noexcept;

struct KeptLengths {
  std::size_t first;
  std::size_t second;
};

/// How many of `first` and `second` tokens (0 where `is_pair` is false) a limit of `max_tokens`,
/// special tokens not included, leaves.
///
/// Errors    invalid_argument where `strategy` may not take enough: only_second without a second
///           sequence, or a sequence that would be left without a token.
KeptLengths kept_lengths(std::size_t first, std::size_t second, bool is_pair,
                         std::size_t max_tokens, TruncationStrategy strategy);

}  // namespace tessera::text
