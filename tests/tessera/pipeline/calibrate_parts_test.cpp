// SPDX-License-Identifier: Apache-2.0
// Models of several parts are calibrated part by part: towers with what each reads, routes with all texts.
#include "tessera/pipeline/calibrate_parts.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstdio>
#include <set>

#include "models/package.hpp"
#include "runtime/base/files.hpp"
#include "tessera/pipeline/calibration.hpp"
#include "tessera/pipeline/quantize.hpp"
#include "tests/models/checkpoint_copy.hpp"
#include "tests/models/sentence/static_directory.hpp"
#include "tests/models/text/json_sections.hpp"
#include "tests/tessera/image_directory.hpp"
#include "tests/tessera/outlier_model.hpp"

namespace tessera::test {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class CalibratePartsTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_.write("texts.txt", "hello world\nworld\nhello hello world\n");
    directory_.write("photos/a.txt", "");
    fs::remove(photos_ / "a.txt");
    for (const char* name : {"progressive.jpg", "rgba-8.png", "grey.jpg"}) {
      fs::copy_file(image_file(name), photos_ / name);
    }
  }
  /// Of what was written, beside fp32, with the inputs that this reader of the model has.
  double worst(const models::PackageOptions& reader, const fs::path& inputs) const {
    const auto whole = std::make_shared<const models::Package>(models::open_package(to_, reader)),
               floats =
                   std::make_shared<const models::Package>(models::open_package(from_, reader));
    const CalibrationInputs read = calibration_inputs(*floats, {&inputs, 1});
    return worst_cosine(main_rows(whole, read, PrecisionOption::int8),
                        main_rows(floats, read, PrecisionOption::fp32));
  }
  std::string problem(const QuantizeOptions& options) const {
    return error_of([&] { quantize_directory(from_, options); });
  }

  TemporaryDirectory directory_;
  const fs::path from_ = directory_ / "model", to_ = directory_ / "out",
                 photos_ = directory_ / "photos", texts_ = directory_ / "texts.txt";
};

/// SigLIP with a channel of the residual stream of each tower that is far larger than the others.
class TwoTowersTest : public CalibratePartsTest {
 protected:
  const models::PackageOptions kTexts{.tower = models::Tower::text, .architecture = {}},
      kImages{.tower = models::Tower::image, .architecture = {}};

  void SetUp() override {
    CalibratePartsTest::SetUp();
    CheckpointCopy copy("siglip-full");
    for (const char* table : {"text_model.embeddings.position_embedding.weight",
                              "vision_model.embeddings.position_embedding.weight"}) {
      Tensor& tensor = copy.tensors.at(table);
      const auto width = static_cast<std::size_t>(tensor.shape[1]);
      for (std::size_t i = 0; i < tensor.data.size(); i += width)
        tensor.data[i + 3] += table[0] == 't' ? 15.0F : 40.0F;
    }
    copy.write(from_);
    directory_.write("model/tokenizer.json", text::JsonSections{}.text());
    directory_.write("model/preprocessor_config.json", R"({"size": {"height": 24, "width": 24}})");
  }
  /// ModelOptions::precision s8 of `directory`, for the inputs that this tower reads.
  static std::vector<std::vector<float>> rows(const fs::path& directory,
                                              const models::PackageOptions& tower,
                                              const fs::path& inputs) {
    const auto package =
        std::make_shared<const models::Package>(models::open_package(directory, tower));
    return main_rows(package, calibration_inputs(*package, {&inputs, 1}), PrecisionOption::int8);
  }
};

TEST_F(TwoTowersTest, EachTakesTheInputsThatItReads) {
  const QuantizeReport report =
      quantize_directory(from_, {.out = to_, .calibration = {texts_, photos_}});
  ASSERT_THAT(report.calibrations, SizeIs(2));
  const Calibration &of_texts = report.calibrations[0], &of_images = report.calibrations[1];
  EXPECT_EQ(of_texts.of, "text tower");
  EXPECT_EQ(of_texts.kind, "text");
  EXPECT_EQ(of_texts.inputs, 3U);
  EXPECT_EQ(of_images.of, "image tower");
  EXPECT_EQ(of_images.kind, "image");
  EXPECT_EQ(of_images.inputs, 3U);
  EXPECT_EQ(of_texts.cosine, worst(kTexts, texts_));
  EXPECT_EQ(of_images.cosine, worst(kImages, photos_));
  for (const Calibration& c : report.calibrations) {
    std::printf("[  COSINE  ] %-12s int8 %.5f, with measured factors %.5f\n", c.of.c_str(),
                c.cosine_before, c.cosine_with_factors);
    EXPECT_GT(c.cosine_with_factors, c.cosine_before) << c.of;
    EXPECT_TRUE(c.takes_factors) << c.of;
    EXPECT_EQ(c.cosine, c.cosine_with_factors) << c.of;
  }
}

TEST_F(TwoTowersTest, AnImageFileIsForTheImageTowerAndATowerWithoutInputsStaysAsItWas) {
  quantize_directory(from_, {.out = directory_ / "plain"});
  const fs::path photo = photos_ / "progressive.jpg";
  const auto images_alone = [&](const fs::path& images) {
    const QuantizeReport report =
        quantize_directory(from_, {.out = to_, .replaces = true, .calibration = {images}});
    ASSERT_THAT(report.calibrations, SizeIs(1));
    EXPECT_EQ(report.calibrations[0].of, "image tower");
    EXPECT_EQ(report.calibrations[0].cosine, worst(kImages, images));
    EXPECT_EQ(rows(to_, kTexts, texts_), rows(directory_ / "plain", kTexts, texts_));
  };
  images_alone(photo);
  images_alone(photos_);
  EXPECT_NE(rows(to_, kImages, photo), rows(directory_ / "plain", kImages, photo));

  fs::remove_all(to_);
  EXPECT_EQ(quantize_directory(from_, {.out = to_, .calibration = {texts_}}).calibrations.at(0).of,
            "text tower");
  EXPECT_EQ(rows(to_, kImages, photo), rows(directory_ / "plain", kImages, photo));
  EXPECT_NE(rows(to_, kTexts, texts_), rows(directory_ / "plain", kTexts, texts_));
}

TEST_F(TwoTowersTest, EachHasAListOfItsOwn) {
  const QuantizeReport all =
      quantize_directory(from_, {.out = to_, .calibration = {texts_, photos_}});
  // One tower is near enough, the other nearly.
  const double worse = std::min(all.calibrations[0].cosine, all.calibrations[1].cosine),
               better = std::max(all.calibrations[0].cosine, all.calibrations[1].cosine);
  const QuantizeReport report =
      quantize_directory(from_, {.out = to_,
                                 .replaces = true,
                                 .calibration = {texts_, photos_},
                                 .least_cosine = 0.9 * worse + 0.1 * better});
  const bool texts_are_worse = all.calibrations[0].cosine < all.calibrations[1].cosine;
  const Calibration &worse_one = report.calibrations[texts_are_worse ? 0 : 1],
                    &better_one = report.calibrations[texts_are_worse ? 1 : 0];
  EXPECT_THAT(worse_one.floats, testing::Not(IsEmpty()));
  EXPECT_THAT(better_one.floats, IsEmpty());
  EXPECT_EQ(better_one.cosine, better);
  EXPECT_EQ(report.calibrations[0].cosine, worst(kTexts, texts_));
  EXPECT_EQ(report.calibrations[1].cosine, worst(kImages, photos_));
  for (const std::string& tensor : worse_one.floats) {
    EXPECT_TRUE(tensor.starts_with(texts_are_worse ? "text_model." : "vision_model.")) << tensor;
  }
}

TEST_F(TwoTowersTest, InputsThatCannotBeReadAreNamed) {
  EXPECT_THAT(problem({.out = to_, .calibration = {photos_, directory_ / "nowhere.txt"}}),
              HasSubstr("nowhere.txt"));
  directory_.write("photos/none.png", "no image");
  EXPECT_THAT(problem({.out = to_, .calibration = {texts_, photos_}}), HasSubstr("none.png"));
  directory_.write("empty.txt", "");
  EXPECT_THAT(problem({.out = to_, .calibration = {directory_ / "empty.txt"}}),
              HasSubstr("empty.txt: got no line"));
  EXPECT_THAT(problem({.out = to_, .calibration = {photos_ / "grey.jpg"}, .least_cosine = 1.0}),
              HasSubstr("image tower: "));
  EXPECT_FALSE(fs::exists(to_));
}

/// A Router whose routes are transformers with outlier channels: the same one, two, or one beside a table.
class TwoRoutesTest : public CalibratePartsTest {
 protected:
  static models::PackageOptions route(models::Route route) {
    models::PackageOptions options;
    options.route = route;
    return options;
  }
  void SetUp() override {
    CalibratePartsTest::SetUp();
    directory_.write("texts.txt", "w7 w9 w30\nw11 w12 w13 w14 w15 w59\nw5\n");
  }
  void transformer(const std::string& name, float scale) {
    write_outlier_model(from_ / name, Outliers::residual, false, scale);
    std::string vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";
    for (std::int64_t i = 5; i < kOutlierWords; ++i) vocabulary += fmt::format("w{}\n", i);
    directory_.write("model/" + name + "/vocab.txt", vocabulary);
    directory_.write("model/" + name + "/tokenizer_config.json", "{\"do_lower_case\": true}");
  }
  void router(const std::string& query, const std::string& document) {
    directory_.write("model/modules.json", modules_json({{"Router", ""}}));
    std::string types;
    for (const std::string& name : std::set<std::string>{query, document, "1_Pooling"}) {
      const std::string type = name.substr(name.rfind('_') + 1);
      types += fmt::format("{}\"{}\": \"sentence_transformers.models.{}\"",
                           types.empty() ? "" : ", ", name, type);
    }
    directory_.write("model/1_Pooling/config.json", pooling());
    const auto modules_of = [](const std::string& name) {
      return name.ends_with("StaticEmbedding") ? fmt::format("[\"{}\"]", name)
                                               : fmt::format("[\"{}\", \"1_Pooling\"]", name);
    };
    directory_.write("model/router_config.json",
                     fmt::format(R"({{"types": {{{}}}, "structure": {{"query": {}, "document": {}}},
                                     "parameters": {{"default_route": "document"}}}})",
                                 types, modules_of(query), modules_of(document)));
  }
  static std::string pooling() {
    return fmt::format(
        R"({{"word_embedding_dimension": {}, "pooling_mode_cls_token": false,
            "pooling_mode_mean_tokens": true, "pooling_mode_max_tokens": false,
            "pooling_mode_mean_sqrt_len_tokens": false}})",
        kOutlierHidden);
  }
};

TEST_F(TwoRoutesTest, OneTransformerIsCalibratedForBoth) {
  transformer("0_Transformer", 0.05F);
  router("0_Transformer", "0_Transformer");
  directory_.write("model/2_Pooling/config.json",
                   R"({"embedding_dimension": 128, "pooling_mode": "max"})");
  const std::string modules = read_file(from_ / "router_config.json");
  for (const char* other : {"query", "document"}) {  // either may be the worse one
    std::string changed = modules;
    const std::size_t at = changed.find("1_Pooling", changed.find(fmt::format("\"{}\": [", other)));
    changed.replace(at, 1, "2");
    changed.replace(changed.find("\"1_Pooling\": "), 0,
                    "\"2_Pooling\": \"sentence_transformers.models.Pooling\", ");
    directory_.write("model/router_config.json", changed);
    const QuantizeReport report =
        quantize_directory(from_, {.out = to_, .replaces = true, .calibration = {texts_}});
    ASSERT_THAT(report.calibrations, SizeIs(1));
    const Calibration& c = report.calibrations[0];
    EXPECT_EQ(c.of, "both routes");
    EXPECT_EQ(c.rows, 6U) << "three texts by each";
    EXPECT_GT(c.cosine_with_factors, c.cosine_before);
    const double of_queries = worst(route(models::Route::query), texts_),
                 of_documents = worst(route(models::Route::document), texts_);
    EXPECT_NE(of_queries, of_documents);
    EXPECT_EQ(c.cosine, std::min(of_queries, of_documents)) << other;
  }
  EXPECT_THAT(problem({.out = to_, .replaces = true, .calibration = {texts_, photos_}}),
              HasSubstr("photos: got images, expected texts, which the model reads"));
}

TEST_F(TwoRoutesTest, TwoTransformersAreTwo) {
  transformer("query_0_Transformer", 0.05F);
  transformer("document_0_Transformer", 0.04F);
  router("query_0_Transformer", "document_0_Transformer");
  const QuantizeReport report = quantize_directory(from_, {.out = to_, .calibration = {texts_}});
  ASSERT_THAT(report.calibrations, SizeIs(2));
  EXPECT_EQ(report.calibrations[0].of, "query route");
  EXPECT_EQ(report.calibrations[1].of, "document route");
  EXPECT_NE(report.calibrations[0].cosine, report.calibrations[1].cosine);
  EXPECT_EQ(report.calibrations[0].cosine, worst(route(models::Route::query), texts_));
  EXPECT_EQ(report.calibrations[1].cosine, worst(route(models::Route::document), texts_));
}

TEST_F(TwoRoutesTest, ATableOfVectorsIsNoPartToCalibrate) {
  write_static(from_ / "query_0_StaticEmbedding", static_table(kOutlierHidden));
  transformer("document_0_Transformer", 0.05F);
  router("query_0_StaticEmbedding", "document_0_Transformer");
  const QuantizeReport report =
      quantize_directory(from_, {.out = to_, .keep = {"encoder.layer.0"}, .calibration = {texts_}});
  ASSERT_THAT(report.calibrations, SizeIs(1));
  EXPECT_EQ(report.calibrations[0].of, "document route");
  EXPECT_THAT(report.floats, testing::Contains("encoder.layer.0.output.dense"));
  EXPECT_THAT(problem({.out = to_, .keep = {"encoder.layer.9"}, .replaces = true}),
              HasSubstr("encoder.layer.9"));
}

}  // namespace
}  // namespace tessera::test
