// SPDX-License-Identifier: Apache-2.0
//
// Rows as whole numbers at every level (amx_bf16 on any CPU): the bits of the reference on every tail
// between guard pages, hostile values, and the same bits wherever a row stands.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "tests/kernels/gemm/integer_rows.hpp"
#include "tests/kernels/probe/emulated_tiles.hpp"
#include "tests/reference/bf16.hpp"
#include "tests/reference/quantize.hpp"
#include "tests/support/guarded_buffer.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/random.hpp"

namespace tessera::kernels {
namespace {

using test::Guard;
using test::GuardedBuffer;

class QuantizeTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    table = test::usable_level(GetParam());
    if (table == nullptr) GTEST_SKIP() << "this CPU lacks " << to_string(GetParam());
  }

  /// Rows of x (M,N) at the level, between guard pages; compared with the reference bit for bit.
  /// `f`: (N) factors, or none.
  void expect_reference(const std::vector<float>& x, Index M, Index N, DType type, Guard guard,
                        const std::vector<float>& f = {}) {
    const Index ld = N + 3, bytes = (scale_offset(N, type_of(*table)) + 4 + 7) / 8 * 8;
    GuardedBuffer<float> wide((M - 1) * ld + N, guard);
    GuardedBuffer<std::uint16_t> narrow((M - 1) * ld + N, guard);
    GuardedBuffer<std::byte> y(M * bytes, guard);
    GuardedBuffer<float> factors(std::ssize(f), guard);
    std::copy(f.begin(), f.end(), factors.begin());
    std::vector<float> read = x;
    for (Index i = 0; i < M; ++i) {
      for (Index j = 0; j < N; ++j) {
        float& value = read[static_cast<std::size_t>(i * N + j)];
        wide[i * ld + j] = value;
        narrow[i * ld + j] = reference::to_bf16(value);
        if (type == DType::bf16) value = reference::widen_bf16(narrow[i * ld + j]);
        if (!f.empty()) value *= f[static_cast<std::size_t>(j)];
      }
    }
    std::fill(y.begin(), y.end(), std::byte{0x55});
    table->quantize({.x = type == DType::f32 ? static_cast<const void*>(wide.data())
                                             : static_cast<const void*>(narrow.data()),
                     .type = type,
                     .ldx = ld,
                     .y = y.data(),
                     .y_bytes = bytes,
                     .M = M,
                     .N = N,
                     .factors = f.empty() ? nullptr : factors.data()});
    for (Index i = 0; i < M; ++i) {
      const std::byte* const row = y.data() + i * bytes;
      const reference::QuantizedRow expected =
          reference::quantize({read.data() + i * N, static_cast<std::size_t>(N)});
      for (Index j = 0; j < (N + 3) / 4 * 4; ++j) {
        ASSERT_EQ(number_at(*table, row, j), j < N ? expected.q[static_cast<std::size_t>(j)] : 0)
            << "row " << i << " of " << M << ", element " << j << " of " << N;
      }
      float scale = 0;
      std::memcpy(&scale, row + scale_offset(N, type_of(*table)), sizeof scale);
      if (std::isnan(expected.scale)) {
        EXPECT_TRUE(std::isnan(scale));
      } else {
        EXPECT_EQ(std::bit_cast<std::uint32_t>(scale),
                  std::bit_cast<std::uint32_t>(expected.scale));
      }
    }
  }

  const KernelTable* table = nullptr;
};
INSTANTIATE_FOR_ALL_ISAS(QuantizeTest);

TEST_P(QuantizeTest, HasTheBitsOfTheReferenceOnEveryTail) {
  for (Index N = 1; N <= 140; ++N) {
    const GuardedBuffer<float> random = test::random_normal(3 * N, static_cast<std::uint64_t>(N));
    const std::vector<float> x(random.begin(), random.end());
    for (const Guard guard : {Guard::above, Guard::below}) {
      for (const DType type : {DType::f32, DType::bf16}) expect_reference(x, 3, N, type, guard);
    }
  }
}

/// 2^e of the columns, −8 ≤ e ≤ 8.
std::vector<float> powers_of_two(Index N) {
  test::Random random{static_cast<std::uint64_t>(N)};
  std::vector<float> f;
  for (Index j = 0; j < N; ++j) {
    f.push_back(std::ldexp(1.0F, static_cast<int>(random.integer(-8, 8))));
  }
  return f;
}

TEST_P(QuantizeTest, FactorsOfColumnsHaveTheBitsOfTheReferenceOnEveryTail) {
  for (Index N = 1; N <= 140; ++N) {
    const GuardedBuffer<float> random = test::random_normal(3 * N, static_cast<std::uint64_t>(N));
    const std::vector<float> x(random.begin(), random.end());
    for (const Guard guard : {Guard::above, Guard::below}) {
      for (const DType type : {DType::f32, DType::bf16}) {
        expect_reference(x, 3, N, type, guard, powers_of_two(N));
      }
    }
  }
}

/// q·scale/f is x within half a step of the column: in double, for a row whose column 3 is far larger.
TEST_P(QuantizeTest, FactorsGiveSmallColumnsTheirOwnStep) {
  constexpr Index N = 70;
  const GuardedBuffer<float> random = test::random_normal(N, 5);
  std::vector<float> x(random.begin(), random.end()), f(N, 1.0F);
  x[3] = 300.0F;
  f[3] = 1.0F / 128.0F;
  std::vector<std::byte> y(static_cast<std::size_t>(scale_offset(N, type_of(*table)) + 8));
  for (const bool with : {true, false}) {
    table->quantize({.x = x.data(),
                     .type = DType::f32,
                     .ldx = N,
                     .y = y.data(),
                     .y_bytes = std::ssize(y),
                     .M = 1,
                     .N = N,
                     .factors = with ? f.data() : nullptr});
    float scale = 0;
    std::memcpy(&scale, y.data() + scale_offset(N, type_of(*table)), sizeof scale);
    double worst = 0.0;
    for (Index j = 0; j < N; ++j) {
      const auto at = static_cast<std::size_t>(j);
      const double factor = with ? static_cast<double>(f[at]) : 1.0;
      const double step = static_cast<double>(scale) / factor;
      const double error =
          std::abs(number_at(*table, y.data(), j) * step - static_cast<double>(x[at]));
      EXPECT_LE(error, 0.5001 * step) << "element " << j;
      if (j != 3) worst = std::max(worst, error);
    }
    if (with) {
      EXPECT_LT(worst, 0.02);
    } else {
      EXPECT_GT(worst, 0.5);
    }
  }
}

TEST_P(QuantizeTest, ValuesHalfwayBetweenTwoNumbersGoToTheEvenOne) {
  std::vector<float> x{127.0F};
  for (int q = -126; q < 127; ++q) x.push_back(static_cast<float>(q) + 0.5F);
  expect_reference(x, 1, std::ssize(x), DType::f32, Guard::above);
}

TEST_P(QuantizeTest, HostileRowsAreDefined) {
  constexpr float kInf = std::numeric_limits<float>::infinity(),
                  kNan = std::numeric_limits<float>::quiet_NaN(),
                  kMost = std::numeric_limits<float>::max(),
                  kDenormal = std::numeric_limits<float>::denorm_min();
  for (const Index N : {1, 5, 64, 77}) {
    for (const float hostile : {0.0F, -0.0F, kInf, -kInf, kNan, -kNan, kMost, -kMost, kDenormal,
                                0x1p-101F, 0x1p-100F, -0x1.fp-99F}) {
      std::vector<float> x(static_cast<std::size_t>(N), hostile);
      expect_reference(x, 1, N, DType::f32, Guard::above);
      std::fill(x.begin(), x.end(), 0.25F);
      for (const Index at : {Index{0}, N / 2, N - 1}) {
        std::vector<float> y = x;
        y[static_cast<std::size_t>(at)] = hostile;
        expect_reference(y, 1, N, DType::f32, Guard::below);
      }
    }
  }
}

}  // namespace
}  // namespace tessera::kernels
