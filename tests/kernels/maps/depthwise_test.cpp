// SPDX-License-Identifier: Apache-2.0
//
// A row of a depthwise convolution against double at every level: every tail of channels, maps smaller
// than the taps, strides, guard pages, and the same bits in a map that is wider.
#include <gtest/gtest.h>

#include <cmath>
#include <tuple>

#include "kernels/kernel_table.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/rows.hpp"
#include "tests/support/tolerance.hpp"

namespace tessera::kernels {
namespace {

using test::Guard;
using test::GuardedBuffer;
using test::Rows;

class DepthwiseTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    SKIP_UNLESS_SUPPORTED(GetParam());
    table = &kernels_at(GetParam());
  }
  const KernelTable* table = nullptr;
};
INSTANTIATE_FOR_ALL_ISAS(DepthwiseTest);

struct Case {
  Index H, W, C, taps, stride;
  Activation activation;
  bool has_bias;
  Guard guard;
};

void expect_right(const KernelTable& table, const Case& c) {
  const Index rows = (c.H + c.stride - 1) / c.stride, cols = (c.W + c.stride - 1) / c.stride;
  Rows x(c.H * c.W, c.C, 3, c.guard), y(rows * cols, c.C, 5, c.guard);
  x.fill_normal(static_cast<std::uint64_t>(c.C * 7 + c.W));
  const GuardedBuffer<float> w = test::random_normal(c.taps * c.taps * c.C, 11, c.guard),
                             bias = test::random_normal(c.C, 12, c.guard);
  for (Index row = 0; row < rows; ++row) {
    table.depthwise({.x = x.data(),
                     .ldx = x.ld(),
                     .H = c.H,
                     .W = c.W,
                     .w = w.data(),
                     .bias = c.has_bias ? bias.data() : nullptr,
                     .y = y.data() + row * cols * y.ld(),
                     .ldy = y.ld(),
                     .C = c.C,
                     .taps = c.taps,
                     .stride = c.stride,
                     .row = row,
                     .cols = cols,
                     .activation = c.activation});
  }
  for (Index i = 0; i < rows; ++i) {
    for (Index j = 0; j < cols; ++j) {
      for (Index k = 0; k < c.C; ++k) {
        double sum = c.has_bias ? static_cast<double>(bias[k]) : 0.0, magnitude = std::abs(sum);
        for (Index dy = 0; dy < c.taps; ++dy) {
          for (Index dx = 0; dx < c.taps; ++dx) {
            const Index v = c.stride * i + dy - c.taps / 2, u = c.stride * j + dx - c.taps / 2;
            if (v < 0 || u < 0 || v >= c.H || u >= c.W) continue;
            const double product = static_cast<double>(w[(dy * c.taps + dx) * c.C + k]) *
                                   static_cast<double>(x(v * c.W + u, k));
            sum += product;
            magnitude += std::abs(product);
          }
        }
        if (c.activation == Activation::relu) sum = std::max(sum, 0.0);
        const double slack = c.activation == Activation::tanh ? 1e-6 : 0.0;
        if (c.activation == Activation::tanh) sum = std::tanh(sum);
        ASSERT_NEAR(static_cast<double>(y(i * cols + j, k)), sum,
                    test::gemm_tolerance(c.taps * c.taps, magnitude) + slack)
            << c.H << " x " << c.W << " x " << c.C << ", taps " << c.taps << ", stride " << c.stride
            << ", cell " << i << ", " << j << ", channel " << k;
      }
    }
  }
  ASSERT_TRUE(y.gaps_untouched());
}

TEST_P(DepthwiseTest, MatchesTheReference) {
  for (const Index C : {1, 3, 4, 5, 8, 15, 16, 17, 33, 64}) {
    for (const Index taps : {1, 3, 5, 7}) {
      for (const auto& [H, W] : {std::pair<Index, Index>{1, 1}, {2, 3}, {7, 7}, {5, 13}}) {
        for (const Index stride : {1, 2, 3}) {
          const bool odd = (C + taps + H + stride) % 2 == 1;
          expect_right(*table, {H, W, C, taps, stride, odd ? Activation::relu : Activation::none,
                                C != 5, odd ? Guard::above : Guard::below});
        }
      }
    }
  }
  expect_right(*table, {4, 9, 21, 3, 1, Activation::tanh, true, Guard::above});
}

// A cell has the bits that its neighbours give it, whichever way it is computed: alone, at an edge, or
// with others.
TEST_P(DepthwiseTest, ACellDoesNotDependOnTheMapsWidth) {
  constexpr Index H = 3, C = 19, kWide = 12;
  for (const Index taps : {3, 5}) {
    const GuardedBuffer<float> w = test::random_normal(taps * taps * C, 1),
                               bias = test::random_normal(C, 2);
    Rows wide(H * kWide, C, 0);
    wide.fill_normal(3);
    const auto run = [&](Index W, Index first) {
      Rows x(H * W, C, 0), y(W, C, 0);
      x.fill([&](Index cell, Index k) { return wide(cell / W * kWide + first + cell % W, k); });
      table->depthwise({.x = x.data(),
                        .ldx = x.ld(),
                        .H = H,
                        .W = W,
                        .w = w.data(),
                        .bias = bias.data(),
                        .y = y.data(),
                        .ldy = y.ld(),
                        .C = C,
                        .taps = taps,
                        .stride = 1,
                        .row = 1,
                        .cols = W});
      return y;
    };
    const Rows all = run(kWide, 0);
    for (Index first = 0; first + taps <= kWide; ++first) {
      const Rows part = run(taps, first);
      for (Index k = 0; k < C; ++k) {
        ASSERT_TRUE(test::same_bits(part(taps / 2, k), all(first + taps / 2, k))) << first;
      }
    }
  }
}

}  // namespace
}  // namespace tessera::kernels
