// SPDX-License-Identifier: Apache-2.0
// MaxSim against its definition in double, at every level, as documents are kept.
#include "tessera/pipeline/max_sim.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "runtime/base/half.hpp"
#include "tests/support/isa.hpp"

namespace tessera::test {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

std::vector<float> unit_rows(std::size_t rows, Index width, std::mt19937& random) {
  std::normal_distribution<float> normal;
  std::vector<float> out;
  for (std::size_t r = 0; r < rows; ++r) {
    double sum = 0.0;
    for (Index k = 0; k < width; ++k) {
      out.push_back(normal(random));
      sum += static_cast<double>(out.back()) * static_cast<double>(out.back());
    }
    for (Index k = 0; k < width; ++k) {
      float& x = out[out.size() - 1 - static_cast<std::size_t>(k)];
      x = static_cast<float>(static_cast<double>(x) / std::sqrt(sum));
    }
  }
  return out;
}

/// What is kept of a row.
double kept(const std::vector<float>& document, std::size_t row, Index width, Index k,
            VectorStore store) {
  const float* const d = document.data() + row * static_cast<std::size_t>(width);
  if (store == VectorStore::f32) return static_cast<double>(d[k]);
  if (store == VectorStore::f16) return static_cast<double>(float_of_half(half_of(d[k])));
  float largest = 0.0F;
  for (Index i = 0; i < width; ++i) largest = std::max(largest, std::abs(d[i]));
  if (largest == 0.0F) return 0.0;
  const float scale = largest / 127.0F;
  return static_cast<double>(scale) * static_cast<double>(std::nearbyint(d[k] / scale));
}

double defined(const std::vector<float>& query, const std::vector<float>& document, Index width,
               VectorStore store) {
  const auto step = static_cast<std::size_t>(width);
  double sum = 0.0;
  for (std::size_t i = 0; i < query.size() / step; ++i) {
    double best = -HUGE_VAL;
    for (std::size_t j = 0; j < document.size() / step; ++j) {
      double dot = 0.0;
      for (Index k = 0; k < width; ++k) {
        dot += static_cast<double>(query[i * step + static_cast<std::size_t>(k)]) *
               kept(document, j, width, k, store);
      }
      best = std::max(best, dot);
    }
    sum += best;
  }
  return sum;
}

class MaxSimTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override { SKIP_UNLESS_SUPPORTED(GetParam()); }
};
INSTANTIATE_FOR_ALL_ISAS(MaxSimTest);

TEST_P(MaxSimTest, IsTheSumOfTheMaximaHoweverDocumentsAreKept) {
  std::mt19937 random(4);
  for (const Index width : {1, 7, 16, 96, 128}) {
    for (const std::size_t rows : {1U, 5U, 31U, 32U, 33U, 70U}) {
      const std::vector<float> query = unit_rows(rows, width, random);
      for (const VectorStore store : {VectorStore::f32, VectorStore::f16, VectorStore::int8}) {
        MaxSimIndex index(width, store);
        std::vector<double> expected;
        for (const std::size_t length : {1U, 13U, 14U, 15U, 63U, 64U, 65U, 180U}) {
          const std::vector<float> document = unit_rows(length, width, random);
          index.add(document);
          expected.push_back(defined(query, document, width, store));
        }
        std::vector<float> scores(index.size());
        index.scores(query, GetParam(), scores);
        for (std::size_t d = 0; d < scores.size(); ++d) {
          EXPECT_NEAR(scores[d], expected[d], 1e-6 * static_cast<double>(rows) + 2e-6)
              << width << " wide, " << rows << " rows, document " << d;
        }
      }
    }
  }
}

TEST_P(MaxSimTest, FindsTheBestAndSaysWhichHaveNothing) {
  std::mt19937 random(5);
  const Index width = 8;
  MaxSimIndex index(width);
  const std::vector<float> query = unit_rows(3, width, random);
  index.add(unit_rows(4, width, random));
  index.add({});
  index.add(query);
  index.add(query);
  std::vector<float> broken = query;
  broken.back() = std::numeric_limits<float>::quiet_NaN();
  index.add(broken);
  const std::vector<Hit> hits = index.find(query, 9, false, GetParam());
  ASSERT_EQ(hits.size(), 5U);
  EXPECT_EQ(hits[0].row, 2U);
  EXPECT_EQ(hits[1].row, 3U) << "equal scores by number";
  EXPECT_NEAR(hits[0].score, 3.0F, 1e-6F);
  EXPECT_EQ(hits[2].row, 0U);
  EXPECT_EQ(hits[3].score, kLowest);
  EXPECT_EQ(hits[4].score, kLowest);
  EXPECT_NEAR(index.find(query, 1, true, GetParam())[0].score, 1.0F, 1e-6F);
  for (const Hit& hit : index.find({}, 5, false, GetParam())) EXPECT_EQ(hit.score, 0.0F);
  EXPECT_TRUE(MaxSimIndex(width).find(query, 5, false, GetParam()).empty());
}

TEST_P(MaxSimTest, ANumberOutOfRangeInAnyTileIsSeen) {
  std::mt19937 random(6);
  for (const std::size_t at : {0U, 63U, 64U, 150U}) {
    std::vector<float> document = unit_rows(180, 16, random);
    document[at * 16] = std::numeric_limits<float>::quiet_NaN();
    MaxSimIndex index(16);
    index.add(document);
    std::vector<float> scores(1);
    index.scores(unit_rows(2, 16, random), GetParam(), scores);
    EXPECT_TRUE(std::isnan(scores[0])) << at;
  }
}

TEST(MaxSimStoreTest, TakesAHalfAndAQuarterOfTheBytes) {
  std::mt19937 random(7);
  const std::vector<float> document = unit_rows(100, 128, random);
  for (const auto& [store, bytes] :
       {std::pair{VectorStore::f32, 51200U}, std::pair{VectorStore::f16, 25600U},
        std::pair{VectorStore::int8, 13200U}}) {
    MaxSimIndex index(128, store);
    index.add(document);
    EXPECT_EQ(index.bytes(), bytes);
    EXPECT_EQ(index.vectors(), 100U);
  }
}

}  // namespace
}  // namespace tessera::test
