// SPDX-License-Identifier: Apache-2.0
//
// Where the QKV product writes Q, K and V, and attention reads them: 3·heads matrices (ΣT, d).
//
//   row-major   slices of one (ΣT, 3H) activation: neighbours are d apart, rows a whole row of QKV
//   by heads    one after another: a row of K is followed by the next, so that long sequences need
//               one page instead of one per row. 1.05x at d = 64, 1.14x at d = 128, T = 2048 (one
//               thread, AVX-512, Emerald Rapids); no difference up to 512
//
// Both sides ask for the layout of the run, so neither a transpose nor a copy stands between them.
#pragma once

#include "runtime/plan/gemm_traffic.hpp"
#include "runtime/program/program.hpp"

namespace tessera {

/// From this longest sequence of a batch on, QKV lies by heads.
inline constexpr Index kByHeadsFrom = 1024;

/// The most keys of a piece that a schedule is for: `rows`, or the cells of a window.
Index most_keys(const Program& program, const AttentionOp& op, Index rows) noexcept;

/// Whether queries and keys are rows of the same space.
bool is_self_attention(const Program& program, const AttentionOp& op) noexcept;

/// The head dim of a value that may lie by heads: one row per token, written by a linear without residual and layer
/// norm, read by one attention op and nobody else, heads in whole panels. 0 for others.
Index head_dim_of(const Program& program, ValueId value, const PerPrecision<TileShape>& tile);

/// A value that lies by heads from a longest sequence on; from = 0: never.
struct ByHeads {
  Index head_dim = 0, from = 0;
};

}  // namespace tessera
