// SPDX-License-Identifier: Apache-2.0
//
// An image's result does not depend on the images beside it, their sizes, its place in the batch or
// the threads, nor on whether its pixels come as 8 bit or as f32: the same bits. On the tiny models
// of the golden cases, with random sizes where the model takes them.
#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

#include "models/package.hpp"
#include "runtime/session/session.hpp"
#include "tests/golden/stored.hpp"
#include "tests/kernels/probe/emulated_tiles.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/random.hpp"

namespace tessera::test {
namespace {

struct RandomImage {
  RandomImage(const ImageSpec& spec, const std::vector<float>& values, Random& random)
      : height(spec.height), width(spec.width) {
    if (spec.sizes != ImageSizes::native && random.integer(0, 3) > 0) {
      height = random.integer(std::max(spec.patch_height, spec.least_height), 2 * spec.height);
      width = random.integer(std::max(spec.patch_width, spec.least_width), 2 * spec.width);
    }
    const auto C = static_cast<std::size_t>(spec.channels);
    const auto area = static_cast<std::size_t>(height * width);
    pixels.resize(C * area);
    planes.resize(C * area);
    for (std::size_t p = 0; p < area; ++p) {
      for (std::size_t c = 0; c < C; ++c) {
        pixels[p * C + c] = static_cast<std::uint8_t>(random.bits() >> 56U);
        planes[c * area + p] = values[c * 256 + pixels[p * C + c]];
      }
    }
  }
  Index height, width;
  std::vector<std::uint8_t> pixels;
  std::vector<float> planes;
};

class ImageInvarianceTest : public testing::TestWithParam<std::tuple<const char*, Isa, Precision>> {
 protected:
  /// results[s][o]: output o of image s.
  std::vector<std::vector<std::vector<float>>> run(const std::vector<Image>& images, int threads) {
    const Program& program = model_->program();
    Index room = 0;
    for (const Image& image : images) {
      room += image_room(program, image.height, image.width, true);
    }
    const auto session = Session::create(
        model_,
        {.max_rows = room, .max_sequences = std::ssize(images), .threads = threads, .outputs = {}});
    session->run({.images = images, .interpolate_positions = true});
    std::vector<std::vector<std::vector<float>>> results(images.size());
    for (const Output& output : program.outputs) {
      const TensorView<const float> all = session->output(output.name);
      const SpaceId space = program.values[static_cast<std::size_t>(output.value)].space;
      Index row = 0;
      for (std::size_t s = 0; s < images.size(); ++s) {
        const auto [height, width] = std::pair(images[s].height, images[s].width);
        std::vector<float>& rows = results[s].emplace_back();
        const Index end = row + rows_in(program, space, height, width,
                                        image_rows(*program.images(), height, width, true));
        for (; row < end; ++row) rows.insert(rows.end(), all.row(row).begin(), all.row(row).end());
      }
      EXPECT_EQ(row, all.rows) << output.name;
    }
    return results;
  }

  std::shared_ptr<const Model> model_;
};

TEST_P(ImageInvarianceTest, AnImageHasTheBitsThatItHasAlone) {
  const auto [name, isa, precision] = GetParam();
  if (!can_run(isa, precision)) GTEST_SKIP() << "this CPU lacks " << to_string(isa);
  const models::Package package = models::open_package(kGoldenData / name);
  const ImageSpec& spec = *package.program.images();
  model_ = Model::create(
      package.program, package.checkpoint,
      {.isa = isa, .kernels = kernels_for(isa), .outputs = {}, .precision = precision});
  Random random{20250712};
  std::vector<float> values;
  for (Index i = 0; i < spec.channels * 256; ++i) values.push_back(random.normal());
  for (int batch = 0; batch < 2; ++batch) {
    std::vector<RandomImage> images;
    std::vector<Image> floats, bytes;
    for (Index s = random.integer(2, 6); s > 0; --s) images.emplace_back(spec, values, random);
    for (const RandomImage& image : images) {
      floats.push_back(
          {.planes = image.planes.data(), .height = image.height, .width = image.width});
      bytes.push_back({.pixels = image.pixels.data(),
                       .values = values.data(),
                       .height = image.height,
                       .width = image.width});
    }
    for (const int threads : {1, 2}) {
      const auto together = run(bytes, threads);
      for (std::size_t s = 0; s < images.size(); ++s) {
        const auto alone = run({floats[s]}, 1);
        for (std::size_t o = 0; o < alone[0].size(); ++o) {
          EXPECT_TRUE(bit_identical(together[s][o], alone[0][o]))
              << "image " << s << " of " << images[s].height << " x " << images[s].width << ", "
              << model_->program().outputs[o].name << ", " << threads << " threads";
        }
      }
    }
  }
}

std::string name_of_case(
    const testing::TestParamInfo<std::tuple<const char*, Isa, Precision>>& info) {
  std::string name = std::string(std::get<0>(info.param)) + "_" +
                     to_string(std::get<1>(info.param)) + "_" + to_string(std::get<2>(info.param));
  std::replace(name.begin(), name.end(), '-', '_');
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(
    TinyModels, ImageInvarianceTest,
    testing::Combine(testing::Values("vit-model", "vit-imgcls", "deit-teacher", "dinov2-imgcls",
                                     "dinov2-registers-model", "dinov2-registers-swiglu",
                                     "dinov3-vit-model", "dinov3-vit-model-gated",
                                     "clip-vision-proj", "siglip-vision", "beit-model",
                                     "swin-model", "swin-imgcls", "swinv2-model",
                                     "efficientvit-msra-model", "efficientvit-msra-imgcls"),
                     testing::ValuesIn(kAllIsas), testing::ValuesIn(kModelPrecisions)),
    name_of_case);

}  // namespace
}  // namespace tessera::test
