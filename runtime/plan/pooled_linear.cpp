// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan/pooled_linear.hpp"

#include <algorithm>
#include <iterator>

#include "runtime/plan/memory_plan.hpp"

namespace tessera {
namespace {

// Rows of a block, at most: B is loaded from L2 for each tile of rows, and a pooling of as many rows
// writes one. A quarter of L2 at most.
constexpr Index kMostRows = 128;

Index rows_of_block(const PooledLinearTask& task, const TileShape& tile, double Z2) noexcept {
  const double row = tile.bytes.a * static_cast<double>(task.shape.K);
  const auto fit = static_cast<Index>(Z2 / 4 / row) / tile.MR * tile.MR;
  return std::clamp(fit, tile.MR, std::max(kMostRows / tile.MR * tile.MR, tile.MR));
}

}  // namespace

PooledLinearTask pooled_linear_task(const Program& program, const PooledLinearOp& op, Index rows,
                                    Index sequences, bool weights_stay_in_l3, bool holds_columns) {
  const Parameter& weight = program.parameters[at(op.weight)];
  return {.shape = {.M = rows, .N = weight.rows, .K = weight.cols},
          .sequences = std::min(rows, sequences),
          .top = holds_columns ? 0 : op.top,
          .weights_stay_in_l3 = weights_stay_in_l3,
          .precision = weight.precision};
}

LoopNest plan_pooled_linear(const PooledLinearTask& task, const PlanMachine& machine) {
  const TileShape& tile = machine.tile[task.precision];
  const auto [M, N, K] = task.shape;
  const Index rows = rows_of_block(task, tile, machine.Z2()), panels = ceil_div(N, tile.NR);
  const double of_rows = tile.bytes.a * static_cast<double>(rows * K);
  const double of_column = tile.bytes.b * static_cast<double>(K) + 4 * static_cast<double>(rows);
  const auto columns = static_cast<Index>((machine.Z2() - of_rows) / of_column);
  const Index fit = std::max<Index>(1, columns / tile.NR);
  const Index threads = machine.threads;
  const Index even = ceil_div(ceil_div(panels, fit), threads) * threads;
  return {.order = LoopOrder::ws_os_a,
          .row_blocks = ceil_div(M, rows),
          .col_blocks = std::min(panels, even)};
}

PooledLinearCost pooled_linear_cost(const PooledLinearTask& task, const LoopNest& nest,
                                    const PlanMachine& machine) {
  const TileShape& tile = machine.tile[task.precision];
  const MachineRates& rates = machine.rates;
  const auto [M, N, K] = task.shape;
  const auto m = static_cast<double>(M), n = static_cast<double>(N), k = static_cast<double>(K);
  const double A = tile.bytes.a * m * k, B = tile.bytes.b * n * k,
               out = 4 * static_cast<double>(task.sequences) *
                     (task.top == 0 ? n : 2 * static_cast<double>(task.top)),
               C = 4 * m * n;
  const auto tiles = static_cast<double>(ceil_div(M, tile.MR)),
             col_blocks = static_cast<double>(nest.col_blocks);
  const bool has_l3 = machine.l3_bytes > 0;

  PooledLinearCost cost{.l1_bytes = B * tiles + A * col_blocks + 2 * C + 2 * out,
                        .l2_bytes = B + A * (A <= machine.Z2() / 4 ? 1 : col_blocks) + 2 * out,
                        .bound_bytes = A + B + out};
  if (has_l3) {
    if (!task.weights_stay_in_l3) cost.l3_bytes += B;
    if (A > machine.Z3()) cost.l3_bytes += A * col_blocks;
    if (out > machine.Z3()) cost.l3_bytes += 2 * out;
  }
  const Index threads = machine.threads;
  const double share = static_cast<double>(ceil_div(nest.col_blocks, threads)) / col_blocks;
  const Index rows = tile.is_unit ? ceil_div(M, 16) * 16 : M;
  const double flops = 2 * static_cast<double>(rows * ceil_div(N, tile.NR) * tile.NR) * k;
  const double busy[] = {
      (flops / rates.flops_of(task.precision) + 2 * C / rates.l2_bytes) * share,
      cost.l1_bytes / rates.l2_bytes * share,
      cost.l2_bytes / (has_l3 ? rates.l3_bytes : rates.memory_bytes) * share,
      cost.l3_bytes / rates.memory_bytes * share,
  };
  const auto* slowest = std::max_element(std::begin(busy), std::end(busy));
  cost.seconds = *slowest;
  cost.limit = static_cast<Limit>(slowest - std::begin(busy));
  return cost;
}

Index pooled_linear_scratch(const LinearShape& shape, const LoopNest& nest, Index MR, Index NR,
                            bool whole_tiles, const TopRows& kept) noexcept {
  const Index blocks = std::min(nest.row_blocks, shape.M);
  const Index rows =
      whole_tiles ? ceil_div(ceil_div(shape.M, MR), blocks) * MR : ceil_div(shape.M, blocks);
  const Index columns = ceil_div(ceil_div(shape.N, NR), nest.col_blocks) * NR;
  const Index pooled = kept.top == 0 ? 0 : kept.sequences;
  return (rows + 1 + pooled) * activation_stride(columns) + pooled * 2 * kept.top;
}

}  // namespace tessera
