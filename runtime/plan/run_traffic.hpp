// SPDX-License-Identifier: Apache-2.0
//
// Bytes into and out of L2, op after op, as a run moves them. What a plan says of one op is for
// operands that come from beyond L2 and results that leave it: that is what its loop order decides
// about. In a run the op before may have left its result in L2, and a result that is overwritten
// while it is there never leaves:
//
//   moved(op) = alone(op) − operands still in L2 (runtime/plan/recent_memory.hpp), each once
//               − output (write-allocate) where its memory is still in L2
//               − output (written back) + older results that this op pushes out of L2
//
// For one thread: how ops share their rows among several is not followed. In a chain, op after op of
// each block.
#pragma once

#include <vector>

#include "runtime/plan/report.hpp"

namespace tessera {

/// One per op of `report`, which has all ops: the bytes of a run that follows another one.
std::vector<double> run_l2_bytes(const Plan& plan, const PlanReport& report,
                                 const PlanInput& input);

}  // namespace tessera
