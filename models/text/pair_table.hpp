// SPDX-License-Identifier: Apache-2.0
// The list of merges, by the pair that each joins.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace tessera::text {

/// A hash table with open addressing, at most half full: most pairs of a text are in no merge, and
/// one probe tells.
class PairTable {
 public:
  struct Merge {
    std::uint32_t rank;
    std::int32_t id;  ///< of what the pair becomes
  };

  explicit PairTable(std::size_t count)
      : slots_(std::bit_ceil(2 * count + 2)), shift_(64 - std::countr_zero(slots_.size())) {}

  /// Precondition: for at most `count` different pairs.
  void insert_or_assign(std::int32_t left, std::int32_t right, Merge merge) {
    Slot& slot = slots_[find_slot(left, right)];
    slot = {left, right, merge};
  }

  /// The merge of a pair, or nullptr.
  const Merge* find(std::int32_t left, std::int32_t right) const noexcept {
    const Slot& slot = slots_[find_slot(left, right)];
    return slot.left < 0 ? nullptr : &slot.merge;
  }

 private:
  struct Slot {
    std::int32_t left = -1;  // −1: empty
    std::int32_t right = -1;
    Merge merge{};
  };

  // Where the pair is, or would be.
  std::size_t find_slot(std::int32_t left, std::int32_t right) const noexcept {
    const auto key = static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 |
                     static_cast<std::uint32_t>(right);
    // Fibonacci hashing: the high bits of a product depend on all bits of the key.
    std::size_t i = static_cast<std::size_t>((key ^ key >> 29) * 0x9E3779B97F4A7C15 >> shift_);
    const std::size_t mask = slots_.size() - 1;
    while (slots_[i].left >= 0 && (slots_[i].left != left || slots_[i].right != right)) {
      i = (i + 1) & mask;
    }
    return i;
  }

  std::vector<Slot> slots_;
  int shift_;
};

}  // namespace tessera::text
