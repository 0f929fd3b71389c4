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
    require(i < spaces.size() && spaces[i] == first[i], i, "is not the one that all programs have");
  }
  for (std::size_t i = first.size(); i < spaces.size(); ++i) {
    const Space& space = spaces[i];
    require(space.parent >= 0 && space.parent < static_cast<SpaceId>(i), i,
            "has no earlier parent");
    require(space.rule != RowRule::tokens, i, "has no rule");
    require(space.n >= 1, i, "has a rule of less than one row");
  }
}

std::vector<Extents> most_extents(std::span<const Space> spaces, Index rows, Index sequences) {
  constexpr Index kMost = std::numeric_limits<std::int32_t>::max();
  std::vector<Extents> all;
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

Cuts derive_cuts(const Space& space, const Cuts& parent, std::span<std::int32_t> storage) noexcept {
  std::size_t pieces = 0;
  Index rows = 0;
  storage[0] = 0;
  const auto piece_of = [&](Index n) {
    rows += n;
    storage[++pieces] = static_cast<std::int32_t>(rows);
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
    }
  }
  return cuts_of(storage.first(pieces + 1));
}

}  // namespace tessera
