// SPDX-License-Identifier: Apache-2.0
//
// The table of a level: one implementation of every kernel. The contracts stand beside the families:
// gemm/gemm.hpp, attention/attention.hpp, rows/rows.hpp, maps/maps.hpp, image/image.hpp, probe/probe.hpp.
//
// All kernels: one thread, no allocation, noexcept; extents are already validated by the caller
// (TESSERA_ASSERT in debug builds); strides are in elements, rows are contiguous; no alignment is
// required unless stated. Outputs do not overlap inputs unless stated. All results are f32. The
// result of a row depends on that row's inputs alone, never on how many rows one call handles: this
// is what makes batches bit-reproducible.
#pragma once

#include "kernels/attention/attention.hpp"
#include "kernels/gemm/gemm.hpp"
#include "kernels/image/image.hpp"
#include "kernels/isa.hpp"
#include "kernels/maps/maps.hpp"
#include "kernels/probe/probe.hpp"
#include "kernels/rows/rows.hpp"

namespace tessera::kernels {

/// Null means: inherit from the levels that this one contains.
struct KernelTable {
  Isa isa = Isa::baseline;  ///< of which it is the table
  PerPrecision<Gemm> gemm{};
  PerPrecision<Attention> attention{};
  LayerNorm layer_norm = nullptr;
  ActivationRows activation = nullptr;
  GatedRows gated = nullptr;
  L2NormalizeRows l2_normalize = nullptr;
  RotateHeadsOfRow rotate_heads = nullptr;
  AddRows add = nullptr;
  PickElementsOfRow pick = nullptr;
  AddTransposed add_transposed = nullptr;
  EmbeddingGatherSum embedding = nullptr;
  WeightedMeanRows weighted_mean = nullptr;
  MaxRows max_rows = nullptr;
  Depthwise depthwise = nullptr;
  Widen widen = nullptr;
  NarrowRows narrow = nullptr;
  Quantize quantize = nullptr;  ///< as gemm[Precision::s8] of this level reads A
  ResampleBytes resample_bytes = nullptr;
  TransposeBytes transpose_bytes = nullptr;
  Probe probe{};
};

/// The kernels of `isa`: its own, and what it inherits. A level contains another if it needs every
/// feature that the other needs; the tables of all levels that `isa` contains are overlaid in the
/// order of levels().
/// Precondition: cpu_supports(isa). The reference stays valid for the life of the process.
const KernelTable& kernels_at(Isa isa) noexcept;

}  // namespace tessera::kernels
