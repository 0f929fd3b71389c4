// SPDX-License-Identifier: Apache-2.0
// A Router through tessera.h: one model per route, from a directory and from memory; static embeddings
// of texts without tokens.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "tessera/tessera.h"
#include "tests/models/sentence/static_directory.hpp"

namespace tessera::test {
namespace {

using testing::HasSubstr;

constexpr std::int64_t kWidth = 6;

/// A model and a session of it.
class Opened {
 public:
  Opened(const std::filesystem::path& directory, tessera_route route) {
    tessera_model_options options = TESSERA_MODEL_OPTIONS_INIT;
    options.route = route;
    EXPECT_EQ(tessera_model_open(directory.c_str(), &options, &model_), TESSERA_OK)
        << tessera_last_error();
    start();
  }
  Opened(std::span<const tessera_file> files, tessera_route route) {
    tessera_model_options options = TESSERA_MODEL_OPTIONS_INIT;
    options.route = route;
    EXPECT_EQ(tessera_model_open_memory(files.data(), files.size(), &options, &model_), TESSERA_OK)
        << tessera_last_error();
    start();
  }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;
  ~Opened() {
    tessera_session_close(session_);
    tessera_model_close(model_);
  }
  tessera_model* model() const noexcept { return model_; }

  std::vector<float> row_of(const char* text) const {
    std::vector<float> row;
    EXPECT_EQ(encode(texts_of(&text, 1), row), TESSERA_OK) << tessera_last_error();
    return row;
  }
  tessera_status encode(const tessera_texts& texts, std::vector<float>& row) const {
    row.assign(kWidth, -7.0F);
    tessera_output output = TESSERA_OUTPUT_INIT;
    output.name = "embedding", output.data = row.data(), output.capacity = row.size();
    return tessera_encode_texts(session_, &texts, nullptr, &output, 1, nullptr);
  }
  static tessera_texts texts_of(const char* const* list, std::size_t count) {
    tessera_texts texts = TESSERA_TEXTS_INIT;
    texts.texts = list, texts.count = count;
    return texts;
  }
  /// The best of two documents.
  tessera_status rank(const char* query, const char* const (&documents)[2],
                      std::int64_t& id) const {
    const tessera_texts q = texts_of(&query, 1), d = texts_of(documents, 2);
    return tessera_rank_texts(session_, &q, &d, nullptr, 1, &id, nullptr, nullptr, 1);
  }

 private:
  void start() {
    EXPECT_EQ(tessera_session_create(model_, nullptr, &session_), TESSERA_OK)
        << tessera_last_error();
  }
  tessera_model* model_ = nullptr;
  tessera_session* session_ = nullptr;
};

class RouteTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_.write("modules.json", modules_json({{"Router", ""}}));
    directory_.write("router_config.json", R"({
      "types": {"q": "sentence_transformers.models.StaticEmbedding",
                "d": "sentence_transformers.models.StaticEmbedding"},
      "structure": {"query": ["q"], "document": ["d"]},
      "parameters": {"default_route": "document"}})");
    write_static(directory_ / "q", queries_);
    write_static(directory_ / "d", documents_);
  }
  static std::vector<float> row(const Tensor& table, Index id) {
    const auto begin = table.data.begin() + id * kWidth;
    return {begin, begin + kWidth};
  }
  const Tensor queries_ = static_table(kWidth, 21), documents_ = static_table(kWidth, 22);
  TemporaryDirectory directory_;
};

TEST_F(RouteTest, EachRouteIsAModelOfItsOwn) {
  for (const tessera_route route :
       {TESSERA_ROUTE_QUERY, TESSERA_ROUTE_DOCUMENT, TESSERA_ROUTE_AUTOMATIC}) {
    const Opened opened(directory_.path(), route);
    EXPECT_EQ(opened.row_of("tea"), row(route == TESSERA_ROUTE_QUERY ? queries_ : documents_, 4));
  }
}

TEST_F(RouteTest, FilesInMemoryAreTheSame) {
  const std::vector<std::string> names{"modules.json",        "router_config.json",
                                       "q/model.safetensors", "q/tokenizer.json",
                                       "d/model.safetensors", "d/tokenizer.json"};
  std::vector<std::string> contents;
  for (const std::string& name : names) {
    std::ifstream in(directory_ / name, std::ios::binary);
    contents.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  std::vector<tessera_file> files;
  for (std::size_t i = 0; i < names.size(); ++i) {
    tessera_file& file = files.emplace_back(tessera_file TESSERA_FILE_INIT);
    file.name = names[i].c_str(), file.data = contents[i].data(), file.size = contents[i].size();
  }
  const Opened opened(files, TESSERA_ROUTE_QUERY);
  EXPECT_EQ(opened.row_of("tea"), row(queries_, 4));
}

TEST_F(RouteTest, ATextWithoutTokensIsZerosAndHasNoIds) {
  const Opened opened(directory_.path(), TESSERA_ROUTE_QUERY);
  EXPECT_EQ(opened.row_of(""), std::vector<float>(kWidth, 0.0F));
  std::int32_t ids[2] = {-1, -1};
  std::int64_t offsets[2] = {-1, -1};
  const char* text = "tea brew";
  tessera_texts texts = Opened::texts_of(&text, 1);
  ASSERT_EQ(tessera_tokenize(opened.model(), &texts, ids, nullptr, 2, offsets), TESSERA_OK)
      << tessera_last_error();
  EXPECT_THAT(ids, testing::ElementsAre(4, 5));
  text = " ";
  EXPECT_EQ(tessera_tokenize(opened.model(), &texts, ids, nullptr, 2, offsets),
            TESSERA_INVALID_ARGUMENT);
  EXPECT_THAT(tessera_last_error(), HasSubstr("texts: got one without tokens, expected a token"));
  EXPECT_THAT(ids, testing::ElementsAre(4, 5));
}

TEST_F(RouteTest, TextsOfAnyLengthTakeTheRowsOfTheSession) {
  const Opened opened(directory_.path(), TESSERA_ROUTE_QUERY);
  std::string many;
  for (int i = 0; i < 8192; ++i) many += "tea ";
  const std::vector<float> mean = opened.row_of(many.c_str());
  for (Index j = 0; j < kWidth; ++j) {  // of equal rows: each sum rounds at most 8192 times
    EXPECT_NEAR(mean[static_cast<std::size_t>(j)], queries_.at(4, j), 1e-3);
  }
  std::vector<float> row;
  many += "tea";
  const char* text = many.c_str();
  const tessera_texts texts = Opened::texts_of(&text, 1);
  EXPECT_EQ(opened.encode(texts, row), TESSERA_INVALID_ARGUMENT);
  EXPECT_THAT(tessera_last_error(), HasSubstr("has 8193 rows, expected at most 8192"));
}

TEST_F(RouteTest, RankingTakesAModelThatReadsBothSides) {
  std::int64_t id = -7;
  const Opened route(directory_.path(), TESSERA_ROUTE_DOCUMENT);
  EXPECT_EQ(route.rank("tea", {"cat", "tea"}, id), TESSERA_UNSUPPORTED_MODEL);
  EXPECT_THAT(tessera_last_error(), HasSubstr("got a model of route \"document\" of a Router"));
  EXPECT_EQ(id, -7);
  directory_.write("modules.json", modules_json({{"StaticEmbedding", "d"}}));
  const Opened whole(directory_.path(), TESSERA_ROUTE_AUTOMATIC);
  ASSERT_EQ(whole.rank("tea", {"cat", "tea"}, id), TESSERA_OK) << tessera_last_error();
  EXPECT_EQ(id, 1);
}

}  // namespace
}  // namespace tessera::test
