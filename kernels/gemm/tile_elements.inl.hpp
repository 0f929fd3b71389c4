// SPDX-License-Identifier: Apache-2.0
//
// What the tiles of a matrix unit hold, and what becomes of their sums: the part of
// tile_ukernel.inl.hpp that differs from one precision to the next. A row of a tile has 64 bytes, so
// that a product is 64/kBytes deep; everything that is counted in bytes is the same for all.
//
//   kBytes, kDepth, kIsInteger   of an element of A and B; k of a product; of_integers
//   kColumns, kPackPanel         of a panel, tiles of 16 columns; how one is packed
//   kOnes                        a word of ones
//   multiply<Unit, c, a, b>()    C += A B
//   start_of(t, j)               where the sums of column j begin if nothing was summed; null: at 0
//   is_last(t)                   whether more is done than to store the sums
//   finish(t, x, …)              rows [i0, i1) of the result of columns [j0, j0+nr); x (mr,nr) their sums
#pragma once

#include "kernels/gemm/epilogue.inl.hpp"
#include "kernels/gemm/pack_bf16.inl.hpp"
#include "kernels/gemm/pack_s8.inl.hpp"
#include "kernels/gemm/tile_unit.inl.hpp"

namespace tessera::kernels {
namespace {

inline constexpr Index kTileColumns = 32;  // of a panel that is packed so

template <class A>
struct Bf16Tiles {
  static constexpr Index kBytes = 2, kDepth = kTileBytes / kBytes, kColumns = kTileColumns;
  static constexpr bool kIsInteger = false;
  static constexpr std::uint32_t kOnes = 0x3F803F80;
  static constexpr PackPanel kPackPanel = pack_panel_bf16<A, kTileColumns, kDepth, 16>;

  template <class Unit, int c, int a, int b>
  static TESSERA_INLINE void multiply() noexcept {
    Unit::template multiply<c, a, b>();
  }
  static TESSERA_INLINE const float* start_of(const GemmTile& t, Index j) noexcept {
    return t.bias == nullptr ? nullptr : t.bias + j;
  }
  static TESSERA_INLINE bool is_last(const GemmTile& t) noexcept {
    return t.activation != Activation::none || t.residual != nullptr || t.narrow != nullptr;
  }
  static TESSERA_INLINE void finish(const GemmTile& t, const float* x, Index ldx, Index j0,
                                    Index nr, Index i0, Index i1) noexcept {
    finish_rows<A>(t, x, ldx, j0, nr, i0, i1);
  }
};

/// Both factors have signs: sums begin at 0, and the head's first sums are zeros that nobody reads.
template <class A, Index NR = kTileColumns>
struct S8Tiles {
  static constexpr Index kBytes = 1, kDepth = kTileBytes / kBytes, kColumns = NR;
  static constexpr bool kIsInteger = true;
  static constexpr std::uint32_t kOnes = 0x01010101;
  static constexpr PackPanel kPackPanel = pack_panel_s8<A, NR, kDepth, 0, 16>;

  template <class Unit, int c, int a, int b>
  static TESSERA_INLINE void multiply() noexcept {
    Unit::template multiply_s8<c, a, b>();
  }
  static TESSERA_INLINE const float* start_of(const GemmTile&, Index) noexcept { return nullptr; }
  static TESSERA_INLINE bool is_last(const GemmTile& t) noexcept { return t.row_scales != nullptr; }
  static TESSERA_INLINE void finish(const GemmTile& t, const float* x, Index ldx, Index j0,
                                    Index nr, Index i0, Index i1) noexcept {
    finish_integers<A, NR>(t, x, ldx, j0, nr, i0, i1);
  }
};

}  // namespace
}  // namespace tessera::kernels
