// SPDX-License-Identifier: Apache-2.0
// Debug builds end where a caller breaks a kernel's contract; others do not look.
#include <gtest/gtest.h>

#include "kernels/kernel_table.hpp"

namespace tessera::kernels {
namespace {

TEST(KernelAssertDeathTest, ABrokenContractEndsADebugBuild) {
#ifdef NDEBUG
  GTEST_SKIP() << "assertions are off in this build";
#else
  const KernelTable& table = kernels_at(Isa::baseline);
  float x[64] = {};
  const GemmTile no_rows{.a = x, .lda = 1, .b = x, .c = x, .ldc = 1, .mr = 0, .nr = 1, .kc = 1};
  EXPECT_DEATH(table.gemm[Precision::f32].run(no_rows), "t.mr >= 1");
  EXPECT_DEATH(table.max_rows(x, 1, 0, 1, x), "T >= 1");
#endif
}

}  // namespace
}  // namespace tessera::kernels
