// SPDX-License-Identifier: Apache-2.0
//
// The tables of a program's rotations (execute/rotation_table.hpp), in the session's arena: rows are
// filled when a run first needs them, and stay.
//
// Of positions row p is that of position p. Of grids of patches each grid that images had has its rows,
// one for each patch; images of equal grids share them. When there is no room for those of a run they
// begin anew: the grids of one run have room, being different and of no more patches than the run has
// rows.
#pragma once

#include <span>
#include <vector>

#include "runtime/base/arena.hpp"
#include "runtime/execute/rotation_table.hpp"
#include "runtime/program/image.hpp"

namespace tessera {

struct RotationLayout;

class Rotations {
 public:
  /// All must outlive it.
  Rotations(const Program& program, const RotationLayout& layout, const Arena& arena);

  std::span<const execute::RotationTable> tables() const noexcept { return tables_; }
  /// Rows of the first `positions` positions.
  void fill(Index positions) noexcept;
  /// Rows of the grids of `images`, into `positions` the row of each patch. Nothing where no rotation is
  /// one on grids.
  std::span<const std::int32_t> fill(std::span<const Image> images,
                                     std::span<std::int32_t> positions) noexcept;
  /// After the arena was released.
  void forget() noexcept;

  /// A grid, and the row of its first patch.
  struct Place {
    Grid grid;
    Index first;
  };

 private:
  float* row(std::size_t rotation, Index i) const noexcept;
  Index first_row(Grid grid) noexcept;
  bool place(std::span<const Image> images, std::span<std::int32_t> positions) noexcept;

  const Program& program_;
  const RotationLayout& layout_;
  const Arena& arena_;
  std::vector<execute::RotationTable> tables_;  // one per Program::rotations
  std::size_t places_ = 0;                      // in the arena
  Index placed_rows_ = 0;
};

/// Bytes in the arena.
struct RotationLayout {
  std::vector<std::size_t> tables{};  ///< of each rotation
  Index rows = 0;                     ///< of each table
  std::size_t places = 0;             ///< Rotations::Place
  std::size_t most_places = 0;        ///< 0: no rotation is one on grids
};

}  // namespace tessera
