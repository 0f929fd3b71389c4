// SPDX-License-Identifier: Apache-2.0
//
// Ops on maps against loops: convolutions, depthwise ones of slices and in windows, factors by image,
// poolings, attention with a bias of pairs in windows, columns added. Batches of images of several sizes,
// threads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "runtime/base/error.hpp"
#include "tests/reference/bf16.hpp"
#include "tests/runtime/op_model.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/test_image.hpp"
#include "tests/support/tolerance.hpp"

namespace tessera::test {
namespace {

constexpr Index kChannels = 2, C = 21, N = 9, kWindow = 3;

using Rows2 = TensorView<const float>;

double number(const Rows2& view, Index row, Index column) {
  return static_cast<double>(view.row(row)[static_cast<std::size_t>(column)]);
}

class MapsTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    SKIP_UNLESS_SUPPORTED(GetParam());
    Program& program = model_.program();
    program.inputs = ImageSpec{.channels = kChannels,
                               .height = 22,
                               .width = 26,
                               .patch_height = 2,
                               .patch_width = 2,
                               .pads = true,
                               .before = 1,
                               .sizes = ImageSizes::any};
    const ImageSpec& spec = *program.images();
    program.spaces[kTokens].native = {spec.grid_rows(), spec.grid_cols()};
    cells_ = model_.add("cells", kTokens, C,
                        PatchEmbedOp{.weight = model_.parameter("stem", ParameterKind::matrix, C,
                                                                spec.patch_elements()),
                                     .activation = Activation::relu,
                                     .out = kNone});
    halves_ = add_space({.name = "halves", .parent = kTokens, .rule = RowRule::grid, .n = 2});
    windows_ = add_space(
        {.name = "windows", .parent = kTokens, .rule = RowRule::grid_windows, .n = kWindow});
  }
  SpaceId add_space(Space space) {
    model_.program().spaces.push_back(std::move(space));
    return static_cast<SpaceId>(model_.program().spaces.size() - 1);
  }

  /// A map of a run: rows of `in` and `out` from which on it is, and its extents.
  struct Map {
    Index in, out;
    Grid from, to;
    Index image;
  };
  /// Runs batches of images of several sizes; `each` is told of every map between two spaces.
  void for_each_map(SpaceId from, SpaceId to,
                    const std::function<void(const Session&, const Map&)>& each,
                    Precision precision = Precision::f32) {
    const std::vector<std::pair<Index, Index>> sizes{{22, 26}, {9, 31}, {1, 1}, {12, 4}, {7, 22}};
    std::vector<TestImage> images;
    std::vector<Image> batch;
    for (const auto& [h, w] : sizes) images.emplace_back(kChannels, h, w, std::uint64_t(h + w));
    for (const TestImage& image : images) batch.push_back(image.of_floats());
    for (const int threads : {1, 3}) {
      const auto session =
          model_.session(GetParam(), 143 * 6, std::ssize(sizes), threads, precision);
      session->run({.images = batch});
      Map map{};
      for (const auto& [h, w] : sizes) {
        const Grid tokens{(h + 1) / 2, (w + 1) / 2};
        map.from = grid_in(from, tokens), map.to = grid_in(to, tokens);
        const Index pieces =
            from == windows_ ? ((tokens.rows + 2) / 3) * ((tokens.cols + 2) / 3) : 1;
        for (Index piece = 0; piece < pieces; ++piece) {
          each(*session, map);
          map.in += map.from.cells(), map.out += map.to.cells();
        }
        ++map.image;
      }
    }
  }
  Grid grid_in(SpaceId space, Grid tokens) const {
    if (space == halves_) return {(tokens.rows + 1) / 2, (tokens.cols + 1) / 2};
    if (space == windows_) return {kWindow, kWindow};
    return space == kSequences ? Grid{1, 1} : tokens;
  }

  /// Calls f(tap, row of the input) for the cells of the map that output cell `cell` sees.
  template <class F>
  static void for_each_tap(const Map& map, Index cell, Index taps, Index stride, F&& f) {
    const Index y = cell / map.to.cols * stride - taps / 2,
                x = cell % map.to.cols * stride - taps / 2;
    for (Index dy = 0; dy < taps; ++dy) {
      for (Index dx = 0; dx < taps; ++dx) {
        const bool is_there =
            y + dy >= 0 && x + dx >= 0 && y + dy < map.from.rows && x + dx < map.from.cols;
        if (is_there) f(dy * taps + dx, map.in + (y + dy) * map.from.cols + x + dx);
      }
    }
  }

  OpModel model_;
  ValueId cells_ = kNone;
  SpaceId halves_ = kNone, windows_ = kNone;
};
INSTANTIATE_FOR_ALL_ISAS(MapsTest);

TEST_P(MapsTest, Convolutions) {
  for (const Index taps : {1, 3, 5}) {
    for (const SpaceId to : {kTokens, halves_}) {
      const std::string name = "taps " + std::to_string(taps) + " to " + std::to_string(to);
      model_.add(name, to, N,
                 GridConvolutionOp{.in = cells_,
                                   .weight = model_.parameter(name + " w", ParameterKind::matrix, N,
                                                              taps * taps * C),
                                   .bias = model_.parameter(name + " b", ParameterKind::vector, N),
                                   .taps = taps,
                                   .activation = taps == 3 ? Activation::relu : Activation::none,
                                   .out = kNone});
    }
  }
  const auto expect_reference = [&](Index taps, SpaceId to, Precision asked) {
    const Precision precision =
        taps * taps * C < 64 ? Precision::f32 : asked;  // fewer: not rounded
    const std::string name = "taps " + std::to_string(taps) + " to " + std::to_string(to);
    const std::vector<float>&w = model_[name + " w"], &b = model_[name + " b"];
    const auto each = [&](const Session& session, const Map& map) {
      const Rows2 in = session.output("cells"), out = session.output(name);
      for (Index cell = 0; cell < map.to.cells(); ++cell) {
        for (Index n = 0; n < N; ++n) {
          double sum = static_cast<double>(b[static_cast<std::size_t>(n)]), all = std::abs(sum);
          for_each_tap(map, cell, taps, to == kTokens ? 1 : 2, [&](Index tap, Index row) {
            for (Index k = 0; k < C; ++k) {
              const auto element = static_cast<std::size_t>((n * taps * taps + tap) * C + k);
              const double product =
                  reference::factor(static_cast<float>(number(in, row, k)), precision) *
                  reference::factor(w[element], precision);
              sum += product, all += std::abs(product);
            }
          });
          if (taps == 3) sum = std::max(sum, 0.0);
          ASSERT_NEAR(number(out, map.out + cell, n), sum, gemm_tolerance(taps * taps * C, all))
              << name << ", image " << map.image << ", cell " << cell;
        }
      }
    };
    for_each_map(kTokens, to, each, asked);
  };
  for (const Index taps : {1, 3, 5}) {
    for (const SpaceId to : {kTokens, halves_}) {
      expect_reference(taps, to, Precision::f32);
      expect_reference(taps, to, Precision::bf16);
    }
  }
}

TEST_P(MapsTest, DepthwiseOfSlicesAndInWindows) {
  constexpr Index kFirst = 4, kDepth = 13, kWide = 20;
  const ValueId in_windows = model_.add("in windows", windows_, C, WindowRowsOp{cells_, kNone});
  struct Way {
    ValueId in;
    const char* in_name;
    SpaceId from, to;
    Index taps, stride;
  };
  const std::vector<Way> ways{{cells_, "cells", kTokens, kTokens, 3, 1},
                              {cells_, "cells", kTokens, halves_, 3, 2},
                              {in_windows, "in windows", windows_, windows_, 5, 1}};
  for (std::size_t i = 0; i < ways.size(); ++i) {
    const Way& way = ways[i];
    const std::string name = "way " + std::to_string(i);
    model_.add(name, way.to, kWide,
               DepthwiseOp{.in = {way.in, kFirst},
                           .weight = model_.parameter(name + " w", ParameterKind::rows,
                                                      way.taps * way.taps, kDepth),
                           .bias = model_.parameter(name + " b", ParameterKind::vector, kDepth),
                           .taps = way.taps,
                           .out = kNone});
  }
  for (std::size_t i = 0; i < ways.size(); ++i) {
    const Way& way = ways[i];
    const std::string name = "way " + std::to_string(i);
    const std::vector<float>&w = model_[name + " w"], &b = model_[name + " b"];
    for_each_map(way.from, way.to, [&](const Session& session, const Map& map) {
      const Rows2 in = session.output(way.in_name), out = session.output(name);
      for (Index cell = 0; cell < map.to.cells(); ++cell) {
        for (Index c = 0; c < kDepth; ++c) {
          double sum = static_cast<double>(b[static_cast<std::size_t>(c)]), all = std::abs(sum);
          for_each_tap(map, cell, way.taps, way.stride, [&](Index tap, Index row) {
            const double product =
                number(in, row, kFirst + c) *
                static_cast<double>(w[static_cast<std::size_t>(tap * kDepth + c)]);
            sum += product, all += std::abs(product);
          });
          ASSERT_NEAR(number(out, map.out + cell, c), sum, gemm_tolerance(way.taps * way.taps, all))
              << name << ", image " << map.image << ", cell " << cell;
        }
        for (Index c = kDepth; c < kWide; ++c) ASSERT_EQ(number(out, map.out + cell, c), 0.0);
      }
    });
  }
}

TEST_P(MapsTest, RowsOfAnImageArePooledAndScaled) {
  const ValueId merged = model_.add("merged", halves_, 4 * C, MergeCellsOp{cells_, kNone});
  const ValueId mean = model_.add("mean", kSequences, 4 * C,
                                  PoolOp{.pooling = Pooling::mean, .in = merged, .out = kNone});
  model_.add("max", kSequences, 4 * C, PoolOp{.pooling = Pooling::max, .in = merged, .out = kNone});
  model_.add("scaled", halves_, 4 * C, ScaleRowsOp{merged, mean, kNone});
  for_each_map(halves_, kSequences, [&](const Session& session, const Map& map) {
    const Rows2 in = session.output("merged"), scaled = session.output("scaled");
    for (Index c = 0; c < 4 * C; ++c) {
      double sum = 0, all = 0, most = -HUGE_VAL;
      for (Index i = map.in; i < map.in + map.from.cells(); ++i) {
        const double x = number(in, i, c);
        sum += x, all += std::abs(x), most = std::max(most, x);
        ASSERT_EQ(
            number(scaled, i, c),
            static_cast<double>(static_cast<float>(number(in, i, c)) *
                                static_cast<float>(number(session.output("mean"), map.out, c))));
      }
      const auto n = static_cast<double>(map.from.cells());
      ASSERT_NEAR(number(session.output("mean"), map.out, c), sum / n,
                  gemm_tolerance(map.from.cells(), all) / n + 1e-12);
      ASSERT_EQ(number(session.output("max"), map.out, c), most);
    }
  });
}

TEST_P(MapsTest, ColumnsAreAdded) {
  const ValueId part = model_.add("part", kTokens, N, ConcatOp{{cells_}, kNone});
  model_.add("sum", kTokens, N, AddOp{.a = part, .b = cells_, .out = kNone, .first = 7});
  for_each_map(kTokens, kTokens, [&](const Session& session, const Map& map) {
    for (Index i = map.in; i < map.in + map.from.cells(); ++i) {
      for (Index n = 0; n < N; ++n) {
        const Rows2 cells = session.output("cells");
        ASSERT_EQ(number(session.output("sum"), i, n),
                  static_cast<double>(static_cast<float>(number(cells, i, n)) +
                                      static_cast<float>(number(cells, i, n + 7))));
      }
    }
  });
}

// Each window is a sequence of its own; the columns behind K are V's, and Q has zeros there.
TEST_P(MapsTest, AttentionInWindowsWithABiasOfPairs) {
  constexpr Index kKey = 5, kValue = 8, T = kWindow * kWindow;
  const ValueId in = model_.add("in windows", windows_, C, WindowRowsOp{cells_, kNone});
  const ValueId q =
      model_.add("q", windows_, kValue,
                 DepthwiseOp{.in = {in, 0},
                             .weight = model_.parameter("w", ParameterKind::rows, 1, kKey),
                             .taps = 1,
                             .out = kNone});
  std::vector<std::int32_t> gather;
  for (Index i = 0; i < T * T; ++i) gather.push_back(static_cast<std::int32_t>(i * 7 % 11));
  const std::vector<float>& table = model_.tensor("table", 3, 11);
  const ParameterId bias = model_.program().add_parameter(
      {.name = "bias",
       .kind = ParameterKind::pair_bias,
       .rows = 1,
       .cols = T * T,
       .sources = {{.tensor = "table", .rows = 11, .first_row = 11, .tensor_rows = 33}},
       .gather = gather});
  const AttentionOp op{.q = {q, 0},
                       .k = {in, kKey},
                       .v = {in, 2 * kKey},
                       .heads = 1,
                       .kv_heads = 1,
                       .head_dim = kValue,
                       .scale = 0.3F,
                       .position = PairBias{bias}};
  model_.add("context", windows_, kValue, op);
  for_each_map(windows_, windows_, [&](const Session& session, const Map& map) {
    const Rows2 x = session.output("in windows"), queries = session.output("q");
    for (Index i = 0; i < T; ++i) {
      double total = 0;
      std::vector<double> weighted(kValue, 0.0);
      for (Index j = 0; j < T; ++j) {
        double score = 0;
        for (Index d = 0; d < kKey; ++d) {
          score += number(queries, map.in + i, d) * number(x, map.in + j, kKey + d);
        }
        const auto bucket = static_cast<std::size_t>(gather[static_cast<std::size_t>(i * T + j)]);
        const double e =
            std::exp(static_cast<double>(0.3F) * score + static_cast<double>(table[11 + bucket]));
        total += e;
        for (Index d = 0; d < kValue; ++d)
          weighted[static_cast<std::size_t>(d)] += e * number(x, map.in + j, 2 * kKey + d);
      }
      for (Index d = 0; d < kValue; ++d) {
        ASSERT_NEAR(number(session.output("context"), map.in + i, d),
                    weighted[static_cast<std::size_t>(d)] / total, 2e-4)
            << "image " << map.image << ", row " << i;
      }
    }
  });
}

TEST_P(MapsTest, ABiasOfPairsOfMapsOfAnySizeIsRefused) {
  const Index T = model_.program().images()->native_rows();
  model_.tensor("table", 1, 1);
  const ParameterId bias = model_.program().add_parameter(
      {.name = "bias",
       .kind = ParameterKind::pair_bias,
       .rows = 1,
       .cols = T * T,
       .sources = {{"table", 1}},
       .gather = std::vector<std::int32_t>(static_cast<std::size_t>(T * T), 0)});
  AttentionOp op{.q = {cells_, 0},
                 .k = {cells_, 5},
                 .v = {cells_, 10},
                 .heads = 1,
                 .kv_heads = 1,
                 .head_dim = 5};
  op.position = PairBias{bias};
  model_.add("context", kTokens, 5, op);
  EXPECT_THROW(check(model_.program()), Error);
}

}  // namespace
}  // namespace tessera::test
