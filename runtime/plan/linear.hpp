// SPDX-License-Identifier: Apache-2.0
//
// The loop order of one linear, C (M,N) = A (M,K) · Bᵀ, chosen by what it would move (dataflow.md
// §1; TAS).
//
//   order       outer → inner   A moved        B moved        C moved   must fit in Z
//   IS-OS(a)    m, n, k         MK             KN·⌈M/MC⌉      2·MN      MC·K + K·NR + MC·NR
//   WS-OS(a)    n, m, k         MK·⌈N/NC⌉      KN             2·MN      K·NC + MR·K + MR·NC
//
// Input-stationary keeps an MC×K panel of activations in L2 and streams all weights past it once
// per panel; weight-stationary keeps K×NC weights and streams the activations. C counts twice
// because a store allocates its line first. Each candidate takes the largest block that fits; the
// one that moves fewer words wins, the input-stationary one on a tie. Both give the same bits: the
// reduction order depends on K alone.
#pragma once

#include <array>
#include <string>

#include "kernels/types.hpp"

namespace tessera {

enum class LoopOrder : std::uint8_t { is_os_a, ws_os_a };
const char* to_string(LoopOrder order) noexcept;

struct LinearShape {
  Index M, N, K;
};

/// What the choice depends on besides the shape.
struct LinearMachine {
  Index l2_bytes;
  Index MR, NR;
  int threads = 1;
};

struct LinearCandidate {
  LoopOrder order;
  Index MC, NC;    ///< block that stays in Z, before the split over threads
  double a, b, c;  ///< words that cross the edge of L2
  double words() const noexcept { return a + b + c; }
};

struct LinearPlan {
  LinearCandidate chosen, rejected;
  Index row_tasks, col_tasks;  ///< nearly equal pieces of the rows and of the panels
  bool splits_rows;            ///< what the threads divide
  double bound_words;          ///< max(compulsory, 2MNK/√Z): no order moves fewer
};

/// No allocation, no search: the two candidates have closed forms.
LinearPlan plan_linear(const LinearShape& shape, const LinearMachine& machine) noexcept;

/// "IS-OS(a) MC=128 ... 3.1 MB at L2, 1.04 x bound; WS-OS(a) would move 5.2 MB"
std::string explain(const LinearPlan& plan, const LinearShape& shape);

}  // namespace tessera
