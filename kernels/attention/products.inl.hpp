// SPDX-License-Identifier: Apache-2.0
//
// The two products of attention as register tiles of MR x NV vectors.
//
//   scores   Sᵀ (bc,br) = init + K Qᵀ       broadcast K[j,k], vectors of queries   chain over k
//   values   O  (br,d)  = (α O + P V)·w     broadcast P[i,j], vectors of V[j,:]    chain over j
//
// Pᵀ is stored key by key, which is what the second product broadcasts from: contiguous over the
// rows of its tile.
//
// k and j count words of 32 bits: one f32 element, or two of bf16; what is done with them is `E`
// (gemm/elements.inl.hpp). Rows of K are words as they lie, and so are rows of V in f32; in bf16 two of
// them are woven (value_words.inl.hpp).
//
//   AVX-512  14x2: 28 accumulators + 2 vectors + 1 broadcast of 32 zmm; 16 loads for 28 FMAs
//   AVX2      6x2: 12 + 2 + 1 of 16 ymm; 8 loads for 12 FMAs
//   SSE       4x2: 8 + 2 + 1 + 1 product of 16 xmm
#pragma once

#include "kernels/attention/layout.hpp"
#include "kernels/gemm/elements.inl.hpp"
#include "kernels/simd/math.inl.hpp"
#include "kernels/simd/math_bf16.inl.hpp"
#include "kernels/simd/simd.inl.hpp"

namespace tessera::kernels {
namespace {

template <class A>
inline constexpr int kTileRows = tile_rows(kLanes<A>);

/// body.template operator()<m>() with m = rows, 1 ≤ rows ≤ most.
template <int most, class Body>
TESSERA_INLINE void with_rows(Index rows, Body&& body) noexcept {
  if (rows == most) {
    body.template operator()<most>();
  } else if constexpr (most > 1) {
    with_rows<most - 1>(rows, body);
  }
}

/// 2ˣ: of E's price, where the result is rounded to it.
template <class A, class E>
TESSERA_INLINE F32<A> exp2_of(F32<A> x) noexcept {
  if constexpr (E::kKR == 1) {
    return exp2<A>(x);
  } else {
    return exp2_for_bf16<A>(x);
  }
}

/// Cuts n keys into groups of at most a register tile, whole words each but for the last.
template <class A, class E, class Body>
TESSERA_INLINE void for_each_group_of_keys(Index n, Body&& body) noexcept {
  constexpr Index KR = E::kKR;
  for_each_group((n + KR - 1) / KR,
                 kTileRows<A> / KR, [&](Index word, Index words) __attribute__((always_inline)) {
                   body(word * KR, min_of(words * KR, n - word * KR));
                 });
}

/// What becomes of the scores of a register tile.
///   store   S goes to memory, its maximum over the keys into `top`
///   first   m = max over these keys, P = 2^(S − m): the reference of all later tiles
///   fused   P = 2^S, the accumulators having started from −m
/// P goes to memory from the registers, as words of E (value_words.inl.hpp), its sum over the keys into `sum`.
enum class Finish { store, first, fused };

struct Scores {    // strides and d in words
  const float* k;  // (keys, d), row stride ldk: bc rows are used, those after them prefetched
  Index ldk;
  const float* v;  // (keys, d), row stride ldv: prefetched
  Index ldv;
  Index keys;
  bool prefetch;
  const float* qt;  // (d, ld)
  Index ld;
  const float* init;  // (bc, ·), row stride ldi; null: 0
  Index ldi;
  float* st;  // (bc, ·), row stride lds
  Index lds;
  float* m;    // (ld) reference of the exponents
  float* top;  // (ld) Finish::store
  float* sum;  // (ld)
  Index d;
  float c;  // scale·log₂e: of scores, if E scales them; else Q' has it
};

/// Prefetches rows of K and V while a tile is multiplied, a few with every four steps of d. The
/// rows lie a whole activation row apart, each in a page of its own, where no hardware prefetcher
/// follows; prefetching them in one burst would fill all miss buffers at once.
struct RowsAhead {
  const char* k;  // next row of K to prefetch, into L1
  const char* v;  // next row of V, into L2
  Index left;     // rows still to prefetch
  Index per_turn;
  Index ldk, ldv, row;  // bytes

  RowsAhead(const Scores& t, Index j0, Index mr) noexcept
      : k{reinterpret_cast<const char*>(t.k + (j0 + mr) * t.ldk)},
        v{reinterpret_cast<const char*>(t.v + j0 * t.ldv)},
        left{min_of(mr, t.keys - j0 - mr)},
        per_turn{t.d >= 56   ? 1
                 : t.d >= 28 ? 2
                             : 4},
        ldk{t.ldk * 4},
        ldv{t.ldv * 4},
        row{t.d * 4} {}

  TESSERA_INLINE void turn() noexcept {
    for (Index r = per_turn; r > 0 && left > 0; --r, --left) {
      for (Index line = 0; line < row; line += 64) {
        _mm_prefetch(k + line, _MM_HINT_T0);
        _mm_prefetch(v + line, _MM_HINT_T1);
      }
      k += ldk;
      v += ldv;
    }
  }
};

/// Keys [j0, j0+mr) and the NV vectors of queries from i0.
template <class A, class E, int mr, int NV, Finish finish>
__attribute__((noinline)) void scores_tile(const Scores& t, Index j0, Index i0) noexcept {
  constexpr Index V = kLanes<A>;
  const Index d = t.d, ld = t.ld, ldk = t.ldk;  // copies: stores into Sᵀ could change t
  Tile<A, mr, NV> c;                            // (mr, NV·V)
  // init − m: where the sums begin, or what is added to them once they are scaled.
  const auto for_each_start = [&](auto&& body) __attribute__((always_inline)) {
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) {
      F32<A> start = splat<A>(0.0F);
      if constexpr (finish == Finish::fused) start = start - load<A>(t.m + i0 + v * V);  // −m
      if (t.init == nullptr) {
#pragma GCC unroll 16
        for (int j = 0; j < mr; ++j) body(c[j][v], start);
      } else {
        const float* init = t.init + j0 * t.ldi + i0 + v * V;
#pragma GCC unroll 16
        for (int j = 0; j < mr; ++j) body(c[j][v], start + load<A>(init + j * t.ldi));
      }
    }
  };
  if constexpr (E::kScalesScores) {
#pragma GCC unroll 16
    for (auto& row : c) {
#pragma GCC unroll 4
      for (auto& x : row) x = splat<A>(0.0F);
    }
  } else {
    for_each_start([](F32<A> & x, F32<A> start) __attribute__((always_inline)) { x = start; });
  }
  // One pointer per three rows, as in gemm/ukernel.inl.hpp: more would be kept in vector
  // registers and take issue slots of the multiplications.
  constexpr int kGroup = 3, kGroups = (mr + kGroup - 1) / kGroup;
  const float* k[static_cast<std::size_t>(kGroups)];
#pragma GCC unroll 16
  for (int g = 0; g < kGroups; ++g) k[g] = t.k + (j0 + g * kGroup) * ldk;  // (mr, d)
  const float* q = t.qt + i0;                                              // (d, NV·V)
  // once per group of keys; narrower tiles have no issue slots to spare
  RowsAhead ahead(t, j0, mr);
  if (!t.prefetch || NV < kTileVectors || i0 > 0) ahead.left = 0;
  const auto step = [&](Index n) __attribute__((always_inline)) {
    typename E::Factor b[static_cast<std::size_t>(NV)];
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) b[v] = E::factor_of(load<A>(q + n * ld + v * V));
#pragma GCC unroll 16
    for (int j = 0; j < mr; ++j) {
      const typename E::Factor a = E::splat(k[j / kGroup][j % kGroup * ldk + n]);
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) c[j][v] = E::mul_add(a, b[v], c[j][v]);
    }
  };
  const auto advance = [&](Index n) __attribute__((always_inline)) {
#pragma GCC unroll 8
    for (int g = 0; g < kGroups; ++g) {
      k[g] += n;
      asm("" : "+r"(k[g]));
    }
    q += n * ld;
    asm("" : "+r"(q));
  };
  // Four steps a turn: the end of a loop of 64 turns is often guessed wrong, and then nothing of
  // the next tile overlaps with the exponentials of this one.
  Index n = 0;
  for (; n + 4 <= d; n += 4) {
    asm("" : "+r"(ahead.left));  // tested in a general register: a mask would take an issue slot
    if (ahead.left > 0) ahead.turn();
    step(0);
    step(1);
    step(2);
    step(3);
    advance(4);
  }
  for (; n < d; ++n) {
    step(0);
    advance(1);
  }
  if constexpr (E::kScalesScores) {
    const F32<A> scale = splat<A>(t.c);
    for_each_start([&](F32<A> & x, F32<A> start)
                       __attribute__((always_inline)) { x = mul_add<A>(scale, x, start); });
  }
  float* const m_at = t.m;  // copies: a store into Pᵀ could change t
  float* const sum_at = t.sum;
  const Index lds = t.lds;
#pragma GCC unroll 4
  for (int v = 0; v < NV; ++v) {
    const Index i = i0 + v * V;
    float* st = t.st + (finish == Finish::store ? j0 : j0 / E::kKR) * lds + i;
    F32<A> m = splat<A>(0.0F);
    if constexpr (finish != Finish::fused) {
      float* top = finish == Finish::first ? m_at + i : t.top + i;
      F32<A> even = load<A>(top);  // two chains; a NaN is ignored: its exp shows it
      F32<A> odd = even;
#pragma GCC unroll 16
      for (int j = 0; j < mr; ++j) {
        F32<A>& max = j % 2 == 0 ? even : odd;
        max = vmax<A>(c[j][v], max);
      }
      m = vmax<A>(even, odd);
      store<A>(top, m);
    }
    if constexpr (finish == Finish::store) {
#pragma GCC unroll 16
      for (int j = 0; j < mr; ++j) store<A>(st + j * lds, c[j][v]);
    } else {
      F32<A> sum = load<A>(sum_at + i);
#pragma GCC unroll 16
      for (int j = 0; j < mr; ++j) {
        const F32<A> p = finish == Finish::first ? exp2_of<A, E>(c[j][v] - m)
                                                 : exp2_of<A, E>(at_most_128<A>(c[j][v]));
        sum = sum + p;
        if constexpr (E::kKR == 1) {
          store<A>(st + j * lds, p);
        } else {
          c[j][v] = p;
          const F32<A> none = splat<A>(0.0F);
          if (j % 2 == 1) store<A>(st + j / 2 * lds, E::pair(c[j - 1][v], p));
          if (j % 2 == 0 && j == mr - 1) store<A>(st + j / 2 * lds, E::pair(p, none));
        }
      }
      store<A>(sum_at + i, sum);
    }
  }
}

/// Keys [j0, j0+rows) against the vectors of queries [i0, i1).
template <class A, class E, Finish finish>
void scores_rows(const Scores& t, Index j0, Index rows, Index i0, Index i1) noexcept {
  constexpr Index V = kLanes<A>;
  with_rows<kTileRows<A>>(
      rows, [&]<int mr>() __attribute__((always_inline)) {
        for (; i0 + 2 * V <= i1; i0 += 2 * V) scores_tile<A, E, mr, 2, finish>(t, j0, i0);
        if (i0 < i1) scores_tile<A, E, mr, 1, finish>(t, j0, i0);
      });
}

/// What O starts from: 0, what is there, or α times what is there.
enum class Start { zero, kept, scaled };

struct Values {
  const float* pt;  // (bc, ld) words
  const float* v;   // (bc, d) words, row stride ldv
  Index ldv;
  float* o;  // (Tq, d), row stride ldo
  Index ldo;
  Start start;
  const float* alpha;  // (Tq), Start::scaled
  const float* w;      // (Tq); null: 1
  Index ld;
};

/// Rows [i0, i0+mr) and NV vectors of columns from n0, the last with `lanes` lanes (all, unless
/// `tail`).
template <class A, class E, int mr, int NV, bool tail>
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
    const float alpha = t.start == Start::scaled ? t.alpha[i0 + i] : 1.0F;
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) {
      c[i][v] = splat<A>(0.0F);
      if (t.start != Start::zero) {
        c[i][v] = splat<A>(alpha) * load_n<A>(o + i * t.ldo + v * V, at(v));  // α O; 1·O is exact
      }
    }
  }
  const float* p = t.pt + i0;   // (bc, mr)
  const float* row = t.v + n0;  // (bc, NV·V)
  for (Index j = 0; j < bc; ++j, p += t.ld, row += t.ldv) {
    typename E::Factor b[static_cast<std::size_t>(NV)];
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) b[v] = E::factor_of(load_n<A>(row + v * V, at(v)));
#pragma GCC unroll 16
    for (int i = 0; i < mr; ++i) {
      const typename E::Factor a = E::splat(p[i]);
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) c[i][v] = E::mul_add(a, b[v], c[i][v]);  // + P V
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < mr; ++i) {
    const F32<A> w = splat<A>(t.w == nullptr ? 1.0F : t.w[i0 + i]);
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) store_n<A>(o + i * t.ldo + v * V, at(v), c[i][v] * w);
  }
}

/// Rows [i_begin, i_end) and d columns of O.
template <class A, class E>
void values(const Values& t, Index bc, Index i_begin, Index i_end, Index d) noexcept {
  constexpr Index V = kLanes<A>;
  for (Index n0 = 0; n0 < d; n0 += 2 * V) {
    const Index columns = min_of(2 * V, d - n0);
    const Index lanes = columns > V ? columns - V : columns;  // of the last vector
    for_each_group(
        i_end - i_begin, kTileRows<A>, [&](Index i, Index rows) __attribute__((always_inline)) {
          const Index i0 = i_begin + i;
          with_rows<kTileRows<A>>(
              rows, [&]<int mr>() __attribute__((always_inline)) {
                if (columns == 2 * V) return values_tile<A, E, mr, 2, false>(t, bc, i0, n0, V);
                if (columns > V) return values_tile<A, E, mr, 2, true>(t, bc, i0, n0, lanes);
                if (columns == V) return values_tile<A, E, mr, 1, false>(t, bc, i0, n0, V);
                values_tile<A, E, mr, 1, true>(t, bc, i0, n0, lanes);
              });
        });
  }
}

}  // namespace
}  // namespace tessera::kernels
