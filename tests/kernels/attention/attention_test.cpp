// SPDX-License-Identifier: Apache-2.0
//
// Streaming attention at every level against the double reference: every ragged size between guard
// pages, several key tiles with rising and falling maxima, hostile scores, relative bias by
// position and by column, and the same bits for a query row however the rows are split.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/kernel_table.hpp"
#include "tests/reference/attention.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/rows.hpp"

namespace tessera::kernels {
namespace {

using test::Guard;
using test::GuardedBuffer;
using test::Rows;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// One head: Q (Tq,d), K and V (Tk,d) with gaps between rows, each in memory of its own.
struct Head {
  Head(Index Tq, Index Tk, Index d, std::uint64_t seed, Guard guard = Guard::above)
      : q{Tq, d, 3, guard}, k{Tk, d, 5, guard}, v{Tk, d, 7, guard}, o{Tq, d, 2, guard} {
    q.fill_normal(seed);
    k.fill_normal(seed + 1);
    v.fill_normal(seed + 2);
  }
  AttentionTask task() {
    AttentionTask t{};
    t.q = q.data();
    t.ldq = q.ld();
    t.k = k.data();
    t.ldk = k.ld();
    t.v = v.data();
    t.ldv = v.ld();
    t.o = o.data();
    t.ldo = o.ld();
    t.Tq = q.M();
    t.Tk = k.M();
    t.d = q.N();
    t.scale = 1.0F / std::sqrt(static_cast<float>(q.N()));
    return t;
  }
  Rows q, k, v, o;
};

class AttentionTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    SKIP_UNLESS_SUPPORTED(GetParam());
    attention = &kernels_at(GetParam()).attention[Precision::f32];
  }
  /// Scratch of exactly the stated size, ending at an unmapped page and full of NaN.
  void run(AttentionTask t) const {
    GuardedBuffer<float> scratch(attention->scratch_elements(t.dataflow, t.Tq, t.Tk, t.d));
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(scratch.data()) % 64, 0U);
    t.scratch = scratch.data();
    attention->run(t);
  }
  void expect_reference(Head& head, const AttentionTask& t) const {
    run(t);
    ASSERT_TRUE(head.o.gaps_untouched());
    std::vector<double> value, bound;
    for (Index i = 0; i < t.Tq; ++i) reference::attention_row(t, i, value, bound);
    ASSERT_TRUE(test::near_elementwise(head.o.dense(), value,
                                       [&](Index i) { return bound[static_cast<std::size_t>(i)]; }))
        << "Tq=" << t.Tq << " Tk=" << t.Tk << " d=" << t.d;
  }
  const Attention* attention = nullptr;
};
INSTANTIATE_FOR_ALL_ISAS(AttentionTest);

TEST_P(AttentionTest, MatchesReferenceForEveryHeadSize) {
  for (Index d = 1; d <= 256; d += d < 36 ? 1 : d < 128 ? 7 : 32) {
    for (const Guard guard : {Guard::above, Guard::below}) {
      Head head(19, 37, d, static_cast<std::uint64_t>(d), guard);
      expect_reference(head, head.task());
    }
  }
  for (const Index d : {48, 64, 80, 96, 100, 128, 192, 256}) {
    Head head(attention->Br, 150, d, static_cast<std::uint64_t>(d));
    expect_reference(head, head.task());
  }
}

TEST_P(AttentionTest, MatchesReferenceForEveryNumberOfQueries) {
  for (Index Tq = 1; Tq <= attention->Br; ++Tq) {
    Head head(Tq, 21, 20, static_cast<std::uint64_t>(Tq),
              Tq % 2 == 0 ? Guard::above : Guard::below);
    expect_reference(head, head.task());
  }
}

TEST_P(AttentionTest, MatchesReferenceForEveryNumberOfKeys) {
  for (Index Tk = 1; Tk <= 700; Tk += Tk < 70 ? 1 : 37) {
    Head head(5, Tk, 33, static_cast<std::uint64_t>(Tk), Tk % 2 == 0 ? Guard::above : Guard::below);
    expect_reference(head, head.task());
  }
}

TEST_P(AttentionTest, NoKeysGiveZeros) {
  Head head(7, 0, 19, 1);
  run(head.task());
  for (const float x : head.o.dense()) EXPECT_EQ(x, 0.0F);
  EXPECT_TRUE(head.o.gaps_untouched());
}

// ---- Online softmax -----------------------------------------------------------------------------

/// q = e₀ and k_j = (s_j, 0, …) make score j equal to s_j/√d·…: scale is set to 1.
template <class Score>
AttentionTask with_scores(Head& head, Score&& score) {
  head.q.fill([](Index, Index n) { return n == 0 ? 1.0F : 0.0F; });
  head.k.fill([&](Index j, Index n) { return n == 0 ? score(j) : 0.0F; });
  AttentionTask t = head.task();
  t.scale = 1.0F;
  return t;
}

/// Far more keys than any tile: at least 5 tiles with a ragged last one.
constexpr Index kManyKeys = 5 * 512 + 13;

TEST_P(AttentionTest, RisingAndFallingMaximaOverManyTiles) {
  const auto n = static_cast<float>(kManyKeys);
  for (const float slope : {0.001F, 0.1F, 1.0F}) {
    Head head(3, kManyKeys, 5, 3);
    expect_reference(head,
                     with_scores(head, [&](Index j) { return slope * static_cast<float>(j); }));
    expect_reference(head,
                     with_scores(head, [&](Index j) { return -slope * static_cast<float>(j); }));
    expect_reference(head, with_scores(head, [&](Index j) {  // up, then down
                       const float x = static_cast<float>(j);
                       return slope * (x < n / 2 ? x : n - x);
                     }));
  }
}

TEST_P(AttentionTest, OneHugeScoreAnywhere) {
  for (const Index at :
       {Index{0}, Index{100}, Index{130}, Index{700}, Index{1537}, kManyKeys - 1}) {
    for (const float huge : {20.0F, 200.0F, 1e6F, 1e30F}) {
      Head head(3, kManyKeys, 4, 4);
      const AttentionTask t = with_scores(head, [&](Index j) { return j == at ? huge : -0.5F; });
      expect_reference(head, t);
      if (huge > 100.0F) {
        for (Index n = 0; n < 4; ++n)
          EXPECT_EQ(head.o(1, n), head.v(at, n));  // P is 1 there, 0 elsewhere
      }
    }
  }
}

TEST_P(AttentionTest, ScoresThatOverflowExpByThemselves) {
  Head head(4, 300, 6, 5);
  expect_reference(head, with_scores(head, [](Index) { return 1e4F; }));
  expect_reference(head, with_scores(head, [](Index) { return -1e4F; }));
  expect_reference(head,
                   with_scores(head, [](Index j) { return static_cast<float>(j % 7) * 100.0F; }));
}

TEST_P(AttentionTest, EqualScoresAverageTheValues) {
  Head head(3, 200, 9, 6);
  expect_reference(head, with_scores(head, [](Index) { return 0.0F; }));
}

TEST_P(AttentionTest, RowsWithDifferentMaximaInOneBlock) {
  Head head(attention->Br, kManyKeys, 8, 7);
  for (Index i = 0; i < attention->Br; ++i) {
    for (Index n = 0; n < 8; ++n) head.q(i, n) *= static_cast<float>(i % 5) * 3.0F;
  }
  expect_reference(head, head.task());
}

// ---- Relative bias ------------------------------------------------------------------------------

struct Bias {
  Bias(Index lo, Index hi, std::uint64_t seed, Guard guard)
      : values{test::random_normal(hi - lo + 1, seed, guard, 3.0F)}, zero{values.data() - lo} {}
  GuardedBuffer<float> values;  // differences lo … hi and no more
  const float* zero;
};

TEST_P(AttentionTest, ContiguousRelativeBiasMatchesReference) {
  for (const Index Tq : {Index{1}, Index{4}, Index{13}, Index{16}, Index{33}, attention->Br}) {
    for (const Index Tk : {1, 15, 16, 129, 513, 700}) {
      for (const Index q_begin : {0, 64, 301}) {
        for (const Guard guard : {Guard::above, Guard::below}) {
          Head head(Tq, Tk, 24, 8, guard);
          const Bias bias(-(q_begin + Tq - 1), Tk - 1 - q_begin, 9, guard);
          AttentionTask t = head.task();
          t.bias = bias.zero;
          t.q_begin = q_begin;
          expect_reference(head, t);
        }
      }
    }
  }
}

TEST_P(AttentionTest, BiasByColumnsMatchesReference) {
  constexpr Index Tq = 21, Tk = 300;
  for (const bool q_given : {false, true}) {
    Head head(Tq, Tk, 16, 10);
    GuardedBuffer<std::int32_t> q_columns(Tq), k_columns(Tk);
    for (Index i = 0; i < Tq; ++i) q_columns[i] = static_cast<std::int32_t>(3 * i + 2);
    for (Index j = 0; j < Tk; ++j) k_columns[j] = static_cast<std::int32_t>(2 * j + j % 2);
    const Index q_last = q_given ? 3 * (Tq - 1) + 2 : Tq + 4;
    const Bias bias(-q_last, 2 * Tk, 11, Guard::above);
    AttentionTask t = head.task();
    t.bias = bias.zero;
    t.q_begin = 5;
    t.q_columns = q_given ? q_columns.data() : nullptr;
    t.k_columns = k_columns.data();
    expect_reference(head, t);
  }
}

TEST_P(AttentionTest, BiasByPositionAndByEqualColumnsGiveTheSameBits) {
  constexpr Index Tq = 21, Tk = 300, q_begin = 7;
  Head head(Tq, Tk, 40, 12);
  const Bias bias(-(q_begin + Tq), Tk, 13, Guard::above);
  AttentionTask t = head.task();
  t.bias = bias.zero;
  t.q_begin = q_begin;
  run(t);
  const std::vector<float> by_position = head.o.dense();
  std::vector<std::int32_t> q_columns, k_columns;
  for (Index i = 0; i < Tq; ++i) q_columns.push_back(static_cast<std::int32_t>(q_begin + i));
  for (Index j = 0; j < Tk; ++j) k_columns.push_back(static_cast<std::int32_t>(j));
  t.q_columns = q_columns.data();
  t.k_columns = k_columns.data();
  run(t);
  EXPECT_TRUE(test::bit_identical(head.o.dense(), by_position));
}

TEST_P(AttentionTest, ABiasOfMinusInfinityHidesKeys) {
  Head head(3, 600, 10, 14);
  Bias bias(-2, 599, 15, Guard::above);
  for (float& b : bias.values) b = -kInfinity;
  AttentionTask t = head.task();
  t.bias = bias.zero;
  run(t);
  for (const float x : head.o.dense()) EXPECT_EQ(x, 0.0F);  // nothing visible
  bias.values[2 + 570] = 0.0F;  // k − q = 570: one key per row, in the last tile
  run(t);
  for (Index i = 0; i < 3; ++i) {
    for (Index n = 0; n < 10; ++n) EXPECT_EQ(head.o(i, n), head.v(570 + i, n));
  }
  for (Index r = 300; r < 600; ++r)
    bias.values[2 + r] = 0.5F;  // whole tiles hidden, then visible ones
  expect_reference(head, t);
}

// ---- Same bits, NaN -----------------------------------------------------------------------------

TEST_P(AttentionTest, ARowHasTheSameBitsHoweverTheQueriesAreSplit) {
  const Index Br = attention->Br;
  for (const Index d : {5, 32, 64, 80}) {
    for (const Index Tk : {1, 40, 129, 700}) {
      Head head(Br, Tk, d, 16);
      const Bias bias(-Br, Tk, 17, Guard::above);
      AttentionTask t = head.task();
      t.bias = bias.zero;
      run(t);
      const std::vector<float> whole = head.o.dense();
      for (const Index step : {Index{1}, Index{3}, Index{16}, Index{17}, Br / 2 + 1}) {
        head.o.fill([](Index, Index) { return kNan; });
        for (Index i = 0; i < Br; i += step) {
          AttentionTask part = t;
          part.q = static_cast<const float*>(t.q) + i * t.ldq;
          part.o = t.o + i * t.ldo;
          part.q_begin = i;
          part.Tq = std::min(step, Br - i);
          run(part);
        }
        ASSERT_TRUE(test::bit_identical(head.o.dense(), whole))
            << "d=" << d << " Tk=" << Tk << " step=" << step;
      }
    }
  }
}

TEST_P(AttentionTest, ANanQueryStaysInItsRow) {
  Head head(20, 150, 17, 18);
  run(head.task());
  const std::vector<float> clean = head.o.dense();
  head.q(11, 16) = kNan;
  run(head.task());
  for (Index i = 0; i < 20; ++i) {
    for (Index n = 0; n < 17; ++n) {
      if (i == 11) {
        EXPECT_TRUE(std::isnan(head.o(i, n)));
      } else {
        EXPECT_TRUE(test::same_bits(head.o(i, n), clean[static_cast<std::size_t>(i * 17 + n)]));
      }
    }
  }
}

TEST_P(AttentionTest, ANanKeyOrValueReachesEveryRow) {
  for (const Index at : {0, 130, 299}) {
    Head head(9, 300, 17, 19);
    head.k(at, 3) = kNan;
    run(head.task());
    for (const float x : head.o.dense()) EXPECT_TRUE(std::isnan(x));
  }
  for (const Index at : {0, 130, 299}) {
    Head head(9, 300, 17, 20);
    head.v(at, 16) = kNan;
    run(head.task());
    for (Index i = 0; i < 9; ++i) {
      for (Index n = 0; n < 17; ++n) EXPECT_EQ(std::isnan(head.o(i, n)), n == 16);
    }
  }
}

}  // namespace
}  // namespace tessera::kernels
