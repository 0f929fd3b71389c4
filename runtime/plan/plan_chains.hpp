// SPDX-License-Identifier: Apache-2.0
//
// Which ops run in chains (chain.hpp), and in blocks of how many rows R. A chain moves the weights of its
// ops into L2 once a block; what lies between the ops takes the memory of a block instead of that of
// the batch. For every R of a list
//
//   T(R) = M/R · Σ seconds of the op at R rows on one thread / threads       M = 4096 rows
//
// and of those within 2 % of the least time (5 % where the least memory is asked for), op by op among them, the one is taken whose values need
// the least memory. Whatever stays in L2 from one op of a block to the next is gain that T does not
// count: weights pass between the two, and under least-recently-used replacement they push it out.
#pragma once

#include <vector>

#include "runtime/plan/plan.hpp"

namespace tessera {

/// Whether the weights of a chain stay in L3 (half of it counts) from one block to the next.
bool weights_stay_between_blocks(const Program& program, OpSpan span,
                                 const PerPrecision<TileShape>& tile, const PlanMachine& machine);

/// The numbers of rows of the largest batch from which on another R may be chosen: there the memory of a
/// session may fall as the rows rise; between two of them it rises.
std::vector<Index> chain_thresholds(int threads);

/// Sets the chains of `ops`, which are planned otherwise: those that were asked for, or the best.
void make_chains(const PlanInput& input, std::vector<OpSchedule>& ops);

}  // namespace tessera
