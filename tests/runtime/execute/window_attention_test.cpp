// SPDX-License-Identifier: Apache-2.0
//
// Attention within the windows of maps, rolled and not, against loops over the map in double as the
// papers have it: the bias out of a table or computed, −100 between cells that are no neighbours, twice in V2; heads
// with lengths of their own; pooling over the cells of a smaller map.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "runtime/base/error.hpp"
#include "tests/runtime/op_model.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/test_image.hpp"

namespace tessera::test {
namespace {

constexpr Index kChannels = 3, kHeads = 2, kDim = 6, H = kHeads * kDim, kWindow = 4, kHidden = 7;
constexpr Index kPatch = 2, kHeight = 16, kWidth = 24;  // native: 8 x 12 cells, 2 x 3 windows
constexpr Index T = kWindow * kWindow, kSpan = 2 * kWindow - 1;
constexpr float kScale = 0.7F;

struct Kind {
  Index shift;
  bool rolls_small, computes;
};

class WindowAttentionTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override { SKIP_UNLESS_SUPPORTED(GetParam()); }

  SpaceId space(OpModel& model, Space s) const {
    model.program().spaces.push_back(std::move(s));
    return static_cast<SpaceId>(model.program().spaces.size() - 1);
  }

  /// Patches as qkv, in windows, attended, back.
  void build(OpModel& model, const Kind& kind) const {
    Program& program = model.program();
    program.inputs = ImageSpec{.channels = kChannels,
                               .height = kHeight,
                               .width = kWidth,
                               .patch_height = kPatch,
                               .patch_width = kPatch,
                               .pads = true,
                               .sizes = ImageSizes::any};
    program.spaces[kTokens].native = {kHeight / kPatch, kWidth / kPatch};
    const ParameterId weight = model.parameter("weight", ParameterKind::matrix, 3 * H,
                                               program.images()->patch_elements(), 0.3F);
    const ValueId qkv =
        model.add("qkv", kTokens, 3 * H, PatchEmbedOp{.weight = weight, .out = kNone});
    const SpaceId windows = space(model, {.name = "windows",
                                          .parent = kTokens,
                                          .rule = RowRule::grid_windows,
                                          .n = kWindow,
                                          .shift = kind.shift,
                                          .rolls_small = kind.rolls_small});
    const ValueId in = model.add("in windows", windows, 3 * H, WindowRowsOp{qkv, kNone});
    AttentionOp op = self_attention(in, kNone, kHeads, kDim, kScale);
    op.position = PairBias{bias(model, kind)};
    const ValueId out = model.add("context", windows, H, op);
    model.add("back", kTokens, H, WindowRowsOp{out, kNone});
    const SpaceId halves =
        space(model, {.name = "halves", .parent = kTokens, .rule = RowRule::grid, .n = 2});
    const ValueId merged = model.add("merged", halves, 4 * 3 * H, MergeCellsOp{qkv, kNone});
    model.add("mean", kSequences, 4 * 3 * H,
              PoolOp{.pooling = Pooling::mean, .in = merged, .out = kNone});
    model.add("first", kSequences, 4 * 3 * H,
              PoolOp{.pooling = Pooling::first, .in = merged, .out = kNone});
  }

  ParameterId bias(OpModel& model, const Kind& kind) const {
    Parameter p{.name = "bias",
                .kind = ParameterKind::pair_bias,
                .cols = T * T,
                .sources = {},
                .window = {.n = kWindow, .shift = kind.shift}};
    p.rows = kHeads * variants_of(p);
    if (kind.computes) {
      model.tensor("w1", kHidden, 2), model.tensor("b1", kHidden, 1),
          model.tensor("w2", kHeads, kHidden);
      p.sources = {{"w2", kHeads}};
      p.window.weight = "w1", p.window.bias = "b1";
      p.window.hidden = kHidden, p.window.trained = 6;
    } else {
      model.tensor("table", kSpan * kSpan, kHeads);
      p.sources = {{"table", kSpan * kSpan}};
      for (Index q = 0; q < T; ++q) {
        for (Index k = 0; k < T; ++k) {
          const Index dy = q / kWindow - k / kWindow, dx = q % kWindow - k % kWindow;
          p.gather.push_back(
              static_cast<std::int32_t>((dy + kWindow - 1) * kSpan + dx + kWindow - 1));
        }
      }
    }
    return model.program().add_parameter(std::move(p));
  }

  static double at_of(const std::vector<float>& values, Index i) {
    return static_cast<double>(values[static_cast<std::size_t>(i)]);
  }

  /// What head h adds for a distance of (dy, dx) cells.
  static double bias_of(const OpModel& model, const Kind& kind, Index h, Index dy, Index dx) {
    if (!kind.computes) {
      return at_of(model["table"], ((dy + kWindow - 1) * kSpan + dx + kWindow - 1) * kHeads + h);
    }
    const auto coordinate = [](Index d) {
      const double z = 8.0 * static_cast<double>(d) / 5.0;
      return (z > 0 ? 1.0 : z < 0 ? -1.0 : 0.0) * std::log2(std::abs(z) + 1.0) / std::log2(8.0);
    };
    double sum = 0;
    for (Index f = 0; f < kHidden; ++f) {
      const double hidden = at_of(model["w1"], 2 * f) * coordinate(dy) +
                            at_of(model["w1"], 2 * f + 1) * coordinate(dx) + at_of(model["b1"], f);
      sum += at_of(model["w2"], h * kHidden + f) * std::max(hidden, 0.0);
    }
    return 16.0 / (1.0 + std::exp(-sum));
  }

  static void expect_right(const OpModel& model, const Kind& kind,
                           const TensorView<const float>& qkv, const TensorView<const float>& back,
                           Index first, Grid map) {
    const Index rows = ceil_div(map.rows, kWindow) * kWindow,
                cols = ceil_div(map.cols, kWindow) * kWindow;
    const bool rolls =
        kind.shift > 0 && (kind.rolls_small || std::min(map.rows, map.cols) > kWindow);
    const Index s = rolls ? kind.shift : 0;
    const auto element = [&](Index y, Index x, Index column) {  // of the rolled map
      y = (y + s) % rows, x = (x + s) % cols;
      if (y >= map.rows || x >= map.cols) return 0.0;
      return static_cast<double>(
          qkv.row(first + y * map.cols + x)[static_cast<std::size_t>(column)]);
    };
    const auto region = [&](Index i, Index side) {
      return i < side - kWindow ? 0 : i < side - s ? 1 : 2;
    };
    for (Index y = 0; y < rows; ++y) {
      for (Index x = 0; x < cols; ++x) {
        const Index py = (y + s) % rows, px = (x + s) % cols;
        if (py >= map.rows || px >= map.cols) continue;
        const Index top = y / kWindow * kWindow, left = x / kWindow * kWindow;
        for (Index h = 0; h < kHeads; ++h) {
          std::vector<double> scores;
          for (Index ky = top; ky < top + kWindow; ++ky) {
            for (Index kx = left; kx < left + kWindow; ++kx) {
              double score = 0;
              for (Index n = 0; n < kDim; ++n) {
                score += element(y, x, h * kDim + n) * element(ky, kx, H + h * kDim + n);
              }
              score = static_cast<double>(kScale) * score + bias_of(model, kind, h, y - ky, x - kx);
              const bool apart = s > 0 && (region(y, rows) != region(ky, rows) ||
                                           region(x, cols) != region(kx, cols));
              scores.push_back(apart ? score - (kind.computes ? 200.0 : 100.0) : score);
            }
          }
          const double most = *std::max_element(scores.begin(), scores.end());
          double sum = 0;
          for (double& score : scores) sum += score = std::exp(score - most);
          for (Index n = 0; n < kDim; ++n) {
            double expected = 0, magnitude = 0;
            for (Index k = 0; k < T; ++k) {
              const double p = scores[static_cast<std::size_t>(k)] / sum,
                           v = element(top + k / kWindow, left + k % kWindow, 2 * H + h * kDim + n);
              expected += p * v, magnitude += p * std::abs(v);
            }
            ASSERT_NEAR(static_cast<double>(back.row(first + py * map.cols +
                                                     px)[static_cast<std::size_t>(h * kDim + n)]),
                        expected, 1e-5 * magnitude + 1e-6)
                << map.rows << " x " << map.cols << ", cell " << py << " " << px << ", head " << h;
          }
        }
      }
    }
  }
};
INSTANTIATE_FOR_ALL_ISAS(WindowAttentionTest);

TEST_P(WindowAttentionTest, AttendsWithinTheWindowsOfEachMap) {
  const std::vector<std::pair<Index, Index>> sizes{
      {kHeight, kWidth}, {8, 8}, {17, 9}, {3, 30}, {24, 24}};
  for (const Kind kind : {Kind{0, true, false}, Kind{2, true, false}, Kind{1, false, false},
                          Kind{0, true, true}, Kind{2, false, true}}) {
    OpModel model;
    build(model, kind);
    std::vector<TestImage> images;
    std::vector<Image> batch;
    for (const auto& [h, w] : sizes) images.emplace_back(kChannels, h, w, std::uint64_t(h + w));
    for (const TestImage& image : images) batch.push_back(image.of_bytes());
    std::vector<std::vector<float>> of_one;
    for (const int threads : {1, 3}) {
      const auto session = model.session(GetParam(), 96 * 6, std::ssize(sizes), threads);
      session->run({.images = batch});
      const auto qkv = session->output("qkv"), back = session->output("back");
      Index first = 0;
      for (const auto& [h, w] : sizes) {
        const Grid map{ceil_div(h, kPatch), ceil_div(w, kPatch)};
        expect_right(model, kind, qkv, back, first, map);
        first += map.cells();
      }
      ASSERT_EQ(back.rows, first);
      for (Index i = 0; i < back.rows; ++i) {
        if (threads == 1) {
          of_one.emplace_back(back.row(i).begin(), back.row(i).end());
        } else {
          ASSERT_TRUE(bit_identical(back.row(i), of_one[static_cast<std::size_t>(i)])) << i;
        }
      }
    }
  }
}

TEST_P(WindowAttentionTest, PoolingTakesTheCellsOfEachImage) {
  OpModel model;
  build(model, {0, true, false});
  const TestImage a(kChannels, 16, 24, 1), b(kChannels, 5, 7, 2);
  const std::vector<Image> batch{a.of_floats(), b.of_floats()};
  const auto session = model.session(GetParam(), 192, 2);
  session->run({.images = batch});
  const auto merged = session->output("merged"), mean = session->output("mean"),
             first = session->output("first");
  ASSERT_EQ(merged.rows, 4 * 6 + 2 * 2);
  Index begin = 0;
  for (const auto& [s, cells] : {std::pair<Index, Index>{0, 24}, {1, 4}}) {
    for (std::size_t n = 0; n < static_cast<std::size_t>(merged.cols); ++n) {
      double sum = 0, magnitude = 0;
      for (Index i = begin; i < begin + cells; ++i) {
        sum += static_cast<double>(merged.row(i)[n]);
        magnitude += std::abs(static_cast<double>(merged.row(i)[n]));
      }
      const auto count = static_cast<double>(cells);
      ASSERT_NEAR(static_cast<double>(mean.row(s)[n]), sum / count, 1e-6 * magnitude);
      ASSERT_EQ(first.row(s)[n], merged.row(begin)[n]);
    }
    begin += cells;
  }
}

TEST_P(WindowAttentionTest, HeadsHaveScalesOfTheirOwn) {
  OpModel model;
  build(model, {0, true, false});
  const float eps = 1e-24F / static_cast<float>(kDim);
  std::vector<float> logits = model.tensor("logit_scale", kHeads, 1, 3.0F, 4.0F);
  const ParameterId scales = model.program().add_parameter({.name = "scales",
                                                            .kind = ParameterKind::vector,
                                                            .rows = H,
                                                            .sources = {{"logit_scale", kHeads}},
                                                            .repeats = kDim});
  const ParameterId ones = model.program().add_parameter({.name = "ones",
                                                          .kind = ParameterKind::vector,
                                                          .rows = kDim,
                                                          .sources = {{"", kDim}},
                                                          .offset = 1.0F});
  const ValueId in = model.program().outputs[1].value;  // in windows: zeros beyond the map
  const SpaceId windows = model.program().values[at(in)].space;
  model.add("turned", windows, 3 * H,
            RotateOp{.in = in,
                     .out = kNone,
                     .q = {.first = 0, .count = kHeads, .gamma = scales},
                     .k = {.first = H, .count = kHeads, .gamma = ones},
                     .head_dim = kDim,
                     .eps = eps});
  const TestImage image(kChannels, 10, 10, 3);  // 5 x 5 cells in 8 x 8
  const std::vector<Image> batch{image.of_floats()};
  const auto session = model.session(GetParam(), 192, 1);
  session->run({.images = batch});
  const auto x = session->output("in windows"), y = session->output("turned");
  Index zeros = 0;
  for (Index i = 0; i < x.rows; ++i) {
    for (Index h = 0; h < 2 * kHeads; ++h) {
      double squares = 0;
      for (Index n = 0; n < kDim; ++n) {
        const auto v = static_cast<double>(x.row(i)[static_cast<std::size_t>(h * kDim + n)]);
        squares += v * v;
      }
      const double length = std::max(std::sqrt(squares), 1e-12);
      zeros += squares == 0.0;
      const double scale = h < kHeads ? std::exp(std::min(at_of(logits, h), std::log(100.0))) : 1.0;
      for (Index n = 0; n < kDim; ++n) {
        const auto j = static_cast<std::size_t>(h * kDim + n);
        const double expected = static_cast<double>(x.row(i)[j]) / length * scale *
                                std::sqrt(static_cast<double>(kDim));
        ASSERT_NEAR(static_cast<double>(y.row(i)[j]), expected, 3e-6 * std::abs(expected));
      }
    }
  }
  EXPECT_EQ(zeros, 2 * kHeads * (64 - 25));
}

TEST(WindowAttentionCheckTest, ABiasOfOtherWindowsIsRefused) {
  class Build : public WindowAttentionTest {
   public:
    using WindowAttentionTest::build;
    void TestBody() override {}
  };
  OpModel model;
  Build().build(model, {1, true, false});
  check(model.program());
  Parameter& bias = model.program().parameters.back();
  ASSERT_EQ(bias.kind, ParameterKind::pair_bias);
  const Parameter good = bias;
  bias.window.shift = 2;
  EXPECT_THROW(check(model.program()), Error);
  bias = good, bias.window.shift = 0;  // one variant where four are read
  EXPECT_THROW(check(model.program()), Error);
  bias = good, bias.window.n = 3;
  EXPECT_THROW(check(model.program()), Error);
  bias = good, bias.rows = kHeads;
  EXPECT_THROW(check(model.program()), Error);
}

}  // namespace
}  // namespace tessera::test
