// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan/linear.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tessera {
namespace {

Index ceil_div(Index a, Index b) noexcept {
  return (a + b - 1) / b;
}
Index round_up(Index a, Index unit) noexcept {
  return ceil_div(a, unit) * unit;
}

/// Pieces of `extent`, none larger than `most`, a multiple of the threads where there are units
/// enough.
Index count_pieces(Index extent, Index most, Index unit, int threads) noexcept {
  const Index pieces = round_up(ceil_div(extent, std::max(most, unit)), threads);
  return std::min(pieces, ceil_div(extent, unit));
}

/// Words that fit: half of L2, the rest is for what passes through (and for a sibling hardware
/// thread).
double capacity(const LinearMachine& machine) noexcept {
  return 0.5 * static_cast<double>(machine.l2_bytes) / sizeof(float);
}

/// The largest multiple of `unit` with block·per_unit + fixed ≤ Z, at least one unit, at most
/// `extent`.
Index largest_block(double Z, Index fixed, Index per_row, Index unit, Index extent) noexcept {
  const double rows = (Z - static_cast<double>(fixed)) / static_cast<double>(per_row);
  const Index block =
      rows < static_cast<double>(unit) ? unit : static_cast<Index>(rows) / unit * unit;
  return std::min(block, round_up(extent, unit));
}

}  // namespace

const char* to_string(LoopOrder order) noexcept {
  return order == LoopOrder::is_os_a ? "IS-OS(a)" : "WS-OS(a)";
}

LinearPlan plan_linear(const LinearShape& shape, const LinearMachine& machine) noexcept {
  const auto [M, N, K] = shape;
  const Index MR = machine.MR, NR = machine.NR;
  const double Z = capacity(machine);
  const auto words = [](Index rows, Index cols) {
    return static_cast<double>(rows) * static_cast<double>(cols);
  };

  LinearCandidate is{.order = LoopOrder::is_os_a,
                     .MC = largest_block(Z, K * NR, K + NR, MR, M),
                     .NC = N,
                     .a = words(M, K),
                     .b = 0,
                     .c = 2 * words(M, N)};
  is.b = words(K, N) * static_cast<double>(ceil_div(M, is.MC));

  LinearCandidate ws{.order = LoopOrder::ws_os_a,
                     .MC = M,
                     .NC = largest_block(Z, MR * K, K + MR, NR, N),
                     .a = 0,
                     .b = words(K, N),
                     .c = 2 * words(M, N)};
  ws.a = words(M, K) * static_cast<double>(ceil_div(N, ws.NC));

  LinearPlan plan{.chosen = is,
                  .rejected = ws,
                  .row_tasks = 0,
                  .col_tasks = 0,
                  .splits_rows = true,
                  .bound_words = std::max(words(M, K) + words(K, N) + words(M, N),
                                          2 * words(M, N) * static_cast<double>(K) / std::sqrt(Z))};
  if (ws.words() < is.words()) std::swap(plan.chosen, plan.rejected);

  // The stationary operand is private to a thread. Too few rows to share: split the columns.
  plan.splits_rows = plan.chosen.order == LoopOrder::is_os_a && M >= machine.threads * MR;
  plan.row_tasks = plan.splits_rows ? count_pieces(M, plan.chosen.MC, MR, machine.threads)
                                    : ceil_div(M, plan.chosen.MC);
  plan.col_tasks = plan.splits_rows ? ceil_div(N, plan.chosen.NC)
                                    : count_pieces(N, plan.chosen.NC, NR, machine.threads);
  return plan;
}

std::string explain(const LinearPlan& plan, const LinearShape& shape) {
  const double MB = sizeof(float) / 1e6;
  const LinearCandidate& c = plan.chosen;
  return fmt::format(
      "({},{})x({},{}) {} {} by {}: {:.2f} MB at L2 (A {:.2f}, B {:.2f}, C {:.2f}), {:.2f} x "
      "bound; {} would move {:.2f} MB",
      shape.M, shape.K, shape.K, shape.N, to_string(c.order),
      c.order == LoopOrder::is_os_a ? fmt::format("MC={}", c.MC) : fmt::format("NC={}", c.NC),
      plan.splits_rows ? "rows" : "columns", c.words() * MB, c.a * MB, c.b * MB, c.c * MB,
      c.words() / plan.bound_words, to_string(plan.rejected.order), plan.rejected.words() * MB);
}

}  // namespace tessera
