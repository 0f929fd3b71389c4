// SPDX-License-Identifier: Apache-2.0
// Sums between chunks of K in room of their own: results in bf16, and onto the residual's memory, have the
// bits that they have with K whole, whatever the blocks of rows.
#include <gtest/gtest.h>

#include <vector>

#include "kernels/kernel_table.hpp"
#include "runtime/execute/gemm.hpp"
#include "tests/reference/bf16.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/random.hpp"

namespace tessera {
namespace {

class GemmSumsTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override { SKIP_UNLESS_SUPPORTED(GetParam()); }
};
INSTANTIATE_FOR_ALL_ISAS(GemmSumsTest);

TEST_P(GemmSumsTest, ChunksOfKChangeNoBitOfAResultThatHoldsNoSums) {
  const kernels::Gemm& gemm = kernels::kernels_at(GetParam()).gemm[Precision::bf16];
  const Index M = 5 * gemm.MR + 3, N = 2 * gemm.NR + 5, K = 200, panels = ceil_div(N, gemm.NR);
  const Index lda = ceil_div(K, gemm.KR) * gemm.KR;
  test::Random random{5};
  test::GuardedBuffer<std::uint16_t> a((M + gemm.rows_read) * lda), w(N * K);
  for (std::uint16_t& x : a) x = reference::to_bf16(random.normal());
  for (std::uint16_t& x : w) x = reference::to_bf16(random.normal());
  test::GuardedBuffer<std::byte> packed(panels * gemm.panel_bytes(K));
  for (Index p = 0; p < panels; ++p) {
    gemm.pack_panel({w.data() + p * gemm.NR * K, DType::bf16, K, std::min(gemm.NR, N - p * gemm.NR),
                     K, packed.data() + p * gemm.panel_bytes(K)});
  }
  const test::GuardedBuffer<float> bias = test::random_normal(N, 6),
                                   residual = test::random_normal(M * N, 7);
  const auto run = [&](const LoopNest& nest, bool narrow) {
    const Index tiles = ceil_div(ceil_div(M, gemm.MR), nest.row_blocks);
    test::GuardedBuffer<float> sums(tiles * gemm.MR * gemm.NR), c = residual.clone();
    test::GuardedBuffer<std::uint16_t> halves(M * N);
    execute::run_gemm({.gemm = gemm,
                       .a = a.data(),
                       .lda = lda,
                       .panels = packed.data(),
                       .c = narrow ? nullptr : c.data(),
                       .ldc = N,
                       .narrow = narrow ? halves.data() : nullptr,
                       .ldn = N,
                       .N = N,
                       .K = K,
                       .bias = bias.data(),
                       .residual = narrow ? nullptr : c.data(),
                       .ldr = N,
                       .activation = narrow ? Activation::gelu_erf : Activation::none,
                       .sums = keeps_sums(true, nest) ? sums.data() : nullptr},
                      nest, M);
    if (!narrow) return std::vector<float>(c.begin(), c.end());
    std::vector<float> widened;
    for (const std::uint16_t h : halves) widened.push_back(reference::widen_bf16(h));
    return widened;
  };
  for (const bool narrow : {false, true}) {
    const std::vector<float> whole = run({}, narrow);
    for (const Index rows : {1, 2, 3, 6}) {
      for (const Index depth : {1, 2, 3}) {
        const LoopNest nest{.row_blocks = rows, .k_blocks = depth};
        const std::vector<float> split = run(nest, narrow);
        ASSERT_EQ(split, whole) << "bf16 " << narrow << ", rows " << rows << ", depth " << depth;
      }
    }
  }
}

}  // namespace
}  // namespace tessera
