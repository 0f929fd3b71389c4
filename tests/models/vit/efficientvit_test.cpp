// SPDX-License-Identifier: Apache-2.0
//
// What timm's config.json says of EfficientViT (MSRA), and what is refused by name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/image/preprocessor.hpp"
#include "tests/models/checkpoint_copy.hpp"

namespace tessera::test {
namespace {

using models::Package;
using testing::AllOf;
using testing::HasSubstr;

constexpr const char* kCase = "efficientvit-msra-imgcls";

std::string problem(const CheckpointCopy& copy) {
  return error_of([&] { (void)copy.open(); });
}

/// The model_args of the case, `key` with another value.
std::string with(const std::string& key, const std::string& value) {
  std::map<std::string, std::string> args{
      {"depth", "[1, 2, 1]"},      {"embed_dim", "[16, 24, 32]"}, {"img_size", "80"},
      {"kernels", "[5, 5, 5, 5]"}, {"key_dim", "[4, 4, 6]"},      {"num_heads", "[2, 3, 4]"},
      {"window_size", "[3, 3, 3]"}};
  args[key] = value;
  std::string text;
  for (const auto& [name, each] : args)
    text += (text.empty() ? "{\"" : ", \"") + name + "\": " + each;
  return text + "}";
}

TEST(EfficientVitTest, OutputsAndLabels) {
  CheckpointCopy copy(kCase);
  Package package = copy.open();
  EXPECT_EQ(package.architecture, "efficientvit_m0");
  EXPECT_EQ(package.task, models::Task::sequence_classification);
  EXPECT_EQ(package.layers, 4);
  EXPECT_EQ(package.hidden, 32);
  EXPECT_EQ(package.labels.size(), 10U);
  EXPECT_EQ(package.labels[3], "LABEL_3");
  for (const char* name : {"hidden_states.0", "hidden_states.3", "last_hidden_state",
                           "pooler_output", "logits", "embedding"}) {
    EXPECT_NE(package.program.find_output(name), kNone) << name;
  }
  copy.config["label_names"] = R"(["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"])";
  EXPECT_EQ(copy.open().labels[3], "d");
  copy.config["label_names"] = R"(["a"])";
  EXPECT_THAT(problem(copy), AllOf(HasSubstr("\"label_names\""), HasSubstr("expected 10 names")));
  package = CheckpointCopy("efficientvit-msra-model").open();
  EXPECT_EQ(package.task, models::Task::features);
  EXPECT_EQ(package.program.find_output("logits"), kNone);
}

// A variant's own sizes hold where model_args does not say otherwise: the first tensor that they want.
TEST(EfficientVitTest, VariantsHaveTheirPublishedSizes) {
  const char* const stem[] = {"(8,3,3,3)",  "(16,3,3,3)", "(16,3,3,3)",
                              "(16,3,3,3)", "(16,3,3,3)", "(24,3,3,3)"};
  for (int m = 0; m < 6; ++m) {
    CheckpointCopy copy(kCase);
    copy.config.erase("model_args");
    copy.config["pretrained_cfg"] = "{\"input_size\": [3, 224, 224]}";
    copy.config["architecture"] = "\"efficientvit_m" + std::to_string(m) + "\"";
    EXPECT_THAT(problem(copy),
                AllOf(HasSubstr("patch_embed.conv1.conv.weight"), HasSubstr(stem[m])));
  }
}

TEST(EfficientVitTest, WhatIsNotComputedIsRefusedByName) {
  const auto refused = [](const std::string& key, const std::string& value) {
    CheckpointCopy copy(kCase);
    copy.config["model_args"] = with(key, value);
    return problem(copy);
  };
  EXPECT_THAT(refused("depth", "[1, 2]"), HasSubstr("\"depth\" is [1,2], expected 3 numbers"));
  EXPECT_THAT(refused("embed_dim", "[16, 24, 32, 64]"), HasSubstr("\"embed_dim\""));
  EXPECT_THAT(refused("num_heads", "[2, 3]"), HasSubstr("\"num_heads\""));
  EXPECT_THAT(refused("window_size", "7"), HasSubstr("\"window_size\""));
  EXPECT_THAT(refused("key_dim", "[0, 4, 6]"), HasSubstr("\"key_dim\""));
  EXPECT_THAT(refused("key_dim", "[4, 4, 9]"),
              HasSubstr("at most embed_dim / num_heads, 8 in stage 2"));
  EXPECT_THAT(refused("kernels", "[5, 5, 5]"), HasSubstr("expected 4 numbers, one a head"));
  EXPECT_THAT(refused("kernels", "[5, 4, 5, 5]"), HasSubstr("odd numbers"));
  EXPECT_THAT(refused("kernels", "[3, 5, 5, 5]"), HasSubstr("dws.0.conv.weight"));
  EXPECT_THAT(refused("num_heads", "[3, 3, 4]"), HasSubstr("divisors of embed_dim, 16 in stage 0"));
  EXPECT_THAT(refused("img_size", "81"), HasSubstr("a multiple of 16"));
  EXPECT_THAT(refused("img_size", "96"), HasSubstr("\"input_size\""));
  EXPECT_THAT(refused("down_ops", "[[\"\"]]"), HasSubstr("\"down_ops\""));
  EXPECT_THAT(refused("global_pool", "\"max\""), HasSubstr("\"global_pool\""));
  CheckpointCopy copy(kCase);
  copy.config["num_classes"] = "0";
  EXPECT_THAT(problem(copy),
              HasSubstr("\"num_classes\" is 0, expected 1 or more: the checkpoint has a head"));
  copy.config["num_classes"] = "11";
  EXPECT_THAT(problem(copy), HasSubstr("head.linear.weight"));
  copy = CheckpointCopy(kCase);
  copy.config["global_pool"] = "\"token\"";
  EXPECT_THAT(problem(copy), HasSubstr("\"global_pool\" is \"token\""));
  for (const char* other : {"efficientvit_m6", "efficientvit_b0", "resnet50"}) {
    copy = CheckpointCopy(kCase);
    copy.config["architecture"] = std::string("\"") + other + "\"";
    EXPECT_THAT(problem(copy),
                AllOf(HasSubstr(other), HasSubstr("efficientvit_m0, efficientvit_m1")));
  }
  copy = CheckpointCopy(kCase);
  copy.tensors.erase("stages.1.blocks.0.mixer.m.attn.qkvs.1.bn.running_var");
  EXPECT_THAT(problem(copy), HasSubstr("qkvs.1.bn.running_var"));
}

// Every pair of cells of a window has a bias: 200 bytes of config.json could ask for a terabyte.
TEST(EfficientVitTest, AWindowIsRefusedBeforeThereAreItsPairs) {
  CheckpointCopy copy(kCase);
  copy.config["model_args"] =
      R"({"depth": [1, 2, 1], "embed_dim": [16, 24, 32], "img_size": 65536, "key_dim": [4, 4, 6],
          "num_heads": [2, 3, 4], "window_size": [3, 3, 3000]})";
  copy.config["pretrained_cfg"] = "{\"input_size\": [3, 65536, 65536]}";
  EXPECT_THAT(problem(copy), HasSubstr("at most 32: every pair of cells has a bias"));
}

TEST(EfficientVitTest, AnImageOfAnotherSizeIsRefused) {
  const Package package = CheckpointCopy(kCase).open();
  const auto model = Model::create(package.program, package.checkpoint, {});
  const auto session =
      Session::create(model, {.max_rows = 4000, .max_sequences = 1, .outputs = {}});
  const std::vector<float> planes(3 * 96 * 96, 0.5F);
  const std::vector<Image> images{{.planes = planes.data(), .height = 96, .width = 96}};
  EXPECT_THAT(error_of([&] { session->run({.images = images}); }),
              HasSubstr("size is 96 x 96 (height x width), expected 80 x 80"));
}

TEST(EfficientVitTest, ThePreprocessorIsThatOfPretrainedCfg) {
  const auto read = [](const std::string& trained) {
    const TemporaryDirectory directory;
    std::ofstream(directory.path() / "config.json")
        << R"({"architecture": "efficientvit_m0", "pretrained_cfg": )" << trained << "}";
    return image::read_preprocessor_config(directory.path(), "efficientvit_msra");
  };
  const image::PreprocessorConfig config =
      read(R"({"input_size": [3, 80, 80], "crop_pct": 0.9, "interpolation": "bilinear",
               "mean": [0.1, 0.2, 0.3], "std": [1, 2, 3], "crop_mode": "center"})");
  EXPECT_EQ(config.shortest_edge, 88);  // floor(80 / 0.9)
  EXPECT_FALSE(config.size.has_value());
  EXPECT_EQ(config.crop->height, 80);
  EXPECT_EQ(config.filter, image::Filter::bilinear);
  EXPECT_EQ(config.mean[1], 0.2);
  EXPECT_EQ(config.std[2], 3.0);
  EXPECT_EQ(read("{}").shortest_edge, 256);
  EXPECT_EQ(read("{}").filter, image::Filter::bicubic);
  EXPECT_EQ(read("{}").mean[0], 0.485);
  const auto refused = [&](const std::string& trained) {
    return error_of([&] { (void)read(trained); });
  };
  EXPECT_THAT(refused(R"({"crop_mode": "squash"})"), HasSubstr("crop_mode is \"squash\""));
  EXPECT_THAT(refused(R"({"crop_pct": 1.5})"), HasSubstr("crop_pct"));
  EXPECT_THAT(refused(R"({"crop_pct": 0})"), HasSubstr("crop_pct"));
  EXPECT_THAT(refused(R"({"crop_pct": 1e-9})"), HasSubstr("crop_pct"));
  EXPECT_THAT(refused(R"({"interpolation": "random"})"), HasSubstr("interpolation is \"random\""));
  EXPECT_THAT(refused(R"({"input_size": [1, 80, 80]})"), HasSubstr("input_size"));
  EXPECT_THAT(refused(R"({"input_size": [3, 80, 96]})"), HasSubstr("a square"));
  EXPECT_THAT(refused(R"({"std": [1, 0, 1]})"), HasSubstr("numbers other than 0"));
}

// torchvision's CenterCrop: round((size - crop) / 2), half to even.
TEST(EfficientVitTest, TheCropRoundsToEven) {
  image::PreprocessorConfig config;
  config.does_resize = false;
  config.does_rescale = config.does_normalize = false;
  config.crop = image::Size{.height = 1, .width = 4};
  config.crop_rounds = true;
  for (const Index width : {4, 5, 6, 7, 8, 9, 10, 11}) {
    image::RgbImage in;
    image::PreparedImage out;
    in.resize(width, 1);
    for (Index x = 0; x < width; ++x) in.row(0)[3 * x] = static_cast<std::uint8_t>(x);
    image::Preprocessor::Workspace workspace;
    image::Preprocessor(config).run(in, workspace, out);
    const double half = static_cast<double>(width - 4) / 2;
    EXPECT_EQ(out.bytes.row(0)[0], static_cast<std::uint8_t>(std::nearbyint(half))) << width;
  }
}

}  // namespace
}  // namespace tessera::test
