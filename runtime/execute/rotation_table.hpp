// SPDX-License-Identifier: Apache-2.0
//
// Cosines and sines of a Rotation by position: row p is scale·cos(p·f) for every frequency f, then the
// sines. Angles are products in f32, as the reference has them; their cosines are rounded from double.
// Rows are filled when a run first needs them; a position behind the last row is computed where it is used.
#pragma once

#include <cmath>

#include "runtime/program/program.hpp"

namespace tessera::execute {

/// What a row turns by; without pairs it does not.
struct Turn {
  const float* cos = nullptr;
  const float* sin = nullptr;
  Index pairs = 0;
};

inline void fill_turn(const Rotation& rotation, Index position, float* row) noexcept {
  const auto pairs = rotation.frequencies.size();
  for (std::size_t j = 0; j < pairs; ++j) {
    const float angle = static_cast<float>(position) * rotation.frequencies[j];
    row[j] = rotation.scale * static_cast<float>(std::cos(static_cast<double>(angle)));
    row[pairs + j] = rotation.scale * static_cast<float>(std::sin(static_cast<double>(angle)));
  }
}

struct RotationTable {
  const float* rows = nullptr;
  Index filled = 0;  ///< rows that are there

  /// `beyond`: room for one row.
  Turn turn(const Rotation& rotation, Index position, float* beyond) const noexcept {
    const Index pairs = std::ssize(rotation.frequencies);
    const bool is_there = position >= 0 && position < filled;
    if (!is_there) fill_turn(rotation, position, beyond);
    const float* const row = is_there ? rows + position * 2 * pairs : beyond;
    return {.cos = row, .sin = row + pairs, .pairs = pairs};
  }
};

}  // namespace tessera::execute
