// SPDX-License-Identifier: Apache-2.0
//
// Ops in the tiles of a linear: those right behind it that need no more of a row than a few panels of the
// product. They run on each tile of rows as soon as these panels are multiplied, while the products are
// in L1 or L2, instead of passing over the whole value afterwards:
//
//   for each group of panels: for each tile of rows:   C = A · B of the group;   ops on C
//
//   rotate   the panels of whole heads are a group; others than those of Q and K stay as they are
//   gated    a panel of the left half and the one of the right half
//   narrow   to bf16, behind one of these
//
// Values between the ops, and the product where it is not the last op's value in its place (`apart`), are
// never in the arena: a block of rows of one group is in the worker's scratch. Bits are those of the ops
// one after another: each computes the same numbers from the same numbers.
#pragma once

#include <cstddef>

#include "runtime/plan/gemm_traffic.hpp"
#include "runtime/program/program.hpp"

namespace tessera {

/// A turn or a gate, and the rounding behind it.
inline constexpr Index kMostTileOps = 2;

/// Most rows of a block of a linear whose products have no place but the scratch (TileGroup::apart), where a tile
/// of rows does not go through all panels. So much room there is, whatever the numbers of blocks: the memory of a
/// session rises with its rows.
inline constexpr Index kApartRows = 128;

/// How many ops behind linear `i` may run in its tiles; 0 where there are none. Of a level's register
/// tiles: heads and halves are whole panels.
Index tile_ops_behind(const Program& program, std::size_t i, const PerPrecision<TileShape>& tile);

/// What linear `i` with `ops` ops in its tiles computes of a tile of rows at a time.
struct TileGroup {
  Index panels = 1;    ///< of NR columns of the product
  bool pairs = false;  ///< one of the left half, one of the right half; else neighbours
  bool apart = false;  ///< the product has no place but the scratch
  Index half = 0;      ///< panels of a half

  /// The panel at position `p` of the order in which they are computed.
  constexpr Index panel_at(Index p) const noexcept {
    return !pairs ? p : p % 2 == 0 ? p / 2 : half + p / 2;
  }
};
TileGroup tile_group(const Program& program, std::size_t i, Index ops, Index NR) noexcept;

/// The i-th of n pieces of the positions [0, panels): whole groups.
constexpr Range piece_of_groups(Index panels, Index group, Index i, Index n) noexcept {
  const Range groups = piece({0, ceil_div(panels, group)}, i, n);
  const auto end_at = [&](Index g) { return g * group < panels ? g * group : panels; };
  return {end_at(groups.begin), end_at(groups.end)};
}

/// The value that linear `i` writes, with `ops` ops in its tiles.
inline ValueId written_by(const Program& program, std::size_t i, Index ops) noexcept {
  return output_of(program.ops[i + static_cast<std::size_t>(ops)]);
}

}  // namespace tessera
