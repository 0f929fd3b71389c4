// SPDX-License-Identifier: Apache-2.0
// One linear on given pointers, in a given loop order, on the calling thread: what the op, the
// chains of ops and the benchmarks run.
#pragma once

#include "kernels/kernel_table.hpp"
#include "runtime/plan/loop_nest.hpp"

namespace tessera {
class RunStop;
}

namespace tessera::execute {

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

/// The block rows × panels of C: one task, between `enter` and `leave` of the family.
void run_block(const GemmOperands& o, const LoopNest& nest, Range rows, Range panels) noexcept;

/// All of C, block by block; M rows.
void run_gemm(const GemmOperands& o, const LoopNest& nest, Index M) noexcept;

}  // namespace tessera::execute
