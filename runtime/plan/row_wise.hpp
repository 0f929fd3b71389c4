// SPDX-License-Identifier: Apache-2.0
// What an op that computes row by row costs: it reads its inputs and writes its output once, at the speed
// of the cache that holds them; or its arithmetic, where that takes longer.
//
//   T = max( bytes / rate of L2 or L3, elements · w / peak of f32 )
//
// w says how many flops of a product an element takes the time of. Those of norms and of rounding are times of
// such ops on one CPU (Zen 4: `tessera profile`, BERT-base and ViT-B/16, rows in L2), times its peak of f32; of
// other ops, which take little time or run in tiles, the bytes alone count.
#pragma once

#include "runtime/plan/linear.hpp"
#include "runtime/program/program.hpp"

namespace tessera {

struct RowWiseCost {
  double bytes = 0, seconds = 0;  // seconds: the larger of the two
  Limit limit = Limit::l2;
};

/// At `rows` token rows in `sequences` sequences, shared by the machine's threads.
RowWiseCost row_wise_cost(const Program& program, const Op& op, Index rows, Index sequences,
                          const PlanMachine& machine);

}  // namespace tessera
