// SPDX-License-Identifier: Apache-2.0
//
// The contract of a matrix product: one register tile of C, packed panels of B. A family is one
// precision: what the elements of A and B are when they are multiplied. C and the epilogue are f32; the
// sums of whole numbers (s8) are s32 until the last call over K.
#pragma once

#include "kernels/types.hpp"
#include "kernels/unit_state.hpp"

namespace tessera::kernels {

enum class GemmOperand : std::uint8_t { none, a, b };
struct LaterEpilogue;

/// One tile of rows: C (mr,nr) = act(init + A (mr,kc) B (kc,nr)) + residual; where `narrow` is
/// given, the result goes there, rounded to bf16, and not to C.
///
///   init      = if `accumulate` the sums so far: `sums` if given, else C; else bias (broadcast over
///               rows) if given, else 0
///   reduction = one chain over k = 0 … kc−1 per element, whatever mr and nr are, so that splitting
///               K into consecutive calls (accumulate) or tiling M and N differently gives the same
///               bits.
///
/// Of whole numbers (`of_integers`) the sums are s32, exact, and stand in C or `sums` as such between
/// calls over K; they begin at what a panel's head has for the column. The last call, and only that, is
/// given `row_scales`, and then
///
///   C = act(f32(sum) · (row_scale[i] · column_scale[j]) + bias) + residual
///
/// With narrow, and of whole numbers, act has the error that bf16 results may have
/// (kernels/simd/math_bf16.inl.hpp).
///
/// A is read where it lies. B is given as packed panels (PackPanel). A tile wider than NR covers
/// consecutive panels, `ldb` apart (a kernel may run several at once: worth it for few rows).
///
/// Hints, which change speed and never a bit:
///
///   ahead     memory that later calls read. A kernel may prefetch it into L2, spread evenly over
///             the call; null means what follows the panels. A loop over panels with several tiles
///             of rows gives each tile its share of the next panel, so that memory is read all the
///             time instead of during the first tile of a panel only.
///   resident  the panels, and what follows them, are in L2 or L3 already: without `ahead` nothing
///             is prefetched into L2.
///   streams   this operand is not used again before much else is: a kernel may load it without keeping
///             it in L1, where the other one stays.
///
/// A family with `finish` may leave act, residual and rounding of a call to a later call that is given
/// the same `later`, or to finish(*later), whichever comes first: until then C is not there.
///
/// Preconditions  1 ≤ mr ≤ MR, nr ≥ 1, kc ≥ 1, a multiple of KR except at the end of K; ldb is set if
///                nr > NR; lda is a multiple of KR, a aligned to KR elements
///                rows of A up to the next multiple of rows_read may be read, as wide as the others
///                panels are zero-padded beyond nr (all NR columns of each may be read)
///                of_integers: rows of A are zero-padded to a multiple of kQuantizedGroup, up to which
///                they may be read; bias is given in the last call alone; K ≤ kMostIntegerDepth; calls
///                over K for the same rows have the same mr
///                activation != none, residual and narrow are used only in the last call over K;
///                with narrow, c is read if `accumulate` and else not looked at
/// Aliasing       residual may be c itself (same ldr); nothing else overlaps
struct GemmTile {
  const void* a;  // (mr, kc) of the family's type, row stride lda
  Index lda;
  const void* b;  // ⌈nr/NR⌉ panels of kc rows
  Index ldb = 0;  // bytes from panel to panel
  float* c;       // (mr, nr), row stride ldc
  Index ldc;
  Index mr, nr, kc;
  const float* bias = nullptr;      // (nr)
  const float* residual = nullptr;  // (mr, nr), row stride ldr
  Index ldr = 0;
  bool accumulate = false;
  Activation activation = Activation::none;
  const void* ahead = nullptr;  // any address
  Index ahead_bytes = 0;
  bool resident = false;
  std::uint16_t* narrow = nullptr;  // bf16 (mr, nr), row stride ldn
  Index ldn = 0;
  const float* sums = nullptr;  // (mr, nr), row stride lds: what `accumulate` starts from, if not C
  Index lds = 0;
  GemmOperand streams = GemmOperand::none;
  LaterEpilogue* later = nullptr;
  // of_integers
  const void* heads = nullptr;        // of the first panel; from panel to panel ldb bytes
  const float* row_scales = nullptr;  // (mr), row_scale_step elements apart
  Index row_scale_step = 0;
};
using GemmUkernel = void (*)(const GemmTile&) noexcept;

/// The epilogue of the last call that left one, and the sums that it applies to (s32 if of_integers).
/// While tiles are multiplied, vector instructions are free: the next call spreads them over its products.
/// What the tile points at, scales of rows and columns among it, is there until then.
struct LaterEpilogue {
  LaterEpilogue() noexcept {}       // sums are written before they are read
  alignas(64) float sums[2][1024];  // of the call that waits and of the one that runs, in turn
  GemmTile tile{};
  Index j0 = 0, nr = 0, ld = 0;  // columns [j0, j0+nr) of the tile, and the row stride of its sums
  Index row = 0, rows = 0;       // those to do: [row, rows)
  int waiting = 0;               // sums[waiting]
};

/// Of s8: |Σ (a + 128)·b| ≤ 255·128·K stays within s32.
inline constexpr Index kMostIntegerDepth = 65536;

/// Rows [n0, n0+nr) of a weight W (N,K), element type `type`, row stride ldw, and the panel that they
/// become. `w` points at row n0, `panel` at panel_bytes(K) bytes.
struct PanelOfRows {
  const void* w;
  DType type;
  Index ldw;
  Index nr, K;
  void* panel;
  const float* scales = nullptr;  // (nr), of s8: element k is w[k]·scale
};

/// Packs rows into one panel as `run` reads it, zero in columns ≥ nr and beyond K. Stored s8 is for
/// families of whole numbers alone.
///
///   f32    panel[k·NR + j] = W[n0+j, k]
///   bf16   panel[(k/2·NR + j)·2 + k mod 2] = W[n0+j, k], rounded to nearest even: pairs; for a matrix
///          unit the same in tiles of 16 columns, one after another in each group of KR
///   s8     a head, then whole numbers, two or four of a column together: kernels/gemm/pack_s8.inl.hpp
///   ternary  a head, then -1, 0 and 1, three in five bits: kernels/gemm/pack_ternary.inl.hpp; of s8 alone
using PackPanel = void (*)(const PanelOfRows& rows) noexcept;

/// The family of one precision at one level; run == null: this level has none.
///
/// A panel is a head and K rows of NR elements; rows are taken KR at a time (what one instruction
/// multiplies, a power of two), and the last group is filled up with zeros. A panel from row k on (k a
/// multiple of KR) begins at panel_offset(k): chunks of K need no packing of their own.
///
/// `enter` and `leave` enclose the calls of one task on one thread (kernels/unit_state.hpp).
struct Gemm {
  GemmUkernel run = nullptr;
  PackPanel pack_panel = nullptr;
  Index MR = 0, NR = 0, KR = 1;
  ElementBits bits{};
  /// Rows of A are read by so many: those beyond mr are there, and do not count. > 1: they take their time,
  /// so that rows are cut MR at a time.
  Index rows_read = 1;
  EnterUnit enter = nullptr;
  LeaveUnit leave = nullptr;
  void (*finish)(LaterEpilogue& later) noexcept = nullptr;  ///< does what `later` still holds

  bool of_integers =
      false;  ///< sums are s32; panels have heads: NR scales (f32), NR first sums (s32)

  constexpr Index head_bytes() const noexcept { return of_integers ? 8 * NR : 0; }
  /// Of rows [0, k) of a panel, without its head.
  constexpr Index rows_bytes(Index k) const noexcept { return (k + KR - 1) / KR * group_bytes(); }
  /// Of KR rows.
  constexpr Index group_bytes() const noexcept { return NR * KR * bits.b / (8 * bits.b_elements); }
  constexpr Index panel_offset(Index k) const noexcept { return head_bytes() + rows_bytes(k); }
  /// Up to where the next panel's head may begin.
  constexpr Index panel_bytes(Index K) const noexcept { return (panel_offset(K) + 3) & ~Index{3}; }
};

}  // namespace tessera::kernels
