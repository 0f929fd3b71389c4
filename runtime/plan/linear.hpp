// SPDX-License-Identifier: Apache-2.0
//
// The loop order of one linear, chosen by evaluating every candidate (docs/DATAFLOW.md, "Loop
// orders"; TAS, Li & Chang 2025): {five orders} × {blocks of rows, of columns, of K}. A candidate
// costs
//
//   T = max( FLOP/peak + three fixed costs (docs/DESIGN.md, D-14),  bytes into L1 / rate of L2,
//            bytes into L2 / rate of L3,  bytes into L3 / rate of memory )
//
// (of ternary weights what looking them up takes is counted as FLOP, TileShape::lookup_rows)
//
// and among those within 2 % of the least time the one that moves the fewest bytes into L2 wins
// (then into L3, then into L1). The work is private to a thread per block of the stationary
// operand, and a number of blocks that the threads cannot share evenly costs what the last one
// waits.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "runtime/machine/rates.hpp"
#include "runtime/plan/gemm_traffic.hpp"

namespace tessera {

/// What a choice depends on besides the op.
struct PlanMachine {
  Index l1_bytes, l2_bytes, l3_bytes;  ///< l3_bytes = 0: there is none
  PerPrecision<TileShape> tile;
  int threads = 1;
  MachineRates rates;

  /// Bytes of a cache that a plan counts on. The rest is for what streams past, for ways that
  /// collide, and for a sibling hardware thread.
  double Z1() const noexcept { return 0.75 * static_cast<double>(l1_bytes); }
  double Z2() const noexcept { return 0.75 * static_cast<double>(l2_bytes); }
  double Z3() const noexcept { return 0.5 * static_cast<double>(l3_bytes); }
};

/// One linear at one number of rows.
struct LinearTask {
  LinearShape shape;
  bool residual = false;  ///< C may be the residual's memory: K is not split
  bool norm = false;      ///< a layer norm over the rows follows
  bool narrow = false;    ///< the result is bf16: sums are never in memory, K is not split
  // With ops in its tiles (tile_ops.hpp).
  double share = 1;    ///< columns of the result per column of the product
  Index group = 1;     ///< panels that go together
  bool apart = false;  ///< the product is never in memory, K is not split
  bool weights_stay_in_l3 = false;
  Precision precision = Precision::f32;

  friend auto operator<=>(const LinearTask&, const LinearTask&) = default;
};

/// The register tile of the task's family, with the bytes of C that the task writes.
TileShape tile_of(const LinearTask& task, const PlanMachine& machine) noexcept;

/// Whether nests of this order may split K: sums of parts of K must have a place in memory, as f32. C is
/// one where it is f32 and not the residual's memory. IS-OS(a) needs room for one panel only, which bf16
/// gets in the worker's scratch (keeps_sums).
constexpr bool splits_k(const LinearTask& task, LoopOrder order) noexcept {
  if (order == LoopOrder::is_os_a && task.precision != Precision::f32) return true;
  return !task.residual && !task.narrow && !task.apart;
}

enum class Limit : std::uint8_t { compute, l2, l3, memory };
const char* to_string(Limit limit) noexcept;  ///< "compute", "L2 bandwidth", …

/// What a candidate moves, in bytes that cross the edge into each level, and how long it takes.
struct LinearCost {
  GemmTraffic l1, l2, l3;
  double epilogue = 0;  ///< of residual and layer norm at L1 and L2
  double seconds = 0;
  Limit limit = Limit::compute;
  double l1_bytes() const noexcept { return l1.bytes() + epilogue; }
  double l2_bytes() const noexcept { return l2.bytes() + epilogue; }
  double l3_bytes() const noexcept { return l3.bytes(); }
};

struct LinearCandidate {
  LoopNest nest;
  LinearCost cost;
};

struct LinearPlan {
  LinearCandidate chosen;
  /// The best blocks of every order (the chosen order's entry is the chosen candidate); empty if no
  /// blocks of it may be used.
  std::array<std::optional<LinearCandidate>, std::size(kLoopOrders)> best;
  double bound_bytes = 0;    ///< of L2
  double least_seconds = 0;  ///< of any candidate
  bool fits = true;          ///< candidates are those whose stationary block fits; false: none did
  ClassicalTraffic classical{};
};

LinearCost linear_cost(const LinearTask& task, const LoopNest& nest, const PlanMachine& machine);

/// Exhaustive; about 50 ns a candidate. With `forced` that order alone, with K whole where the op
/// does not split it.
LinearPlan plan_linear(const LinearTask& task, const PlanMachine& machine,
                       std::optional<LoopOrder> forced = {});

/// "moves 1.52 x the bytes into L2", "12.0 % slower than the fastest: L2 bandwidth", …
std::string why_rejected(const LinearCandidate& candidate, const LinearPlan& plan);

/// "MC=128 NC=256 KC=192"
std::string describe_blocks(const LoopNest& nest, const LinearShape& shape, TileShape tile);

}  // namespace tessera
