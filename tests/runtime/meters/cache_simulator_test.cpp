// SPDX-License-Identifier: Apache-2.0
// The simulator against cases by hand, and against lists of lines that are searched from front to
// back on random traces.
#include "runtime/meters/cache_simulator.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <vector>

#include "runtime/base/error.hpp"
#include "tests/support/random.hpp"

namespace tessera {
namespace {

/// One set of 2 lines.
CacheSimulator two_lines() {
  const SimulatedCache cache{.bytes = 128, .ways = 2};
  return CacheSimulator({&cache, 1});
}

TEST(CacheSimulatorTest, AWriteAllocatesAndGoesBackWhenItIsEvicted) {
  CacheSimulator caches = two_lines();
  caches.write(1);
  EXPECT_EQ(caches.edge(0).fills, 1U);
  EXPECT_EQ(caches.edge(0).written_back, 0U);
  caches.read(2);
  caches.read(3);  // line 1 is the oldest
  EXPECT_EQ(caches.edge(0).fills, 3U);
  EXPECT_EQ(caches.edge(0).written_back, 1U);
  caches.read(4);  // line 2 was not changed
  EXPECT_EQ(caches.edge(0).written_back, 1U);
}

TEST(CacheSimulatorTest, AReadKeepsALineAndItsChange) {
  CacheSimulator caches = two_lines();
  caches.write(1);
  caches.read(2);
  caches.read(1);
  caches.read(3);  // evicts 2
  EXPECT_EQ(caches.edge(0).written_back, 0U);
  caches.read(1);
  EXPECT_EQ(caches.edge(0).fills, 3U);
  caches.flush();
  EXPECT_EQ(caches.edge(0).written_back, 1U);
  caches.read(1);
  EXPECT_EQ(caches.edge(0).fills, 4U);
}

TEST(CacheSimulatorTest, LinesOfOneSetEvictEachOtherInALargeCache) {
  const SimulatedCache cache{.bytes = 3 * 2 * 64, .ways = 2};  // 3 sets
  CacheSimulator caches({&cache, 1});
  for (int round = 0; round < 2; ++round) {
    for (const std::uint64_t line : {3U, 6U, 9U}) caches.read(line);
  }
  EXPECT_EQ(caches.edge(0).fills, 6U);
  CacheSimulator other({&cache, 1});
  for (int round = 0; round < 2; ++round) {
    for (const std::uint64_t line : {3U, 4U, 5U}) other.read(line);
  }
  EXPECT_EQ(other.edge(0).fills, 3U);
}

TEST(CacheSimulatorTest, CountsBelongToWhoReadsAndToWhoChanged) {
  const SimulatedCache cache{.bytes = 64, .ways = 1};
  CacheSimulator caches({&cache, 1}, {.owners = 3});
  caches.charge(1);
  caches.write(1);
  caches.charge(2);
  caches.read(2);
  EXPECT_EQ(caches.edge(0, 1).fills, 1U);
  EXPECT_EQ(caches.edge(0, 1).written_back, 1U);
  EXPECT_EQ(caches.edge(0, 2).fills, 1U);
  EXPECT_EQ(caches.edge(0, 2).written_back, 0U);
}

TEST(CacheSimulatorTest, RefusesWhatIsNoWholeNumberOfSets) {
  const SimulatedCache odd{.bytes = 1000, .ways = 2}, none{.bytes = 0, .ways = 1};
  EXPECT_THROW(CacheSimulator({&odd, 1}), Error);
  EXPECT_THROW(CacheSimulator({&none, 1}), Error);
  EXPECT_THROW(CacheSimulator(std::span<const SimulatedCache>{}), Error);
}

/// The same rules, said with lists.
class Naive {
 public:
  Naive(std::vector<SimulatedCache> levels, bool through) : through_(through) {
    for (const SimulatedCache& g : levels) {
      const Index ways = g.ways == 0 ? g.bytes / 64 : g.ways;
      levels_.push_back(
          {static_cast<std::size_t>(ways),
           std::vector<std::list<Line>>(static_cast<std::size_t>(g.bytes / 64 / ways)),
           {}});
    }
  }
  void access(std::uint64_t line, bool write) { access(0, line, write); }
  EdgeLines edge(std::size_t level) const { return levels_[level].edge; }
  void flush() {
    for (std::size_t level = 0; level < levels_.size(); ++level) {
      for (auto& set : levels_[level].sets) {
        for (const Line& l : set) {
          if (l.changed) write_back(level, l.number);
        }
        set.clear();
      }
    }
  }

 private:
  struct Line {
    std::uint64_t number;
    bool changed;
  };
  struct Level {
    std::size_t ways;
    std::vector<std::list<Line>> sets;
    EdgeLines edge;
  };

  /// Puts the line in front; what had to go, if it was changed.
  bool place(std::size_t level, std::uint64_t line, bool changed, std::uint64_t& victim) {
    std::list<Line>& set = levels_[level].sets[line % levels_[level].sets.size()];
    victim = 0;
    const auto found =
        std::find_if(set.begin(), set.end(), [&](const Line& l) { return l.number == line; });
    const bool hit = found != set.end();
    if (hit) {
      changed |= found->changed;
      set.erase(found);
    } else if (set.size() == levels_[level].ways) {
      if (set.back().changed) victim = set.back().number;
      set.pop_back();
    }
    set.push_front({line, changed});
    return hit;
  }
  void access(std::size_t level, std::uint64_t line, bool write) {
    if (level == levels_.size()) return;
    const bool through = level == 0 && through_ && write;
    std::uint64_t victim = 0;
    const bool hit = place(level, line, write && !through, victim);
    if (!hit) ++levels_[level].edge.fills;
    if (through && hit) ++levels_[0].edge.written_back;
    if (!hit || through) access(level + 1, line, through);
    if (victim != 0) write_back(level, victim);
  }
  void write_back(std::size_t level, std::uint64_t line) {
    ++levels_[level].edge.written_back;
    if (level + 1 == levels_.size()) return;
    std::uint64_t victim = 0;
    place(level + 1, line, true, victim);
    if (victim != 0) write_back(level + 1, victim);
  }

  bool through_;
  std::vector<Level> levels_;
};

TEST(CacheSimulatorTest, EqualsListsOfLinesOnRandomTraces) {
  test::Random random{7};
  const std::vector<std::vector<SimulatedCache>> geometries{
      {{4 * 64, 1}},
      {{8 * 64, 0}},
      {{2 * 4 * 64, 4}, {5 * 3 * 64, 3}},  // 5 sets
      {{4 * 2 * 64, 2}, {4 * 4 * 64, 4}, {13 * 20 * 64, 20}},
  };
  for (const auto& levels : geometries) {
    for (const bool through : {false, true}) {
      CacheSimulator caches(levels, {.first_writes_through = through});
      Naive naive(levels, through);
      std::uint64_t at = 1;
      for (int i = 0; i < 40000; ++i) {
        at = random.integer(0, 3) == 0 ? static_cast<std::uint64_t>(random.integer(1, 400))
                                       : at % 400 + 1;
        const bool write = random.integer(0, 2) == 0;
        write ? caches.write(at) : caches.read(at);
        naive.access(at, write);
      }
      caches.flush();
      naive.flush();
      for (std::size_t level = 0; level < levels.size(); ++level) {
        EXPECT_EQ(caches.edge(level).fills, naive.edge(level).fills) << level << through;
        EXPECT_EQ(caches.edge(level).written_back, naive.edge(level).written_back)
            << level << through;
      }
    }
  }
}

}  // namespace
}  // namespace tessera
