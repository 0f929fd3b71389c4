// SPDX-License-Identifier: Apache-2.0
#include "models/image/preprocessor.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <simdjson.h>

#include <cmath>

#include "runtime/base/error.hpp"
#include "tests/models/image/vectors.hpp"
#include "tests/support/temporary.hpp"

namespace tessera::image::test {
namespace {

using tessera::test::TemporaryDirectory;
using testing::HasSubstr;

PreprocessorConfig config_of(const std::string& json, const std::string& model_type = "vit") {
  const TemporaryDirectory directory;
  std::ofstream(directory.path() / "preprocessor_config.json") << json;
  return read_preprocessor_config(directory.path(), model_type);
}

std::string problem_of(const std::string& json, ErrorCode code, const std::string& type = "vit") {
  try {
    config_of(json, type);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), code) << e.what();
    EXPECT_THAT(e.what(), HasSubstr("preprocessor_config.json: "));
    EXPECT_THAT(e.what(), HasSubstr("expected"));
    return e.what();
  }
  return "none";
}

RgbImage gradient(Index width, Index height) {
  RgbImage image;
  image.resize(width, height);
  for (Index y = 0; y < height; ++y) {
    for (Index x = 0; x < width; ++x) {
      image.row(y)[x * 3] = static_cast<std::uint8_t>(x + 1);
      image.row(y)[x * 3 + 1] = static_cast<std::uint8_t>(y + 1);
      image.row(y)[x * 3 + 2] = 7;
    }
  }
  return image;
}

RgbImage processed(const PreprocessorConfig& config, const RgbImage& in) {
  Preprocessor::Workspace workspace;
  PreparedImage out;
  const Preprocessor preprocessor(config);
  preprocessor.run(in, workspace, out);
  const Size size = preprocessor.result_size({in.height, in.width});
  EXPECT_EQ(out.width, size.width);
  EXPECT_EQ(out.height, size.height);
  return std::move(out.bytes);
}

TEST(PreprocessorTest, GivesTheSharedVectors) {
  const fs::path shared = fs::path(TESSERA_SHARED_DIR) / "images";
  if (!fs::exists(shared / "pre/processors.json")) GTEST_SKIP() << "no shared/images";
  simdjson::dom::parser parser;
  simdjson::dom::object processors;
  ASSERT_EQ(parser.load((shared / "pre/processors.json").string()).get(processors),
            simdjson::SUCCESS);
  int count = 0;
  Index unequal = 0, pixels = 0;
  for (const auto& [name, settings] : processors) {
    const PreprocessorConfig config = config_of(simdjson::minify(settings));
    for (const fs::path& photo : files_in(shared / "photos")) {
      const fs::path expected =
          shared / "pre" / fmt::format("{}.{}.png", photo.stem().string(), name);
      if (!fs::exists(expected)) continue;
      const Difference d = difference(processed(config, decoded(photo)), decoded(expected));
      EXPECT_LE(d.largest, 1) << expected;
      EXPECT_EQ(d.unequal, 0) << expected << ": of " << d.pixels << " pixels";
      unequal += d.unequal, pixels += d.pixels, ++count;
    }
  }
  EXPECT_GE(count, 13);
  RecordProperty("vectors", count);
  fmt::print("shared/images: {} vectors, {} of {} pixels unequal\n", count, unequal, pixels);
}

TEST(PreprocessorTest, ValuesAreTheReferencesFloats) {
  // numpy: (float32(float64(v) * scale) - float32(mean)) / float32(std)
  const Preprocessor clip(config_of(R"({"image_processor_type": "CLIPImageProcessor"})"));
  EXPECT_EQ(clip.values().size(), 768U);
  const auto value = [&](std::size_t c, int v) {
    const double mean[] = {0.48145466, 0.4578275, 0.40821073},
                 std[] = {0.26862954, 0.26130258, 0.27577711};
    const auto scaled = static_cast<float>(v * 0.00392156862745098);
    return (scaled - static_cast<float>(mean[c])) / static_cast<float>(std[c]);
  };
  for (std::size_t c = 0; c < 3; ++c) {
    for (int v = 0; v < 256; ++v) {
      EXPECT_EQ(clip.values()[c * 256 + static_cast<std::size_t>(v)], value(c, v));
    }
  }
  EXPECT_EQ(clip.values()[0], -1.79226255F);          // printed by NumPy 1.24
  EXPECT_EQ(clip.values()[256 + 128], 0.168897316F);  // likewise
  EXPECT_EQ(clip.values()[2 * 256 + 255], 2.14589691F);
  const Preprocessor raw(config_of(R"({"do_rescale": false, "do_normalize": false})"));
  EXPECT_EQ(raw.values()[256 + 200], 200.0F);
}

TEST(PreprocessorTest, ClassesHaveTheirDefaults) {
  const PreprocessorConfig vit = config_of(R"({"image_processor_type": "ViTImageProcessor"})");
  EXPECT_EQ(vit.size->height, 224);
  EXPECT_EQ(vit.filter, Filter::bilinear);
  EXPECT_FALSE(vit.crop);
  const PreprocessorConfig deit = config_of("{}", "deit");
  EXPECT_EQ(deit.class_name, "DeiTImageProcessor");
  EXPECT_EQ(deit.size->width, 256);
  EXPECT_EQ(deit.crop->width, 224);
  EXPECT_EQ(deit.filter, Filter::bicubic);
  const PreprocessorConfig clip = config_of("{}", "clip");
  EXPECT_EQ(*clip.shortest_edge, 224);
  EXPECT_EQ(clip.crop->height, 224);
  EXPECT_EQ(clip.mean[2], 0.40821073);
  const PreprocessorConfig siglip = config_of("{}", "siglip");
  EXPECT_EQ(siglip.size->height, 224);
  EXPECT_FALSE(siglip.crop);
  EXPECT_EQ(siglip.filter, Filter::bicubic);
  EXPECT_EQ(config_of("{}", "dinov2").class_name, "BitImageProcessor");
  EXPECT_EQ(config_of("{}", "beit").crop->height, 224);
}

/// Element (y, x) of channel c of `in` resized to (width, height) by torch's interpolate(antialias=True),
/// in double: each output takes inputs by k((i + ½ − (o + ½)·s)/max(s, 1)), divided by their sum.
double interpolated(const RgbImage& in, Index width, Index height, Filter filter, Index c, Index y,
                    Index x) {
  const auto kernel = [&](double t) {
    t = std::abs(t);
    if (filter == Filter::bilinear) return std::max(0.0, 1.0 - t);
    if (t < 1) return 1.5 * t * t * t - 2.5 * t * t + 1;
    return t < 2 ? -0.5 * t * t * t + 2.5 * t * t - 4 * t + 2 : 0.0;
  };
  const auto weights = [&](Index from, Index to, Index o) {
    const double s = static_cast<double>(from) / static_cast<double>(to);
    std::vector<double> w;
    double sum = 0;
    for (Index i = 0; i < from; ++i) {
      w.push_back(kernel((static_cast<double>(i) + 0.5 - (static_cast<double>(o) + 0.5) * s) /
                         std::max(s, 1.0)));
      sum += w.back();
    }
    for (double& each : w) each /= sum;
    return w;
  };
  const std::vector<double> wx = weights(in.width, width, x), wy = weights(in.height, height, y);
  double sum = 0;
  for (Index i = 0; i < in.height; ++i) {
    for (Index j = 0; j < in.width; ++j) {
      sum += wy[static_cast<std::size_t>(i)] * wx[static_cast<std::size_t>(j)] *
             static_cast<double>(in.row(i)[j * kChannels + c]);
    }
  }
  return sum;
}

// DINOv3's processor rescales, then resizes floats, then normalises: nothing is rounded to bytes.
TEST(PreprocessorTest, Dinov3ResizesWithoutRounding) {
  const std::string published =
      R"("crop_size": null, "do_center_crop": null, "do_convert_rgb": null,
      "default_to_square": true, "data_format": "channels_first", "device": null, "do_normalize": true,
      "do_rescale": true, "do_resize": true, "image_mean": [0.485, 0.456, 0.406],
      "image_processor_type": "DINOv3ViTImageProcessorFast", "image_std": [0.229, 0.224, 0.225],
      "input_data_format": null, "rescale_factor": 0.00392156862745098, "return_tensors": null)";
  RgbImage in;
  in.resize(37, 29);
  std::uint32_t state = 5;
  for (std::uint8_t& byte : in.pixels) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<std::uint8_t>(state >> 24);
  }
  constexpr double kMean[] = {0.485, 0.456, 0.406}, kStd[] = {0.229, 0.224, 0.225};
  for (const Filter filter : {Filter::bilinear, Filter::bicubic}) {
    for (const auto& [width, height] : {std::pair<Index, Index>{12, 16}, {37, 11}, {50, 29}}) {
      const PreprocessorConfig config =
          config_of(fmt::format(R"({{{}, "resample": {}, "size": {{"height": {}, "width": {}}}}})",
                                published, static_cast<int>(filter), height, width));
      EXPECT_TRUE(config.keeps_fractions);
      const Preprocessor preprocessor(config);
      Preprocessor::Workspace workspace;
      PreparedImage out;
      preprocessor.run(in, workspace, out);
      const Image view = preprocessor.view(out);
      ASSERT_EQ(view.height, height);
      ASSERT_EQ(view.width, width);
      double worst = 0;
      for (Index c = 0; c < 3; ++c) {
        for (Index y = 0; y < height; ++y) {
          for (Index x = 0; x < width; ++x) {
            const double part = interpolated(in, width, height, filter, c, y, x) / 255;
            const auto got = static_cast<double>(view.planes[(c * height + y) * width + x]);
            worst = std::max(worst, std::abs(got - (part - kMean[c]) / kStd[c]));
          }
        }
      }
      // Weights of 22 bits, at most 4·37/12 along an axis; f32 sums; divided by std.
      EXPECT_LE(worst, 5e-6) << width << " x " << height;
    }
  }
}

TEST(PreprocessorTest, Dinov3sBytesStayBytesWhereNothingIsResizedAsFloats) {
  EXPECT_EQ(config_of("{}", "dinov3_vit").class_name, "DINOv3ViTImageProcessor");
  const PreprocessorConfig defaults = config_of("{}", "dinov3_vit");
  EXPECT_TRUE(defaults.keeps_fractions);
  EXPECT_EQ(defaults.size->height, 224);
  EXPECT_EQ(defaults.filter, Filter::bilinear);
  EXPECT_FALSE(defaults.crop);
  EXPECT_EQ(defaults.mean[0], 0.485);
  EXPECT_EQ(defaults.std[2], 0.225);
  // torchvision resizes uint8 images to uint8: before the rescaling that is left out.
  EXPECT_FALSE(config_of(R"({"do_rescale": false})", "dinov3_vit").keeps_fractions);
  EXPECT_FALSE(config_of(R"({"do_resize": false})", "dinov3_vit").keeps_fractions);
  EXPECT_FALSE(config_of("{}", "dinov2").keeps_fractions);
  for (const int filter : {0, 1, 4, 5}) {
    EXPECT_THAT(
        problem_of(fmt::format(R"({{"resample": {}}})", filter), ErrorCode::unsupported_model,
                   "dinov3_vit"),
        HasSubstr(fmt::format(
            "resample is {}, which this version does not compute, expected 2 or 3", filter)));
  }
  EXPECT_THAT(
      problem_of(R"({"image_processor_type": "DINOv3ViTImageProcessorFast",
                             "do_center_crop": true, "crop_size": 32})",
                 ErrorCode::unsupported_model),
      HasSubstr(
          "do_center_crop is true, which this version does not compute, expected false or null"));
  EXPECT_THAT(problem_of(R"({"image_processor_type": "DINOv3ViTImageProcessorPil"})",
                         ErrorCode::unsupported_model),
              HasSubstr("DINOv3ViTImageProcessorPil"));
}

TEST(PreprocessorTest, OldAndNewSpellingsMeanTheSame) {
  // google/vit-base-patch16-224, openai/clip-vit-base-patch32, facebook/dinov2-small
  const PreprocessorConfig old_vit = config_of(
      R"({"do_normalize": true, "do_resize": true, "image_mean": [0.5, 0.5, 0.5],
          "image_std": [0.5, 0.5, 0.5], "size": 224, "feature_extractor_type": "ViTFeatureExtractor"})");
  EXPECT_EQ(old_vit.size->height, 224);
  const PreprocessorConfig old_clip = config_of(
      R"({"crop_size": 224, "do_center_crop": true, "feature_extractor_type":
          "CLIPFeatureExtractor", "image_mean": [0.48145466, 0.4578275, 0.40821073], "resample": 3,
          "size": 224})");
  EXPECT_EQ(*old_clip.shortest_edge, 224);
  EXPECT_EQ(old_clip.crop->width, 224);
  const PreprocessorConfig dinov2 = config_of(
      R"({"crop_size": {"height": 224, "width": 224}, "do_center_crop": true, "do_convert_rgb": true,
          "image_mean": [0.485, 0.456, 0.406], "image_processor_type": "BitImageProcessor",
          "image_std": [0.229, 0.224, 0.225], "resample": 3, "size": {"shortest_edge": 256}})");
  EXPECT_EQ(*dinov2.shortest_edge, 256);
  EXPECT_EQ(dinov2.std[1], 0.224);
  EXPECT_EQ(config_of(R"({"image_processor_type": "ViTImageProcessorFast", "size": [32, 48],
                          "image_std": 0.25})")
                .size->width,
            48);
}

TEST(PreprocessorTest, WhatItDoesNotComputeIsRefusedByName) {
  const auto refused = [](const std::string& json) {
    return problem_of(json, ErrorCode::unsupported_model);
  };
  EXPECT_THAT(refused(R"({"image_processor_type": "DetrImageProcessor"})"),
              HasSubstr("image_processor_type is \"DetrImageProcessor\""));
  EXPECT_THAT(refused(R"({"size": {"longest_edge": 333}})"), HasSubstr("size is {\"longest_edge"));
  EXPECT_THAT(refused(R"({"size": {"shortest_edge": 30, "longest_edge": 333}})"),
              HasSubstr("size is"));
  EXPECT_THAT(refused(R"({"do_pad": true})"), HasSubstr("do_pad is true"));
  EXPECT_THAT(refused(R"({"image_processor_type": "ViTImageProcessor",
                          "auto_map": {"AutoImageProcessor": "processing_x.X"}})"),
              HasSubstr("auto_map.AutoImageProcessor is \"processing_x.X\""));
  EXPECT_THAT(refused(R"({"do_center_crop": true, "crop_size": 3})"), HasSubstr("do_center_crop"));
  EXPECT_THAT(problem_of("{}", ErrorCode::unsupported_model, "bert"),
              HasSubstr("model_type \"bert\""));
  const auto corrupt = [](const std::string& json) {
    return problem_of(json, ErrorCode::corrupt_file);
  };
  EXPECT_THAT(corrupt(R"({"size": 0})"), HasSubstr("size is 0, expected a number of pixels"));
  EXPECT_THAT(corrupt(R"({"size": "224"})"), HasSubstr("size is a string"));
  EXPECT_THAT(corrupt(R"({"resample": 6})"), HasSubstr("resample"));
  EXPECT_THAT(corrupt(R"({"image_mean": [0.5]})"), HasSubstr("image_mean is an array, expected 3"));
  EXPECT_THAT(corrupt(R"({"image_std": [1, 0, 1]})"), HasSubstr("image_std"));
  EXPECT_THAT(corrupt(R"({"do_resize": 1})"), HasSubstr("do_resize"));
  EXPECT_THAT(corrupt("[1]"), HasSubstr("is an array"));
  EXPECT_THAT(corrupt("{"), HasSubstr("not valid JSON"));
  const TemporaryDirectory empty;
  try {
    read_preprocessor_config(empty.path(), "vit");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::not_found);
  }
}

TEST(PreprocessorTest, SettingsInsideProcessorConfigCount) {
  const TemporaryDirectory directory;
  std::ofstream(directory.path() / "processor_config.json")
      << R"({"processor_class": "CLIPProcessor",
             "image_processor": {"image_processor_type": "CLIPImageProcessorFast", "size": 12}})";
  EXPECT_EQ(*read_preprocessor_config(directory.path(), "clip").shortest_edge, 12);
}

// transformers 4.57 center_crop(): ⌊(size − crop)/2⌋, zeros where the image is smaller
TEST(PreprocessorTest, CropsTheMiddleAndFillsWithZeros) {
  PreprocessorConfig config;
  config.does_resize = false;
  config.crop = Size{4, 3};
  const RgbImage cut = processed(config, gradient(8, 7));
  EXPECT_EQ(cut.row(0)[0], 2 + 1);  // (8 − 3)/2
  EXPECT_EQ(cut.row(0)[1], 1 + 1);  // (7 − 4)/2
  config.crop = Size{6, 9};
  const RgbImage padded = processed(config, gradient(4, 11));  // 5 columns short: 3 left, 2 right
  EXPECT_EQ(padded.row(0)[2 * 3 + 2], 0);
  EXPECT_EQ(padded.row(0)[3 * 3], 1);
  EXPECT_EQ(padded.row(0)[3 * 3 + 1], 2 + 1);
  EXPECT_EQ(padded.row(5)[6 * 3], 4);
  EXPECT_EQ(padded.row(5)[7 * 3 + 2], 0);
}

TEST(PreprocessorTest, TheShortestEdgeRoundsTheOtherDown) {
  PreprocessorConfig config;
  config.shortest_edge = 10;
  const auto size = [&](Index width, Index height) {
    const Size result = Preprocessor(config).result_size({height, width});
    return std::pair(result.width, result.height);
  };
  EXPECT_EQ(size(640, 427), std::pair(Index{14}, Index{10}));  // 14.988
  EXPECT_EQ(size(427, 640), std::pair(Index{10}, Index{14}));
  EXPECT_EQ(size(3, 3), std::pair(Index{10}, Index{10}));
  // A strip would become 10 x 500,000; what a crop leaves of it is all that is computed.
  const RgbImage strip = gradient(50000, 1);
  Preprocessor::Workspace workspace;
  PreparedImage out;
  EXPECT_THROW(Preprocessor(config).run(strip, workspace, out, 1000000), Error);
  config.crop = Size{10, 10};
  EXPECT_EQ(processed(config, strip).width, 10);
}

}  // namespace
}  // namespace tessera::image::test
