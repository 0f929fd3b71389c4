// SPDX-License-Identifier: Apache-2.0
//
// The contract of attention: query rows of one head of one sequence, in six dataflows, under a mask.
#pragma once

#include "kernels/types.hpp"
#include "kernels/unit_state.hpp"

namespace tessera::kernels {

/// The order in which one head's attention is computed; the result is the same up to rounding.
///
///   layerwise       all of S, then all of P (a second matrix), then O, each through memory
///   flat_head       the same in place, P over S: one matrix of the whole head
///                   (FLAT, head granularity)
///   flat_rows       per block of Br rows: S of all keys, softmax, O (FLAT, row granularity)
///   streaming       per block of Br rows: key tiles one after another, online softmax
///                   (query-stationary: Q and O stay, K and V stream)
///   streaming_keys  per key tile: all blocks of rows
///                   (key-stationary: K and V stay; Q, m, l, O stream)
///   interleaved     as streaming, two blocks at a time: the exponentials of one are in the
///                   instruction stream of the other's products (MAS-Attention)
///
/// docs/DATAFLOW.md, "Attention dataflows", draws them and has what each moves.
enum class AttentionDataflow : std::uint8_t {
  layerwise,
  flat_head,
  flat_rows,
  streaming,
  streaming_keys,
  interleaved
};
inline constexpr Index kAttentionDataflows = 6;
inline constexpr Index kMaxHeadDim = 256;
const char* to_string(AttentionDataflow dataflow) noexcept;

enum class MaskKind : std::uint8_t { band, log_sparse, log_sparse_causal };

/// Which keys a query sees, by the difference r = (key position) − (query position):
///
///   band         −left ≤ r ≤ right: full, sliding window (left = right = w), causal (right = 0),
///                causal window (left = w, right = 0)
///   log_sparse   with δ = |r| and t = δ mod restart (t = δ if restart = 0): t < local, or
///                t − local + 1 is a power of two; log_sparse_causal: and r ≤ 0
///
/// left, right ≥ 0, local ≥ 1, restart = 0 or > local.
struct AttentionMask {
  static constexpr Index kAll = Index{1} << 40;
  MaskKind kind = MaskKind::band;
  Index left = kAll, right = kAll;
  Index local = 1, restart = 0;

  friend bool operator==(const AttentionMask&, const AttentionMask&) = default;
};

/// Query rows of one head of one sequence: O = softmax(scale·QKᵀ + bias) V over the visible keys.
///
/// A row that sees no key, or all of whose scores are −inf, is zero. Query i has position
/// q_begin + i, key j position j; `mask` goes by positions.
/// bias(i,j) = bias[k_column(j) − q_column(i)] − slope·|k_column(j) − q_column(i)| + dense[i,j],
/// where a column is the element of q_columns/k_columns, or, where these are null, the position.
/// `bias` points at relative position 0 and is valid for every difference that occurs. An element
/// of −inf hides its key. K and V of hidden keys may be read, and NaN in them may reach O.
/// Scratch: scratch_elements(dataflow, Tq, Tk, d) floats, 64-byte aligned, content irrelevant
/// before and after. Blocks of rows are cut by Tq alone: a row's bits depend on them where `mask`
/// hides keys, and on nothing but its own inputs where it does not.
struct AttentionTask {
  const void* q;  // (Tq, d) of the family's type, row stride ldq; bf16: d and strides are even
  Index ldq;
  const void* k;  // (Tk, d), row stride ldk
  Index ldk;
  const void* v;  // (Tk, d), row stride ldv
  Index ldv;
  float* o;  // (Tq, d), row stride ldo; null if `narrow` is given
  Index ldo;
  Index Tq, Tk, d;  // Tq ≥ 1, Tk ≥ 0, 1 ≤ d ≤ kMaxHeadDim
  float scale;
  const float* bias = nullptr;
  Index q_begin = 0;
  const std::int32_t* q_columns = nullptr;  // (Tq)
  const std::int32_t* k_columns = nullptr;  // (Tk)
  float* scratch;
  AttentionDataflow dataflow = AttentionDataflow::streaming;
  AttentionMask mask{};
  float slope = 0.0F;            // ALiBi
  const float* dense = nullptr;  // (Tq, Tk), row stride ld_dense
  Index ld_dense = 0;
  std::uint16_t* narrow = nullptr;  // bf16: O goes there, rounded; (Tq, d), row stride ldn
  Index ldn = 0;
};
using AttentionBlock = void (*)(const AttentionTask&) noexcept;

/// Bytes of an element in memory: of Q, K and V, of O, of scores and other scratch.
struct AttentionBytes {
  Index qkv = 4, o = 4, scratch = 4;
};

/// The family of one precision at one level; run == null: this level has none. `enter` and `leave`
/// as in Gemm.
struct Attention {
  AttentionBlock run = nullptr;
  Index Br = 0;          // rows of a block; a task of streaming has at most that many
  Index Bc = 0;          // most keys of a tile
  Index MR = 0, NR = 0;  // register tile: MR keys x NR queries of S, MR rows x NR columns of O
  Index V = 0;           // rows of a vector: blocks begin at multiples of it (attention/blocks.hpp)
  Index (*scratch_elements)(AttentionDataflow dataflow, Index Tq, Index Tk,
                            Index d) noexcept = nullptr;
  /// Of the scratch, what a task that hides no key touches; null: the parts of S, P, Q and O alone.
  Index (*used_elements)(AttentionDataflow dataflow, Index Tq, Index Tk,
                         Index d) noexcept = nullptr;
  AttentionBytes bytes{};
  EnterUnit enter = nullptr;
  LeaveUnit leave = nullptr;
  /// Packs K and V of a task before its first row, which costs as much as that many rows against the
  /// same keys: a task should be a head, or a good multiple of these rows. 0: it packs nothing.
  Index packing_rows = 0;
  Index step = 1;                       ///< tiles of keys begin at multiples of it; it divides Bc
  Index carried = AttentionMask::kAll;  ///< most blocks that streaming_keys carries at a time
  bool is_absent = false;  ///< in a level's table: what it would inherit loses on its CPUs
};

}  // namespace tessera::kernels
