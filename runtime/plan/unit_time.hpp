// SPDX-License-Identifier: Apache-2.0
//
// The time of a linear on a matrix unit. Products are so fast there that nothing hides behind them: the
// time of memory is added, not covered (../shared/design/matrix_units.md, sections 1 and 6, measured on
// Emerald Rapids).
//
//   T = max( FLOP/peak, bytes from L2 into tiles / rate of L2 ) + sums/rate of L2
//       + bytes into L2 / rate of L3 + bytes into L3 / rate of memory
//       + with row tiles inside: bytes of C / rate of L3 (D-14)
//       + weights in memory: first piece of B / rate of memory, again: nothing hides it, while some of the
//         rest is prefetched beside products
//
// A call multiplies MR x NR of C over KC. One operand's chunk stays in L1 while it fits and is used
// again; the other passes by, without being kept (streamed_operand):
//
//   row tiles inside, several     B stays     calls · MR·KC  +  calls/tiles of a block · NR·KC
//   a single row tile, or
//   panels inside                 A stays     calls · NR·KC  +  calls/panels of a block · MR·KC
//
// Chunks of K differ by KR at most; what is loaded is counted as they are, and what stays by the largest.
//
// The first piece is a panel's chunk with row tiles inside, a column block with panels inside.
//
// Sums are loaded and stored by each call but the first and last over K: 2·4·MN·(k_blocks − 1).
#pragma once

#include "runtime/plan/linear.hpp"

namespace tessera {

/// Bytes that the calls load from beyond L1 into tiles.
double unit_l1_bytes(const LinearShape& shape, const LoopNest& nest, TileShape tile,
                     double Z1) noexcept;

/// The parts of T, in seconds: what loads take beyond the products is l2's.
struct UnitTime {
  double compute = 0, l2 = 0, l3 = 0, memory = 0;
  double sum() const noexcept { return compute + l2 + l3 + memory; }
  Limit largest() const noexcept;
};

/// Of the whole linear, the blocks shared evenly by the threads; `cost` has the bytes into L2 and L3.
/// `flops`: of all that is multiplied, filled tiles included.
UnitTime unit_time(const LinearTask& task, const LoopNest& nest, const LinearCost& cost,
                   const PlanMachine& machine, double flops) noexcept;

}  // namespace tessera
