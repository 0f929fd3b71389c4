// SPDX-License-Identifier: Apache-2.0
// Pixels and image files through the ABI, on a tiny random ViT of 28 x 28 pixels.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <limits>

#include "tests/abi/demo.hpp"

namespace tessera::test {
namespace {

using testing::HasSubstr;

constexpr std::string_view kProcessor =
    R"({"image_processor_type": "ViTImageProcessor", "size": {"height": 28, "width": 28}})";
const std::string kVit = TESSERA_SOURCE_DIR "/tests/golden/data/vit-imgcls/";
const std::string kImages = TESSERA_SOURCE_DIR "/tests/data/images/decode/";

Model open_vit(std::string_view processor) {
  const std::vector<std::byte> config = read_bytes(kVit + "config.json");
  static const std::vector<std::byte> weights = read_bytes(kVit + "model.safetensors");
  std::vector<File> files{{"config.json", config}, {"model.safetensors", weights}};
  if (!processor.empty()) {
    files.push_back({"preprocessor_config.json", std::as_bytes(std::span(processor))});
  }
  return Model(files);
}

struct Ppm {
  std::vector<std::byte> file;
  tessera_pixels pixels = TESSERA_PIXELS_INIT;
};

// P6 as the reference decoder wrote it.
Ppm read_ppm(const std::string& path) {
  Ppm ppm{.file = read_bytes(path)};
  int width = 0, height = 0, begin = 0;
  const auto* text = reinterpret_cast<const char*>(ppm.file.data());
  EXPECT_EQ(std::sscanf(text, "P6 %d %d 255%n", &width, &height, &begin), 2);
  ppm.pixels.data = reinterpret_cast<const std::uint8_t*>(text) + begin + 1;
  ppm.pixels.width = width;
  ppm.pixels.height = height;
  return ppm;
}

std::vector<float> logits_of(Session& session, std::span<const tessera_pixels> images) {
  std::vector<float> result(images.size() * 10);
  const Output output("logits", result);
  session.encode(images, std::span(&output, 1));
  return result;
}

TEST(ImageTest, FilesAndTheirPixelsGiveTheSameBits) {
  const Model model = open_vit(kProcessor);
  EXPECT_EQ(model.info().input, TESSERA_INPUT_IMAGES);
  EXPECT_EQ(model.info().image_height, 28);
  EXPECT_EQ(model.labels().at(9), "L9");
  Session session(model, {.threads = 1, .max_rows = 40});  // two of 17 rows at a time
  const std::vector<std::string> names{"baseline-444.jpg", "grey-8.png", "exif-6.png"};
  std::vector<std::vector<std::byte>> bytes;
  std::vector<Ppm> ppms;
  std::vector<File> files;
  std::vector<tessera_pixels> pixels;
  for (const std::string& name : names) {
    bytes.push_back(read_bytes(kImages + name));
    ppms.push_back(read_ppm(kImages + name + ".ppm"));
    pixels.push_back(ppms.back().pixels);
  }
  for (std::size_t i = 0; i < names.size(); ++i) files.push_back({names[i], bytes[i]});
  std::vector<float> from_files(names.size() * 10);
  const Output output(nullptr, from_files);
  const std::vector<std::int64_t> rows = session.encode(files, std::span(&output, 1));
  EXPECT_EQ(rows, (std::vector<std::int64_t>{0, 17, 34, 51}));
  EXPECT_EQ(from_files, logits_of(session, pixels));
}

TEST(ImageTest, StridesAlphaAndGreyAreTheSamePixels) {
  const Model model = open_vit(kProcessor);
  Session session(model, {.threads = 1});
  const std::size_t height = 20, width = 30, gap = 5;
  std::vector<std::uint8_t> grey, rgb, rgba, wide;
  for (std::size_t y = 0; y < height; ++y) {
    for (std::size_t x = 0; x < width; ++x) {
      const auto v = static_cast<std::uint8_t>(x * 8 + y);
      grey.push_back(v);
      rgb.insert(rgb.end(), {v, v, v});
      rgba.insert(rgba.end(), {v, v, v, static_cast<std::uint8_t>(y)});
      wide.insert(wide.end(), {v, v, v});
    }
    wide.insert(wide.end(), gap, 77);
  }
  tessera_pixels image = TESSERA_PIXELS_INIT;
  image.height = height;
  image.width = width;
  std::vector<tessera_pixels> images(4, image);
  images[0].data = rgb.data();
  images[1].data = grey.data();
  images[1].channels = 1;
  images[2].data = rgba.data();
  images[2].channels = 4;
  images[3].data = wide.data();
  images[3].row_stride = 3 * width + gap;
  const std::vector<float> logits = logits_of(session, images);
  for (std::size_t i = 10; i < logits.size(); ++i) EXPECT_EQ(logits[i], logits[i % 10]) << i;
}

TEST(ImageTest, BadImagesAreRefusedWithoutAWrite) {
  const Model model = open_vit(kProcessor);
  Session session(model, {.threads = 1});
  std::vector<std::uint8_t> rgb(28 * 28 * 3, 100);
  std::vector<float> out(10, -7.0F);
  const Output output(nullptr, out);
  const auto expect_refused = [&](tessera_pixels image, const char* part) {
    EXPECT_EQ(tessera_encode_pixels(session.get(), &image, 1, nullptr, &output, 1, nullptr),
              TESSERA_INVALID_ARGUMENT);
    EXPECT_THAT(tessera_last_error(), HasSubstr(part));
    EXPECT_EQ(out, std::vector<float>(10, -7.0F));
  };
  tessera_pixels good = TESSERA_PIXELS_INIT;
  good.data = rgb.data();
  good.height = good.width = 28;
  tessera_pixels image = good;
  image.data = nullptr;
  expect_refused(image, "images[].data is NULL");
  image = good;
  image.channels = 2;
  expect_refused(image, "images[0].channels is 2, expected 1, 3 or 4");
  image.channels = 3;
  image.row_stride = INT64_MAX / 2;
  expect_refused(image, "expected less than the address space");
  image.row_stride = 0;
  image = good;
  image.height = 0;
  expect_refused(image, "images[0] is 0 x 28 pixels");
  image.height = image.width = std::numeric_limits<std::int64_t>::max();
  expect_refused(image, "pixels, expected 1 to");
  image = good;
  image.row_stride = 83;
  expect_refused(image, "row_stride is 83, expected at least 84");
  std::vector<std::byte> broken = read_bytes(kImages + "baseline-444.jpg");
  broken.resize(broken.size() / 2);
  const std::vector<File> files{{"half.jpg", broken}};
  EXPECT_THROW(session.encode(files, std::span(&output, 1)), Error);
  EXPECT_THAT(tessera_last_error(), HasSubstr("half.jpg"));
  EXPECT_EQ(out, std::vector<float>(10, -7.0F));
  Session texts(demo(), {.threads = 1});
  EXPECT_THROW(texts.encode(std::span(&good, 1), std::span(&output, 1)), Error);
  EXPECT_THAT(tessera_last_error(), HasSubstr("the model takes texts"));
  EXPECT_THROW(session.embed("a text"), Error);
}

TEST(ImageTest, OneOfTwoTowersIsChosen) {
  const std::string clip = TESSERA_SOURCE_DIR "/tests/golden/data/clip-full";
  const Model images(clip), texts(clip, {.tower = TESSERA_TOWER_TEXT});
  EXPECT_EQ(images.info().input, TESSERA_INPUT_IMAGES);
  EXPECT_EQ(texts.info().input, TESSERA_INPUT_TOKENS);
  EXPECT_EQ(images.output("embedding").width, texts.output("embedding").width);
  EXPECT_EQ(images.info().similarity, TESSERA_SIMILARITY_SOFTMAX);
  EXPECT_GT(images.info().logit_scale, 0.0F);
  EXPECT_EQ(demo().info().similarity, TESSERA_SIMILARITY_NONE);
}

TEST(ImageTest, WithoutAPreprocessorOnlyItIsMissing) {
  const Model model = open_vit("");
  Session session(model, {.threads = 1});
  std::vector<std::uint8_t> rgb(28 * 28 * 3);
  tessera_pixels image = TESSERA_PIXELS_INIT;
  image.data = rgb.data();
  image.height = image.width = 28;
  std::vector<float> out(10);
  const Output output(nullptr, out);
  EXPECT_EQ(tessera_encode_pixels(session.get(), &image, 1, nullptr, &output, 1, nullptr),
            TESSERA_NOT_FOUND);
  EXPECT_THAT(tessera_last_error(), HasSubstr("no preprocessor"));
}

}  // namespace
}  // namespace tessera::test
