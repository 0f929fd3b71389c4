// SPDX-License-Identifier: Apache-2.0
//
// Ternary weights on a matrix unit: as in gemm/ternary_tall.inl.hpp chunks of K are decoded once, here into
// tiles of B, three beside each other, and multiplied with 16 rows of A after another.
//
//   for each panel, for each chunk of K:   decode B (kc,48)
//     for each 16 rows:                    C += A B, 1 x 3 tiles; after the last chunk the epilogue
//
// A is s8 here. The unit takes it as it is, and sums begin at 0. Few rows are multiplied as B is decoded,
// in registers, by VPDPBUSD, which wants a + 128: that is a ^ 0x80, and sums begin at -128 Σ b, which the
// head of a panel has. So all calls over K for the same rows have to have the same mr.
//
// None of this has run on a unit: results are those of tiles in C++ (tests/kernels/probe), and the constants
// come from instruction counts (Golden Cove, 512 bits: two ports, lookups and loads of masks on one of
// them). For a row of a panel, 4 k of 48 columns,
//
//   decoding                7 cycles: of 9 instructions the 7 that have one port
//   mr rows by VPDPBUSD     4.5 + 2 mr: with the decoding 9 + 4 mr instructions
//   16 rows by tiles        3: 16 for a product of 16 such rows and 16 columns, three times
//
// so that both take 10 at mr = 3, and decoding takes 7 of 31 cycles with 128 rows to share it. A product
// needs 4/3 loads of tiles (8 cycles from L1), 2 x 2 tiles one; but each 1 KiB of A serves three products.
#pragma once

#include "kernels/gemm/ternary_tall.inl.hpp"
#include "kernels/gemm/tile_ukernel.inl.hpp"

namespace tessera::kernels {
namespace {

/// S8Dot of an A with signs.
template <class A, class Dot>
struct S8DotOfSigned : S8Dot<A, Dot> {
  static TESSERA_INLINE Register<A> splat(float word) noexcept {
    constexpr float kSigns = __builtin_bit_cast(float, 0x80808080U);
    return F32<A>(kernels::splat<A>(word)) ^ kernels::splat<A>(kSigns);
  }
};

inline constexpr int kFewOnUnit = 3;          // rows that VPDPBUSD multiplies
inline constexpr int kTilesOfRows = 8;        // share what is decoded
inline constexpr Index kDecodedDepth = 512;   // k of a chunk: 24 KiB, half of L1
inline constexpr Index kTernaryColumns = 48;  // of a panel

/// `groups` times 64 k of a panel as tiles of B.
template <class Packed, class A>
TESSERA_INLINE void decode_tiles(const char* row, Index groups, char* to) noexcept {
  for (Index g = 0; g < groups; ++g, to += kTritsOfCode * kBTileBytes) {
    for (Index r = 0; r < 16; ++r, row += Packed::kRowBytes) {
      _mm_prefetch(row + kNearBytes, _MM_HINT_T0);
      Register<A> b[kTritsOfCode];
      Packed::template decode<kTritsOfCode>(row, b);
#pragma GCC unroll 3
      for (Index v = 0; v < kTritsOfCode; ++v) {
        store<A>(reinterpret_cast<float*>(to + v * kBTileBytes + r * kTileBytes), b[v]);
      }
    }
  }
}

template <class A, class Dot, class Unit>
void ternary_tiles(const GemmTile& t) noexcept {
  using E = S8Tiles<A, kTernaryColumns>;
  using Packed = Ternary<A, S8DotOfSigned<A, Dot>, 1>;
  constexpr Index NR = kTernaryColumns, kDepth = E::kDepth;
  static_assert(NR == kTritsOfCode * kLanes<A> && Packed::kCodes == kTileBytes);
  TESSERA_ASSERT(t.mr >= 1 && t.mr <= 16 * kTilesOfRows);
  if (t.mr <= kFewOnUnit) {
    if (t.later != nullptr) finish_later<E>(*t.later);
    return gemm_ukernel<A, Packed, kFewOnUnit, kTritsOfCode>(t);
  }
  alignas(64) char decoded[extent(kDecodedDepth * NR)];
  alignas(64) float sums[extent(16 * kTilesOfRows * NR)];
  constexpr Index kGroupBytes = kDepth / Packed::kKR * Packed::kRowBytes;
  const auto block = t.streams == GemmOperand::a ? block_of_tiles<E, Unit, 1, 1, GemmOperand::a>
                                                 : block_of_tiles<E, Unit, 1, 1, GemmOperand::none>;
  const Index groups = (t.kc + kDepth - 1) / kDepth, panels = (t.nr + NR - 1) / NR;
  const Index chunks = (groups * kDepth + kDecodedDepth - 1) / kDecodedDepth;
  DecodedStream stream(t, groups * kGroupBytes, panels);
  for (Index p = 0; p < panels; ++p) {
    const Index j = p * NR, nr = min_of(NR, t.nr - j);
    for (Index chunk = 0; chunk < chunks; ++chunk) {
      const Index begin = groups * chunk / chunks, end = groups * (chunk + 1) / chunks;
      const bool first = chunk == 0, last = chunk + 1 == chunks;
      const char* const b = static_cast<const char*>(t.b) + p * t.ldb + begin * kGroupBytes;
      decode_tiles<Packed, A>(b, end - begin, decoded);
      stream.advance(p * groups + end, panels * groups);
      for (Index i = 0; i < t.mr; i += 16) {
        GemmTile s = part_of(t, i, min_of(Index{16}, t.mr - i), j, nr);
        s.a = static_cast<const char*>(t.a) + i * t.lda + begin * kDepth;
        s.b = decoded;
        s.heads = static_cast<const char*>(t.heads) + p * t.ldb;  // read later, too
        s.kc = last ? t.kc - begin * kDepth : (end - begin) * kDepth;
        take_chunk(s, t, i, j, sums, NR, first, last);
        block(s, 0, nr);
      }
    }
  }
}

template <class A, class Dot, class Unit>
constexpr Gemm ternary_tile_family() noexcept {
  using E = S8Tiles<A, kTernaryColumns>;
  return {.run = ternary_tiles<A, Dot, Unit>,
          .pack_panel = pack_panel_ternary<A, 1, 4, 128, E::kDepth>,
          .MR = 16 * kTilesOfRows,
          .NR = kTernaryColumns,
          .KR = E::kDepth,
          .bits = {.a = 8, .b = 5, .b_elements = kTritsOfCode},
          .rows_read = 16,
          .enter = enter_tiles<Unit>,
          .leave = leave_tiles<Unit>,
          .finish = finish_later<E>,
          .of_integers = true};
}

}  // namespace
}  // namespace tessera::kernels
