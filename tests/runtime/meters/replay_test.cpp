// SPDX-License-Identifier: Apache-2.0
//
// The model against the replay of the executor's own walk, at the level that decides, with the
// tolerances of the campaign (docs/VALIDATION.md); and the replay kernels against the real ones.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "bench/support/replay_cell.hpp"
#include "runtime/machine/machine.hpp"
#include "runtime/machine/rates.hpp"
#include "runtime/meters/replay.hpp"

namespace tessera {
namespace {

constexpr SimulatedCache kCaches[] = {{.bytes = 48 << 10, .ways = 12},
                                      {.bytes = 2 << 20, .ways = 16}};

class ReplayTest : public testing::TestWithParam<Isa> {
 protected:
  const kernels::KernelTable& table_ = meters::replay_kernels(GetParam());
};

TEST_P(ReplayTest, ChosenLoopOrdersMoveWhatTheModelSays) {
  const PlanMachine machine{.l1_bytes = kCaches[0].bytes,
                            .l2_bytes = kCaches[1].bytes,
                            .l3_bytes = Index{64} << 20,
                            .tile = {TileShape{.MR = table_.gemm[Precision::f32].MR,
                                               .NR = table_.gemm[Precision::f32].NR}},
                            .threads = 1,
                            .rates = nominal_rates(Machine{}, GetParam())};
  std::vector<double> errors;
  for (const LinearShape s :
       {LinearShape{.M = 16, .N = 768, .K = 768}, LinearShape{.M = 128, .N = 1536, .K = 384},
        LinearShape{.M = 197, .N = 1000, .K = 1536}, LinearShape{.M = 384, .N = 768, .K = 3072}}) {
    const LinearPlan plan = plan_linear({.shape = s}, machine);
    const bench::ReplayedBytes seen =
        bench::replay_linear(s, plan.chosen.nest, GetParam(), kCaches);
    errors.push_back(std::abs(plan.chosen.cost.l2_bytes() / seen.at[1].bytes() - 1));
    EXPECT_LE(errors.back(), 0.10)
        << s.M << "x" << s.N << "x" << s.K << " " << to_string(plan.chosen.nest.order);
  }
  std::sort(errors.begin(), errors.end());
  EXPECT_LE(errors[1], 0.01);  // of four
}

TEST_P(ReplayTest, ChosenAttentionMovesWhatTheModelSays) {
  const AttentionCaches caches{kCaches[0].bytes, kCaches[1].bytes, Index{64} << 20};
  for (const Precision precision : {Precision::f32, Precision::bf16}) {
    const kernels::Attention& kernel = table_.attention[precision];
    if (kernel.run == nullptr || kernel.is_absent) continue;
    // Words of P and V that bf16 makes in its scratch are not in the model; of tiles everything is.
    const double most = precision == Precision::bf16 && kernel.packing_rows == 0 ? 0.10 : 0.03;
    for (const AttentionShape s : {AttentionShape{.T = 16, .d = 32, .heads = 12},
                                   AttentionShape{.T = 128, .d = 32, .heads = 12},
                                   AttentionShape{.T = 197, .d = 80, .heads = 4},
                                   AttentionShape{.T = 512, .d = 64, .heads = 4}}) {
      const kernels::AttentionDataflow runs =
          dataflow_of(s.T, s.d, s.mask, caches.l2_bytes, kernel);
      const AttentionCost model = attention_cost(runs, s, caches, kernel);
      const bench::ReplayedBytes seen =
          bench::replay_attention(s, runs, GetParam(), kCaches, precision);
      EXPECT_NEAR(model.l2_bytes / seen.at[1].bytes(), 1.0, most)
          << to_string(precision) << ", T=" << s.T << " d=" << s.d;
    }
  }
}

TEST_P(ReplayTest, ScratchIsThatOfTheRealKernels) {
  const kernels::Attention& real = kernels::kernels_at(GetParam()).attention[Precision::f32];
  for (Index n = 0; n < kernels::kAttentionDataflows; ++n) {
    const auto dataflow = static_cast<kernels::AttentionDataflow>(n);
    for (const Index T : {1, 64, 65, 197, 1000}) {
      for (const Index d : {1, 32, 80}) {
        EXPECT_EQ(table_.attention[Precision::f32].scratch_elements(dataflow, T, T + 3, d),
                  real.scratch_elements(dataflow, T, T + 3, d));
      }
    }
  }
}

std::uint64_t lines(Index bytes) {
  return static_cast<std::uint64_t>(ceil_div(bytes, Index{64}));
}
constexpr SimulatedCache kLarge[] = {{.bytes = 16 << 20, .ways = 16}};

/// Every line of A, the panels and C comes in once and C goes back once, ragged edges included; a unit
/// that takes several rows reads those behind the last, and no first sums of whole numbers.
TEST_P(ReplayTest, TouchesEveryLineOfALinearOnce) {
  const LinearShape s{.M = 45, .N = 131, .K = 70};
  for (const Precision precision : kPrecisions) {
    const kernels::Gemm& gemm = table_.gemm[precision];
    const bench::ReplayedBytes seen = bench::replay_linear(s, {}, GetParam(), kLarge, precision);
    const std::uint64_t row = lines(s.K * gemm.bits.a / 8), c = 45 * lines(131 * 4),
                        panels = static_cast<std::uint64_t>(ceil_div(s.N, gemm.NR)),
                        unread = gemm.of_integers && gemm.rows_read > 1 ? lines(4 * gemm.NR) : 0,
                        b = lines(ceil_div(s.N, gemm.NR) * gemm.panel_bytes(s.K)) - panels * unread,
                        bias = lines(131 * 4),
                        beyond = static_cast<std::uint64_t>(gemm.rows_read - 1) * row;
    const std::uint64_t least = 45 * row + b + c + bias, stack = lines(8192);  // at most
    EXPECT_GE(seen.at[0].fills, least) << to_string(precision);
    EXPECT_LE(seen.at[0].fills, least + stack + beyond) << to_string(precision);
    EXPECT_GE(seen.at[0].written_back, c) << to_string(precision);
    EXPECT_LE(seen.at[0].written_back, c + stack) << to_string(precision);
  }
}

/// A second head touches every line of its Q, K, V and O once, in every dataflow: the scratch is the
/// first one's.
TEST_P(ReplayTest, TouchesEveryLineOfAttentionOnce) {
  for (const Precision precision : kPrecisions) {
    const kernels::Attention& kernel = table_.attention[precision];
    if (kernel.run == nullptr) continue;
    for (const kernels::AttentionDataflow dataflow : kAllDataflows) {
      const auto replayed = [&](Index heads) {
        return bench::replay_attention({.T = 197, .d = 64, .heads = heads}, dataflow, GetParam(),
                                       kLarge, precision)
            .at[0];
      };
      const EdgeLines one = replayed(1), two = replayed(2);
      const std::uint64_t o = 197 * lines(64 * kernel.bytes.o);
      EXPECT_EQ(two.fills - one.fills, 3 * 197 * lines(64 * kernel.bytes.qkv) + o)
          << to_string(precision) << ' ' << kernels::to_string(dataflow);
      EXPECT_EQ(two.written_back - one.written_back, o)
          << to_string(precision) << ' ' << kernels::to_string(dataflow);
    }
  }
}

/// Whatever computes on rows of a run is replaced: what is not would be counted as nothing.
TEST_P(ReplayTest, ReplacesWhatComputesOnRows) {
  const kernels::KernelTable& real = kernels::kernels_at(GetParam());
  EXPECT_NE(table_.layer_norm, real.layer_norm);
  EXPECT_NE(table_.activation, real.activation);
  EXPECT_NE(table_.gated, real.gated);
  EXPECT_NE(table_.l2_normalize, real.l2_normalize);
  EXPECT_NE(table_.rotate_heads, real.rotate_heads);
  EXPECT_NE(table_.add, real.add);
  EXPECT_NE(table_.embedding, real.embedding);
  EXPECT_NE(table_.weighted_mean, real.weighted_mean);
  EXPECT_NE(table_.max_rows, real.max_rows);
  EXPECT_NE(table_.pick, real.pick);
  EXPECT_NE(table_.add_transposed, real.add_transposed);
  EXPECT_NE(table_.depthwise, real.depthwise);
  EXPECT_NE(table_.widen, real.widen);
  EXPECT_NE(table_.narrow, real.narrow);
}

/// Heads come in and go back once; without a norm of them the columns that turn alone.
TEST_P(ReplayTest, TouchesWhatTurnsOnce) {
  for (const bool norm : {false, true}) {
    alignas(64) float x[4 * 64] = {}, angles[64] = {}, gamma[64] = {};
    CacheSimulator simulator(kLarge);
    meters::replay_into(&simulator);
    table_.rotate_heads({.x = x,
                         .heads = 4,
                         .d = 64,
                         .gamma = norm ? gamma : nullptr,
                         .cos = angles,
                         .sin = angles + 16,
                         .pairs = 16});
    meters::replay_into(nullptr);
    simulator.flush();
    const std::uint64_t turned = 4 * lines(norm ? 256 : 128), rest = norm ? 2 + 4 : 2;
    EXPECT_EQ(simulator.edge(0).fills, turned + rest);
    EXPECT_EQ(simulator.edge(0).written_back, turned);
  }
}

/// Rows come in once and go back once, as f32 or as bf16.
TEST_P(ReplayTest, TouchesANormOnce) {
  for (const bool narrow : {false, true}) {
    alignas(64) float x[2 * 64] = {}, gamma[64] = {}, beta[64] = {}, y[2 * 64] = {};
    alignas(64) std::uint16_t half[2 * 64] = {};
    CacheSimulator simulator(kLarge);
    meters::replay_into(&simulator);
    table_.layer_norm({.x = x,
                       .ldx = 64,
                       .residual = nullptr,
                       .ldr = 0,
                       .gamma = gamma,
                       .beta = beta,
                       .eps = 1e-5F,
                       .y = narrow ? nullptr : y,
                       .ldy = 64,
                       .M = 2,
                       .N = 64,
                       .narrow = narrow ? half : nullptr,
                       .ldn = 64});
    meters::replay_into(nullptr);
    simulator.flush();
    const std::uint64_t written = lines(2 * 64 * (narrow ? 2 : 4));
    EXPECT_EQ(simulator.edge(0).fills, lines(2 * 64 * 4) + 2 * lines(64 * 4) + written);
    EXPECT_EQ(simulator.edge(0).written_back, written);
  }
}

/// A level is replayed wherever it is asked for: nothing of its unit is touched.
TEST_P(ReplayTest, NeedsNoUnit) {
  for (const Precision p : kPrecisions) {
    EXPECT_TRUE(table_.gemm[p].enter == nullptr && table_.gemm[p].leave == nullptr);
    EXPECT_TRUE(table_.attention[p].enter == nullptr && table_.attention[p].leave == nullptr);
  }
}

INSTANTIATE_TEST_SUITE_P(AllIsas, ReplayTest, testing::ValuesIn(kAllIsas),
                         [](const testing::TestParamInfo<Isa>& level) {
                           return to_string(level.param);
                         });

}  // namespace
}  // namespace tessera
