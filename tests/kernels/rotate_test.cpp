// SPDX-License-Identifier: Apache-2.0
//
// The heads of a row, normalised and turned, against double at every level: head sizes with every tail,
// rotations of a part of the head, both ways to pair columns, guard pages, and the same bits wherever the
// head stands.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/kernel_table.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/rows.hpp"
#include "tests/support/tolerance.hpp"

namespace tessera::kernels {
namespace {

using test::Guard;
using test::GuardedBuffer;

class RotateHeadsTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    SKIP_UNLESS_SUPPORTED(GetParam());
    table = &kernels_at(GetParam());
  }
  const KernelTable* table = nullptr;
};
INSTANTIATE_FOR_ALL_ISAS(RotateHeadsTest);

struct Case {
  Index heads, d, pairs;
  bool normed, neighbours;
  Guard guard;
};

/// What rotate_heads() does, in double, with a bound of the error of f32: the norm's sum in 4 chains at
/// least, three products of each element, and one sum of two terms.
void expect_right(const KernelTable& table, const Case& c) {
  const auto seed = static_cast<std::uint64_t>(c.d * 31 + c.pairs);
  GuardedBuffer<float> x = test::random_normal(c.heads * c.d, seed, c.guard);
  const GuardedBuffer<float> gamma = test::random_normal(c.d, seed + 1, c.guard);
  GuardedBuffer<float> cos = test::random_normal(std::max<Index>(c.pairs, 1), seed + 2, c.guard),
                       sin = test::random_normal(std::max<Index>(c.pairs, 1), seed + 3, c.guard);
  for (Index j = 0; j < c.pairs; ++j) {
    const double angle = static_cast<double>(cos[j]) * 3;
    cos[j] = static_cast<float>(std::cos(angle));
    sin[j] = static_cast<float>(std::sin(angle));
  }
  constexpr double kEps = 1e-6;
  std::vector<double> value, bound;
  for (Index h = 0; h < c.heads; ++h) {
    std::vector<double> z, error;
    double mean = 0;
    for (Index j = 0; j < c.d; ++j) {
      const auto v = static_cast<double>(x[h * c.d + j]);
      mean += v * v / static_cast<double>(c.d);
    }
    for (Index j = 0; j < c.d; ++j) {
      double v = static_cast<double>(x[h * c.d + j]);
      if (c.normed) v *= static_cast<double>(gamma[j]) / std::sqrt(mean + kEps);
      z.push_back(v);
      error.push_back(c.normed ? std::abs(v) * test::gamma(c.d / 4 + 24) : 0.0);
    }
    std::vector<double> y = z, e = error;
    for (Index j = 0; j < c.pairs; ++j) {
      const auto a = static_cast<std::size_t>(c.neighbours ? 2 * j : j),
                 b = static_cast<std::size_t>(c.neighbours ? 2 * j + 1 : c.pairs + j);
      const auto C = static_cast<double>(cos[j]), S = static_cast<double>(sin[j]);
      y[a] = z[a] * C - z[b] * S;
      y[b] = z[b] * C + z[a] * S;
      const double size = std::abs(z[a]) + std::abs(z[b]);
      e[a] = e[b] = error[a] + error[b] + size * test::gamma(3);
    }
    value.insert(value.end(), y.begin(), y.end());
    bound.insert(bound.end(), e.begin(), e.end());
  }
  table.rotate_heads({.x = x.data(),
                      .heads = c.heads,
                      .d = c.d,
                      .gamma = c.normed ? gamma.data() : nullptr,
                      .eps = static_cast<float>(kEps),
                      .cos = cos.data(),
                      .sin = sin.data(),
                      .pairs = c.pairs,
                      .neighbours = c.neighbours});
  EXPECT_TRUE(test::near_elementwise(
      std::span<const float>(x.data(), static_cast<std::size_t>(c.heads * c.d)), value,
      [&](Index i) { return bound[static_cast<std::size_t>(i)] + test::kSmallestDenormal; }))
      << c.heads << " heads of " << c.d << ", " << c.pairs << " pairs"
      << (c.normed ? ", normed" : "") << (c.neighbours ? ", neighbours" : "");
}

TEST_P(RotateHeadsTest, IsThatOfDouble) {
  for (const Index d : {2, 6, 10, 12, 14, 16, 32, 34, 62, 64, 80, 96, 128, 256}) {
    for (const Index pairs : {Index{0}, Index{1}, d / 4, d / 2}) {
      for (const bool normed : {false, true}) {
        for (const bool neighbours : {false, true}) {
          for (const Guard guard : {Guard::above, Guard::below}) {
            expect_right(*table, {3, d, pairs, normed, neighbours, guard});
          }
        }
      }
    }
  }
}

TEST_P(RotateHeadsTest, NoHeadsAreNoHeads) {
  table->rotate_heads({.x = nullptr, .heads = 0, .d = 8, .pairs = 0});
}

TEST_P(RotateHeadsTest, AHeadHasTheSameBitsWhereverItStands) {
  constexpr Index kD = 40, kPairs = 20;
  const GuardedBuffer<float> one = test::random_normal(kD, 3, Guard::above),
                             gamma = test::random_normal(kD, 4, Guard::above),
                             cos = test::random_normal(kPairs, 5, Guard::above),
                             sin = test::random_normal(kPairs, 6, Guard::above);
  std::vector<float> many;
  for (int h = 0; h < 5; ++h) many.insert(many.end(), one.data(), one.data() + kD);
  table->rotate_heads({.x = many.data(),
                       .heads = 5,
                       .d = kD,
                       .gamma = gamma.data(),
                       .eps = 1e-5F,
                       .cos = cos.data(),
                       .sin = sin.data(),
                       .pairs = kPairs});
  const auto head = [&](std::size_t h) { return std::span<const float>(many).subspan(h * kD, kD); };
  for (std::size_t h = 1; h < 5; ++h) EXPECT_TRUE(test::bit_identical(head(h), head(0))) << h;
}

}  // namespace
}  // namespace tessera::kernels
