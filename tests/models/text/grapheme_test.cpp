// SPDX-License-Identifier: Apache-2.0
#include "models/text/grapheme.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tessera::text {
namespace {

// The lengths of the clusters of `text`, in characters.
std::vector<std::size_t> clusters(std::string_view text) {
  AlignedText aligned;
  aligned.assign(text, 0);
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < aligned.chars.size();) {
    const std::size_t end = grapheme_end(aligned.chars, i);
    out.push_back(end - i);
    i = end;
  }
  return out;
}

using Lengths = std::vector<std::size_t>;

// The rules of UAX #29, by their names.
TEST(GraphemeTest, BreaksByTheRules) {
  EXPECT_EQ(clusters("ab"), (Lengths{1, 1}));
  EXPECT_EQ(clusters("\r\n\n\r"), (Lengths{2, 1, 1}));               // GB3
  EXPECT_EQ(clusters("\t\u0301a"), (Lengths{1, 1, 1}));              // GB4
  EXPECT_EQ(clusters("a\u200B\u0301"), (Lengths{1, 1, 1}));          // GB5
  EXPECT_EQ(clusters("\u1100\u1161\u11A8\u1100"), (Lengths{3, 1}));  // GB6 to GB8
  EXPECT_EQ(clusters("\uAC00\u11A8\uAC01\u1161"), (Lengths{2, 1, 1}));
  EXPECT_EQ(clusters("a\u0301\u0323b"), (Lengths{3, 1}));           // GB9
  EXPECT_EQ(clusters("\u0915\u093F\u0915"), (Lengths{2, 1}));       // GB9a
  EXPECT_EQ(clusters("\u0600a"), (Lengths{2}));                     // GB9b
  EXPECT_EQ(clusters("\U0001F468\u200D\U0001F469"), (Lengths{3}));  // GB11
  EXPECT_EQ(clusters("a\u200D\U0001F469"), (Lengths{2, 1}));
  EXPECT_EQ(clusters("\u2764\uFE0F\u200D\U0001F525"), (Lengths{4}));
  EXPECT_EQ(clusters("\U0001F1E6\U0001F1E7\U0001F1E8\U0001F1E9\U0001F1EA"), (Lengths{2, 2, 1}));
  EXPECT_EQ(clusters("\U0001F1E6\u0301\U0001F1E7"), (Lengths{2, 1}));  // GB12
}

// Not in the tables of utf8proc 2.8.
TEST(GraphemeTest, KnowsTheClassesOfUnicode17) {
  EXPECT_EQ(clusters("a\u0897"), (Lengths{2}));
  EXPECT_EQ(clusters("a\u0896"), (Lengths{1, 1}));
  EXPECT_EQ(clusters("a\U0001E6F5"), (Lengths{2}));
  EXPECT_EQ(clusters("\U000113D1a"), (Lengths{2}));
  EXPECT_EQ(clusters("\U00011A3Aa"), (Lengths{1, 1}));
}

}  // namespace
}  // namespace tessera::text
