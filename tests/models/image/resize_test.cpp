// SPDX-License-Identifier: Apache-2.0
#include "models/image/resize.hpp"

#include "tests/models/image/vectors.hpp"
#include "tests/support/isa.hpp"

namespace tessera::image::test {
namespace {

RgbImage random_image(Index width, Index height, std::uint32_t state) {
  RgbImage image;
  image.resize(width, height);
  for (std::uint8_t& byte : image.pixels) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<std::uint8_t>(state >> 24);
  }
  return image;
}

RgbImage resized(const RgbImage& in, Index width, Index height, Filter filter,
                 Resampler& resampler) {
  RgbImage out;
  resize(in, width, height, filter, {0, 0, width, height}, resampler, out);
  return out;
}

class ResizeTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override { SKIP_UNLESS_SUPPORTED(GetParam()); }
};
INSTANTIATE_FOR_ALL_ISAS(ResizeTest);

// SOURCE.ppm and SOURCE.FILTER.WxH.ppm
TEST_P(ResizeTest, GivesPillowsPixels) {
  const std::vector<std::string> filters{"nearest", "lanczos", "bilinear",
                                         "bicubic", "box",     "hamming"};
  Resampler resampler(GetParam());
  int count = 0;
  for (const fs::path& file : files_in(vectors() / "resize")) {
    const std::string name = file.filename().string();
    const std::size_t dot = name.find('.'), second = name.find('.', dot + 1);
    if (second == std::string::npos) continue;
    const auto filter =
        std::find(filters.begin(), filters.end(), name.substr(dot + 1, second - dot - 1));
    ASSERT_NE(filter, filters.end()) << name;
    const RgbImage expected = ppm(file);
    const RgbImage in = ppm(file.parent_path() / (name.substr(0, dot) + ".ppm"));
    expect_equal(resized(in, expected.width, expected.height,
                         static_cast<Filter>(filter - filters.begin()), resampler),
                 expected, name);
    ++count;
  }
  EXPECT_GE(count, 11);
}

TEST_P(ResizeTest, AWindowIsAPartOfTheWhole) {
  Resampler resampler(GetParam());
  const RgbImage in = random_image(45, 33, 3);
  for (const Filter filter : {Filter::nearest, Filter::bicubic, Filter::lanczos}) {
    for (const auto& [width, height] : {std::pair<Index, Index>{20, 17}, {45, 50}, {60, 33}}) {
      const RgbImage whole = resized(in, width, height, filter, resampler);
      const Window window{.left = 3, .top = 5, .width = 13, .height = 9};
      RgbImage part;
      resize(in, width, height, filter, window, resampler, part);
      for (Index y = 0; y < window.height; ++y) {
        const std::uint8_t* row = whole.row(window.top + y) + window.left * kChannels;
        EXPECT_TRUE(std::equal(row, row + window.width * kChannels, part.row(y)))
            << width << " x " << height << " row " << y;
      }
    }
  }
}

// Extremes that photos do not have: one pixel, one row, reductions by hundreds, white throughout.
TEST_P(ResizeTest, ExtremesAgreeWithTheBaseline) {
  Resampler resampler(GetParam()), baseline(Isa::baseline);
  for (const auto& [w, h, width, height] : {std::array<Index, 4>{1, 1, 7, 5},
                                            {3000, 1, 5, 3},
                                            {1, 900, 2, 1},
                                            {513, 257, 1, 1},
                                            {2, 2, 130, 70},
                                            {17, 16, 16, 17}}) {
    for (const Filter filter : {Filter::lanczos, Filter::bilinear, Filter::box}) {
      RgbImage in = random_image(w, h, 11);
      expect_equal(resized(in, width, height, filter, resampler),
                   resized(in, width, height, filter, baseline), "random");
      std::fill(in.pixels.begin(), in.pixels.end(), std::uint8_t{255});
      const RgbImage white = resized(in, width, height, filter, resampler);
      EXPECT_EQ(std::count(white.pixels.begin(), white.pixels.end(), 255), width * height * 3);
    }
  }
}

TEST_P(ResizeTest, TheSameSizeIsACopy) {
  Resampler resampler(GetParam());
  const RgbImage in = random_image(19, 7, 5);
  for (const Filter filter : {Filter::nearest, Filter::lanczos}) {
    expect_equal(resized(in, 19, 7, filter, resampler), in, "copy");
  }
}

}  // namespace
}  // namespace tessera::image::test
