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
  for (const AttentionShape s : {AttentionShape{.T = 128, .d = 32, .heads = 12},
                                 AttentionShape{.T = 197, .d = 80, .heads = 4},
                                 AttentionShape{.T = 512, .d = 64, .heads = 4}}) {
    const kernels::AttentionDataflow runs =
        dataflow_of(s.T, s.d, s.mask, caches.l2_bytes, table_.attention[Precision::f32]);
    const AttentionCost model = attention_cost(runs, s, caches, table_.attention[Precision::f32]);
    const bench::ReplayedBytes seen = bench::replay_attention(s, runs, GetParam(), kCaches);
    EXPECT_NEAR(model.l2_bytes / seen.at[1].bytes(), 1.0, 0.03) << "T=" << s.T << " d=" << s.d;
  }
}

TEST_P(ReplayTest, ScratchIsThatOfTheRealKernels) {
  if (!cpu_supports(GetParam())) GTEST_SKIP();
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

/// Every line of A, the panels and C comes in once and C goes back once, ragged edges included.
TEST_P(ReplayTest, TouchesEveryLineOfALinearOnce) {
  constexpr SimulatedCache kLarge[] = {{.bytes = 16 << 20, .ways = 16}};
  const LinearShape s{.M = 45, .N = 131, .K = 70};
  const bench::ReplayedBytes seen = bench::replay_linear(s, {}, GetParam(), kLarge);
  const auto lines = [](Index floats) { return static_cast<std::uint64_t>(ceil_div(floats, 16)); };
  const Index NR = table_.gemm[Precision::f32].NR;
  const std::uint64_t a = 45 * lines(70), c = 45 * lines(131),
                      b = lines(ceil_div(s.N, NR) * NR * s.K), bias = lines(131);
  const std::uint64_t stack = lines(512);  // at most
  EXPECT_GE(seen.at[0].fills, a + b + c + bias);
  EXPECT_LE(seen.at[0].fills, a + b + c + bias + stack);
  EXPECT_GE(seen.at[0].written_back, c);
  EXPECT_LE(seen.at[0].written_back, c + stack);
}

INSTANTIATE_TEST_SUITE_P(AllIsas, ReplayTest, testing::ValuesIn(kAllIsas),
                         [](const testing::TestParamInfo<Isa>& level) {
                           return to_string(level.param);
                         });

}  // namespace
}  // namespace tessera
