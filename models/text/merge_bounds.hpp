// SPDX-License-Identifier: Apache-2.0
// Where a word falls apart before any merge: the pairs of first symbols that no merge joins.
//
// Let first(t), last(t) be the first symbols that a token t begins and ends with. Two neighbours
// (a, b) can only come into one token by a merge (l, r) with last(l) = a and first(r) = b. Where
// there is none, what is on the left and what is on the right merge by themselves, so that a long
// text costs what its pieces cost. In Phi-3's vocabulary, as an example, nothing joins a letter and
// the "▁" behind it: its texts, which no pre-tokenizer splits, become words.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace tessera::text {

class MergeBounds {
 public:
  struct Merge {
    std::int32_t left;
    std::int32_t right;
    std::int32_t both;
  };

  /// Preconditions: ids are in [0, id_count); different tokens have different ids.
  ///
  /// nullopt where first() and last() depend on how a token was merged.
  static std::optional<MergeBounds> of(std::span<const Merge> merges, std::size_t id_count);

  /// Whether no token has these two first symbols as neighbours. May be false where it is so.
  bool are_apart(std::int32_t a, std::int32_t b) const noexcept {
    const std::uint64_t bit = hash(a, b) >> shift_;
    return (bits_[bit >> 6] >> (bit & 63) & 1) == 0;
  }

 private:
  explicit MergeBounds(const std::vector<std::uint64_t>& pairs);

  static std::uint64_t key(std::int32_t a, std::int32_t b) noexcept {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(a)) << 32 |
           static_cast<std::uint32_t>(b);
  }
  static std::uint64_t hash(std::int32_t a, std::int32_t b) noexcept {
    const std::uint64_t k = key(a, b);
    return (k ^ k >> 29) * 0x9E3779B97F4A7C15;
  }

  std::vector<std::uint64_t> bits_;  // one per hash: set for every pair that some merge joins
  int shift_;
};

}  // namespace tessera::text
