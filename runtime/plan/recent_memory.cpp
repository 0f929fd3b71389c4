// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan/recent_memory.hpp"

#include <algorithm>

namespace tessera {
namespace {

MemoryRange common(MemoryRange a, MemoryRange b) noexcept {
  const std::size_t begin = std::max(a.begin, b.begin);
  return {begin, std::max(begin, std::min(a.end, b.end))};
}

}  // namespace

std::size_t RecentMemory::resident(MemoryRange range) const noexcept {
  std::size_t bytes = 0;
  for (const Piece& piece : pieces_) bytes += common(piece.range, range).bytes();
  return bytes;
}

std::size_t RecentMemory::use(MemoryRange range, bool is_written) {
  std::vector<Piece> rest;
  rest.reserve(pieces_.size() + 2);
  bool was_changed = false;
  for (const Piece& piece : pieces_) {
    const MemoryRange both = common(piece.range, range);
    if (both.bytes() == 0) {
      rest.push_back(piece);
      continue;
    }
    was_changed |= piece.is_changed;
    const MemoryRange before{piece.range.begin, both.begin}, after{both.end, piece.range.end};
    if (before.bytes() > 0) rest.push_back({before, piece.is_changed});
    if (after.bytes() > 0) rest.push_back({after, piece.is_changed});
  }
  rest.push_back({range, is_written || was_changed});
  std::size_t written_back = 0, total = 0;
  std::size_t first = rest.size();  // of those that stay
  while (first > 0 && total + rest[first - 1].range.bytes() <= Z_) {
    total += rest[--first].range.bytes();
  }
  for (std::size_t i = 0; i < first; ++i) {
    if (rest[i].is_changed) written_back += rest[i].range.bytes();
  }
  pieces_.assign(rest.begin() + static_cast<std::ptrdiff_t>(first), rest.end());
  return written_back;
}

}  // namespace tessera
