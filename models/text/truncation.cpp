// SPDX-License-Identifier: Apache-2.0
#include "models/text/truncation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "runtime/base/error.hpp"

namespace tessera::text {
namespace {

KeptLengths longest_first(std::size_t first, std::size_t second, std::size_t max_tokens) {
  std::size_t n1 = first;
  std::size_t n2 = second;
  const bool swapped = n1 > n2;
  if (swapped) std::swap(n1, n2);
  n2 = n1 > max_tokens ? n1 : std::max(n1, max_tokens - n1);
  if (n1 + n2 > max_tokens) {
    n1 = max_tokens / 2;
    n2 = n1 + max_tokens % 2;
  }
  if (swapped) std::swap(n1, n2);
  return {n1, n2};
}

}  // namespace

const char* to_string(TruncationStrategy strategy) noexcept {
  switch (strategy) {
    case TruncationStrategy::do_not_truncate:
      return "do_not_truncate";
    case TruncationStrategy::longest_first:
      return "longest_first";
    case TruncationStrategy::only_first:
      return "only_first";
    case TruncationStrategy::only_second:
      return "only_second";
  }
  return "unknown";
}

const char* to_string(Side side) noexcept {
  return side == Side::right ? "right" : "left";
}

KeptLengths kept_lengths(std::size_t first, std::size_t second, bool is_pair,
                         std::size_t max_tokens, TruncationStrategy strategy) {
  if (strategy == TruncationStrategy::do_not_truncate) return {first, second};
  if (max_tokens == 0) return {0, 0};
  if (first + second <= max_tokens) return {first, second};
  const std::size_t surplus = first + second - max_tokens;
  if (strategy == TruncationStrategy::longest_first) {
    return is_pair ? longest_first(first, second, max_tokens) : KeptLengths{max_tokens, 0};
  }
  const bool takes_first = strategy == TruncationStrategy::only_first;
  if (!takes_first && !is_pair) {
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("tokenizer: truncation strategy only_second got one sequence of {} tokens for "
                    "at most {}, expected a pair of sequences",
                    first, max_tokens));
  }
  const std::size_t length = takes_first ? first : second;
  if (length <= surplus) {
    throw Error(
        ErrorCode::invalid_argument,
        fmt::format("tokenizer: truncation strategy {} must take {} tokens from a sequence of {}, "
                    "expected more tokens there, a larger max_length than {} (special tokens not "
                    "counted) or the strategy longest_first",
                    to_string(strategy), surplus, length, max_tokens));
  }
  return takes_first ? KeptLengths{first - surplus, second} : KeptLengths{first, second - surplus};
}

}  // namespace tessera::text
