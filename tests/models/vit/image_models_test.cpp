// SPDX-License-Identifier: Apache-2.0
//
// What config.json says of image models, and what is refused by name: sizes, grids, towers, heads
// that no golden case has.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/models/checkpoint_copy.hpp"

namespace tessera::test {
namespace {

using models::Package;
using models::Tower;
using testing::HasSubstr;

/// The outputs of one image of the native size, of values that depend on the place.
std::map<std::string, std::vector<float>> run(const Package& package) {
  const ImageSpec& spec = *package.program.images();
  std::vector<float> planes(static_cast<std::size_t>(spec.channels * spec.height * spec.width));
  Random random{3};
  for (float& value : planes) value = random.normal();
  const std::vector<Image> images{
      {.planes = planes.data(), .height = spec.height, .width = spec.width}};
  const auto model = Model::create(package.program, package.checkpoint, {});
  const auto session =
      Session::create(model, {.max_rows = spec.native_rows(), .max_sequences = 1, .outputs = {}});
  session->run({.images = images});
  std::map<std::string, std::vector<float>> results;
  for (const Output& output : package.program.outputs) {
    const TensorView<const float> view = session->output(output.name);
    for (Index i = 0; i < view.rows; ++i) {
      results[output.name].insert(results[output.name].end(), view.row(i).begin(),
                                  view.row(i).end());
    }
  }
  return results;
}

void refused(const CheckpointCopy& copy, ErrorCode code, const char* what) {
  try {
    (void)copy.open();
    ADD_FAILURE() << "opened, expected " << what;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(what));
  }
}

TEST(ImageModelsTest, SizesThatDoNotFitAreRefusedByTheirKey) {
  for (const char* value : {"0", "-8", "\"32\"", "[32]", "[32, 0]", "[32, 32, 32]", "1e9", "4"}) {
    CheckpointCopy copy("vit-model");
    copy.config["image_size"] = value;
    EXPECT_THROW(copy.open(), Error) << value;
  }
  CheckpointCopy copy("vit-model");
  copy.config["patch_size"] = "33";
  refused(copy, ErrorCode::corrupt_file, "\"patch_size\" is 33, expected at most");
  copy.config["patch_size"] = "4";
  refused(copy, ErrorCode::corrupt_file, "position_embeddings");
  copy = CheckpointCopy("vit-model");
  copy.config["image_size"] = "40";
  refused(copy, ErrorCode::corrupt_file, "position_embeddings");
  copy = CheckpointCopy("vit-model");
  copy.config["num_channels"] = "1";
  refused(copy, ErrorCode::corrupt_file, "num_channels=1");
  copy = CheckpointCopy("vit-model");
  copy.config["quantization_config"] = "{\"bits\": 8}";
  refused(copy, ErrorCode::unsupported_model, "quantization_config");
  CheckpointCopy clip("clip-full");
  clip.config["quantization_config"] = "{\"bits\": 8}";
  refused(clip, ErrorCode::unsupported_model, "quantization_config");
}

TEST(ImageModelsTest, ANativeGridThatIsNoSquareTakesThatSizeAlone) {
  CheckpointCopy copy("vit-model");  // 4 x 4 patches as 2 x 8
  copy.config["image_size"] = "[16, 64]";
  const Package package = copy.open();
  EXPECT_EQ(package.program.images()->sizes, ImageSizes::native);
  EXPECT_EQ(package.program.images()->native_rows(), 17);
  EXPECT_EQ(run(package).at("last_hidden_state").size(), 17U * 48U);
  CheckpointCopy dino("dinov2-imgcls");
  dino.config["image_size"] = "[16, 64]";
  refused(dino, ErrorCode::unsupported_model, "image_size");
}

TEST(ImageModelsTest, Dinov3sHeadsTurnByRowsAndColumns) {
  CheckpointCopy copy("dinov3-vit-model");  // 3 heads of 16 columns
  copy.config["num_attention_heads"] = "5";
  refused(copy, ErrorCode::corrupt_file,
          "\"num_attention_heads\" is 5, expected a divisor of hidden_size=48");
  copy.config["num_attention_heads"] = "8";
  refused(copy, ErrorCode::corrupt_file,
          "\"num_attention_heads\" is 8, expected a number by which hidden_size=48 has heads of a "
          "multiple of 4 columns, got 6");
  copy.config["num_attention_heads"] = "3";
  copy.config["rope_theta"] = "0";
  refused(copy, ErrorCode::corrupt_file, "\"rope_theta\" is 0, expected a number above 0");
  copy.config["rope_theta"] = "100.0";
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    copy.config[key] = R"({"rope_type": "yarn", "factor": 2.0})";
    refused(copy, ErrorCode::unsupported_model,
            "\"rope_type\" is \"yarn\", which this version does not compute, expected");
    copy.config[key] = "null";
  }
  copy.config["position_embedding_type"] = "\"relative_key\"";
  refused(copy, ErrorCode::unsupported_model, "position_embedding_type");
  copy.config.erase("position_embedding_type");
  copy.config["image_size"] = "7";
  refused(copy, ErrorCode::corrupt_file, "\"patch_size\" is 8, expected at most the image size 7");
  copy.config["image_size"] = "32";
  copy.config["num_register_tokens"] = "3";
  refused(copy, ErrorCode::corrupt_file, "register_tokens");
  copy.config["num_register_tokens"] = "4";
  copy.config["key_bias"] = "true";
  refused(copy, ErrorCode::not_found, "attention.k_proj.bias");
  copy.config["key_bias"] = "false";
  const auto expected = run(copy.open());
  copy.config["rope_parameters"] = R"({"rope_theta": 100.0, "rope_type": "default"})";
  EXPECT_EQ(run(copy.open()), expected);
  copy.config["rope_parameters"] = R"({"rope_theta": 7.0})";
  EXPECT_NE(run(copy.open()), expected);
  copy.config.erase("rope_parameters");
  for (const char* key : {"pos_embed_shift", "pos_embed_jitter", "pos_embed_rescale"}) {
    copy.config[key] = "3.0";  // of training
  }
  EXPECT_EQ(run(copy.open()), expected);
}

TEST(ImageModelsTest, Dinov3TakesImagesOfOnePatchAtLeast) {
  const Package package = CheckpointCopy("dinov3-vit-model").open();
  const ImageSpec& spec = *package.program.images();
  EXPECT_EQ(image_rows(spec, 8, 8), 1 + 4 + 1);
  EXPECT_EQ(image_rows(spec, 37, 29), 1 + 4 + 4 * 3);
  for (const auto& [height, width] : {std::pair<Index, Index>{7, 32}, {32, 7}}) {
    try {
      (void)image_rows(spec, height, width);
      ADD_FAILURE() << height << " x " << width;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
      EXPECT_THAT(error.what(), HasSubstr("expected at least one patch of 8 x 8"));
    }
  }
}

// As a checkpoint of a head has its tensors, and one of transformers 5 its layers.
TEST(ImageModelsTest, Dinov3sTensorsMayLieDeeper) {
  const CheckpointCopy copy("dinov3-vit-model");
  const auto expected = run(CheckpointCopy(copy).open());
  for (const bool has_prefix : {false, true}) {
    for (const bool is_deeper : {false, true}) {
      CheckpointCopy other = copy;
      other.tensors.clear();
      for (const auto& [name, tensor] : copy.tensors) {
        const std::string inner = is_deeper && name.starts_with("layer.") ? "model." + name : name;
        other.tensors[(has_prefix ? "dinov3_vit." : "") + inner] = tensor;
      }
      EXPECT_EQ(run(other.open()), expected) << has_prefix << is_deeper;
    }
  }
}

TEST(ImageModelsTest, BiasesOfQkvMayBeMissing) {
  CheckpointCopy copy("vit-model");
  CheckpointCopy zeros = copy;
  copy.config["qkv_bias"] = "false";
  for (auto& [name, tensor] : zeros.tensors) {
    for (const char* part : {"query.bias", "key.bias", "value.bias"}) {
      if (!name.ends_with(part)) continue;
      std::fill(tensor.data.begin(), tensor.data.end(), 0.0F);
      copy.tensors.erase(name);
    }
  }
  const auto without = run(copy.open()).at("last_hidden_state"),
             with_zeros = run(zeros.open()).at("last_hidden_state");
  ASSERT_EQ(without.size(), with_zeros.size());
  for (std::size_t i = 0; i < without.size(); ++i) EXPECT_EQ(without[i], with_zeros[i]) << i;
}

TEST(ImageModelsTest, BeitBiasesAreOfOneKind) {
  CheckpointCopy copy("beit-model");
  const auto of_layers = run(copy.open());
  copy.config["use_shared_relative_position_bias"] = "true";
  refused(copy, ErrorCode::unsupported_model, "use_shared_relative_position_bias");
  const std::string table = "relative_position_bias.relative_position_bias_table";
  const std::string layer = "encoder.layer.0.attention.attention." + table;
  copy.tensors["encoder.layer.1.attention.attention." + table] = copy.tensors.at(layer);
  CheckpointCopy same = copy;
  same.config["use_shared_relative_position_bias"] = "false";
  copy.config["use_relative_position_bias"] = "false";
  copy.tensors["encoder." + table] = copy.tensors.at(layer);
  EXPECT_EQ(run(copy.open()), run(same.open()));
  EXPECT_NE(run(copy.open()), of_layers);
}

// The index of all pairs of rows takes memory with the fourth power of a side: 200 bytes of config.json
// could ask for a terabyte.
TEST(ImageModelsTest, AnImageSizeIsRefusedBeforeThereAreItsPairs) {
  CheckpointCopy copy("beit-model");
  const auto patch = std::stol(copy.config.at("patch_size"));
  for (const long patches : {65L, 1000L, 65536L / patch}) {
    copy.config["image_size"] = std::to_string(patches * patch);
    refused(copy, ErrorCode::corrupt_file, "relative_position_bias_table");
  }
  copy.config["image_size"] = std::to_string(65 * patch);  // and tables that do not lie
  const std::int64_t heads = std::stol(copy.config.at("num_attention_heads"));
  for (const char* layer : {"0", "1"}) {
    copy.add("encoder.layer." + std::string(layer) +
                 ".attention.attention.relative_position_bias.relative_position_bias_table",
             {129 * 129 + 3, heads});
  }
  refused(copy, ErrorCode::unsupported_model, "expected at most 4095 patches and a class token");
}

TEST(ImageModelsTest, TheOtherTowerOfAClassOfOneIsRefused) {
  const auto open = [](const char* name, Tower tower, const char* architecture) {
    return models::open_package(
        std::filesystem::path(TESSERA_SOURCE_DIR) / "tests/golden/data" / name,
        {.tower = tower, .architecture = architecture});
  };
  EXPECT_THROW(open("clip-vision-proj", Tower::text, ""), Error);
  EXPECT_THROW(open("clip-text-proj", Tower::image, ""), Error);
  EXPECT_EQ(open("clip-full", Tower::automatic, "").program.images()->channels, 3);
  EXPECT_NE(open("clip-full", Tower::text, "").program.tokens(), nullptr);
  EXPECT_EQ(open("clip-full", Tower::text, "").max_tokens, 16);
  // One tower of a directory of two, by its class: no comparison, no normalisation.
  const Package vision = open("clip-full", Tower::automatic, "CLIPVisionModelWithProjection");
  EXPECT_FALSE(vision.similarity.has_value());
  EXPECT_FALSE(vision.embedding_is_normalized);
  EXPECT_NE(vision.program.find_output("image_embeds"), kNone);
  EXPECT_TRUE(open("siglip-full", Tower::text, "").similarity->is_sigmoid);
}

TEST(ImageModelsTest, SimilaritiesAreChecked) {
  const std::vector<float> image{1, 0}, texts{0.5F, 0.5F, 0, 1};
  const TensorView<const float> i{.data = image.data(), .rows = 1, .cols = 2, .stride = 2},
      t{.data = texts.data(), .rows = 2, .cols = 2, .stride = 2};
  std::vector<float> logits(2);
  models::logits_per_image({.logit_scale = 0.0F, .logit_bias = -1.0F}, i, t, logits);
  EXPECT_THAT(logits, testing::ElementsAre(-0.5F, -1.0F));
  logits.resize(3);
  EXPECT_THROW(models::logits_per_image({}, i, t, logits), Error);
}

TEST(ImageModelsTest, SiglipClassifiesTheMeanOfItsPatches) {
  CheckpointCopy copy("siglip-full");
  copy.config["architectures"] = "[\"SiglipForImageClassification\"]";
  copy.config["id2label"] = R"({"0": "a", "1": "b", "2": "c"})";
  copy.tensors["classifier.weight"] = random_tensor({3, 32}, 1);
  copy.tensors["classifier.bias"] = random_tensor({3}, 2);
  const auto results = run(copy.open());
  const std::vector<float>& x = results.at("last_hidden_state");
  const Tensor &weight = copy.tensors.at("classifier.weight"),
               &bias = copy.tensors.at("classifier.bias");
  for (Index l = 0; l < 3; ++l) {
    double logit = static_cast<double>(bias.data[static_cast<std::size_t>(l)]);
    for (Index n = 0; n < 32; ++n) {
      double mean = 0;
      for (Index r = 0; r < 9; ++r)
        mean += static_cast<double>(x[static_cast<std::size_t>(r * 32 + n)]) / 9;
      logit += mean * static_cast<double>(weight.at(l, n));
    }
    EXPECT_NEAR(static_cast<double>(results.at("logits")[static_cast<std::size_t>(l)]), logit,
                1e-5);
  }
}

}  // namespace
}  // namespace tessera::test
