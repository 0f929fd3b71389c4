// SPDX-License-Identifier: Apache-2.0
//
// Cosines and sines of a Rotation by position: row p is scale·cos(p·f) for every frequency f, then the
// sines. Angles are products in f32, as the reference has them; their cosines are rounded from double.
// Rows are filled when a run first needs them; a position behind the last row, or one of a sequence that
// turns by other frequencies for its length, is computed where it is used.
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

/// `frequency(j)` of pair j.
template <class Frequency>
void fill_turn(const Rotation& rotation, Index position, float* row,
               const Frequency& frequency) noexcept {
  const auto pairs = rotation.frequencies.size();
  for (std::size_t j = 0; j < pairs; ++j) {
    const float angle = static_cast<float>(position) * frequency(j);
    row[j] = rotation.scale * static_cast<float>(std::cos(static_cast<double>(angle)));
    row[pairs + j] = rotation.scale * static_cast<float>(std::sin(static_cast<double>(angle)));
  }
}

inline void fill_turn(const Rotation& rotation, Index position, float* row) noexcept {
  fill_turn(rotation, position, row, [&](std::size_t j) { return rotation.frequencies[j]; });
}

/// The same in a sequence of `length` > rotation.limit positions (program.hpp).
inline void fill_long_turn(const Rotation& rotation, Index position, Index length,
                           float* row) noexcept {
  if (!rotation.long_frequencies.empty()) {
    return fill_turn(rotation, position, row,
                     [&](std::size_t j) { return rotation.long_frequencies[j]; });
  }
  const auto R = static_cast<double>(2 * rotation.frequencies.size());
  const double ratio = static_cast<double>(length) / static_cast<double>(rotation.limit);
  const double grown = rotation.factor * ratio - (rotation.factor - 1.0);
  const double theta = rotation.theta * std::pow(grown, R / (R - 2.0));
  fill_turn(rotation, position, row, [&](std::size_t j) {
    const float exponent = static_cast<float>(2 * j) / static_cast<float>(R);
    return 1.0F / static_cast<float>(std::pow(theta, static_cast<double>(exponent)));
  });
}

struct RotationTable {
  const float* rows = nullptr;
  Index filled = 0;  ///< rows that are there

  /// In a sequence of `length` positions. `beyond`: room for one row.
  Turn turn(const Rotation& rotation, Index position, Index length, float* beyond) const noexcept {
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
