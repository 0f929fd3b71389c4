// SPDX-License-Identifier: Apache-2.0
//
// The two products of attention as register tiles of MR x NV vectors.
//
//   scores   Sᵀ (bc,br) = init + K Qᵀ       broadcast K[j,k], vectors of queries       one chain
//   over k values   O  (br,d)  = (α O + P V)·w     broadcast P[i,j], vectors of V[j,:]        one
//   chain over j
//
// With Sᵀ stored key by key, exp turns it in place into Pᵀ, which is what the second product
// broadcasts from: contiguous over the rows of its tile. Neither K nor V is packed.
//
//   AVX-512  14x2: 28 accumulators + 2 vectors + 1 broadcast of 32 zmm; 16 loads for 28 FMAs
//   AVX2      6x2: 12 + 2 + 1 of 16 ymm; 8 loads for 12 FMAs
//   SSE       4x2: 8 + 2 + 1 + 1 product of 16 xmm
#pragma once

#include "kernels/simd.inl.hpp"

namespace tessera::kernels {
namespace {

template <class A>
inline constexpr int kTileRows = kIsAvx512<A> ? 14
                                 : kIsAvx2<A> ? 6
                                              : 4;
inline constexpr int kTileVectors = 2;

/// body.template operator()<m>() with m = rows, 1 ≤ rows ≤ most.
template <int most, class Body>
TESSERA_INLINE void with_rows(Index rows, Body&& body) noexcept {
  if (rows == most) {
    body.template operator()<most>();
  } else if constexpr (most > 1) {
    with_rows<most - 1>(rows, body);
  }
}

/// Cuts n rows into ⌈n/most⌉ groups of nearly equal size (a last group of 1 or 2 rows would leave
/// the FMA pipes half empty) and calls body(first, rows).
template <class Body>
TESSERA_INLINE void for_each_group(Index n, Index most, Body&& body) noexcept {
  const Index groups = (n + most - 1) / most;
  for (Index g = 0, i = 0; g < groups; ++g) {
    const Index rows = (n - i + groups - g - 1) / (groups - g);
    body(i, rows);
    i += rows;
  }
}

struct Scores {
  const float* k;  // (keys, d), row stride ldk: bc rows are used, those after them prefetched
  Index ldk;
  const float* v;  // (keys, d), row stride ldv: prefetched
  Index ldv;
  Index keys;
  bool prefetch;
  const float* qt;    // (d, ld)
  const float* init;  // (bc, ld), row stride ldi; null: 0
  Index ldi;
  float* st;        // (bc, ld)
  float* tile_max;  // (ld)
  Index d, ld;
};

/// A slow walk over 16 rows of d elements, one cache line per step n = 0 … d−1: row n mod 16,
/// columns from n − n mod 16. Rows of K and V lie a whole activation row apart, each in a page of
/// its own, where no hardware prefetcher follows; asking for them in one burst would fill all miss
/// buffers at once.
struct LineWalk {
  const float* p;  // (last + 1, d)
  Index ld, last;  // rows beyond `last` are not asked for

  TESSERA_INLINE const char* line(Index n) const noexcept {
    return reinterpret_cast<const char*>(p + min_of(n & 15, last) * ld + (n & ~Index{15}));
  }
};

/// Keys [j0, j0+mr) and the NV vectors of queries from i0: Sᵀ, and its maximum over the keys.
template <class A, int mr, int NV>
__attribute__((noinline)) void scores_tile(const Scores& t, Index j0, Index i0) noexcept {
  constexpr Index V = kLanes<A>;
  const Index d = t.d, ld = t.ld, ldk = t.ldk;  // copies: stores into Sᵀ could change t
  Tile<A, mr, NV> c;                            // (mr, NV·V)
#pragma GCC unroll 16
  for (int j = 0; j < mr; ++j) {
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) {
      c[j][v] =
          t.init == nullptr ? splat<A>(0.0F) : load<A>(t.init + (j0 + j) * t.ldi + i0 + v * V);
    }
  }
  const float* k = t.k + j0 * ldk;  // (mr, d)
  const float* q = t.qt + i0;       // (d, NV·V)
  // once per group of keys; narrower tiles have no issue slots to spare
  const bool fetch = t.prefetch && NV == kTileVectors && i0 == 0;
  const Index left = t.keys - j0;  // ≥ mr
  const LineWalk next_k{left > mr ? k + mr * ldk : k, ldk, min_of(max_of(left - mr, 1), 16) - 1};
  const LineWalk v_rows{t.v + j0 * t.ldv, t.ldv, min_of(left, 16) - 1};
  for (Index n = 0; n < d; ++n, q += ld) {
    if (fetch) {
      _mm_prefetch(next_k.line(n), _MM_HINT_T0);  // K of the next tile into L1
      _mm_prefetch(v_rows.line(n), _MM_HINT_T1);  // V of these keys into L2
    }
    Vectors<A, NV> b;
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) b[v] = load<A>(q + v * V);
#pragma GCC unroll 16
    for (int j = 0; j < mr; ++j) {
      const F32<A> a = splat<A>(k[j * ldk + n]);
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) c[j][v] = mul_add<A>(a, b[v], c[j][v]);
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < NV; ++v) {
    float* tile_max = t.tile_max + i0 + v * V;
    float* st = t.st + j0 * ld + i0 + v * V;
    F32<A> even = load<A>(tile_max);  // two chains; a NaN is passed over: its exp shows it
    F32<A> odd = even;
#pragma GCC unroll 16
    for (int j = 0; j < mr; ++j, st += ld) {
      F32<A>& max = j % 2 == 0 ? even : odd;
      max = vmax<A>(c[j][v], max);
      store<A>(st, c[j][v]);
    }
    store<A>(tile_max, vmax<A>(even, odd));
  }
}

/// Sᵀ of bc keys and `ld` queries.
template <class A>
void scores(const Scores& t, Index bc) noexcept {
  constexpr Index V = kLanes<A>;
  for_each_group(
      bc, kTileRows<A>, [&](Index j0, Index rows) __attribute__((always_inline)) {
        with_rows<kTileRows<A>>(
            rows, [&]<int mr>() __attribute__((always_inline)) {
              Index i0 = 0;
              for (; i0 + 2 * V <= t.ld; i0 += 2 * V) scores_tile<A, mr, 2>(t, j0, i0);
              if (i0 < t.ld) scores_tile<A, mr, 1>(t, j0, i0);
            });
      });
}

struct Values {
  const float* pt;  // (bc, ld)
  const float* v;   // (bc, d), row stride ldv
  Index ldv;
  float* o;  // (Tq, d), row stride ldo
  Index ldo;
  const float* alpha;  // (Tq); null: O starts from 0
  const float* w;      // (Tq); null: 1
  Index ld;
};

/// Rows [i0, i0+mr) and NV vectors of columns from n0, the last with `lanes` lanes (all, unless
/// `tail`).
template <class A, int mr, int NV, bool tail>
__attribute__((noinline)) void values_tile(const Values& t, Index bc, Index i0, Index n0,
                                           Index lanes) noexcept {
  constexpr Index V = kLanes<A>;
  const auto at = [&](int v) __attribute__((always_inline)) {
    return tail && v == NV - 1 ? lanes : V;
  };
  Tile<A, mr, NV> c;  // (mr, NV·V)
  float* o = t.o + i0 * t.ldo + n0;
#pragma GCC unroll 16
  for (int i = 0; i < mr; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) {
      c[i][v] = t.alpha == nullptr
                    ? splat<A>(0.0F)
                    : splat<A>(t.alpha[i0 + i]) * load_n<A>(o + i * t.ldo + v * V, at(v));  // α O
    }
  }
  const float* p = t.pt + i0;   // (bc, mr)
  const float* row = t.v + n0;  // (bc, NV·V)
  for (Index j = 0; j < bc; ++j, p += t.ld, row += t.ldv) {
    Vectors<A, NV> b;
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) b[v] = load_n<A>(row + v * V, at(v));
#pragma GCC unroll 16
    for (int i = 0; i < mr; ++i) {
      const F32<A> a = splat<A>(p[i]);
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) c[i][v] = mul_add<A>(a, b[v], c[i][v]);  // + P V
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < mr; ++i) {
    const F32<A> w = splat<A>(t.w == nullptr ? 1.0F : t.w[i0 + i]);
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) store_n<A>(o + i * t.ldo + v * V, at(v), c[i][v] * w);
  }
}

/// O of Tq rows and d columns.
template <class A>
void values(const Values& t, Index bc, Index Tq, Index d) noexcept {
  constexpr Index V = kLanes<A>;
  for (Index n0 = 0; n0 < d; n0 += 2 * V) {
    const Index columns = min_of(2 * V, d - n0);
    const Index lanes = columns > V ? columns - V : columns;  // of the last vector
    for_each_group(
        Tq, kTileRows<A>, [&](Index i0, Index rows) __attribute__((always_inline)) {
          with_rows<kTileRows<A>>(
              rows, [&]<int mr>() __attribute__((always_inline)) {
                if (columns == 2 * V) return values_tile<A, mr, 2, false>(t, bc, i0, n0, V);
                if (columns > V) return values_tile<A, mr, 2, true>(t, bc, i0, n0, lanes);
                if (columns == V) return values_tile<A, mr, 1, false>(t, bc, i0, n0, V);
                values_tile<A, mr, 1, true>(t, bc, i0, n0, lanes);
              });
        });
  }
}

}  // namespace
}  // namespace tessera::kernels
