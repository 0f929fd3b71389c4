// SPDX-License-Identifier: Apache-2.0
//
// What a plan does and predicts at one number of rows, op by op: the choice, the bytes that cross
// the edge into each cache, the ratio to the lower bound, the time and what limits it, and why
// every other candidate lost. As text for people, as JSON for scripts.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "runtime/plan/plan.hpp"

namespace tessera {

struct CandidateReport {
  std::string name{}, blocks{};  ///< "WS-OS(a)", "NC=160"
  double l1_bytes = 0, l2_bytes = 0, l3_bytes = 0, seconds = 0;
  std::string limit{};  ///< "compute", "memory bandwidth", …
  std::string why{};    ///< why it lost; empty for the chosen one
  Index scratch_bytes =
      0;  ///< attention: AttentionCost::used_scratch_bytes; pooled linears: a worker's
};

struct OpReport {
  std::string kind{}, name{}, shape{},
      epilogue{};  ///< "linear", "layer.0.qkv", "(128,768)·(768,2304)", …
  double flops = 0;
  Precision precision = Precision::f32;  ///< of the multiply-adds
  bool is_in_tiles = false;              ///< runs in the tiles of a linear before it
  double bound_bytes = 0;                ///< no order moves fewer into L2; 0: not modelled
  CandidateReport chosen{};
  std::vector<CandidateReport> rejected{};
  /// Linears: bytes of the textbook orders with the same buffer. 0: not modelled.
  /// Into L2 in a run that follows another, where ops before left operands there
  /// (run_traffic.hpp); empty for several threads.
  std::optional<double> run_l2_bytes{};
  double naive_bytes = 0, is_bytes = 0, ws_bytes = 0, os_bytes = 0;
};

/// From `rows` rows on, linears of this shape run in `order`.
struct OrderRange {
  std::string shape;  ///< "layer.0.ffn_act (768,3072)": the first of its kind; K, N
  Index rows;
  std::string order;
};

/// What the batch takes where linears multiply elements of one precision.
struct PrecisionCost {
  std::string name{};  ///< "fp32", "bf16"
  double seconds = 0;  ///< predicted: PlanReport::totals()
  std::size_t weights_packed_bytes = 0, arena_bytes = 0;
};

struct PrecisionCosts {
  PrecisionCost chosen, other;
};

/// Ops of the program that run together on one block of rows after another, at the report's batch.
struct ChainReport {
  OpSpan span;
  BlockShape shape;
};

struct PlanReport {
  PlanIdentity identity;
  std::string rates;
  Index rows = 0, sequences = 0;
  bool holds_columns = false;  ///< as PlanInput
  std::vector<OpReport> ops;   ///< of one in a chain: all its blocks together
  std::vector<ChainReport> chains{};
  /// Of all values at the largest batch, blocks of chains included; and what they would take if no op
  /// were chained.
  std::size_t values_bytes = 0, unchained_values_bytes = 0;
  std::vector<OrderRange> crossovers;
  std::vector<std::string> fallbacks;
  /// Of the reported plan, and what the other precision would take: known to whoever has the model
  /// that the plan's program was made of (Encoder::report()), else empty.
  std::optional<PrecisionCosts> precisions{};

  CandidateReport totals() const;  ///< sums, each op alone; limit is empty
  /// Sum of OpReport::run_l2_bytes; empty if an op has none.
  std::optional<double> run_l2_bytes() const;
  std::string text() const;
  std::string json() const;
};

/// The chain that begins at op `i` in a batch of `rows` rows in equal sequences; empty: none.
std::optional<ChainReport> chain_at(const Plan& plan, const PlanInput& input, std::size_t i,
                                    Index rows, Index sequences);

/// Throws Error{invalid_argument} unless 1 ≤ sequences ≤ rows and both are within the plan's.
PlanReport report_plan(const Plan& plan, const PlanInput& input, Index rows, Index sequences);

}  // namespace tessera
