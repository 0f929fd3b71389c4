// SPDX-License-Identifier: Apache-2.0
#include "runtime/session/rotations.hpp"

#include <algorithm>
#include <utility>

namespace tessera {

Rotations::Rotations(const Program& program, const RotationLayout& layout, const Arena& arena)
    : program_(program), layout_(layout), arena_(arena) {
  for (const std::size_t offset : layout.tables) tables_.push_back({.rows = arena.floats(offset)});
}

float* Rotations::row(std::size_t rotation, Index i) const noexcept {
  return arena_.floats(layout_.tables[rotation]) +
         i * 2 * std::ssize(program_.rotations[rotation].frequencies);
}

void Rotations::fill(Index positions) noexcept {
  const Index last = std::min(positions, layout_.rows);
  for (std::size_t r = 0; r < tables_.size(); ++r) {
    if (program_.rotations[r].on_grid) continue;
    for (Index& filled = tables_[r].filled; filled < last; ++filled) {
      execute::fill_turn(program_.rotations[r], filled, row(r, filled));
    }
  }
}

/// The row of the first patch of `grid`; kNoTurn where there is no room for its rows.
Index Rotations::first_row(Grid grid) noexcept {
  auto* const places = reinterpret_cast<Place*>(arena_.data() + layout_.places);
  for (std::size_t i = 0; i < places_; ++i) {
    if (places[i].grid == grid) return places[i].first;
  }
  const Index patches = grid.cells();
  if (places_ == layout_.most_places || patches > layout_.rows - placed_rows_) {
    return execute::kNoTurn;
  }
  const Index first = std::exchange(placed_rows_, placed_rows_ + patches);
  places[places_++] = {.grid = grid, .first = first};
  for (std::size_t r = 0; r < tables_.size(); ++r) {
    for (Index p = 0; p < patches; ++p) {
      execute::fill_turn(program_.rotations[r], grid, p / grid.cols, p % grid.cols,
                         row(r, first + p));
    }
    tables_[r].filled = placed_rows_;
  }
  return first;
}

bool Rotations::place(std::span<const Image> images, std::span<std::int32_t> positions) noexcept {
  const ImageSpec& spec = *program_.images();
  auto to = positions.begin();
  for (const Image& image : images) {
    const Grid grid = spec.grid_of(image.height, image.width);
    const Index first = first_row(grid);
    if (first == execute::kNoTurn) return false;
    to = std::fill_n(to, spec.special_tokens, execute::kNoTurn);
    for (Index p = 0; p < grid.cells(); ++p) {
      *to++ = static_cast<std::int32_t>(first + p);
    }
  }
  return true;
}

std::span<const std::int32_t> Rotations::fill(std::span<const Image> images,
                                              std::span<std::int32_t> positions) noexcept {
  if (layout_.most_places == 0) return {};
  if (!place(images, positions)) {
    forget();
    place(images, positions);
  }
  return positions;
}

void Rotations::forget() noexcept {
  for (execute::RotationTable& table : tables_) table.filled = 0;
  places_ = 0;
  placed_rows_ = 0;
}

}  // namespace tessera
