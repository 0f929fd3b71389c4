// SPDX-License-Identifier: Apache-2.0
//
// Ternary weights for more rows than one register tile: K in chunks, which are decoded once, into a panel
// of 8-bit numbers on the stack, and multiplied with tile after tile of rows.
//
//   for each panel, for each chunk of K:   decode B (kc,NR)
//     for each tile of rows:               C += A B, as Precision::s8; after the last chunk the epilogue
//
// Between chunks sums stand on the stack. Few rows are multiplied as they are decoded
// (gemm/ternary.inl.hpp): there decoding costs less than storing.
#pragma once

#include "kernels/gemm/pack_ternary.inl.hpp"
#include "kernels/gemm/ternary.inl.hpp"
#include "kernels/gemm/ukernel.inl.hpp"

namespace tessera::kernels {
namespace {

inline constexpr Index kDecodedWords = 64;  // of K: 12 KiB in AVX-512, a third of L1

/// Spreads prefetches into L2 over the rows that are decoded: of `ahead` or, without it, of what follows
/// the panels.
struct DecodedStream {
  const char* at;
  Index bytes, done = 0;

  DecodedStream(const GemmTile& t, Index panel_bytes, Index panels) noexcept
      : at(static_cast<const char*>(t.ahead)), bytes(t.ahead_bytes) {
    if (t.ahead != nullptr) return;
    at = static_cast<const char*>(t.b) + kFarBytes;
    bytes = t.resident ? 0 : panel_bytes * panels;
  }
  /// `part` of `whole` is decoded.
  void advance(Index part, Index whole) noexcept {
    for (const Index due = bytes * part / whole; done < due; done += kLineBytes) {
      _mm_prefetch(at + done, _MM_HINT_T1);
    }
  }
};

/// `rows` rows of a panel as Elements reads them.
template <class A, class Elements>
TESSERA_INLINE void decode_rows(const char* from, Index rows, char* to) noexcept {
  using Packed = Ternary<A, Elements>;
  for (Index r = 0; r < rows; ++r) {
    const char* const row = from + r * Packed::kRowBytes;
    _mm_prefetch(row + kNearBytes, _MM_HINT_T0);
    Packed::store_decoded(row, to + r * kTritsOfCode * Packed::kCodes);
  }
}

/// The part of `t` from row i, column j on.
TESSERA_INLINE GemmTile part_of(const GemmTile& t, Index i, Index mr, Index j, Index nr) noexcept {
  GemmTile s = t;
  if (t.c != nullptr) s.c = t.c + i * t.ldc + j;
  if (t.sums != nullptr) s.sums = t.sums + i * t.lds + j;
  if (t.bias != nullptr) s.bias = t.bias + j;
  if (t.residual != nullptr) s.residual = t.residual + i * t.ldr + j;
  if (t.narrow != nullptr) s.narrow = t.narrow + i * t.ldn + j;
  if (t.row_scales != nullptr) s.row_scales = t.row_scales + i * t.row_scale_step;
  s.mr = mr, s.nr = nr;
  s.resident = true, s.ahead = nullptr;
  return s;
}

/// Tiles of MR rows by three vectors; up to `tiles` of them share what is decoded.
template <class A, class Elements, int MR, int tiles>
void ternary_ukernel(const GemmTile& t) noexcept {
  using Packed = Ternary<A, Elements>;
  constexpr Index NR = kTritsOfCode * kLanes<A>, KR = Elements::kKR;
  if (t.mr <= MR) return gemm_ukernel<A, Packed, MR, kTritsOfCode>(t);
  TESSERA_ASSERT(t.mr <= MR * tiles);
  alignas(64) char decoded[kDecodedWords * kTritsOfCode * Packed::kCodes];
  alignas(64) float sums[extent(MR * tiles * NR)];
  const Index words = (t.kc + KR - 1) / KR, panels = (t.nr + NR - 1) / NR;
  const Index parts = (t.mr + MR - 1) / MR, rows = (t.mr + parts - 1) / parts;
  DecodedStream stream(t, words * Packed::kRowBytes, panels);
  for (Index p = 0; p < panels; ++p) {
    const Index j = p * NR, nr = min_of(NR, t.nr - j);
    const char* const b = static_cast<const char*>(t.b) + p * t.ldb;
    for (Index w = 0; w < words; w += kDecodedWords) {
      const Index n = min_of(kDecodedWords, words - w);
      const bool first = w == 0, last = w + n == words;
      decode_rows<A, Elements>(b + w * Packed::kRowBytes, n, decoded);
      stream.advance(p * words + w + n, panels * words);
      for (Index i = 0; i < t.mr; i += rows) {
        GemmTile s = part_of(t, i, min_of(rows, t.mr - i), j, nr);
        s.a = static_cast<const float*>(t.a) + i * (t.lda / KR) + w;
        s.b = decoded;
        s.heads = static_cast<const char*>(t.heads) + p * t.ldb;
        s.kc = last ? t.kc - w * KR : n * KR;
        if (!first) s.accumulate = true, s.sums = sums + i * NR, s.lds = NR;
        if (!last) {
          s.c = sums + i * NR, s.ldc = NR;
          if (first && t.accumulate && t.sums == nullptr)
            s.sums = t.c + i * t.ldc + j, s.lds = t.ldc;
          s.bias = s.residual = s.row_scales = nullptr;
          s.narrow = nullptr;
          s.activation = Activation::none;
        }
        gemm_ukernel<A, Elements, MR, kTritsOfCode>(s);
      }
    }
  }
}

/// The family of what multiplies as Elements does, in tiles of MR rows; `first` as pack_panel_ternary().
template <class A, class Elements, Index MR, std::int32_t first>
constexpr Gemm ternary_family() noexcept {
  constexpr int tiles = MR < 8 ? 4 : 3;  // small ones share what is decoded among more
  constexpr Index KR = Elements::kKR;
  return {
      .run = ternary_ukernel<A, Elements, MR, tiles>,
      .pack_panel = pack_panel_ternary<A, KR, first>,
      .MR = MR * tiles,
      .NR = kTritsOfCode * kLanes<A>,
      .KR = KR,
      .bits = {.a = 32 / KR, .b = 5, .b_elements = kTritsOfCode},  // a word has KR elements of A
      .of_integers = true};
}

}  // namespace
}  // namespace tessera::kernels
