// SPDX-License-Identifier: Apache-2.0
//
// The contract of every kernel: one documented function type each, and the table that holds one
// implementation of each for an ISA level.
//
// All kernels: one thread, no allocation, noexcept; extents are already validated by the caller
// (TESSERA_ASSERT in debug builds); strides are in elements, rows are contiguous; no alignment is
// required unless stated. Outputs do not overlap inputs unless stated. All results are f32. The
// result of a row depends on that row's inputs alone, never on how many rows one call handles: this
// is what makes batches bit-reproducible.
#pragma once

#include "kernels/isa.hpp"
#include "kernels/types.hpp"

namespace tessera::kernels {

// ---- GEMM ---------------------------------------------------------------------------------------

/// One tile of rows: C (mr,nr) = act(init + A (mr,kc) B (kc,nr)) + residual.
///
///   init      = C if `accumulate`, else bias (broadcast over rows) if given, else 0
///   reduction = one chain over k = 0 … kc−1 per element, whatever mr and nr are, so that splitting
///               K into consecutive calls (accumulate) or tiling M and N differently gives the same
///               bits.
///
/// B is given as packed panels: kc rows of NR elements each. A tile wider than NR covers
/// consecutive panels, `ldb` apart (a kernel may run several at once: worth it for few rows).
///
/// Two prefetch hints, which change speed and never a bit:
///
///   ahead     memory that later calls read. A kernel may prefetch it into L2, spread evenly over
///             the call; null means what follows the panels. A loop over panels with several tiles
///             of rows gives each tile its share of the next panel, so that memory is read all the
///             time instead of during the first tile of a panel only.
///   resident  the panels, and what follows them, are in L2 or L3 already: without `ahead` nothing
///             is prefetched into L2.
///
/// Preconditions  1 ≤ mr ≤ MR, nr ≥ 1, kc ≥ 1; ldb is set if nr > NR
///                panels are zero-padded beyond nr (all NR columns of each may be read)
///                activation != none and residual are used only in the last call over K
/// Aliasing       residual may be c itself (same ldr); nothing else overlaps
struct GemmTile {
  const float* a;  // (mr, kc), row stride lda
  Index lda;
  const float* b;  // (⌈nr/NR⌉, kc, NR), panel stride ldb
  Index ldb = 0;
  float* c;  // (mr, nr), row stride ldc
  Index ldc;
  Index mr, nr, kc;
  const float* bias = nullptr;      // (nr)
  const float* residual = nullptr;  // (mr, nr), row stride ldr
  Index ldr = 0;
  bool accumulate = false;
  Activation activation = Activation::none;
  const float* ahead = nullptr;  // (ahead_n), any address
  Index ahead_n = 0;
  bool resident = false;
};
using GemmUkernel = void (*)(const GemmTile&) noexcept;

/// Packs rows [n0, n0+nr) of a weight W (N,K), element type `type`, row stride ldw, into one panel
/// (K, NR) f32, zero in columns ≥ nr.   panel[k·NR + j] = W[n0+j, k]
/// `w` points at row n0.
using PackPanel = void (*)(const void* w, DType type, Index ldw, Index nr, Index K,
                           float* panel) noexcept;

struct Gemm {
  GemmUkernel run = nullptr;
  PackPanel pack_panel = nullptr;
  Index MR = 0, NR = 0;
};

// ---- Attention ----------------------------------------------------------------------------------

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
  const float* q;  // (Tq, d), row stride ldq
  Index ldq;
  const float* k;  // (Tk, d), row stride ldk
  Index ldk;
  const float* v;  // (Tk, d), row stride ldv
  Index ldv;
  float* o;  // (Tq, d), row stride ldo
  Index ldo;
  Index Tq, Tk, d;  // 1 ≤ d ≤ kMaxHeadDim
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
};
using AttentionBlock = void (*)(const AttentionTask&) noexcept;

struct Attention {
  AttentionBlock run = nullptr;
  Index Br = 0;          // rows of a block; a task of streaming has at most that many
  Index Bc = 0;          // most keys of a tile
  Index MR = 0, NR = 0;  // register tile: MR keys x NR queries of S, MR rows x NR columns of O
  Index V = 0;           // rows of a vector: blocks begin at multiples of it (attention/blocks.hpp)
  Index (*scratch_elements)(AttentionDataflow dataflow, Index Tq, Index Tk,
                            Index d) noexcept = nullptr;
};

// ---- Row-wise operations ------------------------------------------------------------------------

/// y = (z − mean z)/sqrt(var z + eps)·gamma + beta per row, z = x + residual (residual may be
/// null). x, residual, y: (M,N) with row strides; gamma, beta: (N). y may be x or residual.
/// Two-pass variance.
struct LayerNormRows {
  const float* x;
  Index ldx;
  const float* residual;
  Index ldr;
  const float* gamma;
  const float* beta;
  float eps;
  float* y;
  Index ldy;
  Index M, N;
};
using LayerNorm = void (*)(const LayerNormRows&) noexcept;

/// y = act(x), (M,N). y may be x.
using ActivationRows = void (*)(Activation act, const float* x, Index ldx, float* y, Index ldy,
                                Index M, Index N) noexcept;

/// y = act(x) ⊙ u, (M,N), x and u with row stride ldx. y may be x or u.
using GatedRows = void (*)(Activation act, const float* x, const float* u, Index ldx, float* y,
                           Index ldy, Index M, Index N) noexcept;

/// y = exp(x − max x)/Σ exp(x − max x) per row, (M,N). y may be x. A row of −inf gives zeros.
using SoftmaxRows = void (*)(const float* x, Index ldx, float* y, Index ldy, Index M,
                             Index N) noexcept;

/// y = x / max(‖x‖₂, eps) per row, (M,N). y may be x.
using L2NormalizeRows = void (*)(const float* x, Index ldx, float* y, Index ldy, Index M, Index N,
                                 float eps) noexcept;

/// y = a + b, (M,N). y may be a or b.
using AddRows = void (*)(const float* a, Index lda, const float* b, Index ldb, float* y, Index ldy,
                         Index M, Index N) noexcept;

// ---- Embedding and pooling ----------------------------------------------------------------------

/// One term of a gather-sum: row `index[i]` of `table` (rows,N); `index` null means row `constant`.
struct EmbeddingTerm {
  const void* table;
  DType type;
  const std::int32_t* index;
  std::int32_t constant = 0;
};

/// y[i] = Σ_t table_t[index_t[i]], terms added in order, (M,N) with row stride ldy. 1 ≤ terms ≤ 4.
/// Indices are in range.
using EmbeddingGatherSum = void (*)(const EmbeddingTerm* terms, Index n_terms, float* y, Index ldy,
                                    Index M, Index N) noexcept;

/// y = Σ_i w_i x_i / Σ_i w_i over the T ≥ 1 rows of x (T,N); weights null means all 1. y: (N).
using WeightedMeanRows = void (*)(const float* x, Index ldx, const float* weights, Index T, Index N,
                                  float* y) noexcept;

/// y[n] = max_i x[i,n] over the T ≥ 1 rows of x. y: (N).
using MaxRows = void (*)(const float* x, Index ldx, Index T, Index N, float* y) noexcept;

/// y[i] = x[i] widened to f32, n elements.
using Widen = void (*)(const void* x, DType type, float* y, Index n) noexcept;

// ---- Images -------------------------------------------------------------------------------------

/// Fraction bits of the weights, and rows that the horizontal pass takes together.
inline constexpr int kResampleBits = 22;
inline constexpr Index kResampleRows = 16;

/// out[i] = clip((2²¹ + Σ_t weights[t]·in[t·ldi + i]) ≫ 22, 0, 255) for i < n: `taps` rows of n
/// bytes into one.
///
/// Preconditions  Σ_t |weights[t]|·255 + 2²¹ < 2³¹
/// Exact          integers: every level gives the same bytes
struct ResampleTask {
  const std::uint8_t* in;  // (taps, n), row stride ldi
  Index ldi;
  const std::int32_t* weights;  // (taps), scaled by 2²²
  Index taps;
  std::uint8_t* out;  // (n)
  Index n;
};
using ResampleBytes = void (*)(const ResampleTask&) noexcept;

/// out[j, i] = in[i, j]: in (M,N), out (N,M), bytes with row strides ldi and ldo.
using TransposeBytes = void (*)(const std::uint8_t* in, Index ldi, std::uint8_t* out, Index ldo,
                                Index M, Index N) noexcept;

// ---- Probes -------------------------------------------------------------------------------------

/// Loops that run one resource of a core at its limit, to be timed by the caller.
struct Probe {
  /// `rounds` × 12 independent multiply-adds on full vectors, in registers. Returns the FLOP done.
  double (*fma)(Index rounds) noexcept = nullptr;
  /// Reads n floats in order (whole groups of 8 vectors; the rest is left out). Returns their sum.
  float (*read)(const float* p, Index n) noexcept = nullptr;
  /// `rounds` × 4 vectors of 2ˣ as attention evaluates it. Returns the number of values.
  double (*exp2)(Index rounds) noexcept = nullptr;
};

// ---- The table ----------------------------------------------------------------------------------

/// Null means: inherit from the level below.
struct KernelTable {
  Isa isa = Isa::baseline;
  Gemm gemm{};
  Attention attention{};
  LayerNorm layer_norm = nullptr;
  ActivationRows activation = nullptr;
  GatedRows gated = nullptr;
  SoftmaxRows softmax = nullptr;
  L2NormalizeRows l2_normalize = nullptr;
  AddRows add = nullptr;
  EmbeddingGatherSum embedding = nullptr;
  WeightedMeanRows weighted_mean = nullptr;
  MaxRows max_rows = nullptr;
  Widen widen = nullptr;
  ResampleBytes resample_bytes = nullptr;
  TransposeBytes transpose_bytes = nullptr;
  Probe probe{};
};

/// The kernels of `isa`: the tables of all levels up to it, overlaid lowest first.
/// Precondition: cpu_supports(isa). The reference stays valid for the life of the process.
const KernelTable& kernels_at(Isa isa) noexcept;

}  // namespace tessera::kernels
