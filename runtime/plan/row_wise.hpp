// SPDX-License-Identifier: Apache-2.0
// What an op that computes row by row costs: it reads its inputs and writes its output once, at the speed
// of the cache that holds them.
#pragma once

#include "runtime/plan/linear.hpp"
#include "runtime/program/program.hpp"

namespace tessera {

struct RowWiseCost {
  double bytes = 0, seconds = 0;
  Limit limit = Limit::l2;
};

/// At `rows` token rows in `sequences` sequences, shared by the machine's threads.
RowWiseCost row_wise_cost(const Program& program, const Op& op, Index rows, Index sequences,
                          const PlanMachine& machine);

}  // namespace tessera
