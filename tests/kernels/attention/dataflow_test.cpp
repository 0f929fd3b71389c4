// SPDX-License-Identifier: Apache-2.0
//
// Every dataflow and every mask at every level against the double reference: ragged sizes, at least
// three key tiles, hostile scores, guard pages.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/attention/mask.hpp"
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
constexpr Index kAll = AttentionMask::kAll;

std::vector<AttentionDataflow> all_dataflows() {
  std::vector<AttentionDataflow> list;
  for (Index n = 0; n < kAttentionDataflows; ++n) list.push_back(static_cast<AttentionDataflow>(n));
  return list;
}

const std::vector<AttentionMask>& all_masks() {
  static const std::vector<AttentionMask> masks{
      {},
      {.left = 0, .right = 0},
      {.left = 1, .right = 1},
      {.left = 37, .right = 37},
      {.left = 128, .right = 128},
      {.left = 100000, .right = 100000},
      {.left = kAll, .right = 0},
      {.left = 50, .right = 0},
      {.left = 0, .right = 70},
      {.kind = MaskKind::log_sparse, .local = 1},
      {.kind = MaskKind::log_sparse, .local = 9, .restart = 100},
      {.kind = MaskKind::log_sparse_causal, .local = 1},
      {.kind = MaskKind::log_sparse_causal, .local = 8, .restart = 64},
  };
  return masks;
}

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

class AttentionDataflowTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    SKIP_UNLESS_SUPPORTED(GetParam());
    attention = &kernels_at(GetParam()).attention[Precision::f32];
  }
  void run(AttentionTask t) const {
    GuardedBuffer<float> scratch(attention->scratch_elements(t.dataflow, t.Tq, t.Tk, t.d));
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(scratch.data()) % 64, 0U);
    t.scratch = scratch.data();
    attention->run(t);
  }
  /// All dataflows of `t` against one evaluation of the reference.
  void expect_reference(Head& head, AttentionTask t) const {
    std::vector<double> value, bound;
    for (Index i = 0; i < t.Tq; ++i) reference::attention_row(t, i, value, bound);
    for (const AttentionDataflow dataflow : all_dataflows()) {
      t.dataflow = dataflow;
      head.o.fill([](Index, Index) { return std::numeric_limits<float>::quiet_NaN(); });
      run(t);
      ASSERT_TRUE(head.o.gaps_untouched());
      ASSERT_TRUE(test::near_elementwise(
          head.o.dense(), value, [&](Index i) { return bound[static_cast<std::size_t>(i)]; }))
          << to_string(dataflow) << " Tq=" << t.Tq << " Tk=" << t.Tk << " d=" << t.d << " kind "
          << static_cast<int>(t.mask.kind) << " left " << t.mask.left << " right " << t.mask.right
          << " local " << t.mask.local << " restart " << t.mask.restart;
    }
  }
  const Attention* attention = nullptr;
};
INSTANTIATE_FOR_ALL_ISAS(AttentionDataflowTest);

TEST_P(AttentionDataflowTest, EveryHeadSizeMatchesReference) {
  for (const Index d : {1, 3, 4, 15, 16, 17, 32, 64, 80, 96, 100, 128, 200, 256}) {
    Head head(67, 70, d, static_cast<std::uint64_t>(d), d % 2 == 0 ? Guard::above : Guard::below);
    expect_reference(head, head.task());
  }
}

TEST_P(AttentionDataflowTest, EveryNumberOfQueriesMatchesReference) {
  for (Index Tq = 1; Tq <= 2 * attention->Br + 3; Tq += Tq < 36 ? 1 : 13) {
    Head head(Tq, 21, 20, static_cast<std::uint64_t>(Tq));
    expect_reference(head, head.task());
  }
}

TEST_P(AttentionDataflowTest, EveryMaskMatchesReference) {
  for (const AttentionMask& mask : all_masks()) {
    for (const Index T : {1, 13, 64, 129, 300}) {
      Head head(T, T, 12, static_cast<std::uint64_t>(T));
      AttentionTask t = head.task();
      t.mask = mask;
      expect_reference(head, t);
    }
  }
}

TEST_P(AttentionDataflowTest, MasksOverManyTilesMatchReference) {
  for (const AttentionMask& mask : all_masks()) {
    for (const Index q_begin : {0, 333, -40, 2000}) {  // −40: queries before the first key
      Head head(100, 900, 8, 7);
      AttentionTask t = head.task();
      t.mask = mask;
      t.q_begin = q_begin;
      expect_reference(head, t);
    }
  }
}

/// q = e₀ and k_j = (s_j, 0, …): score j is s_j.
template <class Score>
AttentionTask with_scores(Head& head, Score&& score) {
  head.q.fill([](Index, Index n) { return n == 0 ? 1.0F : 0.0F; });
  head.k.fill([&](Index j, Index n) { return n == 0 ? score(j) : 0.0F; });
  AttentionTask t = head.task();
  t.scale = 1.0F;
  return t;
}

TEST_P(AttentionDataflowTest, HostileScoresMatchReference) {
  constexpr Index kKeys = 3 * 256 + 77;
  for (const AttentionMask& mask : {AttentionMask{}, AttentionMask{.left = kAll, .right = 0},
                                    AttentionMask{.left = 90, .right = 90}}) {
    Head head(70, kKeys, 5, 3);
    const auto expect = [&](auto&& score) {
      AttentionTask t = with_scores(head, score);
      t.mask = mask;
      t.q_begin = 400;
      expect_reference(head, t);
    };
    for (const float slope : {0.001F, 0.1F, 3.0F}) {
      expect([&](Index j) { return slope * static_cast<float>(j); });
      expect([&](Index j) { return -slope * static_cast<float>(j); });
    }
    for (const Index at : {0, 5, 260, 450, 600}) {
      for (const float huge : {30.0F, 200.0F, 1e6F, 1e30F}) {
        expect([&](Index j) { return j == at ? huge : -0.5F; });
        expect([&](Index j) { return j == at ? -huge : 0.5F; });
      }
    }
    expect([](Index) { return 1e4F; });
    expect([](Index) { return -1e4F; });
  }
}

TEST_P(AttentionDataflowTest, BiasSlopeAndDenseMaskMatchReference) {
  constexpr Index Tq = 80, Tk = 600;
  const GuardedBuffer<float> bias = test::random_normal(Tq + 200 + Tk, 5, Guard::above, 2.0F);
  GuardedBuffer<float> dense = test::random_normal(Tq * (Tk + 3), 6, Guard::above, 2.0F);
  for (Index i = 0; i < dense.size(); i += 3) dense[i] = -kInfinity;
  std::vector<std::int32_t> q_columns, k_columns;
  for (Index i = 0; i < Tq; ++i) q_columns.push_back(static_cast<std::int32_t>(i + 90));
  for (Index j = 0; j < Tk; ++j) k_columns.push_back(static_cast<std::int32_t>(j - j % 2));
  for (const AttentionMask& mask : {AttentionMask{}, AttentionMask{.left = 60, .right = 0},
                                    AttentionMask{.kind = MaskKind::log_sparse, .local = 4}}) {
    for (int with = 0; with < 8; ++with) {
      Head head(Tq, Tk, 16, 10);
      AttentionTask t = head.task();
      t.mask = mask;
      t.q_begin = 100;
      if ((with & 1) != 0) t.bias = bias.data() + Tq + 110;
      if ((with & 2) != 0) t.slope = 0.125F;
      if ((with & 4) != 0) {
        t.dense = dense.data();
        t.ld_dense = Tk + 3;
      }
      expect_reference(head, t);
      t.q_columns = q_columns.data();
      t.k_columns = k_columns.data();
      expect_reference(head, t);
    }
  }
}

TEST_P(AttentionDataflowTest, RowsThatSeeNothingAreZero) {
  for (const AttentionDataflow dataflow : all_dataflows()) {
    Head head(70, 300, 10, 14);
    AttentionTask t = head.task();
    t.dataflow = dataflow;
    t.mask = {.left = 10, .right = 10};
    t.q_begin = 290;  // queries 310 … see no key
    run(t);
    for (Index i = 20; i < 70; ++i) {
      for (Index n = 0; n < 10; ++n) ASSERT_EQ(head.o(i, n), 0.0F) << to_string(dataflow);
    }
    const GuardedBuffer<float> hidden = [] {
      GuardedBuffer<float> b(70 * 300);
      for (float& x : b) x = -kInfinity;
      return b;
    }();
    t.mask = {};
    t.dense = hidden.data();
    t.ld_dense = 300;
    run(t);
    for (const float x : head.o.dense()) ASSERT_EQ(x, 0.0F) << to_string(dataflow);
    t.dense = nullptr;
    t.Tk = 0;
    run(t);
    for (const float x : head.o.dense()) ASSERT_EQ(x, 0.0F) << to_string(dataflow);
  }
}

TEST_P(AttentionDataflowTest, ANanOrInfinityReachesTheRowsThatSeeIt) {
  for (const AttentionDataflow dataflow : all_dataflows()) {
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), kInfinity}) {
      for (const Index at : {0, 299, 560}) {
        Head head(9, 600, 17, 19);
        head.q.fill([](Index, Index) { return 1.0F; });
        head.k(at, 3) = bad;
        AttentionTask t = head.task();
        t.dataflow = dataflow;
        run(t);
        for (const float x : head.o.dense()) ASSERT_TRUE(std::isnan(x)) << to_string(dataflow);
      }
    }
  }
}

TEST_P(AttentionDataflowTest, TheSameTaskGivesTheSameBits) {
  for (const AttentionDataflow dataflow : all_dataflows()) {
    for (const AttentionMask& mask : all_masks()) {
      Head head(150, 150, 24, 23);
      AttentionTask t = head.task();
      t.dataflow = dataflow;
      t.mask = mask;
      run(t);
      const std::vector<float> first = head.o.dense();
      run(t);
      ASSERT_TRUE(test::bit_identical(head.o.dense(), first)) << to_string(dataflow);
    }
  }
}

TEST_P(AttentionDataflowTest, ARowThatMovesItsMaximumLeavesItsNeighboursAlone) {
  Head head(attention->Br, 700, 32, 29);
  AttentionTask t = head.task();
  run(t);
  const std::vector<float> calm = head.o.dense();
  for (Index n = 0; n < 32; ++n) head.q(11, n) *= 300.0F;
  double first = -HUGE_VAL, all = first, delta = 0;  // largest score of row 11
  for (Index j = 0; j < t.Tk; ++j) {
    all = std::max(all, reference::attention_score(t, 11, j, delta));
    if (j < attention->MR) first = all;
  }
  ASSERT_GT(all - first, 128 * std::log(2.0));  // beyond f32, had the maximum stayed
  run(t);
  std::vector<double> value, bound;
  reference::attention_row(t, 11, value, bound);
  for (Index i = 0; i < attention->Br; ++i) {
    for (Index n = 0; n < 32; ++n) {
      if (i != 11) {
        ASSERT_TRUE(test::same_bits(head.o(i, n), calm[static_cast<std::size_t>(i * 32 + n)]));
      } else {
        const auto at = static_cast<std::size_t>(n);
        ASSERT_LE(std::abs(static_cast<double>(head.o(i, n)) - value[at]), bound[at]);
      }
    }
  }
}

// ---- Work left undone ----------------------------------------------------------------------------------

TEST(AttentionMaskTest, WalksOverExactlyTheVisibleKeys) {
  for (const AttentionMask& mask : all_masks()) {
    for (Index r = -400; r <= 400; ++r) {
      ASSERT_EQ(is_visible(mask, r), reference::is_visible(mask, r)) << r << ' ' << mask.restart;
    }
    for (const Index q_lo : {0, 100, 555}) {
      for (const Index rows : {1, 17, 64}) {
        constexpr Index Tk = 800;
        std::vector<bool> in_tile(static_cast<std::size_t>(Tk), false);
        Index before = 0;
        for (KeyTiles tiles(mask, q_lo, q_lo + rows - 1, Tk, 50); tiles.valid(); tiles.next()) {
          ASSERT_LE(before, tiles.begin());
          ASSERT_LT(tiles.begin(), tiles.end());
          ASSERT_LE(tiles.end() - tiles.begin(), 50);
          before = tiles.end();
          bool all = true;
          for (Index j = tiles.begin(); j < tiles.end(); ++j) {
            in_tile[static_cast<std::size_t>(j)] = true;
            for (Index i = 0; i < rows; ++i) all = all && reference::is_visible(mask, j - q_lo - i);
          }
          ASSERT_EQ(tiles.full() && !all, false);
          if (mask.kind == MaskKind::band) {
            ASSERT_EQ(tiles.full(), all);
          }
        }
        for (Index j = 0; j < Tk; ++j) {
          for (Index i = 0; i < rows; ++i) {
            if (reference::is_visible(mask, j - q_lo - i)) {
              ASSERT_TRUE(in_tile[static_cast<std::size_t>(j)]);
            }
          }
        }
      }
    }
  }
}

TEST_P(AttentionDataflowTest, AWindowLeavesFarKeysAlone) {
  for (const AttentionDataflow dataflow : all_dataflows()) {
    Head head(64, 4096, 16, 31);
    AttentionTask t = head.task();
    t.dataflow = dataflow;
    t.q_begin = 2000;
    t.mask = {.left = 128, .right = 128};  // keys 1872 … 2191
    run(t);
    const std::vector<float> expected = head.o.dense();
    for (Index j = 0; j < 4096; ++j) {
      if (j >= 1872 && j < 2192) continue;
      for (Index n = 0; n < 16; ++n)
        head.k(j, n) = head.v(j, n) = std::numeric_limits<float>::quiet_NaN();
    }
    run(t);
    ASSERT_TRUE(test::bit_identical(head.o.dense(), expected)) << to_string(dataflow);
  }
}

}  // namespace
}  // namespace tessera::kernels
