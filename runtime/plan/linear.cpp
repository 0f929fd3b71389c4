// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan/linear.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "runtime/plan/tile_ops.hpp"
#include "runtime/plan/unit_time.hpp"

namespace tessera {
namespace {

constexpr double kSameTime = 1.02;  // a prediction says no more than that
// Weights of the parts that no FMA hides, fitted to 40 shapes on Emerald Rapids
// (bench_loop_orders).
constexpr double kTileEdge = 8;    // times an element of C at the rate of L2, per pass over K
constexpr double kFirstBlock = 3;  // times the first block of B
constexpr Index kLeastKCOfPanel = 128;
constexpr Index kLeastKC = 256;  // 14·256 cycles of FMA for 56 lines of accumulators

/// Numbers of blocks that give different block sizes, and those that `threads` share evenly.
std::vector<Index> block_counts(Index units, int threads) {
  std::vector<Index> counts;
  const auto add = [&](Index n) {
    if (n >= 1 && n <= units) counts.push_back(n);
  };
  for (Index size = units; size >= 1;) {
    const Index n = ceil_div(units, size);
    add(n);
    add(ceil_div(n, threads) * threads);
    // The next smaller size that changes the count.
    size = n >= units ? 0 : (units - 1) / n;
  }
  std::sort(counts.begin(), counts.end());
  counts.erase(std::unique(counts.begin(), counts.end()), counts.end());
  return counts;
}

/// The (b) orders and 2-D OS split K, or they would be the (a) orders; WS-OS(a) has no use for it.
/// IS-OS(a) may: a piece of a panel then stays in L1 while the row tiles pass.
/// Rows of a single tile read B once anyway, several panels at a time: K stays whole.
std::vector<Index> k_counts(LoopOrder order, const LinearTask& task, const PlanMachine& machine) {
  std::vector<Index> counts;
  const bool whole_k = order == LoopOrder::is_os_a || order == LoopOrder::ws_os_a;
  if (whole_k) counts.push_back(1);
  if (!splits_k(task, order) || order == LoopOrder::ws_os_a ||
      task.shape.M <= machine.tile[task.precision].MR) {
    return counts;
  }
  const Index least = order == LoopOrder::is_os_a ? kLeastKCOfPanel : kLeastKC;
  for (const Index n : {2, 3, 4, 6, 8, 12, 16, 24, 32}) {
    if (task.shape.K / n >= least) counts.push_back(n);
  }
  return counts;
}

/// Blocks of the dimension that an order does not block: one, or one piece per thread.
std::vector<Index> whole(Index units, int threads) {
  std::vector<Index> counts{1};
  if (threads > 1) counts.push_back(std::min<Index>(units, threads));
  return counts;
}

template <class Visit>
void for_each_candidate(LoopOrder order, const LinearTask& task, const PlanMachine& machine,
                        bool is_forced, Visit&& visit) {
  const TileShape tile = tile_of(task, machine);
  const Index tiles = ceil_div(task.shape.M, tile.MR);
  const Index panels = ceil_div(ceil_div(task.shape.N, tile.NR), task.group);
  const bool blocks_rows = !goes_by_rows(order);  // of the stationary operand
  const bool blocks_columns = order != LoopOrder::is_os_a && order != LoopOrder::is_os_b;
  const int threads = machine.threads;
  const std::vector<Index> rows =
      blocks_rows ? block_counts(tiles, threads) : whole(tiles, threads);
  const std::vector<Index> columns =
      blocks_columns ? block_counts(panels, threads) : whole(panels, threads);
  std::vector<Index> k_blocks = k_counts(order, task, machine);
  if (k_blocks.empty() && is_forced) k_blocks = {1};
  for (const Index r : rows) {
    for (const Index c : columns) {
      // More tiles of rows than GroupOps::apart has room for.
      if (task.apart && blocks_rows && ceil_div(tiles, r) * tile.MR > kApartRows && r < tiles)
        continue;
      for (const Index k : k_blocks) {
        visit(LoopNest{.order = order, .row_blocks = r, .col_blocks = c, .k_blocks = k});
      }
    }
  }
}

/// The stationary block stays in L2 while it is used.
bool fits(const LinearTask& task, const LoopNest& nest, const PlanMachine& machine) {
  return stationary_bytes(task.shape, nest, tile_of(task, machine)) <= machine.Z2();
}

/// Every candidate with its cost; `only_fitting`: those whose stationary block stays.
std::vector<LinearCandidate> price(const LinearTask& task, const PlanMachine& machine,
                                   bool only_fitting, std::optional<LoopOrder> forced) {
  std::vector<LinearCandidate> all;
  for (const LoopOrder order : kLoopOrders) {
    if (forced && order != *forced) continue;
    for_each_candidate(order, task, machine, forced.has_value(), [&](const LoopNest& nest) {
      if (only_fitting && !fits(task, nest, machine)) return;
      all.push_back({nest, linear_cost(task, nest, machine)});
    });
  }
  return all;
}

/// Fewer bytes into L2, then L3, then L1.
bool moves_less(const LinearCandidate& a, const LinearCandidate& b) {
  const auto differ = [](double x, double y) { return x < 0.999 * y || y < 0.999 * x; };
  if (differ(a.cost.l2_bytes(), b.cost.l2_bytes())) return a.cost.l2_bytes() < b.cost.l2_bytes();
  if (differ(a.cost.l3_bytes(), b.cost.l3_bytes())) return a.cost.l3_bytes() < b.cost.l3_bytes();
  if (differ(a.cost.l1_bytes(), b.cost.l1_bytes())) return a.cost.l1_bytes() < b.cost.l1_bytes();
  return false;
}

}  // namespace

TileShape tile_of(const LinearTask& task, const PlanMachine& machine) noexcept {
  TileShape tile = machine.tile[task.precision];
  if (task.narrow) tile.bytes.c = 2;
  tile.bytes.c *= task.share;
  return tile;
}

const char* to_string(Limit limit) noexcept {
  switch (limit) {
    case Limit::compute:
      return "compute";
    case Limit::l2:
      return "L2 bandwidth";
    case Limit::l3:
      return "L3 bandwidth";
    case Limit::memory:
      return "memory bandwidth";
  }
  return "?";
}

LinearCost linear_cost(const LinearTask& task, const LoopNest& nest, const PlanMachine& machine) {
  const auto [M, N, K] = task.shape;
  const MachineRates& rates = machine.rates;
  const TileShape tile = tile_of(task, machine);
  const Index panels = ceil_div(N, tile.NR);
  const double C = tile.bytes.c * static_cast<double>(M) * static_cast<double>(N);
  // Bytes of a row of A and C together.
  const double row = tile.bytes.c * static_cast<double>(N) + tile.bytes.a * static_cast<double>(K);
  LinearCost cost{.l1 = gemm_traffic(task.shape, nest, tile, machine.Z1(), machine.threads),
                  .l2 = gemm_traffic(task.shape, nest, tile, machine.Z2(), machine.threads),
                  .l3 = {}};

  // Rows stay for the layer norm if one task owns them whole and they fit beside what streams.
  const double block_bytes = static_cast<double>(ceil_div(M, nest.row_blocks)) * row;
  const bool rows_stay = nest.col_blocks == 1 && block_bytes <= machine.Z2();
  cost.epilogue = (task.residual ? C : 0) + (task.norm && !rows_stay ? 2 * C : 0);

  // Into L3: weights that do not stay there, activations that do not fit.
  const double activations = static_cast<double>(M) * row;
  cost.l3 = gemm_traffic(task.shape, nest, tile, std::max(machine.Z3(), machine.Z2()));
  const bool weights_in_l3 = machine.l3_bytes > 0 && task.weights_stay_in_l3;
  if (machine.l3_bytes > 0) {
    if (weights_in_l3) cost.l3.b = 0;
    if (activations <= machine.Z3()) cost.l3.a = cost.l3.c = 0;
  }

  const Index tasks = nest.row_blocks * nest.col_blocks;
  const double threads = static_cast<double>(machine.threads);
  // How long the last thread takes, in units of an even share.
  const double imbalance =
      static_cast<double>(ceil_div(tasks, machine.threads)) * threads / static_cast<double>(tasks);
  const Index rows = tile.is_unit ? ceil_div(M, 16) * 16 : M;  // half a tile of rows is possible
  const Index depth = tile.is_unit ? ceil_div(K, tile.KR) * tile.KR : K;
  const Index with_lookups = rows + tile.lookup_rows * ceil_div(M, tile.MR);
  const double flops =
      2.0 * static_cast<double>(with_lookups * panels * tile.NR) * static_cast<double>(depth);
  // What no FMA hides: the accumulators that each pass over K reads and writes; lines of C that
  // row tiles store 128 B at a time, a page apart, where no prefetcher follows; and the first piece
  // of B, which its first row tile waits for.
  const bool rows_inside = !goes_by_rows(nest.order) && M > tile.MR;
  const Index first_panels = rows_inside ? 1 : ceil_div(panels, nest.col_blocks);
  const double first_b =
      tile.bytes.b * static_cast<double>(first_panels * tile.NR * ceil_div(K, nest.k_blocks));
  const double exposed = kTileEdge * C * static_cast<double>(nest.k_blocks) / rates.l2_bytes +
                         (rows_inside ? cost.l2.c / rates.l3_bytes : 0) +
                         (M > tile.MR ? kFirstBlock * first_b * threads /
                                            (weights_in_l3 ? rates.l3_bytes : rates.memory_bytes)
                                      : 0);
  const double busy[] = {
      (flops / rates.flops_of(task.precision) + exposed) * imbalance / threads,
      cost.l1_bytes() / rates.l2_bytes * imbalance / threads,
      cost.l2_bytes() / rates.l3_bytes * imbalance / threads,
      cost.l3_bytes() / rates.memory_bytes * imbalance / threads,
  };
  const auto* slowest = std::max_element(std::begin(busy), std::end(busy));
  cost.seconds = *slowest;
  cost.limit = static_cast<Limit>(slowest - std::begin(busy));
  if (tile.is_unit) {
    const UnitTime time = unit_time(task, nest, cost, machine, flops);
    cost.seconds = time.sum() * imbalance;
    cost.limit = time.largest();
  }
  return cost;
}

LinearPlan plan_linear(const LinearTask& task, const PlanMachine& machine,
                       std::optional<LoopOrder> forced) {
  std::vector<LinearCandidate> all = price(task, machine, true, forced);
  const bool any_fits = !all.empty();
  if (!any_fits) all = price(task, machine, false, forced);
  double least = all.front().cost.seconds;
  for (const LinearCandidate& c : all) least = std::min(least, c.cost.seconds);
  const auto better = [](const LinearCandidate& a, const LinearCandidate& b, double limit) {
    const bool a_fast = a.cost.seconds <= limit, b_fast = b.cost.seconds <= limit;
    if (a_fast != b_fast) return a_fast;
    return a_fast ? moves_less(a, b) : a.cost.seconds < b.cost.seconds;
  };
  const ElementBytes bytes = tile_of(task, machine).bytes;
  LinearPlan plan{.chosen = {},
                  .best = {},
                  .bound_bytes = gemm_bound(task.shape, bytes, machine.Z2()),
                  .least_seconds = least,
                  .fits = any_fits,
                  .classical = classical_traffic(task.shape, bytes, machine.Z2())};
  for (const LoopOrder order : kLoopOrders) {
    std::optional<LinearCandidate>& best = plan.best[static_cast<std::size_t>(order)];
    double limit = 0;
    for (const LinearCandidate& c : all) {
      if (c.nest.order == order && (limit == 0 || c.cost.seconds < limit)) limit = c.cost.seconds;
    }
    limit = std::max(limit, least) * kSameTime;
    for (const LinearCandidate& c : all) {
      if (c.nest.order == order && (!best || better(c, *best, limit))) best = c;
    }
  }
  bool any = false;
  for (const auto& best : plan.best) {
    if (best && (!any || better(*best, plan.chosen, least * kSameTime))) plan.chosen = *best;
    any = any || best.has_value();
  }
  return plan;
}

std::string why_rejected(const LinearCandidate& candidate, const LinearPlan& plan) {
  const LinearCost &its = candidate.cost, &chosen = plan.chosen.cost;
  if (its.seconds > kSameTime * plan.least_seconds) {
    return fmt::format("{:.1f} % slower than the fastest: {}",
                       100 * (its.seconds / plan.least_seconds - 1), to_string(its.limit));
  }
  if (its.l2_bytes() > 1.001 * chosen.l2_bytes()) {
    return fmt::format("moves {:.2f} x the bytes into L2", its.l2_bytes() / chosen.l2_bytes());
  }
  if (its.l3_bytes() > 1.001 * chosen.l3_bytes()) {
    return fmt::format("moves {:.2f} x the bytes into L3", its.l3_bytes() / chosen.l3_bytes());
  }
  if (its.l1_bytes() > 1.001 * chosen.l1_bytes()) {
    return fmt::format("moves {:.2f} x the bytes into L1", its.l1_bytes() / chosen.l1_bytes());
  }
  return "equal, and later in the list";
}

std::string describe_blocks(const LoopNest& nest, const LinearShape& shape, TileShape tile) {
  std::string text;
  const auto add = [&](const char* name, Index size) {
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", name, size);
  };
  add("MC", ceil_div(shape.M, nest.row_blocks));
  const Index NC = ceil_div(ceil_div(shape.N, tile.NR), nest.col_blocks) * tile.NR;
  add("NC", std::min(NC, shape.N));
  add("KC", ceil_div(shape.K, nest.k_blocks));
  return text;
}

}  // namespace tessera
