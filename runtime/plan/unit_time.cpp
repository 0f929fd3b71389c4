// SPDX-License-Identifier: Apache-2.0
#include "runtime/plan/unit_time.hpp"

#include <algorithm>

namespace tessera {
namespace {

/// Bytes of B that come before a product can run beside them. Row tiles inside fetch the next panel while they
/// pass this one; panels inside pass all of a column block before a row tile comes back to any.
double first_piece(const LinearShape& shape, const LoopNest& nest, TileShape tile,
                   bool by_columns) {
  const Index panels = by_columns ? 1 : ceil_div(ceil_div(shape.N, tile.NR), nest.col_blocks);
  const bool chunk = by_columns || nest.order == LoopOrder::ws_os_b;  // K is outside of the rows
  const Index KC = chunk ? ceil_div(shape.K, nest.k_blocks) : shape.K;
  return tile.bytes.b * static_cast<double>(panels * tile.NR) * static_cast<double>(KC);
}

}  // namespace

double unit_l1_bytes(const LinearShape& shape, const LoopNest& nest, TileShape tile,
                     double Z1) noexcept {
  const auto real = [](Index n) { return static_cast<double>(n); };
  const Index tiles = ceil_div(shape.M, tile.MR), panels = ceil_div(shape.N, tile.NR);
  const Index groups = ceil_div(shape.K, tile.KR);
  const double KC = real(ceil_div(groups, nest.k_blocks) * tile.KR);  // of the largest chunk
  const double depth = real(tiles * panels * groups * tile.KR);       // of all calls together
  const double a = tile.bytes.a * real(tile.MR), b = tile.bytes.b * real(tile.NR);  // of one k
  const Index of_rows = ceil_div(tiles, nest.row_blocks),
              of_columns = ceil_div(panels, nest.col_blocks);
  if (streamed_operand(nest, of_rows * tile.MR, tile.MR) == kernels::GemmOperand::a) {
    return depth * a + (b * KC <= Z1 ? depth / real(of_rows) * b : depth * b);
  }
  // IS-OS(a) goes over K before it goes to the next panel.
  const bool one_chunk = nest.order != LoopOrder::is_os_a || nest.k_blocks == 1;
  return depth * b + (a * KC <= Z1 && one_chunk ? depth / real(of_columns) * a : depth * a);
}

UnitTime unit_time(const LinearTask& task, const LoopNest& nest, const LinearCost& cost,
                   const PlanMachine& machine, double flops) noexcept {
  const MachineRates& rates = machine.rates;
  const TileShape tile = tile_of(task, machine);
  const double elements = static_cast<double>(task.shape.M) * static_cast<double>(task.shape.N);
  const double sums = 2 * sizeof(float) * elements * static_cast<double>(nest.k_blocks - 1);
  const double threads = static_cast<double>(machine.threads);
  const double products = flops / rates.flops_of(task.precision);
  const double loads = unit_l1_bytes(task.shape, nest, tile, machine.Z1()) / rates.l2_bytes;
  // Row tiles inside store C two lines a row, every row in another page.
  const Index rows = ceil_div(ceil_div(task.shape.M, tile.MR), nest.row_blocks) * tile.MR;
  const bool by_columns = streamed_operand(nest, rows, tile.MR) == kernels::GemmOperand::a;
  const bool from_memory = machine.l3_bytes == 0 || !task.weights_stay_in_l3;
  const double first =
      from_memory && task.shape.M > tile.MR ? first_piece(task.shape, nest, tile, by_columns) : 0;
  return {.compute = products / threads,
          .l2 = (std::max(loads - products, 0.0) + sums / rates.l2_bytes) / threads,
          .l3 = (cost.l2_bytes() + (by_columns ? cost.l2.c : 0)) / rates.l3_bytes / threads,
          .memory = (cost.l3_bytes() / threads + first) / rates.memory_bytes};
}

Limit UnitTime::largest() const noexcept {
  const double parts[] = {compute, l2, l3, memory};  // in the order of Limit
  return static_cast<Limit>(std::max_element(std::begin(parts), std::end(parts)) -
                            std::begin(parts));
}

}  // namespace tessera
