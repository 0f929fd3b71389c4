// SPDX-License-Identifier: Apache-2.0
//
// External memory access of one linear: the words that move between a cache of Z words and the
// level behind it, for a loop nest of runtime/plan/loop_nest.hpp. One rule for every order and
// every level:
//
//   words(X) = |X| · Π trips(ℓ)   over the loops ℓ that do not index X and do not keep it
//
// Loop ℓ keeps X from one iteration to the next iff (for the innermost of several loops in a row
// that do not index X, since their iterations follow each other as those of one loop)
//
//   F'(ℓ) = Σ_Y words of Y in one body of ℓ · (2 if ℓ indexes Y, else 1)  ≤  Z
//
// which is what a cache that evicts the least recently used word sees between two uses of a word of
// X: one block of each operand that stays, and two of each that streams (the rest of this body's,
// the start of the next one's). An ideal buffer would need one tile of a streamed operand. What
// follows for each order is in docs/DATAFLOW.md, "The byte model" and "Loop orders".
//
// |A| = MK, |B| = K·N rounded up to whole panels, |C| = MN. C is written once per pass over K, and
// each pass reads it first: the later ones to add, the first because a store allocates its line. So
// c = 2·MN·passes. A is not packed at run time, B is packed at load: neither adds words. A residual
// adds MN, a layer norm adds 2·MN where the rows do not stay.
#pragma once

#include "runtime/plan/loop_nest.hpp"

namespace tessera {

/// The register tile of a micro-kernel.
struct TileShape {
  Index MR, NR;
};

struct GemmTraffic {
  double a = 0, b = 0, c = 0;  ///< words
  double words() const noexcept { return a + b + c; }
};

/// `threads` share the blocks, each with a cache of Z of its own; pass 1 for a cache that they
/// share. An operand that one thread would keep across blocks is then read once by each.
GemmTraffic gemm_traffic(const LinearShape& shape, const LoopNest& nest, TileShape tile, double Z,
                         int threads = 1) noexcept;

/// F' of the outermost block loop whose operand the order is named after: what must fit in Z for
/// the stationary block to stay.
double stationary_words(const LinearShape& shape, const LoopNest& nest, TileShape tile) noexcept;

/// max(MK + KN + MN, 2MNK/√Z): no order moves fewer words (Hong & Kung 1981; Smith et al. 2017).
double gemm_bound(const LinearShape& shape, double Z) noexcept;

/// The textbook orders with the same buffer, one t×t tile of each matrix resident, t = √(Z/3)
/// (docs/DATAFLOW.md, "Loop orders"; write-allocate counted as above); naive keeps nothing.
struct ClassicalTraffic {
  double naive, is, ws, os;  ///< words
};
ClassicalTraffic classical_traffic(const LinearShape& shape, double Z) noexcept;

}  // namespace tessera
