// SPDX-License-Identifier: Apache-2.0
//
// Rows of maps in the order of their windows and back, rolled and not, and cells side by side, against
// loops; patches that reach beyond the image; maps that do not fit the arena.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "runtime/base/error.hpp"
#include "tests/runtime/op_model.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/test_image.hpp"
#include "tests/support/tolerance.hpp"

namespace tessera::test {
namespace {

constexpr Index kChannels = 3, C = 5, kWindow = 3, kShift = 1;
constexpr Index kHeight = 24, kWidth = 36;  // native: 6 x 9 cells, 2 x 3 windows

class WindowsTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override { SKIP_UNLESS_SUPPORTED(GetParam()); }

  explicit WindowsTest(Index patch = 4, Index before = 0) {
    Program& program = model_.program();
    program.inputs = ImageSpec{.channels = kChannels,
                               .height = kHeight,
                               .width = kWidth,
                               .patch_height = patch,
                               .patch_width = patch,
                               .pads = true,
                               .before = before,
                               .sizes = ImageSizes::any};
    const ImageSpec& spec = *program.images();
    program.spaces[kTokens].native = {spec.grid_rows(), spec.grid_cols()};
    const auto space = [&](Space s) {
      program.spaces.push_back(std::move(s));
      return static_cast<SpaceId>(program.spaces.size() - 1);
    };
    rows_ = model_.add("rows", kTokens, C,
                       PatchEmbedOp{.weight = model_.parameter("weight", ParameterKind::matrix, C,
                                                               spec.patch_elements()),
                                    .out = kNone});
    for (const Index shift : {Index{0}, kShift}) {
      for (const bool small : {false, true}) {
        const std::string name =
            names_.emplace_back("windows " + std::to_string(shift) + (small ? " small" : ""));
        const SpaceId windows = space({.name = name,
                                       .parent = kTokens,
                                       .rule = RowRule::grid_windows,
                                       .n = kWindow,
                                       .shift = shift,
                                       .rolls_small = small});
        const ValueId moved = model_.add(name, windows, C, WindowRowsOp{rows_, kNone});
        model_.add(name + " back", kTokens, C, WindowRowsOp{moved, kNone});
      }
    }
    const SpaceId halves =
        space({.name = "halves", .parent = kTokens, .rule = RowRule::grid, .n = 2});
    const SpaceId thirds =
        space({.name = "thirds", .parent = halves, .rule = RowRule::grid, .n = 3});
    const ValueId merged = model_.add("merged", halves, 4 * C, MergeCellsOp{rows_, kNone});
    model_.add("merged again", thirds, 36 * C, MergeCellsOp{merged, kNone});
  }

  /// Of the rows of map s of `name`, in a space whose maps are `grids`, cell (y, x); zeros beyond it.
  static float cell(const TensorView<const float>& rows, Index first, Grid map, Index y, Index x,
                    Index c) {
    if (y >= map.rows || x >= map.cols) return 0.0F;
    return rows.row(first + y * map.cols + x)[static_cast<std::size_t>(c)];
  }

  OpModel model_;
  ValueId rows_ = kNone;
  std::vector<std::string> names_{};
};
INSTANTIATE_FOR_ALL_ISAS(WindowsTest);

void expect_merged(const TensorView<const float>& out, Index out_first, Grid small, Index n,
                   const std::vector<double>& expected) {
  Index e = 0;
  for (Index i = 0; i < small.cells(); ++i) {
    for (Index c = 0; c < out.cols; ++c, ++e) {
      ASSERT_EQ(static_cast<double>(out.row(out_first + i)[static_cast<std::size_t>(c)]),
                expected[static_cast<std::size_t>(e)])
          << n << " cells, row " << i << ", column " << c;
    }
  }
}

TEST_P(WindowsTest, RowsGoWhereTheLoopsPutThem) {
  const std::vector<std::pair<Index, Index>> sizes{{kHeight, kWidth}, {12, 12}, {9, 31}, {1, 1},
                                                   {20, 5},           {40, 16}};
  for (const int threads : {1, 3}) {
    std::vector<TestImage> images;
    std::vector<Image> batch;
    for (const auto& [h, w] : sizes) images.emplace_back(kChannels, h, w, std::uint64_t(h + w));
    for (const TestImage& image : images) batch.push_back(image.of_floats());
    const auto session = model_.session(GetParam(), 54 * 6, std::ssize(sizes), threads);
    session->run({.images = batch});
    const TensorView<const float> rows = session->output("rows");
    Index first = 0, halves_first = 0, thirds_first = 0;
    std::vector<Index> windows_first(names_.size(), 0);
    for (const auto& [h, w] : sizes) {
      const Grid map{ceil_div(h, 4), ceil_div(w, 4)};
      for (std::size_t v = 0; v < names_.size(); ++v) {
        const TensorView<const float> out = session->output(names_[v]);
        const Grid of{ceil_div(map.rows, kWindow), ceil_div(map.cols, kWindow)};
        const bool rolls = v == 3 || (v == 2 && std::min(map.rows, map.cols) > kWindow);
        const Index shift = rolls ? kShift : 0;
        Index at = windows_first[v];
        for (Index wy = 0; wy < of.rows; ++wy) {
          for (Index wx = 0; wx < of.cols; ++wx) {
            for (Index y = wy * kWindow; y < (wy + 1) * kWindow; ++y) {
              for (Index x = wx * kWindow; x < (wx + 1) * kWindow; ++x, ++at) {
                for (Index c = 0; c < C; ++c) {
                  ASSERT_EQ(out.row(at)[static_cast<std::size_t>(c)],
                            cell(rows, first, map, (y + shift) % (of.rows * kWindow),
                                 (x + shift) % (of.cols * kWindow), c))
                      << names_[v] << ", image " << h << " x " << w << ", row " << at;
                }
              }
            }
          }
        }
        windows_first[v] = at;
      }
      const Grid half{ceil_div(map.rows, 2), ceil_div(map.cols, 2)};
      std::vector<double> expected;
      for (Index y = 0; y < half.rows; ++y) {
        for (Index x = 0; x < half.cols; ++x) {
          for (Index dx = 0; dx < 2; ++dx) {
            for (Index dy = 0; dy < 2; ++dy) {
              for (Index c = 0; c < C; ++c) {
                expected.push_back(
                    static_cast<double>(cell(rows, first, map, 2 * y + dy, 2 * x + dx, c)));
              }
            }
          }
        }
      }
      expect_merged(session->output("merged"), halves_first, half, 2, expected);
      const Grid sixth{ceil_div(half.rows, 3), ceil_div(half.cols, 3)};
      expected.clear();
      for (Index y = 0; y < sixth.rows; ++y) {
        for (Index x = 0; x < sixth.cols; ++x) {
          for (Index dx = 0; dx < 3; ++dx) {
            for (Index dy = 0; dy < 3; ++dy) {
              for (Index c = 0; c < 4 * C; ++c) {
                expected.push_back(static_cast<double>(cell(session->output("merged"), halves_first,
                                                            half, 3 * y + dy, 3 * x + dx, c)));
              }
            }
          }
        }
      }
      expect_merged(session->output("merged again"), thirds_first, sixth, 3, expected);
      first += map.cells(), halves_first += half.cells(), thirds_first += sixth.cells();
    }
    EXPECT_EQ(rows.rows, first);
    EXPECT_EQ(session->output("merged again").rows, thirds_first);
    for (const std::string& name : names_) {
      const TensorView<const float> back = session->output(name + " back");
      ASSERT_EQ(back.rows, rows.rows);
      for (Index i = 0; i < rows.rows; ++i) {
        for (std::size_t c = 0; c < C; ++c) ASSERT_EQ(back.row(i)[c], rows.row(i)[c]) << name;
      }
    }
  }
}

TEST_P(WindowsTest, MapsThatTheArenaHasNoRoomForAreRefusedWithTheRowsThatDo) {
  // 4 x 13 cells are fewer than the native 6 x 9, but their windows are 6 x 15 = 90 > 54.
  const TestImage narrow(kChannels, 16, 52, 1);
  const std::vector<Image> batch{narrow.of_floats()};
  try {
    model_.session(GetParam(), 54, 1)->run({.images = batch});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
    EXPECT_THAT(error.what(), testing::HasSubstr("90 rows of windows 0, expected at most 54"));
    EXPECT_THAT(error.what(), testing::HasSubstr("max_rows 90 they fit"));
  }
  model_.session(GetParam(), 90, 1)->run({.images = batch});
  const std::vector<Image> twice{narrow.of_floats(), narrow.of_floats()};
  try {
    model_.session(GetParam(), 108, 2)->run({.images = twice});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("180 rows of windows 0, expected at most 108"));
    EXPECT_THAT(error.what(), testing::HasSubstr("max_rows 180 they fit"));
  }

  // 1 x 52 cells: 162 rows of windows are of 3 native images, the 9 of "thirds" (native: 2) of 5.
  const TestImage strip(kChannels, 4, 208, 2);
  const std::vector<Image> one{strip.of_floats()};
  try {
    model_.session(GetParam(), 54, 1)->run({.images = one});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("max_rows 243 they fit"));
  }
  model_.session(GetParam(), 243, 1)->run({.images = one});
}

// A convolution of 3 x 3 with stride 2: patches begin a pixel before their cells.
class OverlapTest : public WindowsTest {
 protected:
  OverlapTest() : WindowsTest(2, 1) {}
};
INSTANTIATE_FOR_ALL_ISAS(OverlapTest);

TEST_P(OverlapTest, PatchesBeginBeforeTheirCells) {
  for (const auto& [H, W] : {std::pair<Index, Index>{24, 36}, {7, 5}, {1, 1}, {2, 9}}) {
    const TestImage image(kChannels, H, W, 3);
    for (const Image& form : {image.of_floats(), image.of_bytes()}) {
      const std::vector<Image> batch{form};
      const auto session = model_.session(GetParam(), 216, 1);
      session->run({.images = batch});
      const TensorView<const float> rows = session->output("rows");
      const Image pixels = image.of_floats();
      const Grid map{(H + 2 - 3) / 2 + 1, (W + 2 - 3) / 2 + 1};
      ASSERT_EQ(rows.rows, map.cells());
      for (Index i = 0; i < map.cells(); ++i) {
        for (Index n = 0; n < C; ++n) {
          double sum = 0, magnitude = 0;
          for (Index c = 0; c < kChannels; ++c) {
            for (Index dy = 0; dy < 3; ++dy) {
              for (Index dx = 0; dx < 3; ++dx) {
                const Index y = 2 * (i / map.cols) - 1 + dy, x = 2 * (i % map.cols) - 1 + dx;
                if (y < 0 || x < 0 || y >= H || x >= W) continue;
                const double product =
                    static_cast<double>(pixels.planes[(c * H + y) * W + x]) *
                    static_cast<double>(model_["weight"][static_cast<std::size_t>(
                        ((n * kChannels + c) * 3 + dy) * 3 + dx)]);
                sum += product;
                magnitude += std::abs(product);
              }
            }
          }
          ASSERT_NEAR(static_cast<double>(rows.row(i)[static_cast<std::size_t>(n)]), sum,
                      gemm_tolerance(27, magnitude))
              << H << " x " << W << ", row " << i;
        }
      }
    }
  }
}

}  // namespace
}  // namespace tessera::test
