// SPDX-License-Identifier: Apache-2.0
//
// What attention costs in each dataflow, and the choice. Counting is by tile and exact: the model
// makes the walk of the kernels (kernels/attention/walk.hpp) and counts its steps. From the counts
// follow bytes per level, time, and the choice (docs/DATAFLOW.md, "Attention dataflows").
//
//   compute   2d·(score cells + value cells)/FLOP rate + cells of P/exp rate
//             (exp runs on the ports of the FMAs: the two add up)
//   scores    words of S and P written and read, at the rate of the level that holds the live ones:
//             2 per cell where P alone leaves the registers (streaming), else 4
//   moved     bytes into L2 and L3 and back out: K, V, Q once, O twice (write-allocate), scores
//             that do not fit, the scratch once
//   time      max(compute + scores + moved into L2/L3 rate/2, moved into L3/memory rate): of the
//             latency of L3 the prefetches hide about half (T = 4096, d = 64: 255 MB more cost
//             5.4 ms of 10)
//
// The bound is 4Td words per head, each moved once: Q, K, V in, O out. (Saha & Ye 2024: Θ(T²d²/Z)
// for a buffer of Z ≥ d² words, which is less while T ≤ 4Z/d.)
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/attention/attention.hpp"
#include "runtime/machine/rates.hpp"

namespace tessera {

inline constexpr kernels::AttentionDataflow kAllDataflows[] = {
    kernels::AttentionDataflow::layerwise,      kernels::AttentionDataflow::flat_head,
    kernels::AttentionDataflow::flat_rows,      kernels::AttentionDataflow::streaming,
    kernels::AttentionDataflow::streaming_keys, kernels::AttentionDataflow::interleaved};

/// Attention of `heads` heads over one sequence.
struct AttentionShape {
  Index T, d, heads;
  kernels::AttentionMask mask{};
};

/// Caches as one core sees them; 0 is "none".
struct AttentionCaches {
  Index l1_bytes, l2_bytes, l3_bytes;
};

/// What one head executes. A tile is a block of rows times a key tile; cells are counted in whole
/// register tiles.
struct AttentionCounts {
  std::int64_t tiles = 0;
  std::int64_t boundary_tiles = 0;  ///< of these, under a mask
  std::int64_t score_cells = 0;     ///< elements of S computed: 2d FLOP each
  std::int64_t exp_cells = 0;       ///< elements of P
  std::int64_t value_cells = 0;     ///< elements of P multiplied with V: 2d FLOP each
  std::int64_t words = 0;           ///< Q, K, V, O, S, P read and written by the tiles, each once

  friend bool operator==(const AttentionCounts&, const AttentionCounts&) = default;
};

/// One dataflow, all heads, one thread.
struct AttentionCost {
  kernels::AttentionDataflow dataflow = kernels::AttentionDataflow::streaming;
  AttentionCounts counts{};    ///< of one head
  double flops = 0, exps = 0;  ///< executed
  double l1_bytes = 0;         ///< moved between L1 and the level behind it
  double l2_bytes = 0;         ///< … of L2
  double l3_bytes = 0;         ///< … of L3
  double bound_bytes = 0;
  Index live_bytes = 0;          ///< scores, states and one tile of K and V
  Index scratch_bytes = 0;       ///< per thread
  Index used_scratch_bytes = 0;  ///< of it, in l2_bytes twice where it stays in L2; else 0
  double seconds = 0;
  std::string limit{};  ///< "compute", "scores", "L2", "L3"
  std::string why{};    ///< of a rejected one
};

/// Blocks of rows whose Q, m, l, O a task of streaming_keys carries: 0.5 MiB at d = 64.
inline constexpr Index kCarriedBlocks = 16;

/// Query rows of one call of the kernel: a block, a pair of blocks, kCarriedBlocks, or the whole
/// sequence, which a family that packs K and V always takes.
Index rows_per_task(kernels::AttentionDataflow dataflow, Index T,
                    const kernels::Attention& kernel) noexcept;

/// Counts, bytes, footprint. Precondition: T ≥ 1, d ≥ 1, heads ≥ 1.
AttentionCost attention_cost(kernels::AttentionDataflow dataflow, const AttentionShape& shape,
                             const AttentionCaches& caches, const kernels::Attention& kernel);

struct AttentionPlan {
  AttentionCost chosen;
  std::vector<AttentionCost> rejected;  ///< by rising time
};

/// The dataflow of least predicted time; of two within 1 %, the one with less scratch.
AttentionPlan plan_attention(const AttentionShape& shape, const AttentionCaches& caches,
                             const MachineRates& rates, const kernels::Attention& kernel,
                             Precision precision = Precision::f32);

/// "512 rows, 12 heads of 64: streaming, 16 tiles a head, … ; flat_rows: 1.04 x the time".
std::string explain(const AttentionPlan& plan, const AttentionShape& shape);

/// What a run takes, in closed form: streaming_keys where K, V and what is live beside them exceed
/// 3/4 of L2 and nothing is hidden, else streaming. It is what plan_attention() chooses
/// (tests/runtime/plan/attention_test.cpp), and its scratch has a bound that does not depend on T.
kernels::AttentionDataflow dataflow_of(Index T, Index d, const kernels::AttentionMask& mask,
                                       Index l2_bytes, const kernels::Attention& kernel) noexcept;

}  // namespace tessera
