// SPDX-License-Identifier: Apache-2.0
//
// Elements by an index and rows turned over, at every level: lengths around every vector, indices that rise,
// fall, stand still and jump, guard pages at both ends. Each element is one product or one sum: the bits are
// those of plain loops.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "kernels/kernel_table.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/random.hpp"

namespace tessera::kernels {
namespace {

using test::Guard;
using test::GuardedBuffer;

constexpr float kScale = 0.37F;

class PickTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    SKIP_UNLESS_SUPPORTED(GetParam());
    table = &kernels_at(GetParam());
  }
  const KernelTable* table = nullptr;
};
INSTANTIATE_FOR_ALL_ISAS(PickTest);

/// An index of n elements in [0, rows) that moves by 0 to `most` from one to the next.
std::vector<std::int32_t> slow_index(Index n, int most, Index rows, bool falls, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::int32_t> index;
  Index at = 0;
  for (Index j = 0; j < n; ++j) {
    index.push_back(static_cast<std::int32_t>(std::min(at, rows - 1)));
    at += std::uniform_int_distribution<int>(0, most)(random);
  }
  if (falls) std::reverse(index.begin(), index.end());
  return index;
}

TEST_P(PickTest, ElementsAreThoseOfTheIndex) {
  for (const Index n : {1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 130}) {
    for (const int most : {0, 1, 2, 40}) {
      for (const bool falls : {false, true}) {
        for (const Guard guard : {Guard::above, Guard::below}) {
          const Index rows = 61;
          const auto seed = static_cast<unsigned>(n * 7 + most);
          const GuardedBuffer<float> x = test::random_normal(rows, seed, guard);
          const std::vector<std::int32_t> index = slow_index(n, most, rows, falls, seed);
          GuardedBuffer<std::int32_t> guarded(n, guard);
          std::copy(index.begin(), index.end(), guarded.data());
          GuardedBuffer<float> y(n, guard);
          table->pick({.x = x.data(),
                       .end = rows,
                       .index = guarded.data(),
                       .n = n,
                       .scale = kScale,
                       .y = y.data()});
          for (Index j = 0; j < n; ++j) {
            ASSERT_EQ(y[j], kScale * x[index[static_cast<std::size_t>(j)]])
                << n << " elements, steps up to " << most << (falls ? ", falling" : ", rising")
                << " at " << j;
          }
        }
      }
    }
  }
}

TEST_P(PickTest, WhatIsLeftOutIsNotRead) {
  // A row whose first elements are not there: x points before it, as that of a tile of products does.
  const Index first = 1000, rows = 20;
  const GuardedBuffer<float> there = test::random_normal(rows, 3, Guard::below);
  const std::vector<std::int32_t> index = [] {
    std::vector<std::int32_t> falling;
    for (std::int32_t j = 0; j < 20; ++j) falling.push_back(1019 - j);
    return falling;
  }();
  std::vector<float> y(20);
  table->pick({.x = there.data() - first,
               .end = first + rows,
               .index = index.data(),
               .n = 20,
               .scale = 1.0F,
               .y = y.data()});
  for (Index j = 0; j < rows; ++j) EXPECT_EQ(y[static_cast<std::size_t>(j)], there[19 - j]);
}

TEST_P(PickTest, RowsAreTurnedOverAndAdded) {
  for (const Index M : {1, 2, 3, 4, 5, 8, 13, 32, 61}) {
    for (const Index N : {1, 3, 4, 6, 8, 9, 14, 16, 17, 35}) {
      for (const bool adds : {false, true}) {
        for (const Guard guard : {Guard::above, Guard::below}) {
          const auto seed = static_cast<std::uint64_t>(M * 97 + N);
          const Index ldx = M + 3, ldy = N + 5;
          // The last rows end where the memory does.
          const GuardedBuffer<float> x = test::random_normal((N - 1) * ldx + M, seed, guard),
                                     before = test::random_normal((M - 1) * ldy + N, seed + 1);
          GuardedBuffer<float> y((M - 1) * ldy + N, guard);
          std::copy(before.data(), before.data() + (M - 1) * ldy + N, y.data());
          table->add_transposed(x.data(), ldx, y.data(), ldy, M, N, adds);
          for (Index i = 0; i < M; ++i) {
            for (Index j = 0; j < ldy; ++j) {
              const Index at = i * ldy + j;
              if (at >= (M - 1) * ldy + N) break;
              const float old = before[at];
              const float expected = j >= N ? old : adds ? old + x[j * ldx + i] : x[j * ldx + i];
              ASSERT_EQ(y[at], expected) << M << " x " << N << " at " << i << ", " << j;
            }
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace tessera::kernels
