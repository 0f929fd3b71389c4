// SPDX-License-Identifier: Apache-2.0
//
// GEMM micro-kernel: one register tile of C over the whole of kc.
//
//   C = act(init + A B) + residual       C (mr,nr) · A (mr,kc) row-major · B in panels (kc,NR)
//
//   for k, i, j:  c[i][j] = fma(a[i,k], b[k,j], c[i][j])          one chain per element, k in order
//
// k counts words of 32 bits: one f32 element, two of bf16, two or four whole numbers; what is done with
// them is `E` (elements.inl.hpp).
//
// A is not packed: each a[i,k] is one broadcast load, so k costs mr + NV loads for mr·NV FMAs, and
// rows of activations are read where they lie. (Rows whose stride is a large power of two collide
// in L1: use 16·odd.) The loop exists once per mr = 1 … MR, so few rows cost only what they need.
// The loop never sees nr: a ragged last panel goes through a tile on the stack. Of a last panel only the
// vectors that hold columns are multiplied.
//
// Few rows do not fill the FMA pipes: mr·NV chains against latency · ports = 4 · 2. So up to 4
// neighbouring panels are taken in one pass where nr > NR.
#pragma once

#include <array>
#include <utility>

#include "kernels/gemm/elements.inl.hpp"
#include "kernels/gemm/epilogue.inl.hpp"
#include "kernels/gemm/gemm.hpp"
#include "kernels/gemm/stream.inl.hpp"
#include "kernels/simd/simd.inl.hpp"

namespace tessera::kernels {
namespace {

/// An array bound: GCC 12 wants dependent bounds unsigned (-Wsign-conversion).
consteval std::size_t extent(Index n) noexcept {
  return static_cast<std::size_t>(n);
}

template <int mr>
inline constexpr bool kFar = mr >= 4;

/// Panels that are not in L2 are read one after another, and prefetched far, where few rows of whole numbers
/// wait for them: several at once are several streams, each of a part of the pace. Not of one row, which waits
/// longer for the sums of a panel than for its bytes.
template <class E, int mr>
inline constexpr bool kOneStream =
    E::kIsInteger&& E::kFused && !E::kDecodesRows && mr >= 2 && mr <= 4;

/// BWords of a panel of NR columns for one word of A.
template <class E>
consteval Index words_of_row(Index NR) noexcept {
  if constexpr (E::kDecodesRows) {
    return E::row_bytes(NR);
  } else {
    return NR;
  }
}

/// Panels of one pass: doubled until more than 8 = latency 4 · 2 FMA ports chains are in flight
/// (exactly 8 reach 84 % of peak, 12 reach 98 %), while the accumulators take at most ¾ of the
/// registers.
template <class A>
constexpr int panels_per_pass(int mr, int NV) noexcept {
  int P = 1;
  while (mr * NV * P < 10 && mr * NV * 2 * P <= kRegisters<A> * 3 / 4 && P < 4) P *= 2;
  return P;
}

/// Where the sums of column j, the first of a panel, begin if nothing was summed: bias, or what the head
/// of the panel has; null: at 0.
template <class E, Index NR>
TESSERA_INLINE const float* start_of(const GemmTile& t, Index j) noexcept {
  if constexpr (E::kIsInteger) {
    return reinterpret_cast<const float*>(static_cast<const char*>(t.heads) + j / NR * t.ldb) + NR;
  } else {
    return t.bias == nullptr ? nullptr : t.bias + j;
  }
}

/// Whether sums can become C where they are: the epilogue of whole numbers without an activation. A tile of
/// s8 has a quarter of the steps over K that one of f32 has, so that a way over the stack counts (6 % of
/// K = 768, 18 % of 256).
template <class E>
TESSERA_INLINE bool finishes_in_registers(const GemmTile& t) noexcept {
  if constexpr (E::kIsInteger && E::kFused) {
    return t.row_scales != nullptr && t.activation == Activation::none;
  } else {
    return false;
  }
}

inline constexpr std::size_t kMostLanes = 16;
alignas(64) inline constexpr std::array<float, kMostLanes> kMinusZeros = [] {
  std::array<float, kMostLanes> zeros{};
  zeros.fill(-0.0F);  // x + (-0) is x, whatever its sign is
  return zeros;
}();

/// C, or its narrow form, = f32(sum) · (row scale · column scale) + bias + residual, as finish_rows_as(): sums
/// c (mr, P·NR) of whole panels from column j0 on.
template <class A, int mr, int NV, int P, bool is_narrow>
TESSERA_INLINE void finish_sums(const GemmTile& t, Index j0,
                                const Register<A> (&c)[extent(mr)][extent(NV * P)]) noexcept {
  constexpr Index V = kLanes<A>, NR = NV * V;
  const Index ldr = t.residual == nullptr ? 0 : t.ldr, step = t.row_scale_step;
  const float* const row_scales = t.row_scales;
#pragma GCC unroll 16
  for (int v = 0; v < NV * P; ++v) {
    const Index j = j0 + v * V;
    const auto* scales =
        reinterpret_cast<const float*>(static_cast<const char*>(t.heads) + j / NR * t.ldb);
    const F32<A> scale = load<A>(scales + v % NV * V);
    const F32<A> bias = load<A>(t.bias == nullptr ? kMinusZeros.data() : t.bias + j);
    const float* const residual = t.residual == nullptr ? kMinusZeros.data() : t.residual + j;
#pragma GCC unroll 16
    for (int i = 0; i < mr; ++i) {
      F32<A> y = Words<A>::from_s32(F32<A>(c[i][v]));
      y = mul_add<A>(y, splat<A>(row_scales[i * step]) * scale, bias);
      y = y + load<A>(residual + i * ldr);
      if constexpr (is_narrow) {
        store_bf16_n<A>(t.narrow + i * t.ldn + j, V, y);
      } else {
        store<A>(t.c + i * t.ldc + j, y);
      }
    }
  }
}

/// y (mr, P·NR) = init + A (mr,kc) B for the P panels from column j0 on, or (P = 1) for the first W
/// vectors of their NV alone; init is x, or start_of() if x is null. y null: C is made of it at once
/// (finishes_in_registers()). `far`: whether anything is prefetched into L2. The loop exists with and without,
/// since even the test for it costs 4 % where B is in L2.
template <class A, class E, int mr, int NV, int P, bool far, int W = NV>
TESSERA_INLINE void full_tile(const GemmTile& t, Index j0, const float* x, Index ldx, float* y,
                              Index ldy) noexcept {
  constexpr Index V = kLanes<A>;
  constexpr Index NR = NV * V;
  static_assert(W == NV || P == 1);
  constexpr int NVP = W * P;
  Register<A> c[extent(mr)][extent(NVP)];  // (mr, P·NR)
  if (x != nullptr) {
#pragma GCC unroll 16
    for (int i = 0; i < mr; ++i) {
#pragma GCC unroll 16
      for (int v = 0; v < NVP; ++v) c[i][v] = load<A>(x + i * ldx + v * V);
    }
  } else {
#pragma GCC unroll 16
    for (int v = 0; v < NVP; ++v) {
      Register<A> init = splat<A>(0.0F);
      const float* start = start_of<E, NR>(t, j0 + v / NV * NR);
      if (start != nullptr) init = load<A>(start + v % NV * V);
#pragma GCC unroll 16
      for (int i = 0; i < mr; ++i) c[i][v] = init;
    }
  }

  // One pointer per three rows: [a], [a + lda], [a + 2·lda] are addressing modes, and 14 rows plus
  // B, P and the count fit in the 15 general registers.
  constexpr int kGroup = 3;
  constexpr int kGroups = (mr + kGroup - 1) / kGroup;
  constexpr Index KR = E::kKR;
  using BWord = typename E::BWord;
  constexpr Index kRow = words_of_row<E>(NR);                       // words of B for a word of A
  const Index lda = t.lda / KR;                                     // words
  const Index ldb = t.ldb / Index{sizeof(BWord)};                   // words
  const float* a[extent(kGroups)];                                  // rows 3g, 3g+1, 3g+2 of A
  const BWord* b = static_cast<const BWord*>(t.b) + j0 / NR * ldb;  // P panels (kc, NR)
#pragma GCC unroll 16
  for (int g = 0; g < kGroups; ++g) a[g] = static_cast<const float*>(t.a) + g * kGroup * lda;

  constexpr bool kNear = mr >= 2;
  constexpr Index kAhead =
      far && kOneStream<E, mr> ? 2 : 1;  // distances of prefetching (stream.inl.hpp)
  constexpr bool kFma = E::kFused;
  // a[i,k], and the product before it is added
  constexpr int kTemporaries = E::kRegisters + (kFma ? 0 : 1);
  constexpr bool kHoldB = mr > 1 && (mr + E::kRegisters) * NVP + kTemporaries <= kRegisters<A>;
  const auto step = [&](Index k, auto&& aik_of) __attribute__((always_inline)) {
    typename E::Factor bk[extent(NVP)];  // row k of the panels
    if constexpr (E::kDecodesRows) {
#pragma GCC unroll 4
      for (int p = 0; p < P; ++p) {
        const BWord* const row = b + p * ldb + k * kRow;
        E::template decode<W>(row, bk + p * W);
        if (kNear) _mm_prefetch(reinterpret_cast<const char*>(row) + kNearBytes, _MM_HINT_T0);
      }
#pragma GCC unroll 16
      for (int v = 0; v < NVP; ++v) E::hold(bk[v]);  // decoded once, whatever mr is
    } else {
#pragma GCC unroll 16
      for (int v = 0; v < NVP; ++v) {
        const BWord* bkv = b + v / NV * ldb + k * NR + v % NV * V;
        bk[v] = E::factor_of(E::load(bkv));
        if (kNear && v % NV * V * Index{sizeof(BWord)} % kLineBytes == 0) {
          _mm_prefetch(reinterpret_cast<const char*>(bkv) + kAhead * kNearBytes, _MM_HINT_T0);
        }
        if constexpr (kHoldB) E::hold(bk[v]);
      }
    }
#pragma GCC unroll 16
    for (int i = 0; i < mr; ++i) {
      const typename E::Factor aik = E::splat(aik_of(a[i / kGroup] + i % kGroup * lda + k));
#pragma GCC unroll 16
      for (int v = 0; v < NVP; ++v) c[i][v] = E::mul_add(aik, bk[v], c[i][v]);
      if constexpr (kFma) E::used(aik);
    }
    if constexpr (kHoldB && kFma) {
#pragma GCC unroll 16
      for (int v = 0; v < NVP; ++v) E::used(bk[v]);
    }
  };
  const auto advance = [&](Index n) __attribute__((always_inline)) {
#pragma GCC unroll 16
    for (int g = 0; g < kGroups; ++g) {
      a[g] += n;
      asm("" : "+r"(a[g]));  // or GCC makes one pointer per row, and spills them
    }
    b += n * kRow;
    asm("" : "+r"(b));
  };
  Stream stream{};
  const auto whole = [](const float* word) __attribute__((always_inline)) {
    return *word;
  };
  Index left = t.kc / KR;
  if constexpr (far) {
    stream = stream_of<NR, kRow * Index{sizeof(BWord)}, kAhead * kFarBytes>(t, (t.kc + KR - 1) / KR,
                                                                            j0, P);
  }
  for (; left >= 4; left -= 4) {
    if constexpr (far) stream.next<P>();
#pragma GCC unroll 4
    for (Index k = 0; k < 4; ++k) step(k, whole);
    advance(4);
  }
  for (; left > 0; --left) {
    step(0, whole);
    advance(1);
  }
  if constexpr (E::kIsInteger) {  // zeros follow in A
    if (t.kc % KR != 0) step(0, whole);
  } else if constexpr (KR > 1) {  // the end of an odd K: what follows in A is not read
    if (t.kc % KR != 0) {
      step(
          0, [](const float* word) __attribute__((always_inline)) { return first_half(word); });
    }
  }

  if constexpr (E::kIsInteger && E::kFused && W == NV) {
    if (y == nullptr && t.narrow != nullptr) return finish_sums<A, mr, NV, P, true>(t, j0, c);
    if (y == nullptr) return finish_sums<A, mr, NV, P, false>(t, j0, c);
  }
#pragma GCC unroll 16
  for (int i = 0; i < mr; ++i) {
#pragma GCC unroll 16
    for (int v = 0; v < NVP; ++v) store<A>(y + i * ldy + v * V, c[i][v]);
  }
}

template <class A, class E, Index NR>
TESSERA_INLINE void finish_panels(const GemmTile& t, const float* x, Index ldx, Index j0,
                                  Index nr) noexcept {
  if constexpr (E::kIsInteger) {
    finish_integers<A, NR>(t, x, ldx, j0, nr, 0, t.mr);
  } else {
    finish_rows<A>(t, x, ldx, j0, nr, 0, t.mr);
  }
}

/// The last, ragged panel (nr ≤ W vectors < NR): init and result go through a tile on the stack.
template <class A, class E, int mr, int NV, int W>
__attribute__((noinline)) void ragged_tile(const GemmTile& t, Index j0, Index nr) noexcept {
  constexpr Index NR = W * kLanes<A>;
  alignas(64) float tile[extent(mr * NR)];  // (mr, W vectors)
  constexpr Index kPanel = NV * kLanes<A>;
  for (Index i = 0; i < mr; ++i) {
    const float* init =
        t.accumulate ? sums_of(t, j0) + i * ld_of_sums(t) : start_of<E, kPanel>(t, j0);
    for (Index j = 0; j < NR; ++j) tile[i * NR + j] = init != nullptr && j < nr ? init[j] : 0.0F;
  }
  full_tile<A, E, mr, NV, 1, false, W>(t, j0, tile, NR, tile, NR);
  finish_panels<A, E, kPanel>(t, tile, NR, j0, nr);
}

/// Lines of `rows` rows of `bytes` bytes, `stride` bytes apart, come into L1. (Not inline: the products need all
/// registers.)
__attribute__((noinline)) void expect_rows(const void* first, Index stride, Index rows,
                                           Index bytes) noexcept {
  const char* row = static_cast<const char*>(first);
  for (; rows > 0; --rows, row += stride) {
    for (Index l = 0; l < bytes; l += kLineBytes) _mm_prefetch(row + l, _MM_HINT_T0);
  }
  asm volatile("");  // GCC drops calls of functions that only prefetch
}

/// What the epilogue writes, and the residual, come into L1 while the products are computed: the rows of a tile
/// lie in lines that nothing has read before, and the store buffer holds no more than those of two tiles
/// (docs/DESIGN.md, D-5, has figures).
TESSERA_INLINE void expect_results(const GemmTile& t, Index j, Index nr) noexcept {
  constexpr Index kF32 = sizeof(float), kBf16 = sizeof(std::uint16_t);
  if (t.narrow != nullptr) {
    expect_rows(t.narrow + j, t.ldn * kBf16, t.mr, nr * kBf16);
  } else {
    expect_rows(t.c + j, t.ldc * kF32, t.mr, nr * kF32);
  }
  if (t.residual != nullptr && t.residual != t.c) {
    expect_rows(t.residual + j, t.ldr * kF32, t.mr, nr * kF32);
  }
}

/// All columns of a tile of mr rows.
template <class A, class E, int mr, int NV>
void tile_of_rows(const GemmTile& t) noexcept {
  constexpr Index NR = NV * kLanes<A>;
  constexpr int P = panels_per_pass<A>(mr, NV);
  const bool finish = t.activation != Activation::none || t.residual != nullptr ||
                      t.narrow != nullptr || (E::kIsInteger && t.row_scales != nullptr);
  const bool at_once = finishes_in_registers<E>(t);
  Index j = 0;
  const auto pass = [&]<int panels>(std::integral_constant<int, panels>)
      __attribute__((always_inline)) {
    alignas(64) float tile[extent(mr * panels * NR)];  // (mr, panels·NR), only for finish_panels
    float* y = at_once ? nullptr : finish ? tile : t.c + j;
    const Index ldy = finish ? panels * NR : t.ldc;
    const float* init = t.accumulate ? sums_of(t, j) : nullptr;
    if constexpr (mr >= 4) expect_results(t, j, panels * NR);
    constexpr bool kMayBeFar = kFar<mr> || (kOneStream<E, mr> && panels == 1);
    if (kMayBeFar && (!t.resident || t.ahead != nullptr)) {
      full_tile<A, E, mr, NV, panels, kMayBeFar>(t, j, init, ld_of_sums(t), y, ldy);
    } else {
      full_tile<A, E, mr, NV, panels, false>(t, j, init, ld_of_sums(t), y, ldy);
    }
    if (finish && !at_once) finish_panels<A, E, NR>(t, tile, panels * NR, j, panels * NR);
    j += panels * NR;
  };
  if constexpr (P > 1) {
    const bool one_stream = kOneStream<E, mr> && !t.resident;
    while (!one_stream && t.nr - j >= P * NR) pass(std::integral_constant<int, P>{});
  }
  while (t.nr - j >= NR) pass(std::integral_constant<int, 1>{});
  if (j == t.nr) return;
  constexpr int half = (NV + 1) / 2;  // vectors
  constexpr Index few = half * kLanes<A>;
  if (t.nr - j > few) return ragged_tile<A, E, mr, NV, NV>(t, j, t.nr - j);
  if (t.nr - j < few || finish) return ragged_tile<A, E, mr, NV, half>(t, j, t.nr - j);
  const float* init = t.accumulate ? sums_of(t, j) : nullptr;
  if (kFar<mr> && t.ahead != nullptr) {
    full_tile<A, E, mr, NV, 1, kFar<mr>, half>(t, j, init, ld_of_sums(t), t.c + j, t.ldc);
  } else {
    full_tile<A, E, mr, NV, 1, false, half>(t, j, init, ld_of_sums(t), t.c + j, t.ldc);
  }
}

template <class A, class E, int NV, class Rows>
struct TilesByRows;
template <class A, class E, int NV, int... i>
struct TilesByRows<A, E, NV, std::integer_sequence<int, i...>> {
  static constexpr GemmUkernel kRun[] = {tile_of_rows<A, E, i + 1, NV>...};  // [mr − 1]
};

/// The kernel of a level: MR rows at most, panels of NR = NV vectors.
template <class A, class E, int MR, int NV>
void gemm_ukernel(const GemmTile& t) noexcept {
  TESSERA_ASSERT(t.mr >= 1 && t.mr <= MR && t.nr >= 1 && t.kc >= 1);
  TESSERA_ASSERT(t.nr <= NV * kLanes<A> || t.ldb > 0);
  TESSERA_ASSERT(t.lda % E::kKR == 0);
  TilesByRows<A, E, NV, std::make_integer_sequence<int, MR>>::kRun[t.mr - 1](t);
}

}  // namespace
}  // namespace tessera::kernels
