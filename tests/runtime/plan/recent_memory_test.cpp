// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan/recent_memory.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <random>

namespace tessera {
namespace {

TEST(RecentMemoryTest, WhatFitsStaysAndTheOldestGoes) {
  RecentMemory memory(100);
  EXPECT_EQ(memory.resident({0, 50}), 0U);
  EXPECT_EQ(memory.use({0, 50}, false), 0U);
  EXPECT_EQ(memory.use({50, 100}, false), 0U);
  EXPECT_EQ(memory.resident({0, 100}), 100U);
  EXPECT_EQ(memory.use({200, 230}, false), 0U);  // pushes [0, 50) out, as a whole
  EXPECT_EQ(memory.resident({0, 50}), 0U);
  EXPECT_EQ(memory.resident({50, 230}), 80U);
}

TEST(RecentMemoryTest, OnlyChangedBytesAreWrittenBackAndOnce) {
  RecentMemory memory(100);
  memory.use({0, 60}, true);
  memory.use({0, 60}, false);  // a read does not clean it
  EXPECT_EQ(memory.use({100, 200}, false), 60U);
  EXPECT_EQ(memory.use({300, 400}, false), 0U);
}

TEST(RecentMemoryTest, OverwritingKeepsAPieceInPlace) {
  RecentMemory memory(100);
  memory.use({0, 80}, true);
  EXPECT_EQ(memory.use({0, 80}, true), 0U);  // never left
  EXPECT_EQ(memory.use({20, 40}, false), 0U);
  EXPECT_EQ(memory.resident({0, 100}), 80U);
  EXPECT_EQ(memory.use({500, 590}, false), 80U);  // the pieces around, and the one within
}

TEST(RecentMemoryTest, ARangeLargerThanTheCacheDoesNotStay) {
  RecentMemory memory(100);
  EXPECT_EQ(memory.use({0, 101}, true), 101U);
  EXPECT_EQ(memory.resident({0, 101}), 0U);
}

// Equal pieces at fixed places: a list of them, least recently used first, is the definition.
TEST(RecentMemoryTest, EqualsAListOfPieces) {
  std::mt19937 random(3);
  RecentMemory memory(7 * 64);
  struct Piece {
    std::size_t at;
    bool is_changed;
  };
  std::list<Piece> expected;  // oldest first
  for (int i = 0; i < 5000; ++i) {
    const std::size_t at = random() % 20;
    const bool is_written = random() % 3 == 0;
    const auto found = std::find_if(expected.begin(), expected.end(),
                                    [&](const Piece& piece) { return piece.at == at; });
    ASSERT_EQ(memory.resident({64 * at, 64 * at + 64}), found == expected.end() ? 0U : 64U);
    bool is_changed = is_written;
    if (found != expected.end()) {
      is_changed |= found->is_changed;
      expected.erase(found);
    }
    expected.push_back({at, is_changed});
    std::size_t written = 0;
    if (expected.size() > 7) {
      written = expected.front().is_changed ? 64 : 0;
      expected.pop_front();
    }
    ASSERT_EQ(memory.use({64 * at, 64 * at + 64}, is_written), written) << i;
  }
}

}  // namespace
}  // namespace tessera
