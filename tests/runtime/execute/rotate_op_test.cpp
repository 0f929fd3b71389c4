// SPDX-License-Identifier: Apache-2.0
//
// RotateOp in a program: heads of Q and K turn by the position of their row, in f32 angles, and nothing
// else changes; positions that the caller gives, also behind the table; norms of their own; and that a
// sliding window over columns with gaps is one by columns.
#include <gtest/gtest.h>

#include <cmath>

#include "runtime/base/error.hpp"
#include "tests/runtime/op_model.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/tolerance.hpp"

namespace tessera {
namespace {

using test::OpModel;

constexpr Index kVocab = 40, kD = 10, kQ = 3, kK = 1, kWidth = (kQ + 2 * kK) * kD;

class RotateOpTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override { SKIP_UNLESS_SUPPORTED(GetParam()); }

  static void build(OpModel& model, bool normed, bool neighbours) {
    Program& program = model.program();
    program.inputs = TokenSpec{.vocab_size = kVocab, .max_tokens = kAnyLength};
    const ValueId in = model.add(
        "in", kTokens, kWidth,
        EmbeddingOp{.terms = {{model.parameter("table", ParameterKind::table, kVocab, kWidth),
                               TokenInput::ids}},
                    .out = kNone,
                    .scale = 3.0F});
    RotateOp op{
        .in = in,
        .out = kNone,
        .q = {.first = 0, .count = kQ},
        .k = {.first = kQ * kD, .count = kK},
        .head_dim = kD,
        .eps = 1e-5F,
        .rotation = program.add_rotation(
            {.frequencies = {1.0F, 0.25F, 0.0625F}, .neighbours = neighbours, .scale = 0.5F})};
    if (normed) {
      op.q.gamma = model.parameter("q", ParameterKind::vector, kD);
      op.k.gamma = model.parameter("k", ParameterKind::vector, kD);
      program.parameters[at(op.k.gamma)].offset = 1.0F;
    }
    model.add("out", kTokens, kWidth, op);
  }

  static void expect_right(const OpModel& model, bool normed, bool neighbours,
                           const Session& session, std::span<const std::int32_t> positions) {
    const auto in = session.output("in"), out = session.output("out");
    for (Index i = 0; i < out.rows; ++i) {
      std::vector<double> y, bound;
      for (const float v : in.row(i)) y.push_back(static_cast<double>(v)), bound.push_back(0);
      for (std::size_t h = 0; h < static_cast<std::size_t>(kQ + kK); ++h) {
        const std::size_t first = h * kD;
        double mean = 0;
        for (std::size_t n = 0; n < kD; ++n) mean += y[first + n] * y[first + n] / kD;
        for (std::size_t n = 0; n < kD && normed; ++n) {
          const bool is_q = h < kQ;
          const double gamma = static_cast<double>(model[is_q ? "q" : "k"][n]) + (is_q ? 0.0 : 1.0);
          y[first + n] *= gamma / std::sqrt(mean + 1e-5);
          bound[first + n] = std::abs(y[first + n]) * test::gamma(30);
        }
        constexpr float kFrequencies[] = {1.0F, 0.25F, 0.0625F};
        for (std::size_t j = 0; j < 3; ++j) {
          const float angle =
              static_cast<float>(positions[static_cast<std::size_t>(i)]) * kFrequencies[j];
          const double c = 0.5 * std::cos(static_cast<double>(angle)),
                       s = 0.5 * std::sin(static_cast<double>(angle));
          const std::size_t a = first + (neighbours ? 2 * j : j),
                            b = first + (neighbours ? 2 * j + 1 : 3 + j);
          const double za = y[a], zb = y[b];
          y[a] = za * c - zb * s;
          y[b] = zb * c + za * s;
          const double error = bound[a] + bound[b] + (std::abs(za) + std::abs(zb)) * test::gamma(6);
          bound[a] = bound[b] = error;
        }
      }
      EXPECT_TRUE(test::near_elementwise(
          out.row(i), y, [&](Index n) { return bound[static_cast<std::size_t>(n)]; }))
          << "row " << i << (normed ? ", normed" : "") << (neighbours ? ", neighbours" : "");
      for (Index n = (kQ + kK) * kD; n < kWidth; ++n) {  // V
        EXPECT_EQ(out.row(i)[static_cast<std::size_t>(n)], in.row(i)[static_cast<std::size_t>(n)]);
      }
    }
  }
};
INSTANTIATE_FOR_ALL_ISAS(RotateOpTest);

TEST_P(RotateOpTest, TurnsByThePositionOfTheRow) {
  for (const bool normed : {false, true}) {
    for (const bool neighbours : {false, true}) {
      OpModel model;
      build(model, normed, neighbours);
      for (const int threads : {1, 2}) {
        const auto session = model.session(GetParam(), 60, 3, threads);
        std::vector<std::int32_t> ids, positions;
        const std::vector<std::int32_t> offsets{0, 1, 40, 57};
        for (std::size_t s = 0; s < 3; ++s) {
          for (std::int32_t t = 0; t < offsets[s + 1] - offsets[s]; ++t) {
            ids.push_back((t * 7 + static_cast<std::int32_t>(s)) % kVocab);
            positions.push_back(t);
          }
        }
        session->run({.ids = ids, .offsets = offsets});
        expect_right(model, normed, neighbours, *session, positions);
        session->trim();
        for (std::int32_t& position : positions)
          position = 3 * position + 5000;  // beyond the table
        session->run({.ids = ids, .offsets = offsets, .positions = positions});
        expect_right(model, normed, neighbours, *session, positions);
        for (std::int32_t& position : positions) position -= 5060;  // below it, some of them
        session->run({.ids = ids, .offsets = offsets, .positions = positions});
        expect_right(model, normed, neighbours, *session, positions);
        for (std::int32_t& position : positions) position = (position + 60) / 3;
        session->run({.ids = ids, .offsets = offsets});
        expect_right(model, normed, neighbours, *session, positions);
      }
    }
  }
}

TEST(RotateOpCheckTest, WhatDoesNotFitIsRefused) {
  class Build : public RotateOpTest {
   public:
    using RotateOpTest::build;
    void TestBody() override {}
  };
  OpModel model;
  Build::build(model, true, false);
  check(model.program());
  auto& op = std::get<RotateOp>(model.program().ops.back());
  const RotateOp good = op;
  op.k.count = 4;
  EXPECT_THROW(check(model.program()), Error);
  op = good, op.rotation = 1;
  EXPECT_THROW(check(model.program()), Error);
  op = good, op.head_dim = 4;  // three pairs are more than a head
  EXPECT_THROW(check(model.program()), Error);
}

/// Attention under a window, over columns with gaps: the keys that it lets a query see are those of its
/// columns, in double.
TEST_P(RotateOpTest, AWindowGoesByColumns) {
  constexpr Index kHeads = 2, kSize = 8, kLeft = 3, kRight = 2;
  OpModel model;
  model.program().inputs = TokenSpec{.vocab_size = kVocab, .max_tokens = kAnyLength};
  const ValueId qkv = model.add(
      "qkv", kTokens, 3 * kHeads * kSize,
      EmbeddingOp{
          .terms = {{model.parameter("table", ParameterKind::table, kVocab, 3 * kHeads * kSize),
                     TokenInput::ids}},
          .out = kNone});
  AttentionOp op = self_attention(qkv, kNone, kHeads, kSize, 0.4F);
  op.mask.left = kLeft, op.mask.right = kRight;
  model.add("out", kTokens, kHeads * kSize, op);
  const std::vector<std::int32_t> columns{0, 1, 4, 5, 6, 11, 12, 13, 20}, offsets{0, 9},
      ids{3, 9, 11, 7, 30, 22, 1, 18, 5};
  for (const int threads : {1, 2}) {
    const auto session = model.session(GetParam(), 9, 1, threads);
    session->run({.ids = ids, .offsets = offsets, .columns = columns});
    const auto in = session->output("qkv"), out = session->output("out");
    const auto element = [&](std::size_t row, Index column) {
      return static_cast<double>(in.row(static_cast<Index>(row))[static_cast<std::size_t>(column)]);
    };
    for (std::size_t i = 0; i < ids.size(); ++i) {
      for (Index h = 0; h < kHeads; ++h) {
        std::vector<double> y(kSize, 0.0);
        double sum = 0;
        for (std::size_t j = 0; j < ids.size(); ++j) {
          const Index r = columns[j] - columns[i];
          if (r < -kLeft || r > kRight) continue;
          double score = 0;
          for (Index n = 0; n < kSize; ++n) {
            score += element(i, h * kSize + n) * element(j, (kHeads + h) * kSize + n);
          }
          const double p = std::exp(static_cast<double>(0.4F) * score);
          sum += p;
          for (Index n = 0; n < kSize; ++n) {
            y[static_cast<std::size_t>(n)] += p * element(j, (2 * kHeads + h) * kSize + n);
          }
        }
        for (Index n = 0; n < kSize; ++n) {
          EXPECT_NEAR(static_cast<double>(
                          out.row(static_cast<Index>(i))[static_cast<std::size_t>(h * kSize + n)]),
                      y[static_cast<std::size_t>(n)] / sum, 2e-5)
              << "row " << i << " head " << h;
        }
      }
    }
  }
}

}  // namespace
}  // namespace tessera
