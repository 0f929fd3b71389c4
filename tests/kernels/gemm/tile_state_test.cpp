// SPDX-License-Identifier: Apache-2.0
//
// Tiles that a program has in use when it calls us (its own pool's threads, say) are as they were
// afterwards. On a machine with the unit only: what is tested is its state.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "kernels/kernel_table.hpp"
#include "tests/support/isa.hpp"

namespace tessera::kernels {
namespace {

struct alignas(64) Shapes {
  std::uint8_t palette = 0, start_row = 0, reserved[14] = {};
  std::uint16_t bytes_of_row[16] = {};
  std::uint8_t rows[16] = {};
};

Shapes shapes_now() {
  Shapes shapes;
  asm volatile("sttilecfg %0" : "=m"(shapes) : : "memory");
  return shapes;
}

TEST(TileStateTest, WhatTheCallerHadInTilesIsThereAfterATask) {
  SKIP_UNLESS_SUPPORTED(Isa::amx_bf16);
  Shapes its{.palette = 1};  // of no shape that we use
  its.bytes_of_row[0] = 32, its.rows[0] = 3;
  its.bytes_of_row[7] = 64, its.rows[7] = 16;
  std::vector<std::uint8_t> a(1024), b(1024), seen(1024);
  for (std::size_t i = 0; i < a.size(); ++i) {
    a[i] = static_cast<std::uint8_t>(i * 7 + 1), b[i] = static_cast<std::uint8_t>(i * 13 + 5);
  }
  const Index stride = 64;
  asm volatile("ldtilecfg %0" : : "m"(its) : "memory");
  asm volatile("tileloadd (%0,%1,1), %%tmm0" : : "r"(a.data()), "r"(stride) : "memory");
  asm volatile("tileloadd (%0,%1,1), %%tmm7" : : "r"(b.data()), "r"(stride) : "memory");
  const Gemm& gemm = kernels_at(Isa::amx_bf16).gemm[Precision::bf16];
  {
    const Entered unit(gemm);
    std::vector<std::uint16_t> x(32 * 32, 0x3F80), panel(32 * 32, 0x4000);
    std::vector<float> c(32 * 32);
    gemm.run({.a = x.data(),
              .lda = 32,
              .b = panel.data(),
              .c = c.data(),
              .ldc = 32,
              .mr = 32,
              .nr = 32,
              .kc = 32});
    EXPECT_EQ(c, std::vector<float>(32 * 32, 64.0F));
  }
  const Shapes after = shapes_now();
  EXPECT_EQ(std::memcmp(&after, &its, sizeof its), 0);
  asm volatile("tilestored %%tmm0, (%0,%1,1)" : : "r"(seen.data()), "r"(stride) : "memory");
  for (std::size_t row = 0; row < 3; ++row) {
    EXPECT_EQ(std::memcmp(&seen[row * 64], &a[row * 64], 32), 0) << row;
  }
  asm volatile("tilestored %%tmm7, (%0,%1,1)" : : "r"(seen.data()), "r"(stride) : "memory");
  EXPECT_EQ(seen, b);
  asm volatile("tilerelease" : : : "memory");
}

TEST(TileStateTest, ATaskLeavesNoTilesBehind) {
  SKIP_UNLESS_SUPPORTED(Isa::amx_bf16);
  const Gemm& gemm = kernels_at(Isa::amx_bf16).gemm[Precision::bf16];
  { const Entered unit(gemm); }
  EXPECT_EQ(shapes_now().palette, 0);
}

}  // namespace
}  // namespace tessera::kernels
