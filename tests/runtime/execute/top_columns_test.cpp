// SPDX-License-Identifier: Apache-2.0
//
// The k largest columns, of an op that has no other result and of a row that is there, against the sorted
// row: fewer elements than k, ties, NaN, rows that are left out, threads.
#include "runtime/execute/top_columns.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/base/error.hpp"
#include "tests/runtime/op_model.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/isa.hpp"

namespace tessera {
namespace {

using test::OpModel;

constexpr Index kVocab = 40;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// k values and their columns, of the row sorted whole.
std::vector<float> sorted(std::span<const float> row, Index k) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (row[i] != 0.0F) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (std::isnan(row[a]) || std::isnan(row[b])) return std::isnan(row[a]) && !std::isnan(row[b]);
    return row[a] > row[b];
  });
  std::vector<float> top(static_cast<std::size_t>(2 * k), 0.0F);
  std::fill(top.begin() + k, top.end(), -1.0F);
  for (std::size_t i = 0; i < std::min(order.size(), static_cast<std::size_t>(k)); ++i) {
    top[i] = row[order[i]];
    top[static_cast<std::size_t>(k) + i] = static_cast<float>(order[i]);
  }
  return top;
}

TEST(TopColumnsTest, PiecesInAnyOrderGiveTheSortedRow) {
  test::Random random{11};
  for (int round = 0; round < 300; ++round) {
    std::vector<float> row(static_cast<std::size_t>(random.integer(1, 90)));
    for (float& x : row) {  // many ties, many zeros
      const std::int64_t kind = random.integer(0, 20);
      x = kind == 0 ? kNan : kind < 8 ? 0.0F : static_cast<float>(random.integer(-5, 30)) / 4.0F;
    }
    for (const Index k : {Index{1}, Index{2}, Index{7}, std::ssize(row)}) {
      std::vector<float> top(static_cast<std::size_t>(2 * k)), other(top);
      execute::TopColumns heap(top.data(), k), second(other.data(), k);
      heap.clear(), second.clear();
      const Index half = random.integer(0, std::ssize(row));
      second.offer(row.data(), half, 0);
      heap.offer(row.data() + half, std::ssize(row) - half, half);
      heap.offer(second);
      heap.sort();
      EXPECT_TRUE(
          test::bit_identical(std::span<const float>(top), std::span<const float>(sorted(row, k))))
          << "k=" << k << " of " << row.size();
    }
  }
}

class TopColumnsOpTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override { SKIP_UNLESS_SUPPORTED(GetParam()); }

  static ValueId embedding(OpModel& model, Index width) {
    model.program().inputs =
        TokenSpec{.vocab_size = kVocab, .position_rows = 400, .max_tokens = 400};
    return model.add(
        "in", kTokens, width,
        EmbeddingOp{.terms = {{model.parameter("table", ParameterKind::table, kVocab, width),
                               TokenInput::ids}},
                    .out = kNone});
  }

  static void expect_top(const Session& session) {
    const TensorView<const float> dense = session.output("dense"), top = session.output("top"),
                                  after = session.output("after");
    ASSERT_EQ(top.rows, dense.rows);
    for (Index s = 0; s < top.rows; ++s) {
      const std::vector<float> expected = sorted(dense.row(s), top.cols / 2);
      EXPECT_TRUE(test::bit_identical(top.row(s), std::span<const float>(expected))) << s;
      EXPECT_TRUE(test::bit_identical(after.row(s), std::span<const float>(expected))) << s;
    }
  }

  static void run_and_expect(const OpModel& model) {
    test::Random random{5};
    std::vector<std::int32_t> ids, offsets{0};
    for (const Index T : {1, 2, 17, 140, 33, 5}) {
      for (Index t = 0; t < T; ++t) {
        ids.push_back(static_cast<std::int32_t>(random.integer(0, kVocab - 1)));
      }
      offsets.push_back(static_cast<std::int32_t>(ids.size()));
    }
    const std::vector<std::int32_t> query_only{0,   2, 3,
                                               131, 0, 0};  // of the second, nothing is left
    for (const int threads : {1, 2, 3}) {
      const auto session = model.session(GetParam(), 400, 8, threads);
      session->run({.ids = ids, .offsets = offsets});
      expect_top(*session);
      session->run({.ids = ids, .offsets = offsets, .query_only = query_only});
      expect_top(*session);
      for (const float column : session->output("top").row(1).subspan(
               static_cast<std::size_t>(session->output("top").cols / 2))) {
        EXPECT_EQ(column, -1.0F);
      }
    }
  }
};
INSTANTIATE_FOR_ALL_ISAS(TopColumnsOpTest);

TEST_P(TopColumnsOpTest, OfAPooledLinear) {
  struct Case {
    Index N, top;
    Activation activation;
    RowReduction over;
  };
  for (const Case& c : {Case{1, 1, Activation::log1p_relu, RowReduction::max},
                        Case{1000, 3, Activation::log1p_relu, RowReduction::max},
                        Case{301, 301, Activation::none, RowReduction::max},
                        Case{900, 449, Activation::log1p_relu, RowReduction::max},  // 2k < N
                        Case{900, 700, Activation::log1p_relu, RowReduction::sum},
                        Case{333, 64, Activation::log1p2_relu, RowReduction::sum}}) {
    OpModel model;
    const ValueId in = embedding(model, 48);
    PooledLinearOp op{.in = in,
                      .weight = model.parameter("w", ParameterKind::matrix, c.N, 48, 0.3F),
                      .bias = model.parameter("b", ParameterKind::vector, c.N),
                      .out = kNone,
                      .activation = c.activation,
                      .over = c.over};
    const ValueId dense = model.add("dense", kSequences, c.N, op);
    op.top = c.top;
    model.add("top", kSequences, 2 * c.top, op);
    model.add("after", kSequences, 2 * c.top, TopColumnsOp{.in = dense, .out = kNone});
    run_and_expect(model);
  }
}

// The columns that are left out never cost more than they take: workers' heaps would.
TEST_P(TopColumnsOpTest, OfAPooledLinearTakesNoMoreThanAllColumns) {
  constexpr Index kColumns = 2000, kRows = 400, kTexts = 24;
  for (const int threads : {1, 3, 8}) {
    const auto session = [&](Index top) {
      OpModel model;
      PooledLinearOp op{.in = embedding(model, 48),
                        .weight = model.parameter("w", ParameterKind::matrix, kColumns, 48, 0.3F),
                        .out = kNone,
                        .activation = Activation::log1p_relu,
                        .over = RowReduction::max,
                        .top = top};
      model.add("out", kSequences, top == 0 ? kColumns : 2 * top, op);
      return model.session(GetParam(), kRows, kTexts, threads)->memory_bytes();
    };
    const std::size_t all = session(0);
    for (const Index top : {Index{1}, Index{100}, Index{900}, kColumns}) {
      EXPECT_LE(session(top), all + sizeof(float) * static_cast<std::size_t>(2 * top * kTexts))
          << "top " << top << ", " << threads << " threads";
    }
  }
}

// What a plan says of memory is of the place that the session chose.
TEST_P(TopColumnsOpTest, OfAPooledLinearTheReportSaysWhereItPools) {
  constexpr Index kColumns = 2000, kRows = 400, kTexts = 24;
  constexpr auto kAll = sizeof(float) * static_cast<std::size_t>(kColumns * kTexts);
  const auto reported = [&](Index top, int threads) {
    OpModel model;
    PooledLinearOp op{.in = embedding(model, 48),
                      .weight = model.parameter("w", ParameterKind::matrix, kColumns, 48, 0.3F),
                      .out = kNone,
                      .activation = Activation::log1p_relu,
                      .over = RowReduction::max,
                      .top = top};
    model.add("out", kSequences, top == 0 ? kColumns : 2 * top, op);
    const auto session = model.session(GetParam(), kRows, kTexts, threads);
    PlanReport report = session->report(kRows, kTexts);
    const auto scratch = static_cast<std::size_t>(report.ops.back().chosen.scratch_bytes);
    EXPECT_LE(report.values_bytes + scratch * static_cast<std::size_t>(threads),
              session->memory_bytes());
    return report;
  };
  const PlanReport all = reported(0, 8), heaps = reported(1, 1), held = reported(900, 8);
  EXPECT_FALSE(heaps.holds_columns);
  EXPECT_LT(heaps.values_bytes, kAll);
  EXPECT_THAT(heaps.ops.back().shape, testing::EndsWith(", top 1 in heaps"));
  EXPECT_TRUE(held.holds_columns);
  EXPECT_GE(held.values_bytes, kAll);
  EXPECT_THAT(held.ops.back().shape, testing::EndsWith(", top 900 of all, held"));
  EXPECT_EQ(held.ops.back().chosen.scratch_bytes, all.ops.back().chosen.scratch_bytes);
  EXPECT_EQ(held.ops.back().chosen.l2_bytes, all.ops.back().chosen.l2_bytes);
}

TEST_P(TopColumnsOpTest, OfTheLargestByIdAlsoNan) {
  for (const float mean : {0.0F, kNan}) {
    for (const Index top : {Index{1}, Index{6}, kVocab}) {
      OpModel model;
      const ValueId in = embedding(model, 1);
      model.program().inputs =
          TokenSpec{.vocab_size = kVocab, .position_rows = 400, .max_tokens = 400};
      model.parameter("table", ParameterKind::table, kVocab, 1, 1.0F, mean);
      const ValueId dense = model.add("dense", kSequences, kVocab,
                                      LargestByIdOp{.in = in, .out = kNone, .from_id = 4});
      model.add("top", kSequences, 2 * top,
                LargestByIdOp{.in = in, .out = kNone, .from_id = 4, .top = top});
      model.add("after", kSequences, 2 * top, TopColumnsOp{.in = dense, .out = kNone});
      run_and_expect(model);
    }
  }
}

TEST(TopColumnsCheckTest, WidthsThatDoNotFitAreRefused) {
  OpModel model;
  model.program().inputs = TokenSpec{.vocab_size = kVocab, .position_rows = 8, .max_tokens = 8};
  const ValueId in = model.add(
      "in", kTokens, 1,
      EmbeddingOp{
          .terms = {{model.parameter("t", ParameterKind::table, kVocab, 1), TokenInput::ids}},
          .out = kNone});
  model.add("top", kSequences, 6, LargestByIdOp{.in = in, .out = kNone, .top = 3});
  check(model.program());
  auto& op = std::get<LargestByIdOp>(model.program().ops.back());
  for (const Index top : {Index{2}, Index{0}, Index{-3}, kVocab + 1}) {
    op.top = top;
    EXPECT_THROW(check(model.program()), Error) << top;
  }
}

}  // namespace
}  // namespace tessera
