// SPDX-License-Identifier: Apache-2.0
//
// The model of attention: every count, exactly, against one that looks at every pair of a query and
// a key and shares with the walk only the cut into blocks, for every dataflow, mask, level and a ragged set of
// lengths; the choice; masks that are refused.
#include "runtime/plan/attention.hpp"
#include "runtime/program/mask.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <ostream>
#include <utility>
#include <vector>

#include "kernels/attention/blocks.hpp"
#include "kernels/kernel_table.hpp"
#include "runtime/base/error.hpp"
#include "runtime/machine/machine.hpp"
#include "tests/reference/attention.hpp"
#include "tests/support/isa.hpp"

namespace tessera {

void PrintTo(const AttentionCounts& c, std::ostream* to) {
  *to << "tiles " << c.tiles << ", boundary " << c.boundary_tiles << ", scores " << c.score_cells
      << ", exp " << c.exp_cells << ", values " << c.value_cells << ", words " << c.words;
}

namespace {

using kernels::AttentionDataflow;
using kernels::AttentionMask;

constexpr AttentionCaches kCaches{48 << 10, 2 << 20, 256 << 20};

std::vector<AttentionMask> some_masks() {
  return {{},
          sliding_window(1),
          sliding_window(129),
          causal(),
          causal_window(77),
          log_sparse(1, 0, false),
          log_sparse(9, 100, true)};
}

/// The counts by definition, cell by cell.
class CellCount {
 public:
  CellCount(AttentionDataflow dataflow, Index T, Index d, const AttentionMask& mask,
            const kernels::Attention& kernel)
      : flow_(dataflow), T_(T), d_(d), mask_(mask), kernel_(kernel) {
    for (Index r = -reach(); r <= reach(); ++r) sees_.push_back(reference::is_visible(mask, r));
    const Index most = rows_per_task(flow_, T, kernel);
    each_block(0, T, most, [&](Index a, Index b) {
      if (flow_ == AttentionDataflow::interleaved) return pair(a, b);
      each_block(a, b, kernel_.Br, [&](Index i0, Index i1) { block(i0, i1); });
    });
  }
  AttentionCounts counts{};

 private:
  struct Tile {
    Index begin, end;
  };

  Index reach() const { return T_ + 2 * kernel_.Br + 64; }
  bool sees(Index query, Index key) const {
    return sees_[static_cast<std::size_t>(key - query + reach())];
  }
  /// By blocks.hpp, which has its own test below.
  template <class Body>
  void each_block(Index begin, Index end, Index most, Body&& body) const {
    const Index n = kernels::count_blocks(end - begin, most);
    const auto at = [&](Index i) {
      return begin + kernels::first_row(end - begin, n, kernel_.V, i);
    };
    for (Index i = 0; i < n; ++i) body(at(i), at(i + 1));
  }
  template <class Body>
  static void each_group(Index n, Index most, Body&& body) {  // the longer ones first
    const Index groups = (n + most - 1) / most;
    for (Index g = 0, begin = 0; g < groups; ++g) {
      const Index size = n / groups + (g < n % groups ? 1 : 0);
      body(begin, begin + size);
      begin += size;
    }
  }
  Index padded(Index rows) const { return (rows + kernel_.V - 1) / kernel_.V * kernel_.V; }

  /// Tiles of the keys that queries [i0, i1) see. Up to 16 hidden keys between visible ones are
  /// walked over.
  std::vector<Tile> tiles(Index i0, Index i1) const {
    std::vector<bool> visible, walked;
    for (Index j = 0; j < T_ + 32; ++j) {
      bool any = false;
      for (Index i = i0; i < i1; ++i) any = any || sees(i, j);
      visible.push_back(any);
    }
    walked = visible;
    for (std::size_t j = 0, last = visible.size(); j < visible.size(); ++j) {
      if (!visible[j]) continue;
      if (last < j && j - last <= 17)
        for (std::size_t k = last; k < j; ++k) walked[k] = true;
      last = j;
    }
    const auto is = [](const std::vector<bool>& v, Index j) {
      return v[static_cast<std::size_t>(j)];
    };
    const bool by_keys = flow_ == AttentionDataflow::streaming_keys;
    const Index pieces = by_keys ? (T_ + kernel_.Bc - 1) / kernel_.Bc : 1;
    std::vector<Tile> list;
    for (Index n = 0; n < pieces; ++n) {
      const Index end = T_ * (n + 1) / pieces;
      for (Index j = T_ * n / pieces; j < end;) {
        while (j < end && !is(visible, j)) ++j;
        Index to = j;
        while (to < end && is(walked, to)) ++to;
        const Index cuts = (to - j + kernel_.Bc - 1) / kernel_.Bc;
        for (Index c = 0; c < cuts; ++c)
          list.push_back({j + (to - j) * c / cuts, j + (to - j) * (c + 1) / cuts});
        j = to;
      }
    }
    return list;
  }
  /// Does every query see every key? Beyond `local` the kernels do not look.
  bool full(Index i0, Index i1, Tile t) const {
    for (Index i = i0; i < i1; ++i) {
      for (Index j = t.begin; j < t.end; ++j) {
        const bool near = mask_.kind == kernels::MaskKind::band || std::abs(j - i) < mask_.local;
        if (!near || !sees(i, j)) return false;
      }
    }
    return true;
  }

  void pair(Index a, Index b) {
    const std::vector<Tile> list = tiles(a, b);
    if (list.empty()) return;
    counts.words += (b - a) * d_;
    const Index vectors = (b - a + kernel_.V - 1) / kernel_.V;
    const Index mid = std::min(b, a + (vectors + 1) / 2 * kernel_.V);
    for (const Tile& t : list) {
      const bool is_full = full(a, b, t), first = t.begin == list.front().begin;
      for (const auto& [i0, i1] : {std::pair{a, mid}, std::pair{mid, b}}) {
        if (i0 == i1) continue;
        counts.score_cells += (t.end - t.begin) * padded(i1 - i0);
        add(i0, i1, t, is_full, first);
      }
    }
  }
  void block(Index i0, Index i1) {
    const std::vector<Tile> list = tiles(i0, i1);
    const bool streaming = flow_ == AttentionDataflow::streaming,
               by_keys = flow_ == AttentionDataflow::streaming_keys;
    if (!list.empty() || !streaming) counts.words += (by_keys ? 3 : 1) * (i1 - i0) * d_;
    for (const Tile& t : list) {
      const bool is_full = full(i0, i1, t);
      scores(i0, i1, t);
      if (!streaming && !by_keys) counts.words += 4 * (t.end - t.begin) * padded(i1 - i0);
      add(i0, i1, t, is_full, t.begin == list.front().begin);
    }
  }
  /// Register tiles in which some query sees some key.
  void scores(Index i0, Index i1, Tile t) {
    each_group(t.end - t.begin, kernel_.MR, [&](Index j0, Index j1) {
      for (Index i = i0; i < i1; i += kernel_.NR) {
        const Index end = std::min(i + kernel_.NR, i1);
        bool any = false;
        for (Index q = i; q < end; ++q)
          for (Index j = t.begin + j0; j < t.begin + j1; ++j) any = any || sees(q, j);
        if (any) counts.score_cells += (j1 - j0) * padded(end - i);
      }
    });
  }
  void add(Index i0, Index i1, Tile t, bool is_full, bool first) {
    const Index keys = t.end - t.begin;
    counts.tiles += 1;
    counts.boundary_tiles += is_full ? 0 : 1;
    counts.exp_cells += keys * padded(i1 - i0);
    counts.words += 2 * keys * d_ + (first ? 1 : 2) * (i1 - i0) * d_;
    each_group(i1 - i0, kernel_.MR, [&](Index a, Index b) {  // first to last key that is seen
      Index from = t.end, to = t.end;
      for (Index j = t.begin; j < t.end; ++j) {
        bool any = false;
        for (Index i = i0 + a; i < i0 + b; ++i) any = any || sees(i, j);
        if (!any) continue;
        from = std::min(from, j);
        to = j + 1;
      }
      counts.value_cells += (to - from) * (b - a);
    });
  }

  AttentionDataflow flow_;
  Index T_, d_;
  AttentionMask mask_;
  const kernels::Attention& kernel_;
  std::vector<bool> sees_;  // by difference, from −reach on
};

class AttentionPlanTest : public testing::TestWithParam<Isa> {};
INSTANTIATE_FOR_ALL_ISAS(AttentionPlanTest);

TEST_P(AttentionPlanTest, CountsAreThoseOfTheCells) {
  SKIP_UNLESS_SUPPORTED(GetParam());
  const kernels::Attention& kernel = kernels::kernels_at(GetParam()).attention[Precision::f32];
  constexpr Index d = 8;
  for (Index n = 0; n < kernels::kAttentionDataflows; ++n) {
    const auto dataflow = static_cast<AttentionDataflow>(n);
    for (const AttentionMask& mask : some_masks()) {
      for (const Index T : {1, 31, 64, 65, 197, 300, 777, 1100}) {
        const AttentionCounts predicted =
            attention_cost(dataflow, {.T = T, .d = d, .heads = 1, .mask = mask}, kCaches, kernel)
                .counts;
        ASSERT_EQ(predicted, CellCount(dataflow, T, d, mask, kernel).counts)
            << to_string(dataflow) << ", " << to_string(mask) << ", T=" << T;
      }
    }
  }
}

TEST(AttentionModelTest, AWindowExecutesFewTiles) {
  const kernels::Attention& kernel = kernels::kernels_at(Isa::baseline).attention[Precision::f32];
  const auto counts = [&](const AttentionMask& mask) {
    const AttentionShape shape{.T = 4096, .d = 16, .heads = 1, .mask = mask};
    return attention_cost(AttentionDataflow::streaming, shape, kCaches, kernel).counts;
  };
  const AttentionCounts full = counts({}), window = counts(sliding_window(257));
  EXPECT_EQ(full.tiles, 64 * 16);
  EXPECT_EQ(full.score_cells, 4096 * 4096);
  EXPECT_EQ(full.value_cells, 4096 * 4096);
  EXPECT_LE(window.tiles, 64 * 2);  // at most 64 + 2·128 keys a block
  EXPECT_LE(window.boundary_tiles, window.tiles);
  EXPECT_LE(window.score_cells, 4096 * 320);
  EXPECT_LT(window.value_cells, 4096 * 300);
}

TEST(AttentionBlocksTest, AreNearEqualWholeVectorsButForTheLast) {
  for (const Index V : {4, 8, 16}) {
    for (Index T = 1; T <= 1200; ++T) {
      for (const Index most : {64, 128, 1024}) {
        const Index blocks = kernels::count_blocks(T, most), vectors = (T + V - 1) / V;
        ASSERT_EQ(kernels::first_row(T, blocks, V, 0), 0);
        ASSERT_EQ(kernels::first_row(T, blocks, V, blocks), T);
        for (Index n = 0; n < blocks; ++n) {
          const Index begin = kernels::first_row(T, blocks, V, n);
          const Index rows = kernels::first_row(T, blocks, V, n + 1) - begin;
          ASSERT_EQ(begin % V, 0);
          ASSERT_LE(rows, most);
          ASSERT_GT(rows, (vectors / blocks - 1) * V);
          ASSERT_LE(rows, (vectors + blocks - 1) / blocks * V);
        }
      }
    }
  }
}

TEST(AttentionModelTest, MovesNoLessThanTheBoundAndMoreThroughSmallerCaches) {
  const kernels::Attention& kernel = kernels::kernels_at(Isa::baseline).attention[Precision::f32];
  for (Index n = 0; n < kernels::kAttentionDataflows; ++n) {
    for (const Index T : {128, 512, 4096}) {
      const AttentionCost cost = attention_cost(static_cast<AttentionDataflow>(n),
                                                {.T = T, .d = 64, .heads = 12}, kCaches, kernel);
      EXPECT_GE(cost.l3_bytes, cost.bound_bytes);
      EXPECT_GE(cost.l2_bytes, cost.l3_bytes);
      EXPECT_GE(cost.l1_bytes, cost.l2_bytes);
    }
  }
  // K, V and the scores of a block stay: each word moves once, O and the scratch twice
  const AttentionCost small = attention_cost(AttentionDataflow::streaming,
                                             {.T = 512, .d = 64, .heads = 12}, kCaches, kernel);
  EXPECT_EQ(small.l2_bytes, 1.25 * small.bound_bytes + 2 * 4 * (64 * 256 + 64 * 68));
  // all of S and P through memory: 6·T² words more
  const AttentionCost whole = attention_cost(AttentionDataflow::layerwise,
                                             {.T = 4096, .d = 64, .heads = 1}, kCaches, kernel);
  EXPECT_GE(whole.l2_bytes, 4.0 * 4096 * 4096 * 6);
}

TEST(AttentionModelTest, ScratchOfStreamingDoesNotGrowWithTheLength) {
  const kernels::Attention& kernel = kernels::kernels_at(Isa::baseline).attention[Precision::f32];
  EXPECT_EQ(kernel.scratch_elements(AttentionDataflow::streaming, 64, 128, 64),
            kernel.scratch_elements(AttentionDataflow::streaming, 64, 16384, 64));
  const Index most = rows_per_task(AttentionDataflow::streaming_keys, 16384, kernel);
  EXPECT_EQ(kernel.scratch_elements(AttentionDataflow::streaming_keys, most, 2048, 64),
            kernel.scratch_elements(AttentionDataflow::streaming_keys, most, 16384, 64));
}

TEST(AttentionModelTest, TheRuleOfTheRunIsTheChoiceOfTheModel) {
  const kernels::Attention& kernel = kernels::kernels_at(Isa::baseline).attention[Precision::f32];
  const MachineRates rates = nominal_rates(Machine{}, Isa::avx512);
  for (const Index d : {32, 64, 128}) {
    for (const Index T : {16, 64, 197, 512, 1000, 2000, 4096, 8192, 16384}) {
      for (const AttentionMask& mask : {AttentionMask{}, sliding_window(257)}) {
        const AttentionShape shape{.T = T, .d = d, .heads = 12, .mask = mask};
        const AttentionPlan plan = plan_attention(shape, kCaches, rates, kernel);
        EXPECT_EQ(plan.chosen.dataflow, dataflow_of(T, d, mask, kCaches.l2_bytes, kernel))
            << explain(plan, shape);
        ASSERT_EQ(std::ssize(plan.rejected), kernels::kAttentionDataflows - 1);
        for (const AttentionCost& cost : plan.rejected) {
          EXPECT_GE(cost.seconds, plan.chosen.seconds * 0.99);
          EXPECT_FALSE(cost.why.empty());
          EXPECT_THAT(explain(plan, shape), testing::HasSubstr(cost.why));
        }
      }
    }
  }
}

TEST(AttentionMaskTest, RefusesMasksThatMakeNoSense) {
  EXPECT_THROW(sliding_window(0), Error);
  EXPECT_THROW(sliding_window(-3), Error);
  EXPECT_THROW(sliding_window(64), Error);  // even: not the same on both sides
  EXPECT_THROW(causal_window(0), Error);
  EXPECT_THROW(log_sparse(0, 0, false), Error);
  EXPECT_THROW(log_sparse(8, 8, true), Error);
  EXPECT_THROW(log_sparse(8, -1, true), Error);
  EXPECT_THROW(check_mask({.left = -1}, "test"), Error);
  try {
    check_mask({.right = -2}, "layer.0.attention");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::invalid_argument);
    EXPECT_THAT(e.what(), testing::HasSubstr("layer.0.attention"));
    EXPECT_THAT(e.what(), testing::HasSubstr("-2"));
  }
  EXPECT_EQ(to_string(sliding_window(100001)), "window (50000 left, 50000 right)");  // wider than T
}

// As LinearPlanTest.HalfTheElementInHalfTheCacheIsTheSamePlan.
TEST(AttentionPlanTest, HalfTheElementInHalfTheCacheIsTheSamePlan) {
  const kernels::Attention whole = kernels::kernels_at(Isa::baseline).attention[Precision::f32];
  kernels::Attention half = whole;
  half.bytes = {.qkv = 2, .o = 2, .scratch = 2};
  const AttentionCaches caches{kCaches.l1_bytes / 2, kCaches.l2_bytes / 2, kCaches.l3_bytes / 2};
  MachineRates rates = nominal_rates(machine(), Isa::baseline), slower = rates;
  for (double* rate :
       {&slower.l1_bytes, &slower.l2_bytes, &slower.l3_bytes, &slower.memory_bytes}) {
    *rate /= 2;
  }
  for (const Index T : {64, 197, 512, 2048, 8192}) {
    for (const AttentionMask& mask : some_masks()) {
      const AttentionShape shape{.T = T, .d = 64, .heads = 12, .mask = mask};
      const AttentionPlan a = plan_attention(shape, kCaches, rates, whole),
                          b = plan_attention(shape, caches, slower, half);
      EXPECT_EQ(a.chosen.dataflow, b.chosen.dataflow) << T;
      EXPECT_EQ(a.chosen.seconds, b.chosen.seconds) << T;
      EXPECT_EQ(a.chosen.l2_bytes, 2 * b.chosen.l2_bytes) << T;
      EXPECT_EQ(a.chosen.bound_bytes, 2 * b.chosen.bound_bytes) << T;
      EXPECT_EQ(dataflow_of(T, 64, mask, kCaches.l2_bytes, whole),
                dataflow_of(T, 64, mask, caches.l2_bytes, half));
    }
  }
}

}  // namespace
}  // namespace tessera
