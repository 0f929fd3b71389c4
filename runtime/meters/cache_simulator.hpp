// SPDX-License-Identifier: Apache-2.0
//
// A cache hierarchy that is fed lines of 64 bytes and counts what moves between levels: set
// associative, least recently used, write-allocate, write-back, on one thread.
//
//   access    looked up level by level until it hits; every level that missed takes the line (fill)
//   victim    if it was changed, it goes to the level below (written back), which takes it without
//             a fill from further below: the whole line is known. An unchanged one is forgotten
//   inclusion not enforced in either direction; a line may be in several levels
//   sets      line number mod number of sets, which need be no power of two (260 MiB, 20 ways);
//             addresses are virtual ones. Hardware hashes the sets of a shared cache
//   prefetch  none: a prefetch instruction is no access, as in Valgrind
//
// Every count has an owner (an op): a fill belongs to the owner that is charged at the time, a line
// that goes back to the owner that changed it last, however much later that happens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/types.hpp"

namespace tessera {

inline constexpr Index kLineBytes = 64;

struct SimulatedCache {
  Index bytes;
  int ways;  ///< 0: fully associative
};

/// Lines across one edge.
struct EdgeLines {
  std::uint64_t fills = 0, written_back = 0;
  double bytes() const noexcept {
    return static_cast<double>(kLineBytes) * static_cast<double>(fills + written_back);
  }
};

class CacheSimulator {
 public:
  struct Options {
    std::size_t owners = 1;
    /// The first level passes every change on at once and has no changed lines: what Valgrind's
    /// cache simulation with --simulate-wb=yes does.
    bool first_writes_through = false;
  };

  /// From the core outwards; 1 to 4 levels. Throws Error{invalid_argument} for a level that is not
  /// a whole number of sets.
  CacheSimulator(std::span<const SimulatedCache> levels, const Options& options);
  explicit CacheSimulator(std::span<const SimulatedCache> levels)
      : CacheSimulator(levels, Options{}) {}

  /// Line number `line` (address / 64) is read, or changed.
  void read(std::uint64_t line) noexcept { access(line << kTagShift); }
  void write(std::uint64_t line) noexcept { access(line << kTagShift | changed_); }

  /// Later accesses belong to `owner` < owners.
  void charge(std::size_t owner) noexcept {
    owner_ = owner;
    changed_ = static_cast<std::uint64_t>(owner) << 1 | 1;
  }
  /// What crossed the edge between `level` and the one below it, for an owner.
  EdgeLines edge(std::size_t level, std::size_t owner = 0) const noexcept {
    return levels_[level].edges[owner];
  }
  std::size_t levels() const noexcept { return levels_.size(); }
  void forget_counts() noexcept;
  /// Writes every changed line back, level by level, and leaves the caches empty.
  void flush() noexcept;
  /// Accesses so far.
  std::uint64_t accesses() const noexcept { return accesses_; }

 private:
  // One word per way, most recently used first: line << 22 | owner << 1 | changed. Line 0 is never
  // accessed: a word of 0 is an empty way.
  static constexpr int kTagShift = 22;
  struct Level {
    std::uint64_t sets = 1, mask = 0;  // mask: sets − 1 where that is a power of two
    std::size_t ways = 1;
    std::vector<std::uint64_t> words;
    std::vector<EdgeLines> edges;  // per owner

    std::uint64_t* set_of(std::uint64_t word) noexcept {
      const std::uint64_t line = word >> kTagShift;
      return words.data() + (mask != 0 ? line & mask : line % sets) * ways;
    }
    /// Whether the line was there. If not, it is now, and `victim` had to go (0: nobody).
    bool touch(std::uint64_t word, std::uint64_t& victim) noexcept;
  };

  void access(std::uint64_t word) noexcept {
    ++accesses_;
    Level& first = levels_.front();
    std::uint64_t* set = first.set_of(word);
    if (set[0] >> kTagShift == word >> kTagShift) {
      if ((word & 1) != 0) changed_again(set[0], word);
      return;
    }
    access_from(word);
  }
  void changed_again(std::uint64_t& kept, std::uint64_t word) noexcept {
    if (writes_through_) return pass_on(word);
    kept = word;
  }
  void pass_on(std::uint64_t word) noexcept;
  void access_from(std::uint64_t word) noexcept;
  void fetch(std::size_t level, std::uint64_t word) noexcept;
  void write_back(std::size_t level, std::uint64_t word) noexcept;

  std::vector<Level> levels_;
  bool writes_through_;
  std::size_t owner_ = 0;
  std::uint64_t changed_ = 1, accesses_ = 0;
};

}  // namespace tessera
