// SPDX-License-Identifier: Apache-2.0
//
// The time of a linear on a matrix unit: bytes of tile loads against a count over the executor's calls,
// and the sum.
#include "runtime/plan/unit_time.hpp"

#include <gtest/gtest.h>

namespace tessera {
namespace {

constexpr TileShape kTile{
    .MR = 32, .NR = 32, .KR = 32, .bytes = {.a = 2, .b = 2, .c = 4}, .is_unit = true};
constexpr TileShape kWholeNumbers{
    .MR = 32, .NR = 32, .KR = 64, .bytes = {.a = 1, .b = 1, .c = 4}, .is_unit = true};

/// Every call loads the operand that passes; the chunk of the other one only if it is not the chunk of
/// the call before, or does not fit.
double count(const LinearShape& s, const LoopNest& nest, TileShape shape, double Z1) {
  double bytes = 0;
  const Index panels = ceil_div(s.N, shape.NR);
  for (Index r = 0; r < nest.row_blocks; ++r) {
    const Range rows = row_block(s.M, r, nest.row_blocks, shape.MR, true);
    for (Index c = 0; c < nest.col_blocks; ++c) {
      Index kept_tile = -1, kept_k = -1;
      const bool a_passes =
          streamed_operand(nest, rows.size(), shape.MR) == kernels::GemmOperand::a;
      for_each_tile(nest, rows, piece({0, panels}, c, nest.col_blocks), s.K, shape.MR, shape.KR,
                    true, [&](const TileStep& t) {
                      const double chunk = shape.bytes.a * static_cast<double>(32 * t.k.size());
                      for (Index p = t.panels.begin; p < t.panels.end; ++p) {
                        const Index tile = a_passes ? p : t.m.begin;
                        const bool kept = chunk <= Z1 && tile == kept_tile && t.k.begin == kept_k;
                        bytes += kept ? chunk : 2 * chunk;
                        kept_tile = tile;
                        kept_k = t.k.begin;
                      }
                    });
    }
  }
  return bytes;
}

TEST(UnitTimeTest, LoadsAreThoseOfTheExecutorsCalls) {
  for (const LinearShape& s : {LinearShape{128, 768, 768}, LinearShape{512, 768, 3072},
                               LinearShape{32, 384, 384}, LinearShape{256, 1536, 384}}) {
    for (const LoopOrder order : kLoopOrders) {
      for (const Index rows : {1, 2, 4}) {
        for (const Index columns : {1, 3}) {
          for (const Index depth : {1, 2, 4}) {
            const bool by_rows = order != LoopOrder::ws_os_a && order != LoopOrder::ws_os_b;
            const bool by_columns = order != LoopOrder::is_os_a && order != LoopOrder::is_os_b;
            const LoopNest nest{.order = order,
                                .row_blocks = by_rows && s.M >= rows * 32 ? rows : 1,
                                .col_blocks = by_columns ? columns : 1,
                                .k_blocks = order == LoopOrder::ws_os_a ? 1 : depth};
            for (const double Z1 : {8e3, 36864.0, 1e6}) {
              for (const TileShape& tile : {kTile, kWholeNumbers}) {
                EXPECT_EQ(unit_l1_bytes(s, nest, tile, Z1), count(s, nest, tile, Z1))
                    << tile.KR << ' ' << to_string(order) << ' ' << s.M << ' ' << s.N << ' ' << s.K
                    << " blocks " << nest.row_blocks << ' ' << nest.col_blocks << ' '
                    << nest.k_blocks << " Z1 " << Z1;
              }
            }
          }
        }
      }
    }
  }
}

TEST(UnitTimeTest, ProductsAndMemoryAreAdded) {
  PlanMachine machine{.l1_bytes = 48 << 10,
                      .l2_bytes = 2 << 20,
                      .l3_bytes = 32 << 20,
                      .tile = {},
                      .threads = 1,
                      .rates = {}};
  machine.tile[Precision::bf16] = kTile;
  machine.rates = {.flops = {2e11, 2e12},
                   .l1_bytes = 3e11,
                   .l2_bytes = 1e11,
                   .l3_bytes = 2e10,
                   .memory_bytes = 1e10,
                   .exps = 1e10,
                   .source = ""};
  const LinearTask task{.shape = {128, 768, 768}, .precision = Precision::bf16};
  const LoopNest nest{.order = LoopOrder::ws_os_a};
  const auto expected = [&](const LinearTask& t, const LoopNest& n, double first_piece) {
    const LinearCost cost = linear_cost(t, n, machine);
    const double flops = 2.0 * 128 * 768 * 768;
    return std::max(flops / 2e12, unit_l1_bytes(t.shape, n, kTile, machine.Z1()) / 1e11) +
           cost.l2_bytes() / 2e10 + (cost.l3_bytes() + first_piece) / 1e10;
  };
  const LinearCost cost = linear_cost(task, nest, machine);
  // The first piece that the products wait for: all of B, a block of columns, a panel.
  EXPECT_DOUBLE_EQ(cost.seconds, expected(task, nest, 2.0 * 768 * 768));
  const LoopNest quarter{.order = LoopOrder::ws_os_a, .col_blocks = 4};
  EXPECT_DOUBLE_EQ(linear_cost(task, quarter, machine).seconds,
                   expected(task, quarter, 2.0 * 192 * 768));
  const LoopNest columns{.order = LoopOrder::is_os_a};
  EXPECT_DOUBLE_EQ(
      linear_cost(task, columns, machine).seconds,
      expected(task, columns, 2.0 * 32 * 768) + linear_cost(task, columns, machine).l2.c / 2e10);
  LinearTask in_l3 = task;
  in_l3.weights_stay_in_l3 = true;
  EXPECT_DOUBLE_EQ(linear_cost(in_l3, nest, machine).seconds, expected(in_l3, nest, 0));
  EXPECT_EQ(cost.limit, Limit::memory);  // 1.2 MB of weights: 0.12 ms; products 0.08 ms
  LinearTask few = task;
  few.shape.M = 40;  // a tile of 32 rows and one of 16
  LinearTask whole = task;
  whole.shape.M = 48;
  const auto compute = [&](const LinearTask& t) {
    machine.rates.l2_bytes = machine.rates.l3_bytes = machine.rates.memory_bytes = 1e18;
    return linear_cost(t, nest, machine).seconds;
  };
  EXPECT_NEAR(compute(few), compute(whole), 1e-9);
}

/// Operands of one byte: half the bytes of bf16 at twice its rate; a product is as deep as 64 of them, whole
/// or not.
TEST(UnitTimeTest, WholeNumbersTakeHalfTheTimeOfBf16) {
  PlanMachine machine{.l1_bytes = 48 << 10,
                      .l2_bytes = 2 << 20,
                      .l3_bytes = 32 << 20,
                      .tile = {},
                      .threads = 1,
                      .rates = {}};
  machine.tile[Precision::bf16] = kTile;
  machine.tile[Precision::s8] = kWholeNumbers;
  const LoopNest nest{.order = LoopOrder::is_os_a};
  const auto time = [&](Precision precision, Index K) {
    return linear_cost({.shape = {128, 768, K}, .precision = precision}, nest, machine).seconds;
  };
  machine.rates = {.flops = {2e11, 2e12, 4e12},
                   .l1_bytes = 1e18,
                   .l2_bytes = 1e18,
                   .l3_bytes = 1e18,
                   .memory_bytes = 1e18,
                   .exps = 1e10,
                   .source = ""};
  EXPECT_NEAR(time(Precision::s8, 768), 0.5 * time(Precision::bf16, 768), 1e-9);
  EXPECT_NEAR(time(Precision::s8, 65), time(Precision::s8, 128), 1e-9);
  EXPECT_NEAR(time(Precision::bf16, 65), time(Precision::bf16, 96), 1e-9);
  machine.rates.flops = {1e18, 1e18, 1e18};
  machine.rates.l2_bytes = 1e11;  // loads of tiles alone
  EXPECT_NEAR(time(Precision::s8, 512), 0.5 * time(Precision::bf16, 512), 1e-9);
  EXPECT_LT(time(Precision::s8, 768),
            0.4 * time(Precision::bf16, 768));  // 24 KiB of B stay, 48 do not
}

}  // namespace
}  // namespace tessera
