// SPDX-License-Identifier: Apache-2.0
//
// A linear whose rows are pooled (PooledLinearOp): a weight-stationary nest in which C never leaves L2.
//
//   for each block of columns n (NC)              a task: K×NC of B stays in L2
//     for each block of rows m (MC)
//       C (MC,NC) = A[m] · B[n]                   scratch of the worker, in L2
//       out[s, n] = max or Σ (out[s, n], rows of C that are of sequence s)
//
// With M rows, N columns, S sequences and c = ⌈N/NC⌉ blocks of columns
//
//   bytes into L2 = b·K·N + a·M·K·c + 4·S·N           b, a: bytes of an element of B and A
//
// where a linear and a pooling move 2·4·M·N more and hold (M,N). More columns a block read A less often;
// fewer rows a block leave more of L2 to the columns, and B passes into L1 once a tile of rows anyway.
//
// Where the k largest columns are kept, the result is (S,2k), and what is pooled lies in one of two places:
//
//   in heaps   every worker has one of 2k floats a sequence, and the columns of a block (S,NC), in its
//              scratch: P·S·(2k + NC) for P workers; (S,N) is not held, 2k is for N in the last term above
//   held       the place of the result is as large as (S,N), whose rows are pooled there and then become
//              their k largest, one after the other: never more than without a k but 2k floats in all and
//              what (S,2k) is larger than (S,N)
//
// A session takes what makes its arena smaller (lay_out()), a function of shapes and threads; the bits of
// the result are the same.
#pragma once

#include "runtime/plan/linear.hpp"
#include "runtime/program/program.hpp"

namespace tessera {

struct PooledLinearTask {
  LinearShape shape;
  Index sequences = 1;
  Index top = 0;  ///< columns that are kept in heaps; 0: all columns are in the result's place
  bool weights_stay_in_l3 = false;
  Precision precision = Precision::f32;
};

PooledLinearTask pooled_linear_task(const Program& program, const PooledLinearOp& op, Index rows,
                                    Index sequences, bool weights_stay_in_l3,
                                    bool holds_columns = false);

/// WS-OS(a); as many tasks as threads share evenly, where there are enough columns.
LoopNest plan_pooled_linear(const PooledLinearTask& task, const PlanMachine& machine);

struct PooledLinearCost {
  double l1_bytes = 0, l2_bytes = 0, l3_bytes = 0;
  double bound_bytes = 0;  ///< of L2: every operand once
  double seconds = 0;
  Limit limit = Limit::compute;
};

PooledLinearCost pooled_linear_cost(const PooledLinearTask& task, const LoopNest& nest,
                                    const PlanMachine& machine);

/// What is pooled in heaps of the `top` largest columns; 0: nothing beside the result.
struct TopRows {
  Index sequences = 0, top = 0;
};

/// Floats of a worker's scratch: a row, and C of one block; with heaps, also the columns of a block and
/// the heap of every sequence.
Index pooled_linear_scratch(const LinearShape& shape, const LoopNest& nest, Index MR, Index NR,
                            bool whole_tiles, const TopRows& kept = {}) noexcept;

}  // namespace tessera
