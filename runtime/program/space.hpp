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

enum class RowRule : std::uint8_t { tokens, constant, merged, windows };

struct Space {
  std::string name;
  SpaceId parent = -1;  ///< an earlier one; −1: tokens
  RowRule rule = RowRule::tokens;
  Index n = 1;  ///< of the rule

  friend bool operator==(const Space&, const Space&) = default;
};

/// Tokens and sequences.
std::vector<Space> default_spaces();

/// Throws Error{internal} unless the first two are default_spaces() and every other one has an
/// earlier parent, a rule of its own, and n ≥ 1.
void check_spaces(std::span<const Space> spaces);

struct Extents {
  Index rows = 0, pieces = 0;

  friend bool operator==(const Extents&, const Extents&) = default;
};

/// The most rows and pieces of every space for a batch of at most `rows` rows in at most
/// `sequences` ≤ `rows` sequences; exact for tokens, constants of exact ones. Throws
/// Error{invalid_argument} naming a space of 2^31 rows or more.
std::vector<Extents> most_extents(std::span<const Space> spaces, Index rows, Index sequences);

/// Where the pieces of a space begin in a run.
struct Cuts {
  std::span<const std::int32_t>
      offsets{};  ///< (pieces+1): piece s is rows offsets[s] … offsets[s+1]−1
  Index rows = 0, pieces = 0;
  Index longest = 0;  ///< most rows of one piece
};

/// Cuts that the caller gave. Precondition: not empty.
Cuts cuts_of(std::span<const std::int32_t> offsets) noexcept;

/// The cuts of `space` from its parent's, written to `storage`, which holds most_extents() pieces
/// and one. Precondition: a rule other than tokens.
Cuts derive_cuts(const Space& space, const Cuts& parent, std::span<std::int32_t> storage) noexcept;

}  // namespace tessera
