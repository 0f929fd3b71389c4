// SPDX-License-Identifier: Apache-2.0
//
// Ternary weights for more rows than one register tile: K in chunks, which are decoded once, into panels
// on the stack of what the level multiplies, and multiplied with tile after tile of rows.
//
//   for each panel, for each chunk of K:   decode B (kc,NR)
//     for each tile of rows:               C += A B, as Precision::s8; after the last chunk the epilogue
//
// A panel becomes panels of NV vectors: one of three, or, where registers are few, three pairs, for the
// tiles that Precision::s8 has.
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

/// Panels of 3·U vectors. Up to `few` rows are multiplied as they are decoded; beyond, tiles of MR rows by
/// NV vectors, up to `tiles` of which share what is decoded.
struct TernaryTile {
  int U, few, MR, NV, tiles;
};

/// A chunk of K of a panel as panels of NV vectors, with heads of their own, that Elements::Decoded reads.
template <class A, class Elements, int U, int NV>
class DecodedPanels {
  using Packed = Ternary<A, Elements, U>;
  static constexpr Index V = kLanes<A>, NR = NV * V;
  static constexpr int kPanels = Packed::kVectors / NV;
  static_assert(kPanels * NV == Packed::kVectors);
  struct Panel {
    alignas(64) float head[extent(2 * NR)];  // scales, first sums (gemm/pack_s8.inl.hpp)
    float rows[extent(kDecodedWords * NR)];
  };
  Panel panel_[extent(kPanels)];

 public:
  DecodedPanels() noexcept {}  // written before it is read

  static constexpr Index kStride = sizeof(Panel);
  const void* heads() const noexcept { return panel_[0].head; }
  const void* rows() const noexcept { return panel_[0].rows; }

  void take_head(const void* from) noexcept {
    const auto* const head = static_cast<const float*>(from);
    for (int u = 0; u < Packed::kVectors; ++u) {
      float* const to = panel_[u / NV].head + u % NV * V;
      store<A>(to, load<A>(head + u * V));
      store<A>(to + NR, load<A>(head + (Packed::kVectors + u) * V));
    }
  }
  /// Rows [0, words).
  TESSERA_INLINE void decode(const char* row, Index words) noexcept {
    for (Index w = 0; w < words; ++w, row += Packed::kRowBytes) {
      _mm_prefetch(row + kNearBytes, _MM_HINT_T0);
      Register<A> b[extent(Packed::kVectors)];
      Packed::template decode<Packed::kVectors>(row, b);
#pragma GCC unroll 6
      for (int u = 0; u < Packed::kVectors; ++u) {
        store<A>(panel_[u / NV].rows + w * NR + u % NV * V, b[u]);
      }
    }
  }
};

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

/// Makes of `s`, a part of `t` from row i, column j on, its share of a chunk: the first and the last one
/// begin and end as `t` does, between them sums stand in `sums` (…, ld).
TESSERA_INLINE void take_chunk(GemmTile& s, const GemmTile& t, Index i, Index j, float* sums,
                               Index ld, bool first, bool last) noexcept {
  if (!first) s.accumulate = true, s.sums = sums + i * ld, s.lds = ld;
  if (last) return;
  s.c = sums + i * ld, s.ldc = ld;
  if (first && t.accumulate && t.sums == nullptr) s.sums = t.c + i * t.ldc + j, s.lds = t.ldc;
  s.bias = s.residual = s.row_scales = nullptr;
  s.narrow = nullptr;
  s.activation = Activation::none;
}

template <class A, class Elements, TernaryTile tile>
void ternary_ukernel(const GemmTile& t) noexcept {
  using Packed = Ternary<A, Elements, tile.U>;
  if (t.mr <= tile.few) return gemm_ukernel<A, Packed, tile.few, Packed::kVectors>(t);
  TESSERA_ASSERT(t.mr <= tile.MR * tile.tiles);
  constexpr Index NR = Packed::kVectors * kLanes<A>, KR = Elements::kKR;
  DecodedPanels<A, Elements, tile.U, tile.NV> decoded;
  alignas(64) float sums[extent(tile.MR * tile.tiles * NR)];
  const Index words = (t.kc + KR - 1) / KR, panels = (t.nr + NR - 1) / NR;
  const Index parts = (t.mr + tile.MR - 1) / tile.MR, rows = (t.mr + parts - 1) / parts;
  DecodedStream stream(t, words * Packed::kRowBytes, panels);
  for (Index p = 0; p < panels; ++p) {
    const Index j = p * NR, nr = min_of(NR, t.nr - j);
    const char* const b = static_cast<const char*>(t.b) + p * t.ldb;
    decoded.take_head(static_cast<const char*>(t.heads) + p * t.ldb);
    for (Index w = 0; w < words; w += kDecodedWords) {
      const Index n = min_of(kDecodedWords, words - w);
      const bool first = w == 0, last = w + n == words;
      decoded.decode(b + w * Packed::kRowBytes, n);
      stream.advance(p * words + w + n, panels * words);
      for (Index i = 0; i < t.mr; i += rows) {
        GemmTile s = part_of(t, i, min_of(rows, t.mr - i), j, nr);
        s.a = static_cast<const float*>(t.a) + i * (t.lda / KR) + w;
        s.b = decoded.rows();
        s.heads = decoded.heads();
        s.ldb = decoded.kStride;
        s.kc = last ? t.kc - w * KR : n * KR;
        take_chunk(s, t, i, j, sums, NR, first, last);
        gemm_ukernel<A, typename Elements::Decoded, tile.MR, tile.NV>(s);
      }
    }
  }
}

/// The family of what multiplies as Elements does; `first` as pack_panel_ternary().
template <class A, class Elements, TernaryTile tile, std::int32_t first>
constexpr Gemm ternary_family() noexcept {
  constexpr Index KR = Elements::kKR;
  return {
      .run = ternary_ukernel<A, Elements, tile>,
      .pack_panel = pack_panel_ternary<A, tile.U, KR, first>,
      .MR = tile.MR * tile.tiles,
      .NR = Ternary<A, Elements, tile.U>::kVectors * kLanes<A>,
      .KR = KR,
      .bits = {.a = 32 / KR, .b = 5, .b_elements = kTritsOfCode},  // a word has KR elements of A
      .of_integers = true};
}

}  // namespace
}  // namespace tessera::kernels
