// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/image_encoder.hpp"

#include <gmock/gmock.h>

#include <fstream>
#include <stdexcept>

#include "tests/support/temporary.hpp"
#include "tests/tessera/image_directory.hpp"

namespace tessera::test {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kSize32 = R"({"image_processor_type": "ViTImageProcessor", "size": 32})";

std::vector<fs::path> some_files(std::size_t count) {
  const char* names[] = {"progressive.jpg", "rgba-8.png",      "grey.jpg",    "orientation-6.jpg",
                         "cmyk.jpg",        "palette-4.png",   "grey-16.png", "baseline-420.jpg",
                         "exif-6.png",      "grey-alpha-8.png"};
  std::vector<fs::path> files;
  for (std::size_t i = 0; i < count; ++i) files.push_back(image_file(names[i % 10]));
  return files;
}

class ImageEncoderTest : public testing::Test {
 protected:
  void SetUp() override { copy_image_model("vit-model", directory_.path() / "vit", kSize32); }

  ImageEncoder encoder(EncoderOptions options = {}, ImageOptions images = {}) const {
    options.session.outputs = {"embedding"};
    return ImageEncoder(
        std::make_shared<const models::Package>(models::open_package(directory_.path() / "vit")),
        std::move(options), images);
  }

  struct Run {
    std::vector<std::size_t> indices, failed;
    std::vector<std::vector<float>> rows;
    std::vector<std::string> problems;
    ImageStats stats;
  };
  static Run run(ImageEncoder& encoder, const std::vector<fs::path>& files) {
    Run result;
    result.stats = encoder.run(
        files,
        [&](std::size_t i, Results results) {
          const auto row = results[0].row(0);
          result.indices.push_back(i);
          result.rows.emplace_back(row.begin(), row.end());
        },
        [&](std::size_t i, const Error& error) {
          result.failed.push_back(i);
          result.problems.emplace_back(error.what());
        });
    return result;
  }

  TemporaryDirectory directory_;
};

TEST_F(ImageEncoderTest, GivesWhatASessionGivesForTheSameImage) {
  ImageEncoder files = encoder();
  const Run got = run(files, {image_file("progressive.jpg")});
  ASSERT_EQ(got.rows.size(), 1U);

  // By hand: decode, resize, normalise to planes of floats.
  std::ifstream in(image_file("progressive.jpg"), std::ios::binary);
  const std::vector<std::uint8_t> bytes{std::istreambuf_iterator<char>(in), {}};
  image::RgbImage decoded;
  image::decode(bytes, "file", {}, decoded);
  image::Preprocessor::Workspace workspace;
  image::PreparedImage small;
  files.preprocessor().run(decoded, workspace, small);
  std::vector<float> planes(3 * 32 * 32);
  for (std::size_t c = 0; c < 3; ++c) {
    for (std::size_t i = 0; i < 32 * 32; ++i) {
      const float v = static_cast<float>(small.bytes.pixels[i * 3 + c] * 0.00392156862745098);
      planes[c * 32 * 32 + i] = (v - 0.5F) / 0.5F;
    }
  }
  const auto package = models::open_package(directory_.path() / "vit");
  const auto session = Session::create(
      Model::create(package.program, package.checkpoint, {.isa = {}, .outputs = {"embedding"}}),
      {.max_rows = 17, .max_sequences = 1, .threads = 1, .outputs = {"embedding"}});
  const Image image{.planes = planes.data(), .height = 32, .width = 32};
  session->run({.images = {&image, 1}});
  const auto expected = session->output("embedding").row(0);
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), got.rows[0].begin()));
}

// Values that no byte stands for go to the session as they are, whatever the sizes of the files.
TEST_F(ImageEncoderTest, GivesASessionTheFloatsOfDinov3sProcessor) {
  copy_image_model("dinov3-vit-model", directory_.path() / "dinov3",
                   R"({"image_processor_type": "DINOv3ViTImageProcessorFast",
                       "size": {"height": 24, "width": 37}})");
  const auto package =
      std::make_shared<const models::Package>(models::open_package(directory_.path() / "dinov3"));
  ImageEncoder files(package, {.session = {.threads = 2, .outputs = {"embedding"}}});
  const std::vector<fs::path> paths = some_files(10);
  const Run got = run(files, paths);
  ASSERT_EQ(got.rows.size(), paths.size());
  const auto session = Session::create(
      Model::create(package->program, package->checkpoint, {.isa = {}, .outputs = {"embedding"}}),
      {.max_rows = 1 + 4 + 3 * 4, .max_sequences = 1, .threads = 1, .outputs = {"embedding"}});
  for (std::size_t i = 0; i < paths.size(); ++i) {
    std::ifstream in(paths[i], std::ios::binary);
    const std::vector<std::uint8_t> bytes{std::istreambuf_iterator<char>(in), {}};
    image::RgbImage decoded;
    image::decode(bytes, "file", {}, decoded);
    std::vector<float> row, planes;
    image::resize_values(decoded, 37, 24, image::Filter::bilinear, row, planes);
    const float mean[] = {0.485F, 0.456F, 0.406F}, std[] = {0.229F, 0.224F, 0.225F};
    for (std::size_t p = 0; p < planes.size(); ++p) {
      const std::size_t c = p / (24 * 37);
      planes[p] = (planes[p] * (1 / 255.0F) - mean[c]) / std[c];
    }
    const Image image{.planes = planes.data(), .height = 24, .width = 37};
    session->run({.images = {&image, 1}});
    const auto expected = session->output("embedding").row(0);
    for (std::size_t n = 0; n < expected.size(); ++n) {
      EXPECT_NEAR(got.rows[i][n], expected[n], 1e-5) << paths[i] << " column " << n;
    }
  }
}

TEST_F(ImageEncoderTest, KeepsTheOrderAndTheBitsWhateverRunsBeside) {
  const std::vector<fs::path> files = some_files(37);
  ImageEncoder first = encoder({.session = {.threads = 1}}, {.loaders = 1});
  const Run expected = run(first, files);
  ASSERT_EQ(expected.rows.size(), 37U);
  for (std::size_t i = 0; i < 37; ++i) EXPECT_EQ(expected.indices[i], i);
  EXPECT_EQ(expected.rows[3], expected.rows[33]);
  EXPECT_NE(expected.rows[3], expected.rows[4]);
  for (const Index budget : {1, 40, 4096}) {
    for (const int loaders : {1, 2, 5}) {
      ImageEncoder other =
          encoder({.batch_tokens = budget, .session = {.threads = 2}}, {.loaders = loaders});
      const Run got = run(other, files);
      EXPECT_EQ(got.indices, expected.indices);
      EXPECT_EQ(got.rows, expected.rows) << budget << " rows, " << loaders << " loaders";
      EXPECT_EQ(got.stats.images, 37U);
    }
  }
}

TEST_F(ImageEncoderTest, FilesThatFailLeaveTheOthers) {
  std::vector<fs::path> files = some_files(9);
  ImageEncoder one = encoder();
  const Run whole = run(one, files);
  std::ofstream(directory_.path() / "empty.jpg");
  std::ofstream(directory_.path() / "text.png") << "no image";
  fs::create_symlink("nowhere", directory_.path() / "dangling.jpg");
  files[0] = directory_.path() / "empty.jpg";
  files[4] = directory_.path() / "missing.jpg";
  files[5] = directory_.path();
  files[6] = directory_.path() / "text.png";
  files[8] = directory_.path() / "dangling.jpg";
  const Run got = run(one, files);
  EXPECT_THAT(got.indices, ElementsAre(1, 2, 3, 7));
  EXPECT_THAT(got.failed, ElementsAre(0, 4, 5, 6, 8));
  EXPECT_EQ(got.rows[3], whole.rows[7]);
  EXPECT_EQ(got.stats.failed, 5U);
  EXPECT_THAT(got.problems[0], HasSubstr("empty.jpg: got an empty file"));
  EXPECT_THAT(got.problems[1], HasSubstr("missing.jpg: No such file"));
  EXPECT_THAT(got.problems[2], HasSubstr("is a directory, expected an image file"));
  EXPECT_THAT(got.problems[4], HasSubstr("dangling.jpg: No such file"));
  const Run none = run(one, {files[0], files[4]});
  EXPECT_EQ(none.rows.size(), 0U);
  EXPECT_EQ(none.failed.size(), 2U);
  EXPECT_EQ(run(one, {}).stats.images, 0U);
}

TEST_F(ImageEncoderTest, LimitsAreKeptPerFile) {
  ImageLimits limits;
  limits.decode.max_pixels = 100;
  ImageEncoder small = encoder({}, {.limits = limits});
  EXPECT_THAT(run(small, some_files(1)).problems.at(0), HasSubstr("expected at most 65500 on a "));
  limits = {};
  limits.file_bytes = 50;
  ImageEncoder few = encoder({}, {.limits = limits});
  EXPECT_THAT(run(few, some_files(1)).problems.at(0), HasSubstr("bytes, expected at most 50"));
}

TEST_F(ImageEncoderTest, ASinkThatThrowsEndsTheRun) {
  ImageEncoder one = encoder({.batch_tokens = 17}, {.loaders = 3});
  EXPECT_THROW(one.run(
                   some_files(30),
                   [](std::size_t i, Results) {
                     if (i == 5) throw std::runtime_error("full");
                   },
                   [](std::size_t, const Error&) {}),
               std::runtime_error);
  EXPECT_EQ(run(one, some_files(3)).rows.size(), 3U);
}

TEST_F(ImageEncoderTest, RefusesWhatTheModelCannotTake) {
  const auto problem = [&](const std::string& name, const std::string& settings) {
    try {
      copy_image_model(name, directory_.path() / (name + settings.substr(1, 6)), settings);
      ImageEncoder(std::make_shared<const models::Package>(
                       models::open_package(directory_.path() / (name + settings.substr(1, 6)))),
                   {.session = {.outputs = {"embedding"}}});
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::unsupported_model);
      return std::string(e.what());
    }
    return std::string("none");
  };
  EXPECT_THAT(problem("vit-model", R"({"size": 48})"),
              HasSubstr("preprocessor_config.json makes of images: image: size is 48 x 48"));
  EXPECT_THAT(problem("bert-model", "{\"x\": 123}"), HasSubstr("takes texts, expected a model of"));
}

TEST_F(ImageEncoderTest, OtherSizesOnAsking) {
  copy_image_model("vit-model", directory_.path() / "free",
                   R"({"image_processor_type": "ViTImageProcessor", "do_resize": false})");
  const auto package =
      std::make_shared<const models::Package>(models::open_package(directory_.path() / "free"));
  ImageEncoder any(package, {.session = {.outputs = {"last_hidden_state"}}},
                   {.interpolate_positions = true});
  std::vector<Index> rows;
  any.run(
      {std::vector{image_file("grey-8.png"), image_file("orientation-6.jpg")}},
      [&](std::size_t, Results results) { rows.push_back(results[0].rows); },
      [](std::size_t, const Error& e) { FAIL() << e.what(); });
  EXPECT_THAT(rows, ElementsAre(1 + 2 * 1, 1 + 1 * 2));  // 19 x 13 in patches of 8
  ImageEncoder native(package, {.session = {.outputs = {"embedding"}}});
  EXPECT_THAT(run(native, some_files(1)).problems.at(0), HasSubstr("interpolate"));
}

TEST(ImageLoaderTest, WorksThroughARingOfOneSlot) {
  const std::vector<fs::path> files = some_files(12);
  image::PreprocessorConfig config;
  config.size = image::Size{8, 8};
  const image::Preprocessor preprocessor(config);
  for (const int threads : {1, 4}) {
    const ImageFiles source(files, {});
    ImageLoader loader(source, preprocessor, ImageLimits{}.result_pixels, threads, 1);
    for (std::size_t i = 0; i < files.size(); ++i) {
      EXPECT_EQ(loader.at(i).image.width, 8) << i;
      EXPECT_FALSE(loader.is_ready(i + 1)) << "there is no slot for it";
      loader.release(i + 1);
    }
  }
  const ImageFiles source(files, {});
  const ImageLoader left(source, preprocessor, ImageLimits{}.result_pixels, 3,
                         4);  // ends with files that nobody asked for
}

}  // namespace
}  // namespace tessera::test
