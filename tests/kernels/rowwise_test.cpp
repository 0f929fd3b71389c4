// SPDX-License-Identifier: Apache-2.0
//
// LayerNorm, L2 normalisation, activations and addition at every level: every tail between
// guard pages, hostile values, aliasing, and the same bits for a row wherever it stands.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/kernel_table.hpp"
#include "tests/reference/activation.hpp"
#include "tests/reference/rowwise.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/rows.hpp"

namespace tessera::kernels {
namespace {

using test::bit_identical;
using test::Guard;
using test::GuardedBuffer;
using test::near_elementwise;
using test::Rows;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// Around every multiple of a vector and of 4 vectors up to 16 lanes, and real widths.
std::vector<Index> widths() {
  std::vector<Index> n;
  for (Index i = 1; i <= 70; ++i) n.push_back(i);
  for (const Index i : {127, 128, 129, 255, 384, 768, 769, 1024, 1280, 4095, 4096}) n.push_back(i);
  return n;
}

class RowwiseTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    SKIP_UNLESS_SUPPORTED(GetParam());
    table = &kernels_at(GetParam());
  }
  const KernelTable* table = nullptr;
};
INSTANTIATE_FOR_ALL_ISAS(RowwiseTest);

// ---- LayerNorm ----------------------------------------------------------------------------------

struct LayerNormCase {
  LayerNormCase(Index M, Index N, Guard guard, bool with_residual, std::uint64_t seed)
      : x{M, N, 3, guard},
        residual{M, N, 5, guard},
        y{M, N, 2, guard},
        gamma{test::random_normal(N, seed + 2, guard)},
        beta{test::random_normal(N, seed + 3, guard)},
        use_residual{with_residual} {
    x.fill_normal(seed);
    residual.fill_normal(seed + 1);
  }
  LayerNormRows rows() {
    return {.x = x.data(),
            .ldx = x.ld(),
            .residual = use_residual ? residual.data() : nullptr,
            .ldr = residual.ld(),
            .gamma = gamma.data(),
            .beta = beta.data(),
            .eps = 1e-12F,
            .y = y.data(),
            .ldy = y.ld(),
            .M = x.M(),
            .N = x.N(),
            .of_squares = of_squares};
  }
  testing::AssertionResult matches_reference() const {
    std::vector<double> value, bound;
    for (Index i = 0; i < x.M(); ++i) {
      std::vector<double> z;
      for (Index j = 0; j < x.N(); ++j) {
        z.push_back(static_cast<double>(x(i, j)) +
                    (use_residual ? static_cast<double>(residual(i, j)) : 0.0));
      }
      const auto row = reference::layer_norm(z, gamma.data(), beta.data(), 1e-12, of_squares);
      value.insert(value.end(), row.value.begin(), row.value.end());
      bound.insert(bound.end(), row.bound.begin(), row.bound.end());
    }
    if (!y.gaps_untouched()) return testing::AssertionFailure() << "wrote between rows";
    return near_elementwise(y.dense(), value,
                            [&](Index i) { return bound[static_cast<std::size_t>(i)]; });
  }
  Rows x, residual, y;               // (M,N)
  GuardedBuffer<float> gamma, beta;  // (N)
  bool use_residual;
  bool of_squares = false;
};

TEST_P(RowwiseTest, LayerNormMatchesReferenceOnEveryTail) {
  for (const Index N : widths()) {
    for (const Guard guard : {Guard::above, Guard::below}) {
      for (const bool with_residual : {false, true}) {
        LayerNormCase c(3, N, guard, with_residual, static_cast<std::uint64_t>(N));
        table->layer_norm(c.rows());
        ASSERT_TRUE(c.matches_reference()) << "N=" << N << " residual=" << with_residual;
      }
    }
  }
}

TEST_P(RowwiseTest, RmsNormMatchesReferenceOnEveryTail) {
  for (const Index N : widths()) {
    for (const bool with_residual : {false, true}) {
      LayerNormCase c(3, N, Guard::above, with_residual, static_cast<std::uint64_t>(N));
      c.of_squares = true;
      c.x(0, 0) += 3.0F;  // a mean that counts as 0
      table->layer_norm(c.rows());
      ASSERT_TRUE(c.matches_reference()) << "N=" << N << " residual=" << with_residual;
    }
  }
}

TEST_P(RowwiseTest, LayerNormInBf16IsTheSameRounded) {
  for (const Index N : widths()) {
    for (const Guard guard : {Guard::above, Guard::below}) {
      for (const bool of_squares : {false, true}) {
        LayerNormCase c(3, N, guard, false, static_cast<std::uint64_t>(N));
        c.of_squares = of_squares;
        table->layer_norm(c.rows());
        const Index ldn = N + 3;
        GuardedBuffer<std::uint16_t> narrow(2 * ldn + N, guard), expected(2 * ldn + N, guard);
        for (Index i = 0; i < 2 * ldn + N; ++i) narrow[i] = expected[i] = 0x7A7A;
        LayerNormRows rows = c.rows();
        rows.y = nullptr, rows.ldy = 0;
        rows.narrow = narrow.data(), rows.ldn = ldn;
        table->layer_norm(rows);
        table->narrow(c.y.data(), c.y.ld(), expected.data(), ldn, 3, N);
        for (Index i = 0; i < 2 * ldn + N; ++i) {
          ASSERT_EQ(narrow[i], expected[i]) << "N=" << N << ", element " << i;
        }
      }
    }
  }
}

TEST_P(RowwiseTest, LayerNormDoesNotCancelOnALargeMean) {
  LayerNormCase c(2, 768, Guard::above, false, 5);
  for (Index j = 0; j < 768; ++j) c.x(0, j) += 1000.0F;  // Σ z² − N μ² would lose 20 of 24 bits
  table->layer_norm(c.rows());
  EXPECT_TRUE(c.matches_reference());
}

TEST_P(RowwiseTest, LayerNormOfAConstantRowIsBeta) {
  LayerNormCase c(1, 33, Guard::above, false, 6);
  c.x.fill([](Index, Index) { return 2.0F; });
  table->layer_norm(c.rows());
  for (Index j = 0; j < 33; ++j) EXPECT_EQ(c.y(0, j), c.beta[j]);
}

TEST_P(RowwiseTest, LayerNormWorksInPlaceBitForBit) {
  for (const Index N : {1, 17, 64, 768}) {
    LayerNormCase c(3, N, Guard::above, true, 7);
    table->layer_norm(c.rows());
    for (const bool onto_x : {true, false}) {
      LayerNormCase d(3, N, Guard::above, true, 7);
      LayerNormRows rows = d.rows();
      rows.y = onto_x ? d.x.data() : d.residual.data();
      rows.ldy = onto_x ? d.x.ld() : d.residual.ld();
      table->layer_norm(rows);
      EXPECT_TRUE(bit_identical((onto_x ? d.x : d.residual).dense(), c.y.dense())) << "N=" << N;
    }
  }
}

TEST_P(RowwiseTest, LayerNormKeepsNanInItsRow) {
  LayerNormCase c(3, 40, Guard::above, true, 8);
  c.x(1, 37) = kNan;
  table->layer_norm(c.rows());
  for (Index j = 0; j < 40; ++j) {
    EXPECT_FALSE(std::isnan(c.y(0, j)));
    EXPECT_TRUE(std::isnan(c.y(1, j)));
    EXPECT_FALSE(std::isnan(c.y(2, j)));
  }
}

// ---- Softmax, L2 --------------------------------------------------------------------------------

using OneRow = reference::Bounded (*)(const float* x, Index N);

/// Runs `run` on x, compares with the reference row by row, then in place bit for bit.
template <class Run>
void expect_rows(Rows& x, Guard guard, OneRow expected, Run&& run) {
  Rows y(x.M(), x.N(), 4, guard);
  run(x.data(), x.ld(), y.data(), y.ld());
  std::vector<double> value, bound;
  for (Index i = 0; i < x.M(); ++i) {
    const auto row = expected(&x(i, 0), x.N());
    value.insert(value.end(), row.value.begin(), row.value.end());
    bound.insert(bound.end(), row.bound.begin(), row.bound.end());
  }
  ASSERT_TRUE(near_elementwise(y.dense(), value,
                               [&](Index i) { return bound[static_cast<std::size_t>(i)]; }))
      << "N=" << x.N();
  ASSERT_TRUE(y.gaps_untouched());
  run(x.data(), x.ld(), x.data(), x.ld());
  ASSERT_TRUE(bit_identical(x.dense(), y.dense())) << "in place, N=" << x.N();
}

reference::Bounded l2_reference(const float* x, Index N) {
  return reference::l2_normalize(x, N, 1e-12);
}

TEST_P(RowwiseTest, L2NormalizeMatchesReferenceOnEveryTail) {
  for (const Index N : widths()) {
    for (const Guard guard : {Guard::above, Guard::below}) {
      Rows x(3, N, 1, guard);
      x.fill_normal(static_cast<std::uint64_t>(N));
      for (Index j = 0; j < N; ++j) x(1, j) = 0.0F;
      expect_rows(x, guard, l2_reference, [&](const float* in, Index ldx, float* out, Index ldy) {
        table->l2_normalize(in, ldx, out, ldy, 3, N, 1e-12F);
      });
    }
  }
}

TEST_P(RowwiseTest, L2NormalizeKeepsNanInItsRow) {
  Rows x(2, 20, 0), y(2, 20, 0);
  x.fill_normal(3);
  x(0, 19) = kNan;
  table->l2_normalize(x.data(), x.ld(), y.data(), y.ld(), 2, 20, 1e-12F);
  for (Index j = 0; j < 20; ++j) {
    EXPECT_TRUE(std::isnan(y(0, j)));
    EXPECT_FALSE(std::isnan(y(1, j)));
  }
}

// ---- Activations, addition ----------------------------------------------------------------------

TEST_P(RowwiseTest, ActivationsMatchReferenceOnEveryTail) {
  for (int a = 0; a <= static_cast<int>(Activation::sigmoid); ++a) {
    const Activation act = static_cast<Activation>(a);
    for (Index N = 1; N <= 70; ++N) {
      const Guard guard = N % 2 == 0 ? Guard::above : Guard::below;
      Rows x(2, N, 3, guard), y(2, N, 1, guard);
      x.fill_normal(static_cast<std::uint64_t>(N), 4.0F);
      table->activation(act, x.data(), x.ld(), y.data(), y.ld(), 2, N);
      std::vector<double> expected;
      for (const float v : x.dense()) {
        expected.push_back(reference::activate(act, static_cast<double>(v)));
      }
      const bool exact = act == Activation::none || act == Activation::relu;
      const bool gelu = !exact && act != Activation::tanh && act != Activation::sigmoid;
      const std::vector<float> in = x.dense();
      ASSERT_TRUE(near_elementwise(
          y.dense(), expected,
          [&](Index i) {  // as math_test.cpp measures
            const double e = expected[static_cast<std::size_t>(i)];
            const double v = std::abs(static_cast<double>(in[static_cast<std::size_t>(i)]));
            return exact ? 0.0 : gelu ? 2.1e-7 * std::max(v, 1.0) : 5.6 * test::ulp_of(e);
          }))
          << to_string(act) << " N=" << N;
      ASSERT_TRUE(y.gaps_untouched());
      table->activation(act, x.data(), x.ld(), x.data(), x.ld(), 2, N);
      ASSERT_TRUE(bit_identical(x.dense(), y.dense())) << "in place";
    }
  }
}

TEST_P(RowwiseTest, ActivationsAtInfinityAndNan) {
  const auto at = [&](Activation act, float x) {
    float y = 0;
    table->activation(act, &x, 1, &y, 1, 1, 1);
    return y;
  };
  for (int a = 0; a <= static_cast<int>(Activation::sigmoid); ++a) {
    EXPECT_TRUE(std::isnan(at(static_cast<Activation>(a), kNan))) << a;
  }
  for (const Activation act : {Activation::gelu_erf, Activation::gelu_tanh, Activation::gelu_quick,
                               Activation::silu, Activation::relu}) {
    EXPECT_EQ(at(act, kInfinity), kInfinity) << to_string(act);
    EXPECT_EQ(std::isnan(at(act, -kInfinity)), act != Activation::relu) << to_string(act);
  }
  for (const Activation act : {Activation::gelu_erf, Activation::gelu_tanh}) {
    EXPECT_EQ(at(act, -1000.0F), 0.0F);  // erf and tanh reach exactly −1
    EXPECT_EQ(at(act, 1000.0F), 1000.0F);
  }
}

TEST_P(RowwiseTest, AddIsExactOnEveryTailAndInPlace) {
  for (const Index N : widths()) {
    const Guard guard = N % 2 == 0 ? Guard::above : Guard::below;
    Rows a(2, N, 1, guard), b(2, N, 2, guard), y(2, N, 3, guard);
    a.fill_normal(1);
    b.fill_normal(2);
    table->add(a.data(), a.ld(), b.data(), b.ld(), y.data(), y.ld(), 2, N);
    for (Index i = 0; i < 2; ++i) {
      for (Index j = 0; j < N; ++j) ASSERT_EQ(y(i, j), a(i, j) + b(i, j)) << "N=" << N;
    }
    ASSERT_TRUE(y.gaps_untouched());
    table->add(a.data(), a.ld(), b.data(), b.ld(), b.data(), b.ld(), 2, N);
    ASSERT_TRUE(bit_identical(b.dense(), y.dense()));
  }
}

/// A row alone and the same row among others.
TEST_P(RowwiseTest, ARowDoesNotDependOnItsNeighbours) {
  for (const Index N : {1, 7, 30, 64, 100, 768}) {
    Rows x(5, N, 2), y(5, N, 2), alone(1, N, 2);
    x.fill_normal(11);
    const Index row = 3;
    const auto expect_same = [&](auto&& run) {
      run(x.data(), y.data(), Index{5});
      run(&x(row, 0), alone.data(), Index{1});
      for (Index j = 0; j < N; ++j) ASSERT_TRUE(test::same_bits(y(row, j), alone(0, j)));
    };
    const Index ld = x.ld();
    const auto gamma = test::random_normal(N, 12), beta = test::random_normal(N, 13);
    expect_same([&](const float* in, float* out, Index M) {
      table->l2_normalize(in, ld, out, ld, M, N, 1e-12F);
    });
    expect_same([&](const float* in, float* out, Index M) {
      table->layer_norm({.x = in,
                         .ldx = ld,
                         .residual = nullptr,
                         .ldr = 0,
                         .gamma = gamma.data(),
                         .beta = beta.data(),
                         .eps = 1e-5F,
                         .y = out,
                         .ldy = ld,
                         .M = M,
                         .N = N});
    });
  }
}

}  // namespace
}  // namespace tessera::kernels
