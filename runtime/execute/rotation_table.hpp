// SPDX-License-Identifier: Apache-2.0
//
// Cosines and sines of a Rotation by position: row p is scale·cos(angle) for every frequency, then the
// sines. Angles are products in f32, as the reference has them; their cosines are rounded from double.
// Rows are filled when a run first needs them; a position behind the last row, or one of a sequence that
// turns by other frequencies for its length, is computed where it is used.
//
// Of a rotation on grids a position is the row of the table that a patch of an image turns by; the rows
// of one grid of patches lie one after another (session/rotations.hpp). Special rows have the position
// kNoTurn.
#pragma once

#include <cmath>
#include <numbers>

#include "runtime/execute/position_grid.hpp"
#include "runtime/program/program.hpp"

namespace tessera::execute {

inline constexpr std::int32_t kNoTurn = -1;

/// What a row turns by; without pairs it does not.
struct Turn {
  const float* cos = nullptr;
  const float* sin = nullptr;
  Index pairs = 0;
};

/// row[j] = scale·cos(angle_of(j)), row[J + j] = scale·sin(angle_of(j))
template <class AngleOf>
void fill_row(const Rotation& rotation, AngleOf&& angle_of, float* row) noexcept {
  const auto pairs = rotation.frequencies.size();
  for (std::size_t j = 0; j < pairs; ++j) {
    const auto angle = static_cast<double>(static_cast<float>(angle_of(j)));
    row[j] = rotation.scale * static_cast<float>(std::cos(angle));
    row[pairs + j] = rotation.scale * static_cast<float>(std::sin(angle));
  }
}

inline void fill_turn(const Rotation& rotation, Index position, float* row) noexcept {
  fill_row(
      rotation,
      [&](std::size_t j) { return static_cast<float>(position) * rotation.frequencies[j]; }, row);
}

/// 2π·c of place i of n along an axis: see Rotation.
inline float turn_of_place(Index i, Index n) noexcept {
  const float part = (static_cast<float>(i) + 0.5F) / static_cast<float>(n);  // in (0, 1)
  return 2.0F * std::numbers::pi_v<float> * (2.0F * part - 1.0F);
}

/// Of patch (i,j) of a grid.
inline void fill_turn(const Rotation& rotation, Grid grid, Index i, Index j, float* row) noexcept {
  const float down = turn_of_place(i, grid.rows), across = turn_of_place(j, grid.cols);
  const std::size_t half = rotation.frequencies.size() / 2;
  fill_row(
      rotation, [&](std::size_t p) { return (p < half ? down : across) * rotation.frequencies[p]; },
      row);
}

/// Of a position in a sequence of `length` > rotation.limit positions: see Rotation.
inline void fill_long_turn(const Rotation& rotation, Index position, Index length,
                           float* row) noexcept {
  if (!rotation.long_frequencies.empty()) {
    return fill_row(
        rotation,
        [&](std::size_t j) { return static_cast<float>(position) * rotation.long_frequencies[j]; },
        row);
  }
  const auto R = static_cast<double>(2 * rotation.frequencies.size());
  const double ratio = static_cast<double>(length) / static_cast<double>(rotation.limit);
  const double grown = rotation.factor * ratio - (rotation.factor - 1.0);
  const double theta = rotation.theta * std::pow(grown, R / (R - 2.0));
  const auto angle_of = [&](std::size_t j) {
    const float exponent = static_cast<float>(2 * j) / static_cast<float>(R);
    const float frequency =
        1.0F / static_cast<float>(std::pow(theta, static_cast<double>(exponent)));
    return static_cast<float>(position) * frequency;
  };
  fill_row(rotation, angle_of, row);
}

struct RotationTable {
  const float* rows = nullptr;
  Index filled = 0;  ///< rows that are there

  /// In a sequence of `length` positions. `beyond`: room for one row.
  Turn turn(const Rotation& rotation, Index position, Index length, float* beyond) const noexcept {
    if (rotation.on_grid && position == kNoTurn) return {};
    const Index pairs = std::ssize(rotation.frequencies);
    const bool is_long = rotation.limit > 0 && length > rotation.limit;
    const bool is_there = !is_long && position >= 0 && position < filled;
    if (is_long) {
      fill_long_turn(rotation, position, length, beyond);
    } else if (!is_there) {
      fill_turn(rotation, position, beyond);
    }
    const float* const row = is_there ? rows + position * 2 * pairs : beyond;
    return {.cos = row, .sin = row + pairs, .pairs = pairs};
  }
};

}  // namespace tessera::execute
