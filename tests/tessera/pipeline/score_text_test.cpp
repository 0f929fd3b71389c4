// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/score_text.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>
#include <string>

#include "tessera/pipeline/similarity.hpp"

namespace tessera {
namespace {

TEST(ScoreTextTest, ScoresThatDifferAreTextsThatDiffer) {
  std::set<std::string> texts;
  std::size_t count = 0;
  double last = -1;
  for (float logit = -30.0F; logit < 30.0F; logit += 0.01F) {
    const std::string text = score_text(sigmoid(logit));
    texts.insert(text);
    ++count;
    EXPECT_GT(std::stod(text), last) << logit;  // and a script that sorts them finds the order
    last = std::stod(text);
  }
  EXPECT_EQ(texts.size(), count);
}

TEST(ScoreTextTest, NumbersAreShownAsTheyAre) {
  EXPECT_EQ(score_text(0.75), "0.75");
  EXPECT_EQ(score_text(0.0), "0");
  EXPECT_EQ(score_text(1.0), "1");
  EXPECT_EQ(score_text(-1.5), "-1.5");
  EXPECT_EQ(score_text(std::numeric_limits<double>::quiet_NaN()), "null");
  EXPECT_EQ(probability_text(0.25), "0.250000");
  EXPECT_EQ(probability_text(3e-7), "3e-07");
  EXPECT_EQ(probability_text(1 - 1e-6), "0.999999");
}

}  // namespace
}  // namespace tessera
