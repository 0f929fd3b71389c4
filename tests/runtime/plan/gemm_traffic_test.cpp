// SPDX-License-Identifier: Apache-2.0
//
// The traffic model against the loop nest itself: the tiles that for_each_tile visits go through a
// fully associative cache of Z bytes that evicts the least recently used tile. Not the same
// formulas again: nothing here knows what is stationary.
#include "runtime/plan/gemm_traffic.hpp"

#include <gtest/gtest.h>

#include <list>
#include <map>
#include <tuple>
#include <vector>

#include "tests/support/random.hpp"

namespace tessera {
namespace {

constexpr TileShape kTile{.MR = 6, .NR = 16};
/// The same tile with elements of other sizes: bf16 operands, and four weights to a byte.
constexpr TileShape kHalf{.MR = 6, .NR = 16, .KR = 2, .bytes = {2, 2, 4}};
constexpr TileShape kQuarter{.MR = 6, .NR = 16, .KR = 4, .bytes = {1, 0.25, 4}};

/// Tiles by (matrix, row or column start, k start); sizes in bytes.
class TileCache {
 public:
  explicit TileCache(double Z) : Z_(Z) {}

  /// The bytes that had to be read from beyond; the tile takes `room`.
  double touch(char matrix, Index i, Index j, double bytes, double room) {
    const auto key = std::tuple(matrix, i, j);
    const auto found = where_.find(key);
    if (found != where_.end()) {
      order_.splice(order_.begin(), order_, found->second);
      return 0;
    }
    order_.push_front({key, room});
    where_[key] = order_.begin();
    used_ += room;
    while (used_ > Z_ && order_.size() > 1) {
      used_ -= order_.back().room;
      where_.erase(order_.back().key);
      order_.pop_back();
    }
    return bytes;
  }

 private:
  struct Entry {
    std::tuple<char, Index, Index> key;
    double room;
  };
  double Z_, used_ = 0;
  std::list<Entry> order_;
  std::map<std::tuple<char, Index, Index>, std::list<Entry>::iterator> where_;
};

/// The whole nest on one thread. C costs a read and a write each time that it comes in.
GemmTraffic count(const LinearShape& s, const LoopNest& nest, const TileShape& tile, double Z) {
  TileCache cache(Z);
  GemmTraffic bytes;
  const Index panels = ceil_div(s.N, tile.NR);
  const ElementBytes& e = tile.bytes;
  for (Index r = 0; r < nest.row_blocks; ++r) {
    for (Index c = 0; c < nest.col_blocks; ++c) {
      for_each_tile(
          nest, piece({0, s.M}, r, nest.row_blocks), piece({0, panels}, c, nest.col_blocks), s.K,
          tile.MR, 1, tile.is_unit, [&](const TileStep& t) {
            const auto m = static_cast<double>(t.m.size()), k = static_cast<double>(t.k.size());
            for (Index p = t.panels.begin; p < t.panels.end; ++p) {
              const double n = static_cast<double>(std::min(tile.NR, s.N - p * tile.NR));
              const auto NR = static_cast<double>(tile.NR);
              bytes.a += cache.touch('A', t.m.begin, t.k.begin, e.a * m * k, e.a * m * k);
              bytes.b += cache.touch('B', p, t.k.begin, e.b * k * NR, e.b * k * NR);
              bytes.c += 2 * cache.touch('C', t.m.begin, p, e.c * m * n, e.c * m * NR);
            }
          });
    }
  }
  return bytes;
}

/// Z values that lie clearly on one side of what every loop needs: between F (not all of the bodies
/// of two iterations) and F' the tile cache keeps a part, and the model says that it keeps nothing.
bool is_marginal(const LinearShape& s, const LoopNest& nest, const TileShape& tile, double Z) {
  const GemmTraffic at = gemm_traffic(s, nest, tile, Z);
  for (const double factor : {0.8, 0.9, 1.1, 1.25, 1.5, 1.8, 2.2}) {
    if (gemm_traffic(s, nest, tile, Z * factor).bytes() != at.bytes()) return true;
  }
  return false;
}

std::vector<LoopNest> nests(test::Random& random, const LinearShape& s) {
  std::vector<LoopNest> list;
  const Index tiles = ceil_div(s.M, kTile.MR), panels = ceil_div(s.N, kTile.NR);
  for (const LoopOrder order : kLoopOrders) {
    for (int i = 0; i < 4; ++i) {
      list.push_back({.order = order,
                      .row_blocks = random.integer(1, tiles),
                      .col_blocks = random.integer(1, panels),
                      .k_blocks = random.integer(1, std::min<Index>(4, s.K))});
    }
  }
  return list;
}

TEST(GemmTrafficTest, EqualsTheCountOfTheNestExactly) {
  for (const TileShape& tile : {kTile, kHalf, kQuarter}) {
    test::Random random{5};
    int compared = 0;
    for (int round = 0; round < 60; ++round) {
      const LinearShape s{
          .M = random.integer(1, 150), .N = random.integer(1, 200), .K = random.integer(1, 120)};
      for (const LoopNest& nest : nests(random, s)) {
        for (const double Z : {1200.0, 6000.0, 24000.0, 96000.0, 4e6}) {
          if (is_marginal(s, nest, tile, Z)) continue;
          const GemmTraffic model = gemm_traffic(s, nest, tile, Z),
                            counted = count(s, nest, tile, Z);
          const std::string what = std::string(to_string(nest.order)) + " " + std::to_string(s.M) +
                                   "x" + std::to_string(s.N) + "x" + std::to_string(s.K) +
                                   " blocks " + std::to_string(nest.row_blocks) + " " +
                                   std::to_string(nest.col_blocks) + " " +
                                   std::to_string(nest.k_blocks) + " Z " + std::to_string(Z) +
                                   " bytes of B " + std::to_string(tile.bytes.b);
          ASSERT_EQ(model.a, counted.a) << what;
          ASSERT_EQ(model.b, counted.b) << what;
          ASSERT_EQ(model.c, counted.c) << what;
          ++compared;
        }
      }
    }
    EXPECT_GT(compared, 1500);
  }
}

TEST(GemmTrafficTest, NeverBelowTheCompulsoryBytesNorAboveNaive) {
  test::Random random{6};
  for (int round = 0; round < 200; ++round) {
    const LinearShape s{
        .M = random.integer(1, 5000), .N = random.integer(1, 5000), .K = random.integer(1, 5000)};
    for (const LoopNest& nest : nests(random, s)) {
      const double Z = std::pow(2.0, random.uniform(10.0F, 24.0F));
      const GemmTraffic t = gemm_traffic(s, nest, kTile, Z);
      EXPECT_GE(t.a, static_cast<double>(4 * s.M * s.K));
      EXPECT_GE(t.b, static_cast<double>(4 * s.N * s.K));
      EXPECT_GE(t.c, static_cast<double>(8 * s.M * s.N));
      const double M = static_cast<double>(s.M), N = static_cast<double>(s.N);
      EXPECT_LE(t.a, 4 * M * static_cast<double>(s.K) * N);
      EXPECT_LE(t.b, 4 * M * static_cast<double>(s.K) * (N + static_cast<double>(kTile.NR)));
    }
  }
}

TEST(GemmTrafficTest, AgreesWithTheTableOfTheDesignWhereTheBlocksFit) {
  const LinearShape s{.M = 600, .N = 960, .K = 480};  // multiples of the tiles
  const double M = 600, N = 960, K = 480, Z = 600000;
  const auto traffic = [&](LoopNest nest) { return gemm_traffic(s, nest, kTile, Z); };
  const GemmTraffic is = traffic({.order = LoopOrder::is_os_a, .row_blocks = 4});
  EXPECT_EQ(is.a, 4 * M * K);
  EXPECT_EQ(is.b, 4 * K * N * 4);
  EXPECT_EQ(is.c, 8 * M * N);
  const GemmTraffic ws = traffic({.order = LoopOrder::ws_os_a, .col_blocks = 5});
  EXPECT_EQ(ws.a, 4 * M * K * 5);
  EXPECT_EQ(ws.b, 4 * K * N);
  const GemmTraffic os =
      traffic({.order = LoopOrder::os_2d, .row_blocks = 4, .col_blocks = 3, .k_blocks = 8});
  EXPECT_EQ(os.a, 4 * M * K * 3);
  EXPECT_EQ(os.b, 4 * K * N * 4);
  EXPECT_EQ(os.c, 8 * M * N);
  const GemmTraffic spilled = traffic({.order = LoopOrder::is_os_b, .k_blocks = 4});  // C > Z
  EXPECT_EQ(spilled.c, 8 * M * N * 4);
}

TEST(GemmTrafficTest, ThreadsReadWhatOneThreadWouldKeep) {
  const LinearShape s{.M = 120, .N = 160, .K = 64};  // all of it fits
  const LoopNest by_rows{.order = LoopOrder::is_os_a, .row_blocks = 4};
  EXPECT_EQ(gemm_traffic(s, by_rows, kTile, 4e6, 1).b, 4 * 64.0 * 160);
  EXPECT_EQ(gemm_traffic(s, by_rows, kTile, 4e6, 2).b, 4 * 64.0 * 160 * 2);
  EXPECT_EQ(gemm_traffic(s, by_rows, kTile, 4e6, 8).b, 4 * 64.0 * 160 * 4);
  EXPECT_EQ(gemm_traffic(s, by_rows, kTile, 4e6, 8).a, 4 * 120.0 * 64);
}

}  // namespace
}  // namespace tessera
