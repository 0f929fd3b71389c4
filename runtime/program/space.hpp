// SPDX-License-Identifier: Apache-2.0
//
// A space is a named, ragged set of rows; every value has the rows of one. What is row-wise never
// looks at where a piece of it (a sequence, an image, a window) ends; attention and pooling do.
//
//   tokens      the rows of a batch, one sequence after another: the caller's offsets
//   constant    n rows for every piece of the parent: one row per sequence is n = 1
//   merged      n consecutive rows of a piece become one: ceil(T/n) rows of T
//   windows     the parent's rows, each piece cut into windows of at most n rows
//
// The rows of an image are a map of cells, row by row. Of such there are also
//
//   grid          n x n cells become one: a map of ceil(h/n) x ceil(w/n) cells of one of h x w
//   grid_windows  the map, with cells that stand for nothing at the right and below up to a multiple of
//                 n, cut into windows of n x n cells: a piece each, row by row of windows
//
// How many rows maps have when images are of other sizes than the native one depends on their sides,
// not on their cells alone: an arena has room for as many native images as its rows make, and a batch
// whose maps take more is refused before it runs (check_batch).
//
// The largest extent of a space follows from its rule alone, so the arena is computed beforehand; its
// cuts in a run follow from its parent's, row counts alone, and are derived before the first op.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/types.hpp"

namespace tessera {

using SpaceId = std::int32_t;             ///< index into Program::spaces
inline constexpr SpaceId kTokens = 0;     ///< every program has these two, first
inline constexpr SpaceId kSequences = 1;  ///< one row per sequence: constant(1) of the tokens

enum class RowRule : std::uint8_t { tokens, constant, merged, windows, grid, grid_windows };

/// Cells of a map.
struct Grid {
  Index rows = 0, cols = 0;

  Index cells() const noexcept { return rows * cols; }
  friend bool operator==(const Grid&, const Grid&) = default;
};

struct Space {
  std::string name;
  SpaceId parent = -1;  ///< an earlier one; −1: tokens
  RowRule rule = RowRule::tokens;
  Index n = 1;  ///< of the rule
  /// Of the tokens, where they are cells of images and nothing else: the native map.
  Grid native{};
  /// Of grid_windows: before it is cut, the map with the cells beyond it is rolled up and to the left by
  /// so many cells.                                         Liu et al. 2021 (Swin), §3.2
  Index shift = 0;
  bool rolls_small = true;  ///< also maps of which a side is no longer than n

  friend bool operator==(const Space&, const Space&) = default;
};

/// Tokens and sequences.
std::vector<Space> default_spaces();

/// Throws Error{internal} unless the first two are default_spaces(), a native map aside, and every other
/// one has an earlier parent, a rule of its own that fits it, and n ≥ 1.
void check_spaces(std::span<const Space> spaces);

struct Extents {
  Index rows = 0, pieces = 0;

  friend bool operator==(const Extents&, const Extents&) = default;
};

/// The most rows and pieces of every space for a batch of at most `rows` rows in at most
/// `sequences` ≤ `rows` sequences; exact for tokens, constants of exact ones. Throws
/// Error{invalid_argument} naming a space of 2^31 rows or more.
std::vector<Extents> most_extents(std::span<const Space> spaces, Index rows, Index sequences);

/// What one map becomes.
struct GridExtents {
  Grid grid{};  ///< RowRule::grid
  Index rows = 0, pieces = 0;
};
/// Precondition: rule grid or grid_windows.
GridExtents grid_extents(const Space& space, Grid parent) noexcept;
/// Whether windows of this space are of a rolled map. Precondition: rule grid_windows.
bool is_rolled(const Space& space, Grid parent) noexcept;

/// The map of a space that has them (has_maps), of an image whose tokens are these cells.
Grid map_of(std::span<const Space> spaces, SpaceId space, Grid tokens) noexcept;
/// Whether rows of this space are cells of maps: then its pieces are the images.
bool has_maps(std::span<const Space> spaces, SpaceId space) noexcept;
/// Rows and pieces of every space for one image whose tokens are these cells; of spaces without maps
/// none.
std::vector<Extents> extents_of_image(std::span<const Space> spaces, Grid tokens);

/// The place of a window in a rolled map: cells of its last columns or rows come from the other end of
/// the map.
enum class WindowPlace : std::uint8_t {
  inside = 0,
  last_column = 1,
  last_row = 2,
  last_of_both = 3
};
inline constexpr Index kWindowPlaces = 4;

/// Where the pieces of a space begin in a run.
struct Cuts {
  std::span<const std::int32_t>
      offsets{};  ///< (pieces+1): piece s is rows offsets[s] … offsets[s+1]−1
  Index rows = 0, pieces = 0;
  Index longest = 0;                      ///< most rows of one piece
  std::span<const Grid> grids{};          ///< (pieces) of a space that has maps
  std::span<const WindowPlace> places{};  ///< (pieces) of grid_windows
};

/// Cuts that the caller gave. Precondition: not empty.
Cuts cuts_of(std::span<const std::int32_t> offsets) noexcept;

/// What the cuts of a space are written to: of most_extents() pieces, and one offset more.
struct CutStorage {
  std::span<std::int32_t> offsets;
  std::span<Grid> grids{};          ///< of RowRule::grid
  std::span<WindowPlace> places{};  ///< of RowRule::grid_windows
};
/// The cuts of `space` from its parent's. Precondition: a rule other than tokens.
Cuts derive_cuts(const Space& space, const Cuts& parent, const CutStorage& storage) noexcept;

}  // namespace tessera
