// SPDX-License-Identifier: Apache-2.0
// Every loop order computes the same bits, and the right ones.
#include "runtime/execute/gemm.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "tests/reference/gemm.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/random.hpp"
#include "tests/support/tolerance.hpp"

namespace tessera {
namespace {

/// One linear with its own storage, guard pages behind each operand.
struct Linear {
  Linear(const kernels::Gemm& gemm, LinearShape shape, std::uint64_t seed)
      : gemm_(gemm),
        s(shape),
        panels(ceil_div(s.N, gemm.NR)),
        a(test::random_normal(s.M * s.K, seed)),
        w(test::random_normal(s.N * s.K, seed + 1)),
        bias(test::random_normal(s.N, seed + 2)),
        residual(test::random_normal(s.M * s.N, seed + 3)),
        packed(panels * s.K * gemm.NR),
        after(64) {
    for (Index p = 0; p < panels; ++p) {
      gemm.pack_panel({w.data() + p * gemm.NR * s.K, DType::f32, s.K,
                       std::min(gemm.NR, s.N - p * gemm.NR), s.K,
                       packed.data() + p * s.K * gemm.NR});
    }
  }

  std::vector<float> run(const LoopNest& nest, Activation activation, bool with_residual) const {
    test::GuardedBuffer<float> c(s.M * s.N);
    execute::run_gemm({.gemm = gemm_,
                       .a = a.data(),
                       .lda = s.K,
                       .panels = packed.data(),
                       .c = c.data(),
                       .ldc = s.N,
                       .N = s.N,
                       .K = s.K,
                       .bias = bias.data(),
                       .residual = with_residual ? residual.data() : nullptr,
                       .ldr = s.N,
                       .activation = activation,
                       .after = after.data(),
                       .after_bytes = 256},
                      nest, s.M);
    return {c.begin(), c.end()};
  }

  const kernels::Gemm& gemm_;
  LinearShape s;
  Index panels;
  test::GuardedBuffer<float> a, w, bias, residual, packed, after;
};

std::vector<LoopNest> nests(const Linear& linear, test::Random& random) {
  std::vector<LoopNest> list;
  const Index tiles = ceil_div(linear.s.M, linear.gemm_.MR);
  for (const LoopOrder order : kLoopOrders) {
    for (int i = 0; i < 5; ++i) {
      list.push_back({.order = order,
                      .row_blocks = random.integer(1, std::min(linear.s.M, tiles + 2)),
                      .col_blocks = random.integer(1, linear.panels),
                      .k_blocks = i == 0 ? 1 : random.integer(1, std::min<Index>(linear.s.K, 5))});
    }
  }
  return list;
}

class GemmNestTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override { SKIP_UNLESS_SUPPORTED(GetParam()); }
};

TEST_P(GemmNestTest, EveryOrderGivesTheSameBits) {
  const kernels::Gemm& gemm = kernels::kernels_at(GetParam()).gemm[Precision::f32];
  test::Random random{1};
  for (const LinearShape s : {LinearShape{1, 1, 1}, LinearShape{1, 77, 33}, LinearShape{3, 130, 64},
                              LinearShape{15, 96, 100}, LinearShape{40, 45, 129},
                              LinearShape{129, 200, 70}, LinearShape{61, 33, 257}}) {
    const Linear linear(gemm, s, 7);
    for (const Activation activation : {Activation::none, Activation::gelu_erf}) {
      const std::vector<float> first = linear.run({}, activation, true);
      for (const LoopNest& nest : nests(linear, random)) {
        const std::vector<float> c = linear.run(nest, activation, true);
        ASSERT_EQ(std::memcmp(c.data(), first.data(), c.size() * sizeof(float)), 0)
            << to_string(nest.order) << " " << nest.row_blocks << "x" << nest.col_blocks << "x"
            << nest.k_blocks << " at M=" << s.M << " N=" << s.N << " K=" << s.K;
      }
    }
  }
}

TEST_P(GemmNestTest, MatchesTheDoubleReference) {
  const kernels::Gemm& gemm = kernels::kernels_at(GetParam()).gemm[Precision::f32];
  test::Random random{2};
  for (int round = 0; round < 12; ++round) {
    const LinearShape s{random.integer(1, 90), random.integer(1, 150), random.integer(1, 300)};
    const Linear linear(gemm, s, 50 + static_cast<std::uint64_t>(round));
    const LoopNest nest = nests(linear, random)[static_cast<std::size_t>(round)];
    const std::vector<float> c = linear.run(nest, Activation::none, false);
    for (Index i = 0; i < s.M; ++i) {
      for (Index j = 0; j < s.N; ++j) {
        double sum = static_cast<double>(linear.bias[j]), magnitude = std::abs(sum);
        for (Index k = 0; k < s.K; ++k) {
          const double p = static_cast<double>(linear.a[i * s.K + k]) *
                           static_cast<double>(linear.w[j * s.K + k]);
          sum += p;
          magnitude += std::abs(p);
        }
        ASSERT_NEAR(static_cast<double>(c[static_cast<std::size_t>(i * s.N + j)]), sum,
                    test::gemm_tolerance(s.K, magnitude));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(AllIsas, GemmNestTest, testing::ValuesIn(kAllIsas),
                         [](const auto& param) { return to_string(param.param); });

}  // namespace
}  // namespace tessera
