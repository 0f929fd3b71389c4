// SPDX-License-Identifier: Apache-2.0
//
// The two products of attention on a matrix unit, for a strip of 16·R query rows:
//
//   scores   S (16R, 64) = Q Kᵀ       for k (32 at a time):    S[r][c] += Q[r][k] K[k][c]
//   values   O (16R, d) += P V        for keys (32 at a time): O[r][c] += P[r][j] V[j][c]
//
// 2 x 2 tiles of S or O in four registers, two of the left and two of the right operand in the others.
// `between` is called after every product: what it does runs beside them.
#pragma once

#include "kernels/attention/tiles_layout.hpp"
#include "kernels/gemm/tile_unit.inl.hpp"
#include "kernels/simd/base.inl.hpp"

namespace tessera::kernels {
namespace {

/// S of a strip against 32·pairs keys: q as pack_query_tiles, k as pack_key_tiles has them from the
/// first of these keys on; s (16R, 64) row-major.
template <class Unit, int R, class Between>
TESSERA_INLINE void score_tiles(const char* q, Index steps, const char* k, Index pairs, float* s,
                                Between&& between) noexcept {
  for (Index pair = 0; pair < pairs; ++pair) {
    Unit::template zero<0>();
    Unit::template zero<1>();
    if constexpr (R == 2) {
      Unit::template zero<2>();
      Unit::template zero<3>();
    }
    const char *a = q, *b = k;
    for (Index n = 0; n < steps; ++n) {
      Unit::template load<4>(a, 64);
      Unit::template load_once<6>(b, 64);
      Unit::template multiply<0, 4, 6>();
      between();
      Unit::template load_once<7>(b + steps * 1024, 64);
      Unit::template multiply<1, 4, 7>();
      between();
      if constexpr (R == 2) {
        Unit::template load<5>(a + 1024, 64);
        Unit::template multiply<2, 5, 6>();
        between();
        Unit::template multiply<3, 5, 7>();
        between();
      }
      a += 2048;
      b += 1024;
    }
    Unit::template store<0>(s, 256);
    Unit::template store<1>(s + 16, 256);
    if constexpr (R == 2) {
      Unit::template store<2>(s + 16 * 64, 256);
      Unit::template store<3>(s + 16 * 64 + 16, 256);
    }
    k += 2 * steps * 1024;
    s += 32;
  }
}

/// C columns of tiles of O of a strip from `tiles` groups of 32 keys. o (C, 4) tiles; v: a column's tile
/// of the first group, the next group `ldv` bytes on.
template <class Unit, int R, int C, class Between>
TESSERA_INLINE void value_tiles(const Probabilities& p, Index tiles, const char* v, Index ldv,
                                float* o, bool zero, Between&& between) noexcept {
  if (zero) {
    Unit::template zero<0>();
    if constexpr (R == 2) Unit::template zero<2>();
    if constexpr (C == 2) Unit::template zero<1>();
    if constexpr (R == 2 && C == 2) Unit::template zero<3>();
  } else {
    Unit::template load<0>(o, 64);
    if constexpr (R == 2) Unit::template load<2>(o + kTileWords, 64);
    if constexpr (C == 2) Unit::template load<1>(o + kColumnWords, 64);
    if constexpr (R == 2 && C == 2) Unit::template load<3>(o + kColumnWords + kTileWords, 64);
  }
  const char* a = p.at;
  Index step = p.tile;
  for (Index t = 0; t < tiles; ++t) {
    Unit::template load<4>(a, p.row);
    Unit::template load_once<6>(v, 64);
    Unit::template multiply<0, 4, 6>();
    between();
    if constexpr (C == 2) {
      Unit::template load_once<7>(v + 1024, 64);
      Unit::template multiply<1, 4, 7>();
      between();
    }
    if constexpr (R == 2) {
      Unit::template load<5>(a + 16 * p.row, p.row);
      Unit::template multiply<2, 5, 6>();
      between();
      if constexpr (C == 2) {
        Unit::template multiply<3, 5, 7>();
        between();
      }
    }
    v += ldv;
    a += step;
    step = p.unit - step;
  }
  Unit::template store<0>(o, 64);
  if constexpr (R == 2) Unit::template store<2>(o + kTileWords, 64);
  if constexpr (C == 2) Unit::template store<1>(o + kColumnWords, 64);
  if constexpr (R == 2 && C == 2) Unit::template store<3>(o + kColumnWords + kTileWords, 64);
}

}  // namespace
}  // namespace tessera::kernels
