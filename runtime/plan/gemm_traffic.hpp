// SPDX-License-Identifier: Apache-2.0
//
// External memory access of one linear: the bytes that move between a cache of Z bytes and the
// level behind it, for a loop nest of runtime/plan/loop_nest.hpp. One rule for every order and
// every level:
//
//   bytes(X) = |X| · Π trips(ℓ)   over the loops ℓ that do not index X and do not keep it
//
// Loop ℓ keeps X from one iteration to the next iff what is used between two uses of an element of X
// fits (a cache that evicts the least recently used line). Loops that do not index X follow each other as
// one; let body be that of the last of them, and ℓ' the loop inside it, which goes through X:
//
//   F'(ℓ) = Σ_Y bytes of Y in one body · t(Y)  ≤  Z
//
//   t(Y) = 1               the same block of Y in both iterations
//          1 + 1/trips(ℓ')  another block that ℓ' goes through in step with X: of the old one what is left,
//                           of the next one what was before, and the piece where they meet
//          2                another block, all of which is used between: the old and the next one
//
// A plan wants more room than that for the operand that an order is named after: two blocks of all that
// streams (stationary_bytes), in ¾ of the cache. What follows for each order is in docs/DATAFLOW.md, "The
// byte model" and "Loop orders".
//
// In elements |A| = MK, |B| = K·N rounded up to whole panels, |C| = MN; each times the bytes of its
// element (TileShape::bytes). C is written once per pass over K, and each pass reads it first: the
// later ones to add, the first because a store allocates its line. So c = 2·MN·passes. A is not
// packed at run time, B is packed at load: neither adds bytes. A residual adds MN, a layer norm adds
// 2·MN where the rows do not stay.
#pragma once

#include "kernels/gemm/gemm.hpp"
#include "runtime/plan/loop_nest.hpp"

namespace tessera {

/// Bytes of an element of each operand of C = A·B.
struct ElementBytes {
  double a = 4, b = 4, c = 4;
};

/// The register tile of a family of micro-kernels, and the bytes of what it multiplies.
struct TileShape {
  Index MR = 0, NR = 0, KR = 1;
  ElementBytes bytes{};
  bool is_unit = false;  ///< of a matrix unit: rows are taken MR at a time, time is unit_time()
  /// A call looks its panels of ternary weights up, which takes as long as products of so many rows.
  Index lookup_rows = 0;
};

/// Measured on Zen 4 (bench_t_sar, 768 x 768, times of 16 to 128 rows): 2.6 at avx2, 3.3 at avx512_vnni.
inline constexpr Index kLookupRows = 3;
/// 7 cycles, 16 rows take 3 (kernels/gemm/ternary_tiles.inl.hpp: counted, not measured).
inline constexpr Index kLookupRowsOfUnit = 37;

inline TileShape tile_shape(const kernels::Gemm& gemm) noexcept {
  const auto bytes = [](Index bits) { return static_cast<double>(bits) / 8; };
  const double of_b = bytes(gemm.bits.b) / static_cast<double>(gemm.bits.b_elements);
  return {.MR = gemm.MR,
          .NR = gemm.NR,
          .KR = gemm.KR,
          .bytes = {bytes(gemm.bits.a), of_b, bytes(gemm.bits.c)},
          .is_unit = gemm.enter != nullptr,
          .lookup_rows = gemm.bits.b_elements == 1 ? 0
                         : gemm.enter == nullptr   ? kLookupRows
                                                   : kLookupRowsOfUnit};
}

struct GemmTraffic {
  double a = 0, b = 0, c = 0;  ///< bytes
  double bytes() const noexcept { return a + b + c; }
};

/// `threads` share the blocks, each with a cache of Z bytes of its own; pass 1 for a cache that they
/// share. An operand that one thread would keep across blocks is then read once by each.
GemmTraffic gemm_traffic(const LinearShape& shape, const LoopNest& nest, TileShape tile, double Z,
                         int threads = 1) noexcept;

/// Of the outermost block loop whose operand the order is named after: what must fit in Z for the
/// stationary block to stay, with two blocks of all that streams past it.
double stationary_bytes(const LinearShape& shape, const LoopNest& nest, TileShape tile) noexcept;

/// No order moves fewer bytes: each operand once, or e·2MNK/√(Z/e), e the smallest element (a cache of
/// Z bytes holds at most Z/e elements, and each costs at least e; Hong & Kung 1981; Smith et al.
/// 2017). The larger of the two.
double gemm_bound(const LinearShape& shape, const ElementBytes& bytes, double Z) noexcept;

/// The textbook orders with the same buffer, one t×t tile of each matrix resident, t = √(Z/Σ bytes)
/// (docs/DATAFLOW.md, "Loop orders"; write-allocate counted as above); naive keeps nothing.
struct ClassicalTraffic {
  double naive, is, ws, os;  ///< bytes
};
ClassicalTraffic classical_traffic(const LinearShape& shape, const ElementBytes& bytes,
                                   double Z) noexcept;

}  // namespace tessera
