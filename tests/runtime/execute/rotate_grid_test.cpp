// SPDX-License-Identifier: Apache-2.0
//
// RotateOp on grids of patches: heads of Q and K turn by the place of their patch on the grid of their
// own image, special rows do not, whatever sizes a batch mixes, whatever a session computed before, and
// after its tables began anew.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "runtime/base/error.hpp"
#include "tests/runtime/grid_model.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/tolerance.hpp"

namespace tessera {
namespace {

using test::GridImages;
using test::GridModel;
using test::OpModel;

constexpr Index kD = GridModel::kD, kQ = GridModel::kQ, kK = GridModel::kK;
constexpr auto kDown = GridModel::kDown, kAcross = GridModel::kAcross;

struct Place {
  Index i, n;
  /// In double; the f32 angle is off by γ(6) of 2π·1 at most.
  double turn() const {
    return 2 * std::numbers::pi * (static_cast<double>(2 * i + 1) / static_cast<double>(n) - 1.0);
  }
};

void expect_row(std::span<const float> in, std::span<const float> out, bool is_special, Place down,
                Place across) {
  std::vector<double> y(in.begin(), in.end()), bound(y.size(), 0.0);
  for (Index h = 0; h < kQ + kK && !is_special; ++h) {
    for (std::size_t j = 0; j < kD / 2; ++j) {
      const double angle = j < kDown.size()
                               ? down.turn() * static_cast<double>(kDown[j])
                               : across.turn() * static_cast<double>(kAcross[j - kDown.size()]);
      const std::size_t a = static_cast<std::size_t>(h * kD) + j, b = a + kD / 2;
      const double za = y[a], zb = y[b], c = std::cos(angle), s = std::sin(angle);
      y[a] = za * c - zb * s;
      y[b] = zb * c + za * s;
      bound[a] = bound[b] =
          (std::abs(za) + std::abs(zb)) * (test::gamma(6) + 2 * std::numbers::pi * test::gamma(6));
    }
  }
  EXPECT_TRUE(
      test::near_elementwise(out, y, [&](Index n) { return bound[static_cast<std::size_t>(n)]; }));
}

void expect_turned(const GridImages& batch, const Session& session, Index special) {
  const auto in = session.output("in"), out = session.output("out");
  Index row = 0;
  for (const auto& [rows, cols] : batch.grids) {
    for (Index i = -special; i < rows * cols; ++i, ++row) {
      expect_row(in.row(row), out.row(row), i < 0, {i / cols, rows}, {i % cols, cols});
    }
  }
  EXPECT_EQ(row, out.rows);
}

class RotateGridTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override { SKIP_UNLESS_SUPPORTED(GetParam()); }
};
INSTANTIATE_FOR_ALL_ISAS(RotateGridTest);

TEST_P(RotateGridTest, APatchTurnsByItsPlaceOnItsImage) {
  for (const Index special : {0, 1, 5}) {
    const GridModel grid(special);
    // As many rows as the largest batch below has: the tables begin anew in between.
    const GridImages batches[] = {GridImages({{4, 3}, {1, 1}, {2, 5}, {4, 3}}),
                                  GridImages({{3, 4}}),
                                  GridImages({{1, 7}, {7, 1}, {1, 1}, {6, 3}}),
                                  GridImages({{1, 1}, {1, 1}, {1, 1}}),
                                  GridImages({{5, 7}}),
                                  GridImages({{4, 3}, {1, 1}, {2, 5}, {4, 3}})};
    for (const int threads : {1, 2}) {
      const auto session = grid.model.session(GetParam(), 35 + 4 * special, 4, threads);
      for (int round = 0; round < 2; ++round) {
        for (const GridImages& batch : batches) {
          session->run({.images = batch.images});
          expect_turned(batch, *session, special);
        }
        session->trim();
      }
    }
  }
}

TEST_P(RotateGridTest, ABatchOfNothingButDifferentGridsHasRoom) {
  const GridModel grid(0);
  std::vector<std::pair<Index, Index>> grids;
  Index rows = 0;
  for (Index i = 1; i <= 5; ++i) {
    for (Index j = 1; j <= 5; ++j) grids.emplace_back(i, j), rows += i * j;
  }
  const auto session = grid.model.session(GetParam(), rows, std::ssize(grids));
  const GridImages before({{2, 9}}), batch(grids);
  session->run({.images = before.images});
  expect_turned(before, *session, 0);
  session->run({.images = batch.images});
  expect_turned(batch, *session, 0);
}

TEST_P(RotateGridTest, AModelOfOneSizeHasOneGrid) {
  const GridModel grid(1, ImageSizes::native);
  const auto session = grid.model.session(GetParam(), 26, 2);
  std::vector<float> planes(8 * 9, 0.5F);
  const Image image{.planes = planes.data(), .height = 8, .width = 9};
  const std::vector<Image> images{image, image};
  session->run({.images = images});
  const GridImages same({{4, 3}, {4, 3}});
  expect_turned(same, *session, 1);
}

TEST(RotateGridCheckTest, WhatDoesNotFitIsRefused) {
  GridModel grid(1);
  Program& program = grid.model.program();
  check(program);
  program.rotations[0].frequencies.pop_back();  // an odd number of pairs
  EXPECT_THROW(check(program), Error);
  program.rotations[0].frequencies = {1.0F, 1.0F};
  check(program);
  program.rotations[0].on_grid = false;  // by positions that patches do not have
  EXPECT_THROW(check(program), Error);

  OpModel tokens;  // rows that lie on no grid
  tokens.program().inputs = TokenSpec{.vocab_size = 4, .max_tokens = kAnyLength};
  const ValueId in = tokens.add(
      "in", kTokens, kD,
      EmbeddingOp{
          .terms = {{tokens.parameter("table", ParameterKind::table, 4, kD), TokenInput::ids}},
          .out = kNone});
  tokens.add("out", kTokens, kD,
             RotateOp{.in = in,
                      .out = kNone,
                      .q = {.first = 0, .count = 1},
                      .k = {},
                      .head_dim = kD,
                      .rotation = tokens.program().add_rotation({.frequencies = {1.0F, 1.0F}})});
  check(tokens.program());
  tokens.program().rotations[0].on_grid = true;
  EXPECT_THROW(check(tokens.program()), Error);
}

}  // namespace
}  // namespace tessera
