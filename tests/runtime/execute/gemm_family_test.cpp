// SPDX-License-Identifier: Apache-2.0
//
// The executor runs any GEMM family, not only f32: here one with operands of 16 bits, pairs of k side
// by side in a panel (KR = 2), and a unit with state that a task has to set and to give back. The
// family is an emulation in scalar code: bf16 as the upper half of an f32, sums in f32 in k order.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "runtime/execute/gemm.hpp"
#include "runtime/plan/gemm_traffic.hpp"
#include "tests/support/random.hpp"

namespace tessera {
namespace {

constexpr Index kMR = 5, kNR = 8, kKR = 2;

struct Unit {  // of this thread
  bool configured = false;
  int entered = 0, left = 0, used_without = 0;
};
thread_local Unit unit;

std::uint16_t to_bf16(float x) {
  return static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(x) >> 16U);
}
float from_bf16(std::uint16_t x) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(x) << 16U);
}

/// panel[(k/2·NR + j)·2 + k%2] = W[j, k], K rounded up to pairs.
void pack(const kernels::PanelOfRows& rows) noexcept {
  const auto* from = static_cast<const float*>(rows.w);
  auto* to = static_cast<std::uint16_t*>(rows.panel);
  const Index ldw = rows.ldw, nr = rows.nr, K = rows.K;
  for (Index k = 0; k < (K + 1) / 2 * 2; ++k) {
    for (Index j = 0; j < kNR; ++j) {
      to[(k / 2 * kNR + j) * 2 + k % 2] =
          j < nr && k < K ? to_bf16(from[j * ldw + k]) : std::uint16_t{0};
    }
  }
}

void run(const kernels::GemmTile& t) noexcept {
  if (!unit.configured) ++unit.used_without;
  const auto* a = static_cast<const std::uint16_t*>(t.a);
  const auto* b = static_cast<const std::uint16_t*>(t.b);
  for (Index i = 0; i < t.mr; ++i) {
    for (Index j = 0; j < t.nr; ++j) {
      const std::uint16_t* panel = b + j / kNR * (t.ldb / 2);
      float sum = t.accumulate ? t.c[i * t.ldc + j] : t.bias != nullptr ? t.bias[j] : 0.0F;
      for (Index k = 0; k < t.kc; ++k) {
        sum += from_bf16(a[i * t.lda + k]) * from_bf16(panel[(k / 2 * kNR + j % kNR) * 2 + k % 2]);
      }
      t.c[i * t.ldc + j] = t.residual != nullptr ? sum + t.residual[i * t.ldr + j] : sum;
    }
  }
}

constexpr kernels::Gemm kEmulated{
    .run = run,
    .pack_panel = pack,
    .MR = kMR,
    .NR = kNR,
    .KR = kKR,
    .bits = {.a = 16, .b = 16, .c = 32},
    .enter =
        [](kernels::UnitState&) noexcept {
          unit.configured = true;
          ++unit.entered;
        },
    .leave =
        [](kernels::UnitState&) noexcept {
          unit.configured = false;
          ++unit.left;
        },
};

TEST(GemmFamilyTest, PanelsHoldWholeGroupsOfK) {
  EXPECT_EQ(kEmulated.panel_bytes(7), kNR * 8 * 2);
  EXPECT_EQ(kEmulated.panel_bytes(8), kNR * 8 * 2);
  EXPECT_EQ(tile_shape(kEmulated).bytes.b, 2.0);
}

TEST(GemmFamilyTest, EveryOrderGivesTheSameBitsInAFamilyOfPairs) {
  test::Random random{3};
  for (const LinearShape s :
       {LinearShape{1, 9, 7}, LinearShape{23, 50, 65}, LinearShape{40, 33, 128}}) {
    const Index panels = ceil_div(s.N, kNR);
    std::vector<std::uint16_t> a(static_cast<std::size_t>(s.M * s.K));
    std::vector<float> w(static_cast<std::size_t>(s.N * s.K)),
        bias(static_cast<std::size_t>(s.N), 0.5F);
    for (auto& x : a) x = to_bf16(random.uniform(-1.0F, 1.0F));
    for (auto& x : w) x = from_bf16(to_bf16(random.uniform(-1.0F, 1.0F)));
    std::vector<std::byte> packed(static_cast<std::size_t>(panels * kEmulated.panel_bytes(s.K)));
    for (Index p = 0; p < panels; ++p) {
      kEmulated.pack_panel({w.data() + p * kNR * s.K, DType::f32, s.K, std::min(kNR, s.N - p * kNR),
                            s.K, packed.data() + p * kEmulated.panel_bytes(s.K)});
    }
    std::vector<float> first;
    for (const LoopOrder order : kLoopOrders) {
      for (const Index k_blocks : {1, 2, 3}) {
        unit = {};
        std::vector<float> c(static_cast<std::size_t>(s.M * s.N));
        const LoopNest nest{.order = order,
                            .row_blocks = std::min<Index>(s.M, 2),
                            .col_blocks = std::min<Index>(panels, 3),
                            .k_blocks = k_blocks};
        execute::run_gemm({.gemm = kEmulated,
                           .a = a.data(),
                           .lda = s.K,
                           .panels = packed.data(),
                           .c = c.data(),
                           .ldc = s.N,
                           .N = s.N,
                           .K = s.K,
                           .bias = bias.data()},
                          nest, s.M);
        EXPECT_EQ(unit.entered, nest.row_blocks * nest.col_blocks);  // once a task
        EXPECT_EQ(unit.left, unit.entered);
        EXPECT_EQ(unit.used_without, 0);
        EXPECT_FALSE(unit.configured);
        if (first.empty()) first = c;
        ASSERT_EQ(std::memcmp(c.data(), first.data(), c.size() * sizeof(float)), 0)
            << to_string(order) << " in " << k_blocks << " pieces of K at M=" << s.M << " N=" << s.N
            << " K=" << s.K;
      }
    }
    for (Index i = 0; i < s.M; ++i) {
      for (Index j = 0; j < s.N; ++j) {
        double sum = 0.5, magnitude = 0.5;
        for (Index k = 0; k < s.K; ++k) {
          const double p =
              static_cast<double>(from_bf16(a[static_cast<std::size_t>(i * s.K + k)])) *
              static_cast<double>(w[static_cast<std::size_t>(j * s.K + k)]);
          sum += p;
          magnitude += std::abs(p);
        }
        ASSERT_NEAR(static_cast<double>(first[static_cast<std::size_t>(i * s.N + j)]), sum,
                    1e-6 * magnitude + 1e-7 * static_cast<double>(s.K));
      }
    }
  }
}

}  // namespace
}  // namespace tessera
