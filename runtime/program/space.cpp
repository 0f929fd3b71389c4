// SPDX-License-Identifier: Apache-2.0
#include "runtime/program/space.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "runtime/base/error.hpp"

namespace tessera {
namespace {

constexpr Index ceil_of(Index a, Index b) noexcept {
  return (a + b - 1) / b;
}

constexpr std::size_t at(SpaceId id) noexcept {
  return static_cast<std::size_t>(id);
}

}  // namespace

std::vector<Space> default_spaces() {
  return {{.name = "tokens"},
          {.name = "sequences", .parent = kTokens, .rule = RowRule::constant, .n = 1}};
}

void check_spaces(std::span<const Space> spaces) {
  const auto require = [&](bool condition, std::size_t i, const char* what) {
    if (condition) return;
    throw Error(ErrorCode::internal, fmt::format("program: space {} {}", i, what));
  };
  const std::vector<Space> first = default_spaces();
  for (std::size_t i = 0; i < first.size(); ++i) {
    Space plain = i < spaces.size() ? spaces[i] : Space{};
    if (i == 0) plain.native = {};
    require(i < spaces.size() && plain == first[i], i, "is not the one that all programs have");
  }
  for (std::size_t i = first.size(); i < spaces.size(); ++i) {
    const Space& space = spaces[i];
    require(space.parent >= 0 && space.parent < static_cast<SpaceId>(i), i,
            "has no earlier parent");
    require(space.rule != RowRule::tokens, i, "has no rule");
    require(space.n >= 1, i, "has a rule of less than one row");
    const bool is_grid = space.rule == RowRule::grid || space.rule == RowRule::grid_windows;
    require(!is_grid || has_maps(spaces, space.parent), i, "makes maps of what has none");
    require(space.shift >= 0 && space.shift < space.n, i, "is rolled by a window or more");
    require(space.shift == 0 || space.rule == RowRule::grid_windows, i, "rolls what is no map");
    require(space.native == Grid{}, i, "has a native map of its own");
  }
}

std::vector<Extents> most_extents(std::span<const Space> spaces, Index rows, Index sequences) {
  constexpr Index kMost = std::numeric_limits<std::int32_t>::max();
  std::vector<Extents> all, of_native;
  for (const Space& space : spaces) {
    Extents most{rows, sequences};
    if (space.rule != RowRule::tokens) {
      const Extents parent = all[static_cast<std::size_t>(space.parent)];
      const Index n = space.n;
      switch (space.rule) {
        case RowRule::tokens:
          break;
        case RowRule::constant:
          most = {n > kMost / std::max<Index>(1, parent.pieces) ? kMost + 1 : n * parent.pieces,
                  parent.pieces};
          break;
        case RowRule::merged:
          // Σ ⌈T_s/n⌉ is largest where all pieces but one have one row.
          most = {parent.pieces - 1 + ceil_of(parent.rows - (parent.pieces - 1), n), parent.pieces};
          break;
        case RowRule::windows:
          most = {parent.rows, parent.pieces - 1 + ceil_of(parent.rows - (parent.pieces - 1), n)};
          break;
        case RowRule::grid:
        case RowRule::grid_windows:
          // As many native images as the rows make.
          if (of_native.empty()) of_native = extents_of_image(spaces, spaces[at(kTokens)].native);
          most = of_native[all.size()];
          most = {most.rows * ceil_of(rows, of_native[at(kTokens)].rows),
                  space.rule == RowRule::grid
                      ? parent.pieces
                      : most.pieces * ceil_of(rows, of_native[at(kTokens)].rows)};
          break;
      }
    }
    if (most.rows > kMost) {
      throw Error(
          ErrorCode::invalid_argument,
          fmt::format("session: space \"{}\" has {} rows or more for {} sequences, expected "
                      "at most {}",
                      space.name, most.rows, sequences, kMost));
    }
    all.push_back(most);
  }
  return all;
}

Cuts cuts_of(std::span<const std::int32_t> offsets) noexcept {
  Cuts cuts{.offsets = offsets, .rows = offsets.back(), .pieces = std::ssize(offsets) - 1};
  for (std::size_t s = 1; s < offsets.size(); ++s) {
    cuts.longest = std::max<Index>(cuts.longest, offsets[s] - offsets[s - 1]);
  }
  return cuts;
}

GridExtents grid_extents(const Space& space, Grid parent) noexcept {
  const Grid grid{ceil_of(parent.rows, space.n), ceil_of(parent.cols, space.n)};
  if (space.rule == RowRule::grid) return {grid, grid.cells(), 1};
  return {{}, grid.cells() * space.n * space.n, grid.cells()};
}

bool is_rolled(const Space& space, Grid parent) noexcept {
  return space.shift > 0 && (space.rolls_small || std::min(parent.rows, parent.cols) > space.n);
}

bool has_maps(std::span<const Space> spaces, SpaceId space) noexcept {
  while (space > kTokens && spaces[at(space)].rule == RowRule::grid)
    space = spaces[at(space)].parent;
  return space == kTokens && spaces[at(kTokens)].native.cells() > 0;
}

Grid map_of(std::span<const Space> spaces, SpaceId space, Grid tokens) noexcept {
  if (space == kTokens) return tokens;
  return grid_extents(spaces[at(space)], map_of(spaces, spaces[at(space)].parent, tokens)).grid;
}

std::vector<Extents> extents_of_image(std::span<const Space> spaces, Grid tokens) {
  std::vector<Extents> all(spaces.size());
  std::vector<Grid> grids(spaces.size());
  all[at(kTokens)] = {tokens.cells(), 1};
  grids[at(kTokens)] = tokens;
  for (std::size_t i = 1; i < spaces.size(); ++i) {
    const Space& space = spaces[i];
    if (space.rule != RowRule::grid && space.rule != RowRule::grid_windows) continue;
    const GridExtents extents = grid_extents(space, grids[at(space.parent)]);
    grids[i] = extents.grid;
    all[i] = {extents.rows, extents.pieces};
  }
  return all;
}

Cuts derive_cuts(const Space& space, const Cuts& parent, const CutStorage& storage) noexcept {
  std::size_t pieces = 0;
  Index rows = 0;
  storage.offsets[0] = 0;
  const auto piece_of = [&](Index n) {
    rows += n;
    storage.offsets[++pieces] = static_cast<std::int32_t>(rows);
  };
  for (std::size_t s = 0; s + 1 < parent.offsets.size(); ++s) {
    const Index T = parent.offsets[s + 1] - parent.offsets[s];
    switch (space.rule) {
      case RowRule::tokens:
        break;
      case RowRule::constant:
        piece_of(space.n);
        break;
      case RowRule::merged:
        piece_of(ceil_of(T, space.n));
        break;
      case RowRule::windows:
        for (Index begin = 0; begin < T; begin += space.n) piece_of(std::min(space.n, T - begin));
        break;
      case RowRule::grid: {
        const GridExtents map = grid_extents(space, parent.grids[s]);
        storage.grids[pieces] = map.grid;
        piece_of(map.rows);
        break;
      }
      case RowRule::grid_windows: {
        const Grid of{ceil_of(parent.grids[s].rows, space.n),
                      ceil_of(parent.grids[s].cols, space.n)};
        const bool rolled = is_rolled(space, parent.grids[s]);
        for (Index w = 0; w < of.cells(); ++w) {
          const int last_row = w / of.cols == of.rows - 1, last_column = w % of.cols == of.cols - 1;
          storage.places[pieces] =
              static_cast<WindowPlace>(rolled ? 2 * last_row + last_column : 0);
          piece_of(space.n * space.n);
        }
        break;
      }
    }
  }
  Cuts cuts = cuts_of(storage.offsets.first(pieces + 1));
  if (space.rule == RowRule::grid) cuts.grids = storage.grids.first(pieces);
  if (space.rule == RowRule::grid_windows) cuts.places = storage.places.first(pieces);
  return cuts;
}

}  // namespace tessera
