// SPDX-License-Identifier: Apache-2.0
// Spaces: what a rule makes of a batch, and that no batch of the promised size makes more.
#include "runtime/program/space.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "runtime/base/error.hpp"

namespace tessera {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::int32_t> derived(const Space& space, const std::vector<std::int32_t>& offsets) {
  std::vector<std::int32_t> storage(64, -1);
  const Cuts cuts = derive_cuts(space, cuts_of(offsets), {.offsets = storage});
  EXPECT_EQ(cuts.rows, cuts.offsets.back());
  EXPECT_EQ(cuts.pieces, std::ssize(cuts.offsets) - 1);
  return {cuts.offsets.begin(), cuts.offsets.end()};
}

TEST(SpaceTest, CutsFollowTheRule) {
  const std::vector<std::int32_t> tokens{0, 1, 8, 12};  // 1, 7 and 4 rows
  const auto of = [](RowRule rule, Index n) {
    return Space{.name = "x", .parent = kTokens, .rule = rule, .n = n};
  };
  EXPECT_THAT(derived(of(RowRule::constant, 1), tokens), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(derived(of(RowRule::constant, 5), tokens), ElementsAre(0, 5, 10, 15));
  EXPECT_THAT(derived(of(RowRule::merged, 4), tokens), ElementsAre(0, 1, 3, 4));
  EXPECT_THAT(derived(of(RowRule::merged, 1), tokens), ElementsAre(0, 1, 8, 12));
  EXPECT_THAT(derived(of(RowRule::windows, 3), tokens), ElementsAre(0, 1, 4, 7, 8, 11, 12));
  EXPECT_THAT(derived(of(RowRule::windows, 9), tokens), ElementsAre(0, 1, 8, 12));
  EXPECT_EQ(cuts_of(tokens).longest, 7);
}

// Random batches of at most so many rows and sequences never exceed the extents that the arena is
// computed from, and some batch reaches them.
TEST(SpaceTest, ExtentsBoundEveryBatch) {
  std::mt19937 random(5);
  std::vector<Space> spaces = default_spaces();
  spaces.push_back({.name = "queries", .parent = kTokens, .rule = RowRule::constant, .n = 3});
  spaces.push_back({.name = "merged", .parent = kTokens, .rule = RowRule::merged, .n = 4});
  spaces.push_back({.name = "windows", .parent = kTokens, .rule = RowRule::windows, .n = 5});
  spaces.push_back({.name = "of merged", .parent = 3, .rule = RowRule::windows, .n = 2});
  check_spaces(spaces);
  constexpr Index kRows = 23, kSequences_ = 4;
  const std::vector<Extents> most = most_extents(spaces, kRows, kSequences_);
  std::vector<Extents> seen(spaces.size());
  for (int round = 0; round < 20000; ++round) {
    const auto S = static_cast<Index>(1 + random() % kSequences_);
    std::vector<std::int32_t> offsets{0};
    for (Index s = 0; s < S; ++s) {
      const Index left = kRows - offsets.back() - (S - s - 1);
      Index T = s + 1 < S ? 1 : left;  // all rows in the last sequence, or at random
      if (round % 2 == 0) T = 1 + static_cast<Index>(random() % static_cast<std::uint64_t>(left));
      offsets.push_back(offsets.back() + static_cast<std::int32_t>(T));
    }
    std::vector<std::vector<std::int32_t>> storage(spaces.size());
    std::vector<Cuts> cuts{cuts_of(offsets)};
    for (std::size_t i = 1; i < spaces.size(); ++i) {
      storage[i].resize(static_cast<std::size_t>(most[i].pieces) + 1);
      cuts.push_back(derive_cuts(spaces[i], cuts[static_cast<std::size_t>(spaces[i].parent)],
                                 {.offsets = storage[i]}));
      ASSERT_LE(cuts[i].rows, most[i].rows) << spaces[i].name;
      ASSERT_LE(cuts[i].pieces, most[i].pieces) << spaces[i].name;
      seen[i].rows = std::max(seen[i].rows, cuts[i].rows);
      seen[i].pieces = std::max(seen[i].pieces, cuts[i].pieces);
    }
  }
  for (std::size_t i = 1; i < 5; ++i) EXPECT_EQ(seen[i], most[i]) << spaces[i].name;
}

// Maps of 5 x 7 cells (native), 3 x 9 and 1 x 1.
TEST(SpaceTest, MapsAreMergedAndCutIntoWindows) {
  std::vector<Space> spaces = default_spaces();
  spaces[0].native = {5, 7};
  spaces.push_back({.name = "halves", .parent = kTokens, .rule = RowRule::grid, .n = 2});
  spaces.push_back(
      {.name = "windows", .parent = 2, .rule = RowRule::grid_windows, .n = 3, .shift = 1});
  check_spaces(spaces);
  const std::vector<Extents> native = extents_of_image(spaces, {5, 7});
  EXPECT_THAT(native, ElementsAre(Extents{35, 1}, Extents{}, Extents{12, 1}, Extents{18, 2}));
  EXPECT_THAT(most_extents(spaces, 36, 3),
              ElementsAre(Extents{36, 3}, Extents{3, 3}, Extents{24, 3}, Extents{36, 4}));
  const std::vector<std::int32_t> offsets{0, 35, 62, 63};
  const std::vector<Grid> grids{{5, 7}, {3, 9}, {1, 1}};
  Cuts tokens = cuts_of(offsets);
  tokens.grids = grids;
  std::vector<std::int32_t> of_halves(4), of_windows(8);
  std::vector<Grid> small(3);
  std::vector<WindowPlace> places(8);
  const Cuts halves = derive_cuts(spaces[2], tokens, {.offsets = of_halves, .grids = small});
  EXPECT_THAT(halves.offsets, ElementsAre(0, 12, 22, 23));
  EXPECT_THAT(halves.grids, ElementsAre(Grid{3, 4}, Grid{2, 5}, Grid{1, 1}));
  const Cuts windows = derive_cuts(spaces[3], halves, {.offsets = of_windows, .places = places});
  EXPECT_THAT(windows.offsets, ElementsAre(0, 9, 18, 27, 36, 45));
  using enum WindowPlace;
  EXPECT_THAT(windows.places,
              ElementsAre(last_row, last_of_both, last_row, last_of_both, last_of_both));
  spaces[3].rolls_small = false;  // no map has two sides longer than 3
  EXPECT_THAT(derive_cuts(spaces[3], halves, {.offsets = of_windows, .places = places}).places,
              ElementsAre(inside, inside, inside, inside, inside));
}

TEST(SpaceTest, TooManyRowsAreRefusedByName) {
  std::vector<Space> spaces = default_spaces();
  spaces.push_back({.name = "queries", .parent = kTokens, .rule = RowRule::constant, .n = 1 << 30});
  try {
    most_extents(spaces, 8, 4);
    FAIL() << "accepted";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::invalid_argument);
    EXPECT_THAT(e.what(), HasSubstr("queries"));
  }
}

TEST(SpaceTest, ABrokenSpaceIsNamed) {
  const auto broken = [](const Space& space) {
    std::vector<Space> spaces = default_spaces();
    spaces.push_back(space);
    EXPECT_THROW(check_spaces(spaces), Error);
  };
  broken({.name = "x", .parent = 2, .rule = RowRule::merged, .n = 2});   // itself
  broken({.name = "x", .parent = -1, .rule = RowRule::merged, .n = 2});  // nobody
  broken({.name = "x", .parent = 0, .rule = RowRule::merged, .n = 0});
  broken({.name = "x", .parent = 0, .rule = RowRule::tokens});
  broken({.name = "x", .parent = 0, .rule = RowRule::grid, .n = 2});  // tokens that are no map
  broken({.name = "x", .parent = 0, .rule = RowRule::grid_windows, .n = 2});
  broken({.name = "x", .parent = 0, .rule = RowRule::merged, .n = 2, .shift = 1});
  std::vector<Space> none;
  EXPECT_THROW(check_spaces(none), Error);
}

}  // namespace
}  // namespace tessera
