// SPDX-License-Identifier: Apache-2.0
// Pixels and image files through the ABI, on a tiny random ViT of 28 x 28 pixels.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
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

// A row is a cell of the map that the output is of.
TEST(ImageTest, RowsOfMergedMapsAreCounted) {
  const std::string swin = TESSERA_SOURCE_DIR "/tests/golden/data/swin-model/";
  const std::vector<std::byte> config = read_bytes(swin + "config.json"),
                               weights = read_bytes(swin + "model.safetensors"),
                               image = read_bytes(kImages + "baseline-444.jpg");
  constexpr std::string_view kProcess =
      R"({"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32}})";
  const std::vector<File> files{{"config.json", config},
                                {"model.safetensors", weights},
                                {"preprocessor_config.json", std::as_bytes(std::span(kProcess))}};
  const Model model(files);
  Session session(model, {.threads = 1,
                          .max_rows = 512,
                          .outputs = {"hidden_states.1", "last_hidden_state", "embedding"}});
  const std::vector<File> images(3, File{"baseline-444.jpg", image});  // two at a time
  std::vector<float> first(3 * 64 * 24), last(3 * 16 * 48), pooled(3 * 48);
  const Output of_first("hidden_states.1", first), of_last("last_hidden_state", last),
      of_pooled("embedding", pooled);
  EXPECT_EQ(session.encode(images, std::span(&of_first, 1)),
            (std::vector<std::int64_t>{0, 64, 128, 192}));
  const std::vector<Output> two{of_last, of_pooled};
  EXPECT_EQ(session.encode(images, two), (std::vector<std::int64_t>{0, 16, 32, 48}));
  for (std::size_t i = 0; i < 16 * 48; ++i) {
    EXPECT_EQ(last[i], last[i + 16 * 48]);
    EXPECT_EQ(last[i], last[i + 2 * 16 * 48]);
    EXPECT_NE(last[i], 0.0F);
  }
  for (std::size_t n = 0; n < 48; ++n) {
    float sum = 0;
    for (std::size_t i = 0; i < 16; ++i) sum += last[i * 48 + n];
    EXPECT_NEAR(sum / 16, pooled[n], 1e-5F);
  }
  const std::vector<Output> unlike{of_first, of_last};
  try {
    session.encode(images, unlike);
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(),
                HasSubstr("outputs[1] is \"last_hidden_state\", whose rows of an image "
                          "are others than those of \"hidden_states.1\""));
  }
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

TEST(ImageTest, BgrAndPlanesAreTheSamePixels) {
  const Model model = open_vit(kProcessor);
  Session session(model, {.threads = 1});
  constexpr std::size_t kHeight = 20, kWidth = 30, kPixels = kHeight * kWidth;
  std::vector<std::uint8_t> rgb, bgr, bgra;
  std::vector<float> planes(3 * kPixels);
  for (std::size_t i = 0; i < kPixels; ++i) {
    const auto r = static_cast<std::uint8_t>(i), g = static_cast<std::uint8_t>(i / 3),
               b = static_cast<std::uint8_t>(255 - i % 256);
    rgb.insert(rgb.end(), {r, g, b});
    bgr.insert(bgr.end(), {b, g, r});
    bgra.insert(bgra.end(), {b, g, r, static_cast<std::uint8_t>(i * 7)});
    planes[i] = static_cast<float>(r) / 255.0F;
    planes[kPixels + i] = static_cast<float>(g) / 255.0F;
    planes[2 * kPixels + i] = static_cast<float>(b) / 255.0F;
  }
  tessera_pixels image = TESSERA_PIXELS_INIT;
  image.height = kHeight;
  image.width = kWidth;
  image.data = rgb.data();
  std::vector<tessera_pixels> images(4, image);
  images[1].data = bgr.data();
  images[1].format = TESSERA_PIXELS_BGR;
  images[2].data = bgra.data();
  images[2].format = TESSERA_PIXELS_BGR;
  images[2].channels = 4;
  images[3].data = nullptr;
  images[3].format = TESSERA_PIXELS_PLANES;
  images[3].planes = planes.data();
  const std::vector<float> logits = logits_of(session, images);
  for (std::size_t i = 10; i < logits.size(); ++i) EXPECT_EQ(logits[i], logits[i % 10]) << i;
  images[1].format = TESSERA_PIXELS_RGB;  // the order matters
  const std::vector<float> swapped = logits_of(session, images);
  EXPECT_FALSE(std::equal(swapped.begin(), swapped.begin() + 10, swapped.begin() + 10));
}

TEST(ImageTest, PlanesThatAreNoImageAreRefused) {
  const Model model = open_vit(kProcessor);
  Session session(model, {.threads = 1});
  std::vector<float> planes(3 * 4, 0.5F), out(10, -7.0F);
  const std::vector<std::uint8_t> bytes(3 * 4);
  const Output output(nullptr, out);
  tessera_pixels good = TESSERA_PIXELS_INIT;
  good.height = good.width = 2;
  good.format = TESSERA_PIXELS_PLANES;
  good.planes = planes.data();
  const auto expect_refused = [&](const tessera_pixels& image, const char* part) {
    EXPECT_EQ(tessera_encode_pixels(session.get(), &image, 1, nullptr, &output, 1, nullptr),
              TESSERA_INVALID_ARGUMENT);
    EXPECT_THAT(tessera_last_error(), HasSubstr(part));
    EXPECT_EQ(out, std::vector<float>(10, -7.0F));
  };
  for (const float bad : {-1.5F, 1.01F, std::numeric_limits<float>::quiet_NaN()}) {
    planes[6] = bad;
    expect_refused(good, "plane 1, pixel 2 is ");
  }
  planes[6] = 1.0F;
  tessera_pixels image = good;
  image.planes = nullptr;
  expect_refused(image, "images[].planes is NULL");
  image = good;
  image.data = bytes.data();
  expect_refused(image, "expected NULL and 0 with planes");
  image.format = TESSERA_PIXELS_BGR;
  expect_refused(image, "images[0].planes is given, expected NULL with bytes");
  image.format = static_cast<tessera_pixel_format>(3);
  expect_refused(image, "images[].format is 3, expected 0 to 2");
  EXPECT_EQ(tessera_encode_pixels(session.get(), &good, 1, nullptr, &output, 1, nullptr),
            TESSERA_OK);
}

// The structs of hosts that were compiled with the first version of the header.
TEST(ImageTest, StructsOfTheFirstVersionAreTaken) {
  const Model model = open_vit(kProcessor);
  Session session(model, {.threads = 1});
  const std::vector<std::uint8_t> rgb(28 * 28 * 3, 100);
  tessera_pixels image = TESSERA_PIXELS_INIT;
  image.struct_size = 40;
  image.data = rgb.data();
  image.height = image.width = 28;
  image.format = static_cast<tessera_pixel_format>(77);  // behind what such a host has
  tessera_run_options options = TESSERA_RUN_OPTIONS_INIT;
  options.struct_size = 24;
  options.max_pixels = -1;
  std::vector<float> out(10);
  const Output output(nullptr, out);
  EXPECT_EQ(tessera_encode_pixels(session.get(), &image, 1, &options, &output, 1, nullptr),
            TESSERA_OK)
      << tessera_last_error();
  image.struct_size = 36;
  EXPECT_EQ(tessera_encode_pixels(session.get(), &image, 1, &options, &output, 1, nullptr),
            TESSERA_INVALID_ARGUMENT);
}

TEST(ImageTest, PathsGiveTheBitsOfTheirFiles) {
  const Model model = open_vit(kProcessor);
  Session session(model, {.threads = 1});
  const std::vector<std::filesystem::path> paths{kImages + "baseline-444.jpg",
                                                 kImages + "exif-6.png"};
  std::vector<float> expected;
  for (const std::filesystem::path& path : paths) {
    const std::vector<std::byte> bytes = read_bytes(path);
    std::vector<float> logits(10);
    const std::vector<File> files{{"a", bytes}};
    const Output output(nullptr, logits);
    session.encode(files, std::span(&output, 1));
    expected.insert(expected.end(), logits.begin(), logits.end());
  }
  EXPECT_EQ(session.embed_images(paths), expected);
  EXPECT_THROW(session.embed_images({kImages + "absent.png"}), Error);
  EXPECT_THAT(tessera_last_error(), HasSubstr("absent.png"));
  const char* null_path = nullptr;
  std::vector<float> out(10);
  const Output output(nullptr, out);
  EXPECT_EQ(tessera_encode_image_files(session.get(), &null_path, 1, nullptr, &output, 1, nullptr),
            TESSERA_INVALID_ARGUMENT);
  EXPECT_THAT(tessera_last_error(), HasSubstr("paths[0] is NULL"));
}

TEST(ImageTest, AnImageThatFailsLeavesTheOthers) {
  const Model model = open_vit(kProcessor);
  for (const int threads : {1, 3}) {
    Session session(model, {.threads = threads, .outputs = {"logits", "last_hidden_state"}});
    const std::vector<std::filesystem::path> good{kImages + "baseline-444.jpg",
                                                  kImages + "exif-6.png"};
    const std::vector<float> expected = session.embed_images(good);
    const std::vector<std::filesystem::path> paths{kImages + "absent.png", good[0], kVit, good[1],
                                                   kVit + "config.json"};
    std::vector<tessera_status> status(paths.size(), TESSERA_INTERNAL);
    const OutputInfo hidden = model.output("last_hidden_state");
    std::vector<float> logits(paths.size() * 10, -7.0F),
        rows(2 * 17 * static_cast<std::size_t>(hidden.width));
    const std::vector<Output> outputs{{"logits", logits}, {"last_hidden_state", rows}};
    const auto offsets = session.encode(paths, outputs, {.item_status = status});
    EXPECT_EQ(status,
              (std::vector<tessera_status>{TESSERA_NOT_FOUND, TESSERA_OK, TESSERA_INVALID_ARGUMENT,
                                           TESSERA_OK, TESSERA_CORRUPT_FILE}));
    EXPECT_EQ(offsets, (std::vector<std::int64_t>{0, 0, 17, 17, 34, 34}));
    for (std::size_t i = 0; i < 10; ++i) {
      for (const std::size_t failed : {0U, 2U, 4U}) EXPECT_EQ(logits[failed * 10 + i], -7.0F);
      EXPECT_EQ(logits[10 + i], expected[i]);
      EXPECT_EQ(logits[30 + i], expected[10 + i]);
    }
    const std::string said = tessera_last_error();
    EXPECT_THAT(said, HasSubstr("image 0: "));
    EXPECT_THAT(said, HasSubstr("\nimage 4: "));
    EXPECT_THROW(session.encode(paths, outputs), Error);  // nobody asked for statuses
  }
}

TEST(ImageTest, TheLimitOfPixelsIsTheCallers) {
  const Model model = open_vit(kProcessor);
  Session session(model, {.threads = 1});
  const std::vector<std::uint8_t> rgb(20 * 30 * 3);
  tessera_pixels image = TESSERA_PIXELS_INIT;
  image.height = 20;
  image.width = 30;
  image.data = rgb.data();
  std::vector<float> out(10);
  const Output output(nullptr, out);
  const auto encode = [&](std::int64_t most) {
    tessera_run_options options = TESSERA_RUN_OPTIONS_INIT;
    options.max_pixels = most;
    return tessera_encode_pixels(session.get(), &image, 1, &options, &output, 1, nullptr);
  };
  EXPECT_EQ(encode(600), TESSERA_OK);
  EXPECT_EQ(encode(599), TESSERA_INVALID_ARGUMENT);
  EXPECT_THAT(tessera_last_error(), HasSubstr("20 x 30 pixels, expected 1 to 599 in all"));
  EXPECT_EQ(encode(-1), TESSERA_INVALID_ARGUMENT);
  EXPECT_EQ(encode(INT64_MAX), TESSERA_INVALID_ARGUMENT);
  const std::vector<std::filesystem::path> paths{kImages + "baseline-444.jpg"};
  EXPECT_THROW(session.embed_images(paths, {.max_pixels = 100}), Error);
  EXPECT_THAT(tessera_last_error(), HasSubstr("100"));
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
