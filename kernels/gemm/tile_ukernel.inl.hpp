// SPDX-License-Identifier: Apache-2.0
//
// GEMM micro-kernel on a matrix unit: one block of C over the whole of kc, by products of tiles.
//
//   C = act(init + A B) + residual       C (mr,nr) · A (mr,kc) row-major · B in panels (kc,NR)
//
//   for k (kDepth at a time), r, c:  C[r][c] += A[r][k] B[k][c]       C[r][c] (16,16)
//
// kDepth = 64 bytes: 32 of bf16, 64 of s8. What differs between them is `E` (tile_elements.inl.hpp).
//
// Sixteen rows of A or two, NR = 32 columns: 2 x 2 tiles of C stay in four registers, and a step loads
// two tiles of A and two of B for four products. Up to 16 rows: 1 x 4, one tile of A and four of B
// (two panels). A panel of three tiles (gemm/ternary_tiles.inl.hpp): 1 x 3.
//
// The order of the sum of an element depends on k alone, whatever the block: its terms are added in
// groups of kDepth, as one instruction does. init is where the sum begins, so that K may be split at
// multiples of kDepth.
//
// A is read where it lies, 16 rows at a time: rows beyond mr are read, multiplied and forgotten
// (Gemm::rows_read). The end of K goes through a copy with zeros: what follows a row in memory may be
// NaN, against which the zeros of the panel do not help, or not be there.
#pragma once

#include "kernels/gemm/gemm.hpp"
#include "kernels/gemm/stream.inl.hpp"
#include "kernels/gemm/tile_elements.inl.hpp"
#include "kernels/gemm/tile_unit.inl.hpp"

namespace tessera::kernels {
namespace {

inline constexpr Index kBTileBytes = 16 * kTileBytes;

/// What a block prefetches into L2: its share of `ahead`, or what follows its panels.
template <class E, int P>
TESSERA_INLINE Stream stream_of_tiles(const GemmTile& t, Index steps, Index j0) noexcept {
  constexpr Index NR = E::kColumns, kStep = NR / 16 * kBTileBytes;  // of a panel
  if (t.ahead != nullptr) return stream_of<NR, 4 * NR>(t, 4 * steps, j0, P);
  const char* at = static_cast<const char*>(t.b) + j0 / NR * t.ldb + 4 * kStep;
  return {at, at, kStep, t.ldb};
}

/// Rows of a waiting epilogue that fit beside one step of products: up to n.
template <class E>
TESSERA_INLINE void finish_some(LaterEpilogue& later, Index n) noexcept {
  const Index end = min_of(later.row + n, later.rows);
  if (later.row < end) {
    E::finish(later.tile, later.sums[later.waiting], later.ld, later.j0, later.nr, later.row, end);
    later.row = end;
  }
}
template <class E>
void finish_later(LaterEpilogue& later) noexcept {
  finish_some<E>(later, later.rows);
}

/// Columns [j0, j0 + nr) of C, nr ≤ kColumns·P: R rows of tiles of C, of P panels, in the registers 0 …,
/// then R of A, then B.
template <class E, class Unit, int R, int P, GemmOperand streams>
__attribute__((noinline)) void block_of_tiles(const GemmTile& t, Index j0, Index nr) noexcept {
  constexpr int kOfPanel = E::kColumns / 16, kColumns = kOfPanel * P, kOfA = R * kColumns,
                kOfB = kOfA + R;
  static_assert(R == 2 ? kColumns == 2 : kOfB + 2 < 8);
  constexpr Index kWide = 16 * kColumns, kHigh = 16 * R;
  constexpr auto kAll = std::make_integer_sequence<int, R * kColumns>{};
  alignas(64) float own[static_cast<std::size_t>(kHigh * kWide)];  // what is not C as it is
  const bool whole = t.mr == kHigh && nr == kWide;
  const auto for_each_tile = [&]<int... n>(std::integer_sequence<int, n...>, auto&& body)
      __attribute__((always_inline)) {
    (body(std::integral_constant<int, n>{}), ...);  // n = row · kColumns + column
  };
  const auto place = [](auto* p, Index ld, int n) __attribute__((always_inline)) {
    return p + n / kColumns * 16 * ld + n % kColumns * 16;
  };

  // init
  const float* init = t.accumulate ? sums_of(t, j0) : E::start_of(t, j0);
  if (init != nullptr) {
    Index ld = t.accumulate ? ld_of_sums(t) : 0;  // a bias is every row
    if (nr < kWide || (t.accumulate && !whole)) {
      const Index rows = t.accumulate ? t.mr : 1;
      for (Index i = 0; i < rows; ++i) {
        for (Index j = 0; j < kWide; ++j) own[i * kWide + j] = j < nr ? init[i * ld + j] : 0.0F;
      }
      for (Index i = rows * kWide; i < (t.accumulate ? kHigh * kWide : 0); ++i) own[i] = 0.0F;
      init = own;
      ld = t.accumulate ? kWide : 0;
    }
    for_each_tile(
        kAll, [&]<int n>(std::integral_constant<int, n>) __attribute__((always_inline)) {
          Unit::template load<n>(place(init, ld, n), ld * 4);
        });
  } else {
    for_each_tile(
        kAll, [&]<int n>(std::integral_constant<int, n>)
                  __attribute__((always_inline)) { Unit::template zero<n>(); });
  }

  const char* a = static_cast<const char*>(t.a);
  const char* b = static_cast<const char*>(t.b) + j0 / E::kColumns * t.ldb;
  const auto load_a = [&]<int n>(std::integral_constant<int, n>, const char* from, Index lda)
      __attribute__((always_inline)) {
    if constexpr (streams == GemmOperand::a) {
      Unit::template load_once<n>(from, lda);
    } else {
      Unit::template load<n>(from, lda);
    }
  };
  const auto load_b = [&]<int n>(std::integral_constant<int, n>, const char* from)
      __attribute__((always_inline)) {
    if constexpr (streams == GemmOperand::b) {
      Unit::template load_once<n>(from, kTileBytes);
    } else {
      Unit::template load<n>(from, kTileBytes);
    }
  };
  const auto step = [&](const char* a_at, Index lda) __attribute__((always_inline)) {
    const auto tile_of_b = [&](int c) {
      return b + c / kOfPanel * t.ldb + c % kOfPanel * kBTileBytes;
    };
    if constexpr (R == 2) {
      load_b(std::integral_constant<int, kOfB>{}, tile_of_b(0));
      load_a(std::integral_constant<int, kOfA>{}, a_at, lda);
      E::template multiply<Unit, 0, kOfA, kOfB>();
      load_b(std::integral_constant<int, kOfB + 1>{}, tile_of_b(1));
      E::template multiply<Unit, 1, kOfA, kOfB + 1>();
      load_a(std::integral_constant<int, kOfA + 1>{}, a_at + 16 * lda, lda);
      E::template multiply<Unit, 2, kOfA + 1, kOfB>();
      E::template multiply<Unit, 3, kOfA + 1, kOfB + 1>();
    } else {
      constexpr auto kOneRow = std::make_integer_sequence<int, kColumns>{};
      load_a(std::integral_constant<int, kOfA>{}, a_at, lda);
      for_each_tile(
          kOneRow, [&]<int c>(std::integral_constant<int, c>) __attribute__((always_inline)) {
            constexpr int kB = kOfB + c % 3;  // three registers in turn
            load_b(std::integral_constant<int, kB>{}, tile_of_b(c));
            E::template multiply<Unit, c, kOfA, kB>();
          });
    }
  };
  const Index steps = t.kc / E::kDepth, rest = t.kc % E::kDepth, row_bytes = t.lda * E::kBytes;
  const bool far = !t.resident || t.ahead != nullptr;
  Stream stream{};
  if (far) stream = stream_of_tiles<E, P>(t, steps + (rest != 0 ? 1 : 0), j0);
  const Index waiting = t.later == nullptr ? 0 : t.later->rows - t.later->row;
  const Index of_step = steps == 0 ? 0 : (waiting + steps - 1) / steps;
  for (Index k = 0; k < steps; ++k) {
    step(a, row_bytes);
    if (far) stream.template next<P>();
    if (of_step > 0) finish_some<E>(*t.later, of_step);
    a += kTileBytes;
    b += kOfPanel * kBTileBytes;
  }
  if (rest != 0) {
    alignas(64) char end[static_cast<std::size_t>(kHigh * kTileBytes)] = {};
    for (Index i = 0; i < t.mr; ++i) {
      __builtin_memcpy(end + i * kTileBytes, a + i * row_bytes,
                       static_cast<std::size_t>(rest * E::kBytes));
    }
    step(end, kTileBytes);
  }

  const bool epilogue = E::is_last(t);
  const auto store = [&](float* y, Index ldy) __attribute__((always_inline)) {
    for_each_tile(
        kAll, [&]<int n>(std::integral_constant<int, n>) __attribute__((always_inline)) {
          Unit::template store<n>(place(y, ldy, n), ldy * 4);
        });
  };
  if (whole && !epilogue) return store(t.c + j0, t.ldc);
  if (t.later == nullptr || !epilogue) {  // sums are read by the next call over K: they cannot wait
    store(own, kWide);
    return E::finish(t, own, kWide, j0, nr, 0, t.mr);
  }
  LaterEpilogue& later = *t.later;
  finish_some<E>(later, later.rows);
  later.waiting ^= 1;
  store(later.sums[later.waiting], kWide);
  later.tile = t;
  later.j0 = j0, later.nr = nr, later.ld = kWide;
  later.row = 0, later.rows = t.mr;
}

/// The kernel: MR = 32 rows at most, panels of NR = 32 columns, KR = kDepth.
template <class E, class Unit, GemmOperand streams>
void gemm_tiles_of(const GemmTile& t) noexcept {
  Index j = 0;
  if (t.mr <= 16) {
    for (; t.nr - j > 32; j += 64) {
      block_of_tiles<E, Unit, 1, 2, streams>(t, j, min_of(64, t.nr - j));
    }
    if (j < t.nr) block_of_tiles<E, Unit, 1, 1, streams>(t, j, t.nr - j);
    return;
  }
  for (; j < t.nr; j += 32) block_of_tiles<E, Unit, 2, 1, streams>(t, j, min_of(32, t.nr - j));
}
template <class E, class Unit>
void gemm_tiles(const GemmTile& t) noexcept {
  TESSERA_ASSERT(t.mr >= 1 && t.mr <= 32 && t.nr >= 1 && t.kc >= 1);
  TESSERA_ASSERT(t.nr <= 32 || t.ldb > 0);
  TESSERA_ASSERT(t.lda % E::kDepth == 0);
  switch (t.streams) {
    case GemmOperand::none:
      return gemm_tiles_of<E, Unit, GemmOperand::none>(t);
    case GemmOperand::a:
      return gemm_tiles_of<E, Unit, GemmOperand::a>(t);
    case GemmOperand::b:
      return gemm_tiles_of<E, Unit, GemmOperand::b>(t);
  }
}

template <class E, class Unit>
constexpr Gemm tile_family() noexcept {
  return {.run = gemm_tiles<E, Unit>,
          .pack_panel = E::kPackPanel,
          .MR = 32,
          .NR = kTileColumns,
          .KR = E::kDepth,
          .bits = {.a = 8 * E::kBytes, .b = 8 * E::kBytes},
          .rows_read = 16,
          .enter = enter_tiles<Unit>,
          .leave = leave_tiles<Unit>,
          .finish = finish_later<E>,
          .of_integers = E::kIsInteger};
}

/// Four independent products a round.
template <class E, class Unit>
double tiles_probe(Index rounds) noexcept {
  UnitState state;
  enter_tiles<Unit>(state);
  alignas(64) std::uint32_t ones[16];  // a row of each tile
  for (std::uint32_t& word : ones) word = E::kOnes;
  Unit::template zero<0>();
  Unit::template zero<1>();
  Unit::template zero<2>();
  Unit::template zero<3>();
  Unit::template load<4>(ones, 0);
  Unit::template load<5>(ones, 0);
  Unit::template load<6>(ones, 0);
  Unit::template load<7>(ones, 0);
  for (Index r = 0; r < rounds; ++r) {
    E::template multiply<Unit, 0, 4, 6>();
    E::template multiply<Unit, 1, 4, 7>();
    E::template multiply<Unit, 2, 5, 6>();
    E::template multiply<Unit, 3, 5, 7>();
  }
  alignas(64) float sums[256];  // the pipe is empty when this is there
  Unit::template store<3>(sums, kTileBytes);
  asm volatile("lfence" : : "m"(sums) : "memory");
  leave_tiles<Unit>(state);
  return 2.0 * 4 * 16 * 16 * static_cast<double>(E::kDepth * rounds);
}

}  // namespace
}  // namespace tessera::kernels
