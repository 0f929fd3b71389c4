// SPDX-License-Identifier: Apache-2.0
//
// What one op leaves in a cache for the next: the rule of gemm_traffic.hpp, with ops for loops.
// Memory that was used once is still there at its next use iff what was used in between, and
// itself, fit:
//
//   D(v) = bytes of everything used since v was last used, v included  ≤  Z
//
// A piece of memory stays as a whole or not at all, as an operand of a loop does: under
// least-recently-used replacement one that does not fit is gone before it is read again.
#pragma once

#include <cstddef>
#include <vector>

namespace tessera {

/// Bytes [begin, end) of some address space.
struct MemoryRange {
  std::size_t begin = 0, end = 0;
  std::size_t bytes() const noexcept { return end - begin; }
};

/// Ranges in the order of their last use, up to `Z` bytes of them.
class RecentMemory {
 public:
  explicit RecentMemory(std::size_t Z) : Z_(Z) {}

  /// Bytes of `range` that are still there.
  std::size_t resident(MemoryRange range) const noexcept;
  /// Makes `range` the most recent. Returns the changed bytes that had to be written back to make
  /// room.
  std::size_t use(MemoryRange range, bool is_written);

 private:
  struct Piece {
    MemoryRange range;
    bool is_changed;
  };
  std::size_t Z_;
  std::vector<Piece> pieces_;  // oldest first; they do not overlap
};

}  // namespace tessera
