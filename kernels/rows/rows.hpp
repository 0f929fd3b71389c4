// SPDX-License-Identifier: Apache-2.0
//
// The contracts of what looks at one row at a time: norms, activations, sums, embedding, pooling.
#pragma once

#include "kernels/types.hpp"

namespace tessera::kernels {

/// y = (z − mean z)/sqrt(var z + eps)·gamma + beta per row, z = x + residual (residual may be
/// null). x, residual, y: (M,N) with row strides; gamma, beta: (N). y may be x or residual.
/// Two-pass variance. `of_squares` (RMSNorm): the mean counts as 0. Where `narrow` is given, the result goes there,
/// rounded to bf16, and y is not looked at; then there is no residual, which needs a place for z.
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
  bool of_squares = false;
  std::uint16_t* narrow = nullptr;  // (M,N), row stride ldn; does not overlap x
  Index ldn = 0;
};
using LayerNorm = void (*)(const LayerNormRows&) noexcept;

/// y = act(x), (M,N). y may be x.
using ActivationRows = void (*)(Activation act, const float* x, Index ldx, float* y, Index ldy,
                                Index M, Index N) noexcept;

/// y = act(x) ⊙ u, (M,N), x and u with row stride ldx. y may be x or u.
using GatedRows = void (*)(Activation act, const float* x, const float* u, Index ldx, float* y,
                           Index ldy, Index M, Index N) noexcept;

/// Heads of one row, d columns each, one after another, in place: x·gamma/√(mean x² + eps) over each
/// head if gamma (d) is given, then the rotation of `pairs` pairs of its columns, j and pairs + j, or
/// neighbours 2j and 2j + 1: (a, b) becomes (a cos_j − b sin_j, b cos_j + a sin_j). 2·pairs ≤ d.
struct RotateHeads {
  float* x;
  Index heads, d;
  const float* gamma = nullptr;
  float eps = 0.0F;
  const float* cos = nullptr;  // (pairs)
  const float* sin = nullptr;  // (pairs)
  Index pairs = 0;
  bool neighbours = false;
};
using RotateHeadsOfRow = void (*)(const RotateHeads&) noexcept;

/// y = x / max(‖x‖₂, eps) per row, (M,N). y may be x.
using L2NormalizeRows = void (*)(const float* x, Index ldx, float* y, Index ldy, Index M, Index N,
                                 float eps) noexcept;

/// y = a + b, (M,N). y may be a or b.
using AddRows = void (*)(const float* a, Index lda, const float* b, Index ldb, float* y, Index ldy,
                         Index M, Index N) noexcept;

/// y[j] = scale · x[index[j]], j < n. The index never falls, or never rises; x[k] may be read from its
/// smallest element on to x[end − 1], and is not beyond.
struct PickElements {
  const float* x;
  Index end;
  const std::int32_t* index;  // (n)
  Index n;
  float scale;
  float* y;  // (n)
};
using PickElementsOfRow = void (*)(const PickElements&) noexcept;

/// y[i,j] = x[j,i], or, if it adds, y[i,j] + x[j,i]; x (N,M), y (M,N).
using AddTransposed = void (*)(const float* x, Index ldx, float* y, Index ldy, Index M, Index N,
                               bool adds) noexcept;

// ---- Embedding and pooling ----------------------------------------------------------------------

/// One term of a gather-sum: row `index[i]` of `table` (rows,N); `index` null means row `constant`. Row r
/// of whole numbers (s8) counts in scales[r].
struct EmbeddingTerm {
  const void* table;
  DType type;
  const std::int32_t* index;
  std::int32_t constant = 0;
  const float* scales = nullptr;
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

/// y = x rounded to bf16, to nearest even, (M,N); NaN stays NaN. y does not overlap x.
using NarrowRows = void (*)(const float* x, Index ldx, std::uint16_t* y, Index ldy, Index M,
                            Index N) noexcept;

/// Rows of x (M,N), f32 or bf16, as whole numbers and one scale each:
///
///   scale = max_j |x_j| / 127        q_j = x_j · (127 / max_j |x_j|), rounded to nearest even
///
/// With `factors` f, powers of two, x_j stands for x_j · f_j: what multiplies the row has its columns divided
/// by f (runtime/weights/input_factors.hpp).
///
/// The same q and scale at every level. max < 2⁻¹⁰⁰: the row counts as zeros, of scale 0. A row that
/// holds ±inf or NaN: zeros, of scale NaN, so that what is multiplied by it is NaN.
///
/// A row of y has the elements as the level's products of s8 read them (q, q + 128 or 16 bits), zeros up to
/// a multiple of kQuantizedGroup, and its scale at scale_offset(). y does not overlap x.
struct QuantizeRows {
  const void* x;
  DType type;
  Index ldx;
  void* y;
  Index y_bytes;  // from row to row
  Index M, N;
  const float* factors = nullptr;  // (N)
};
using Quantize = void (*)(const QuantizeRows&) noexcept;

}  // namespace tessera::kernels
