// SPDX-License-Identifier: Apache-2.0
#include "runtime/meters/cache_simulator.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/base/error.hpp"

namespace tessera {
namespace {

constexpr std::uint64_t kOwnerMask = (std::uint64_t{1} << 22) - 1;

std::size_t owner_of(std::uint64_t word) noexcept {
  return static_cast<std::size_t>((word & kOwnerMask) >> 1);
}

}  // namespace

bool CacheSimulator::Level::touch(std::uint64_t word, std::uint64_t& victim) noexcept {
  std::uint64_t* const set = set_of(word);
  const std::uint64_t line = word >> kTagShift;
  std::size_t i = 0;
  while (i < ways && set[i] >> kTagShift != line) ++i;
  const bool hit = i < ways;
  const std::uint64_t kept = hit ? set[i] : 0;
  victim = hit ? 0 : set[ways - 1];
  for (std::size_t n = hit ? i : ways - 1; n > 0; --n) set[n] = set[n - 1];
  set[0] = (word & 1) != 0 || !hit ? word : kept;
  return hit;
}

CacheSimulator::CacheSimulator(std::span<const SimulatedCache> levels, const Options& options)
    : writes_through_(options.first_writes_through) {
  const auto fail = [](const char* what, Index got, const char* expected) {
    throw Error(ErrorCode::invalid_argument,
                fmt::format("cache simulator: {} is {}, expected {}", what, got, expected));
  };
  const auto count = static_cast<Index>(levels.size());
  if (count < 1 || count > 4) fail("number of levels", count, "1 to 4");
  if (options.owners < 1 || options.owners > kOwnerMask >> 1)
    fail("number of owners", static_cast<Index>(options.owners), "1 to 2097151");
  for (const SimulatedCache& g : levels) {
    const Index lines = g.bytes / kLineBytes;
    const Index ways = g.ways == 0 ? lines : g.ways;
    if (lines < 1 || ways < 1 || g.bytes % (ways * kLineBytes) != 0)
      fail("size of a cache", g.bytes, "a multiple of 64 bytes times its ways");
    Level level;
    level.ways = static_cast<std::size_t>(ways);
    level.sets = static_cast<std::uint64_t>(lines / ways);
    level.mask = (level.sets & (level.sets - 1)) == 0 ? level.sets - 1 : 0;
    level.words.resize(static_cast<std::size_t>(lines));
    level.edges.resize(options.owners);
    levels_.push_back(std::move(level));
  }
}

/// A miss of the first way: the other ways, then the levels below.
void CacheSimulator::access_from(std::uint64_t word) noexcept {
  const bool through = writes_through_ && (word & 1) != 0;
  const std::uint64_t first = through ? word & ~kOwnerMask : word;
  std::uint64_t victim = 0;
  if (!levels_[0].touch(first, victim)) {
    ++levels_[0].edges[owner_].fills;
    if (levels_.size() > 1) fetch(1, through ? word : word & ~kOwnerMask);
    if ((victim & 1) != 0) write_back(0, victim);
  } else if (through) {
    pass_on(word);
  }
}

/// A change of a line that the first level has, where that level writes through.
void CacheSimulator::pass_on(std::uint64_t word) noexcept {
  ++levels_[0].edges[owner_].written_back;
  if (levels_.size() > 1) fetch(1, word);
}

/// The line comes into `level` from below if it is not there.
void CacheSimulator::fetch(std::size_t level, std::uint64_t word) noexcept {
  std::uint64_t victim = 0;
  if (levels_[level].touch(word, victim)) return;
  ++levels_[level].edges[owner_].fills;
  if (level + 1 < levels_.size()) fetch(level + 1, word & ~kOwnerMask);
  if ((victim & 1) != 0) write_back(level, victim);
}

/// A changed line leaves `level`.
void CacheSimulator::write_back(std::size_t level, std::uint64_t word) noexcept {
  ++levels_[level].edges[owner_of(word)].written_back;
  if (level + 1 == levels_.size()) return;
  std::uint64_t victim = 0;
  if (!levels_[level + 1].touch(word, victim) && (victim & 1) != 0) write_back(level + 1, victim);
}

void CacheSimulator::forget_counts() noexcept {
  for (Level& level : levels_) std::fill(level.edges.begin(), level.edges.end(), EdgeLines{});
  accesses_ = 0;
}

void CacheSimulator::flush() noexcept {
  for (std::size_t level = 0; level < levels_.size(); ++level) {
    for (std::uint64_t& word : levels_[level].words) {
      if ((word & 1) != 0) write_back(level, word);
      word = 0;
    }
  }
}

}  // namespace tessera
