// SPDX-License-Identifier: Apache-2.0
//
// Attention::used_elements, which the model of the bytes counts by, against what a task that hides no key leaves
// changed of its scratch: where no maximum has to be raised α is not written (one number a row), and by tiles of keys
// of two sizes the smaller one leaves a row of the larger one's room.
#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <vector>

#include "kernels/kernel_table.hpp"
#include "tests/reference/bf16.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/rows.hpp"

namespace tessera::kernels {
namespace {

class UsedScratchTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override { SKIP_UNLESS_SUPPORTED(GetParam()); }
};
INSTANTIATE_FOR_ALL_ISAS(UsedScratchTest);

constexpr std::uint32_t kUntouched = 0x7FABCDEFU;  // a NaN that nothing computes

TEST_P(UsedScratchTest, IsWhatATaskOfBf16LeavesChanged) {
  const Attention& kernel = kernels_at(GetParam()).attention[Precision::bf16];
  if (kernel.run == nullptr || kernel.used_elements == nullptr || kernel.packing_rows > 0) {
    GTEST_SKIP() << "no attention of pairs at this level";
  }
  test::Random random{5};
  for (const Index T : {16, 64, 200, 256, 520}) {
    for (const Index d : {32, 64}) {
      std::vector<std::uint16_t> q(static_cast<std::size_t>(T * d)), k(q), v(q), o(q);
      for (auto* rows : {&q, &k, &v}) {
        for (auto& x : *rows) x = reference::to_bf16(0.1F * random.normal());
      }
      for (Index i = 0; i < kAttentionDataflows; ++i) {
        const auto dataflow = static_cast<AttentionDataflow>(i);
        const bool by_block =
            dataflow == AttentionDataflow::streaming || dataflow == AttentionDataflow::flat_rows;
        const Index Tq = by_block                                     ? std::min(T, kernel.Br)
                         : dataflow == AttentionDataflow::interleaved ? std::min(T, 2 * kernel.Br)
                                                                      : T;
        test::GuardedBuffer<float> scratch(kernel.scratch_elements(dataflow, Tq, T, d));
        const Index n = kernel.scratch_elements(dataflow, Tq, T, d);
        for (Index e = 0; e < n; ++e) scratch[e] = std::bit_cast<float>(kUntouched);
        const Entered entered(kernel);
        kernel.run({.q = q.data(),
                    .ldq = d,
                    .k = k.data(),
                    .ldk = d,
                    .v = v.data(),
                    .ldv = d,
                    .o = nullptr,
                    .ldo = 0,
                    .Tq = Tq,
                    .Tk = T,
                    .d = d,
                    .scale = 0.1F,
                    .scratch = scratch.data(),
                    .dataflow = dataflow,
                    .narrow = o.data(),
                    .ldn = d});
        Index changed = 0;
        for (Index e = 0; e < n; ++e) {
          changed += std::bit_cast<std::uint32_t>(scratch[e]) != kUntouched ? 1 : 0;
        }
        const Index used = kernel.used_elements(dataflow, Tq, T, d);
        EXPECT_LE(changed, used) << to_string(dataflow) << ", T = " << T << ", d = " << d;
        EXPECT_GE(changed, used - used / 50 - Tq)
            << to_string(dataflow) << ", T = " << T << ", d = " << d;
      }
    }
  }
}

}  // namespace
}  // namespace tessera::kernels
