// SPDX-License-Identifier: Apache-2.0
// What a plan says that a run moves into L2, block by block, against the replay of that run.
#include <gtest/gtest.h>

#include "runtime/machine/machine.hpp"
#include "runtime/meters/replay.hpp"
#include "runtime/meters/replay_kernels.hpp"
#include "tests/runtime/layers_model.hpp"

namespace tessera {
namespace {

constexpr Index kLength = 64, kSequences = 12;

struct Moved {
  double predicted = 0, replayed = 0;
};

/// In the second run of a session: what the first left is found.
Moved moved_in_blocks(const test::LayersModel& layers, Index row_blocks) {
  const auto model = layers.create(Precision::f32, Isa::avx2, &meters::replay_kernels(Isa::avx2));
  const auto session = Session::create(model, {.max_rows = kLength * kSequences,
                                               .max_sequences = kSequences,
                                               .threads = 1,
                                               .outputs = {"embedding"},
                                               .row_blocks = row_blocks});
  std::vector<std::int32_t> ids(static_cast<std::size_t>(kLength * kSequences)), offsets{0};
  for (Index s = 1; s <= kSequences; ++s) offsets.push_back(static_cast<std::int32_t>(s * kLength));
  meters::ReplayMeter replay(session->program().ops.size(), meters::simulated_caches(machine()));
  session->observe(&replay);
  session->run({.ids = ids, .offsets = offsets});
  replay.take();
  session->run({.ids = ids, .offsets = offsets});
  Moved moved{.predicted =
                  session->report(kLength * kSequences, kSequences).run_l2_bytes().value()};
  for (const meters::OpMeasurement& op : replay.take().ops) moved.replayed += op.l2->total();
  return moved;
}

TEST(ReplayChainTest, ChainsMoveWhatThePlanSays) {
  // Weights of a layer and values of a batch that are larger than any L2.
  const test::LayersModel layers({.layers = 2, .heads = 8, .head_dim = 64, .inner = 1536});
  for (const Index row_blocks : {Index{0}, 2 * kLength, 4 * kLength}) {
    const Moved moved = moved_in_blocks(layers, row_blocks);
    EXPECT_NEAR(moved.predicted / moved.replayed, 1.0, 0.1) << "blocks of " << row_blocks;
  }
}

}  // namespace
}  // namespace tessera
