// SPDX-License-Identifier: Apache-2.0
#include "models/text/truncation.hpp"

#include <gtest/gtest.h>

#include "runtime/base/error.hpp"

namespace tessera::text {
namespace {

using S = TruncationStrategy;

void expect_kept(KeptLengths kept, std::size_t first, std::size_t second) {
  EXPECT_EQ(kept.first, first);
  EXPECT_EQ(kept.second, second);
}

TEST(TruncationTest, NothingIsCutThatFits) {
  for (const S strategy : {S::do_not_truncate, S::longest_first, S::only_first, S::only_second}) {
    expect_kept(kept_lengths(3, 4, true, 7, strategy), 3, 4);
  }
  expect_kept(kept_lengths(30, 40, true, 7, S::do_not_truncate), 30, 40);
}

TEST(TruncationTest, LongestFirstCutsTheLongerOneAndThenBoth) {
  expect_kept(kept_lengths(2, 9, true, 7, S::longest_first), 2, 5);
  expect_kept(kept_lengths(9, 2, true, 7, S::longest_first), 5, 2);
  expect_kept(kept_lengths(5, 9, true, 8, S::longest_first), 4, 4);
  expect_kept(kept_lengths(9, 0, false, 7, S::longest_first), 7, 0);
}

TEST(TruncationTest, LongestFirstGivesTheOddTokenToTheLongerOne) {
  expect_kept(kept_lengths(5, 9, true, 7, S::longest_first), 3, 4);
  expect_kept(kept_lengths(9, 5, true, 7, S::longest_first), 4, 3);
  expect_kept(kept_lengths(9, 9, true, 7, S::longest_first), 3, 4);
}

TEST(TruncationTest, OnlyOneSequenceIsCutWhereTheStrategySaysSo) {
  expect_kept(kept_lengths(9, 5, true, 10, S::only_first), 5, 5);
  expect_kept(kept_lengths(5, 9, true, 10, S::only_second), 5, 5);
}

TEST(TruncationTest, TheCutSequenceMustKeepAToken) {
  expect_kept(kept_lengths(9, 5, true, 6, S::only_first), 1, 5);
  for (const std::size_t limit : {5u, 4u, 1u}) {
    try {
      kept_lengths(9, 5, true, limit, S::only_first);
      FAIL();
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::invalid_argument);
      EXPECT_NE(std::string(e.what()).find("only_first"), std::string::npos);
    }
  }
}

TEST(TruncationTest, OnlySecondNeedsASecondSequence) {
  EXPECT_THROW(kept_lengths(9, 0, false, 5, S::only_second), Error);
  expect_kept(kept_lengths(5, 0, false, 5, S::only_second), 5, 0);
}

TEST(TruncationTest, ALimitOfNothingKeepsNothing) {
  for (const S strategy : {S::longest_first, S::only_first, S::only_second}) {
    expect_kept(kept_lengths(3, 4, true, 0, strategy), 0, 0);
  }
}

}  // namespace
}  // namespace tessera::text
