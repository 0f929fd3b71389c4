// SPDX-License-Identifier: Apache-2.0
// One linear on given pointers, in a given loop order, on the calling thread: what the op, the
// chains of ops and the benchmarks run.
#pragma once

#include "kernels/kernel_table.hpp"
#include "runtime/plan/loop_nest.hpp"
#include "runtime/plan/tile_ops.hpp"

namespace tessera {
class RunStop;
}

namespace tessera::execute {

/// Products of one group of panels (tile_ops.hpp) that were just computed.
struct GroupProducts {
  Range rows;     // of C
  Index column;   // of the result that the ops write
  Index columns;  // likewise: of a pair, those of one half
  float* c;       // the first of them, (rows, columns)
  Index ldc;
  Index to_right;  // of a pair: from the left half's column to the right half's
};

/// What runs behind the products of each group.
struct GroupOps {
  TileGroup group{};
  /// Where products are that have no place in C: apart_elements().
  float* apart = nullptr;
  /// Null: nothing does.
  void (*run)(const void* self, const GroupProducts& products) noexcept = nullptr;
  const void* self = nullptr;
};
/// Panels of `apart` for a single tile of rows, which takes several at a time: at least so many.
inline constexpr Index kFewPanels = 8;
/// Floats of GroupOps::apart: the panels of a group, of all rows of a block or, by rows, of a tile; or of a
/// single tile of rows several groups.
constexpr Index apart_elements(const TileGroup& group, const LoopNest& nest, Index block_rows,
                               Index MR, Index NR) noexcept {
  if (!group.apart) return 0;
  const Index few = kFewPanels > group.panels ? kFewPanels : group.panels;
  const Index of_block = (goes_by_rows(nest.order) ? MR : block_rows) * group.panels,
              of_few = MR * few;
  return NR * (of_block > of_few ? of_block : of_few);
}

/// C = act(A Bᵀ + bias) + residual. Preconditions: those of kernels::GemmTile.
/// Aliasing: residual may be c; nothing else overlaps.
struct GemmOperands {
  const kernels::Gemm& gemm;
  const void* a;  // (M,K) of the family's type, row stride lda
  Index lda;
  const void* panels;  // ⌈N/NR⌉ packed panels
  float* c;            // (M,N), row stride ldc
  Index ldc;
  std::uint16_t* narrow = nullptr;  // instead: bf16 (M,N), row stride ldn; the nest keeps K whole
  Index ldn = 0;
  Index N, K;
  const float* bias = nullptr;      // (N)
  const float* residual = nullptr;  // (M,N), row stride ldr
  Index ldr = 0;
  Activation activation = Activation::none;
  const void* after = nullptr;  // what is read after this linear: prefetched meanwhile
  Index after_bytes = 0;
  /// C as blocks of `block_columns` columns, (M, block_columns) with row stride ldc each,
  /// block_stride apart: whole panels each, and no residual. 0: one block.
  Index block_columns = 0, block_stride = 0;
  bool resident = false;  ///< the weights are in L2 or L3: no prefetch into L2
  /// Room for sums between chunks of K, where the result is no place for them: bf16, or added to. Rows of
  /// a block × NR, for IS-OS(a), which ends a panel before it begins the next.
  float* sums = nullptr;
  /// Of whole numbers: the scale of row 0 of A, and floats from row to row.
  const float* row_scales = nullptr;
  Index row_scale_step = 0;
  GroupOps behind{};
  RunStop* stop = nullptr;  ///< the remaining tiles are left out once it is requested
};

Index panel_count(const GemmOperands& o) noexcept;

/// Whether blocks of rows end where tiles of MR rows do.
constexpr bool takes_whole_tiles(const kernels::Gemm& gemm) noexcept {
  return gemm.rows_read > 1;
}

/// Row i of A.
const void* row_of_a(const GemmOperands& o, Index i) noexcept;
/// `o` from row i of A, C and the residual on.
GemmOperands from_row(GemmOperands o, Index i) noexcept;

/// Columns [panels] of task `i` of `n`: whole groups.
Range column_block(const GemmOperands& o, Index i, Index n) noexcept;

/// The block rows × panels of C: one task, between `enter` and `leave` of the family.
void run_block(const GemmOperands& o, const LoopNest& nest, Range rows, Range panels) noexcept;

/// All of C, block by block; M rows.
void run_gemm(const GemmOperands& o, const LoopNest& nest, Index M) noexcept;

}  // namespace tessera::execute
