// SPDX-License-Identifier: Apache-2.0
// What models and sessions say about themselves: prompts, tokens, plans.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstddef>
#include <cstring>
#include <filesystem>
#include <string>

#include "tests/abi/demo.hpp"

namespace tessera::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::StartsWith;

const std::string kVision = TESSERA_SOURCE_DIR "/models/demo/vision";

/// The demo checkpoint with another config_sentence_transformers.json.
class WithSentenceConfig {
 public:
  explicit WithSentenceConfig(std::string_view config) {
    for (const auto& entry : std::filesystem::directory_iterator(kDemo)) {
      if (entry.path().filename() == "config_sentence_transformers.json") continue;
      std::filesystem::create_symlink(entry.path(), directory_ / entry.path().filename());
    }
    directory_.write("config_sentence_transformers.json", config);
  }
  std::string path() const { return directory_.path().string(); }

 private:
  TemporaryDirectory directory_;
};

TEST(DescribeTest, PromptsAndSimilarityAreThoseOfTheFiles) {
  const WithSentenceConfig directory(
      R"({"prompts": {"query": "search: ", "document": ""}, "default_prompt_name": "query",
          "similarity_fn_name": "euclidean"})");
  const Model model(directory.path());
  const tessera_model_info info = model.info();
  EXPECT_STREQ(info.similarity_function, "euclidean");
  EXPECT_STREQ(info.default_prompt_name, "query");
  EXPECT_STREQ(info.route, "");
  EXPECT_EQ(info.route_count, 0U);
  EXPECT_EQ(info.is_multi_vector, 0U);
  EXPECT_THAT(model.prompts(),
              ::testing::ElementsAre(Pair("document", ""), Pair("query", "search: ")));
  const char* name = "untouched";
  const char* text = "untouched";
  EXPECT_REFUSED(tessera_model_get_prompt(model.get(), 2, &name, &text), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("prompt: index is 2, expected less than 2"));
  EXPECT_REFUSED(tessera_model_get_prompt(model.get(), 0, nullptr, &text), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("name is NULL"));
  EXPECT_REFUSED(tessera_model_get_prompt(model.get(), 0, &name, nullptr), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("text is NULL"));
  EXPECT_STREQ(name, "untouched");
  EXPECT_STREQ(text, "untouched");
}

TEST(DescribeTest, WhereFilesSayNothingThereIsTheDefault) {
  const tessera_model_info info = demo().info();
  EXPECT_STREQ(info.similarity_function, "cosine");
  EXPECT_STREQ(info.default_prompt_name, "");
  EXPECT_EQ(info.prompt_count, 0U);
  EXPECT_TRUE(demo().prompts().empty());
}

// A caller that was compiled before these fields: nothing behind its struct is written.
TEST(DescribeTest, OlderCallersGetTheirOwnFields) {
  tessera_model_info info;
  std::memset(static_cast<void*>(&info), 0x55, sizeof info);
  info.struct_size = offsetof(tessera_model_info, similarity_function);
  ASSERT_EQ(tessera_model_get_info(demo().get(), &info), TESSERA_OK) << tessera_last_error();
  EXPECT_EQ(info.layers, 4);
  EXPECT_EQ(info.route_count, 0x55555555U);
  info.struct_size -= 8;
  EXPECT_REFUSED(tessera_model_get_info(demo().get(), &info), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("tessera_model_info.struct_size is"));
}

TEST(DescribeTest, TokensAreThoseOfTheTokenizer) {
  const Tokens tokens = demo().tokenize(Texts(std::vector<std::string_view>{"A tiny editor's"}));
  std::string words;
  for (const std::int32_t id : tokens.ids) words += demo().token(id) + " ";
  EXPECT_EQ(words, "[CLS] a tiny editor ' s [SEP] ");
  char text[4] = "???";
  std::size_t size = 0;
  ASSERT_EQ(tessera_model_get_token(demo().get(), 2, nullptr, 0, &size), TESSERA_OK);
  EXPECT_EQ(size, 5U);
  EXPECT_REFUSED(tessera_model_get_token(demo().get(), 2, text, 4, &size), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("capacity is 4, expected at least 5 (bytes of token 2)"));
  EXPECT_STREQ(text, "???");
  for (const std::int64_t id : {std::int64_t{-1}, std::int64_t{8000}, std::int64_t{1} << 40}) {
    EXPECT_REFUSED(tessera_model_get_token(demo().get(), id, nullptr, 0, &size),
                   TESSERA_INVALID_ARGUMENT,
                   HasSubstr("id is " + std::to_string(id) + ", expected 0 to 7999"));
  }
  const Model vision(kVision);
  EXPECT_REFUSED(tessera_model_get_token(vision.get(), 0, nullptr, 0, &size), TESSERA_NOT_FOUND,
                 HasSubstr("the model takes images, not texts"));
}

TEST(DescribeTest, PlansSayWhatTheSessionWillDo) {
  const Session session(demo(), {.threads = 1, .max_rows = 300, .max_sequences = 3});
  const std::string text = session.plan(300), json = session.plan(300, 3, TESSERA_PLAN_JSON);
  EXPECT_THAT(text, HasSubstr("layer.0.qkv"));
  EXPECT_THAT(text, HasSubstr("300 rows"));
  EXPECT_THAT(text, HasSubstr("would take"));  // another precision
  EXPECT_THAT(json, StartsWith("{"));
  EXPECT_THAT(json, HasSubstr("\"rows\":300"));
  EXPECT_THAT(json, HasSubstr("\"sequences\":3"));
  EXPECT_THAT(json, HasSubstr("other_precision"));
  EXPECT_NE(session.plan(300), session.plan(12));
}

TEST(DescribeTest, PlansOfImagesAreOfWholeImages) {
  const Session session(Model(kVision), {.threads = 1});
  EXPECT_EQ(session.plan(1), session.plan(1, 1));
  EXPECT_NE(session.plan(1, 2), session.plan(1, 1));
}

TEST(DescribeTest, PlansOfOtherBatchesAreRefused) {
  const Session session(demo(), {.threads = 1, .max_rows = 300, .max_sequences = 4});
  const auto plan = [&](std::int64_t rows, std::int64_t sequences) {
    return tessera_session_describe_plan(
        session.get(), rows, sequences, TESSERA_PLAN_TEXT,
        [](void*, const char*, std::size_t) { FAIL() << "called"; }, nullptr);
  };
  EXPECT_REFUSED(plan(0, 0), TESSERA_INVALID_ARGUMENT, HasSubstr("rows is 0"));
  EXPECT_REFUSED(plan(8, -1), TESSERA_INVALID_ARGUMENT, HasSubstr("sequences is -1"));
  EXPECT_REFUSED(plan(8, 9), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("sequences: got 9, expected at most 8"));
  EXPECT_REFUSED(plan(300, 2), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("sequences: got 2, expected at least 3"));
  EXPECT_REFUSED(plan(301, 0), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("expected at most 300 (max_rows)"));
  EXPECT_REFUSED(plan(300, 5), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("in 4 (max_sequences of the session)"));
  EXPECT_REFUSED(plan(INT64_MAX, 0), TESSERA_INVALID_ARGUMENT, HasSubstr("expected at most 300"));
  EXPECT_REFUSED(plan(8, INT64_MAX), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("expected 1 to 1073741824, or 0"));
  EXPECT_REFUSED(
      tessera_session_describe_plan(session.get(), 8, 0, TESSERA_PLAN_TEXT, nullptr, nullptr),
      TESSERA_INVALID_ARGUMENT, HasSubstr("callback is NULL"));
  EXPECT_REFUSED(tessera_session_describe_plan(
                     session.get(), 8, 0, static_cast<tessera_plan_format>(2),
                     [](void*, const char*, std::size_t) { FAIL() << "called"; }, nullptr),
                 TESSERA_INVALID_ARGUMENT, HasSubstr("format is 2"));
  const Session images(Model(kVision), {.threads = 1});
  EXPECT_THROW((void)images.plan(1, std::int64_t{1} << 30), Error);
}

TEST(DescribeTest, RatesAreMeasuredOnceAndKept) {
  const TemporaryDirectory cache;
  const char* const before = ::getenv("XDG_CACHE_HOME");
  const std::string kept = before == nullptr ? "" : before;
  ASSERT_EQ(::setenv("XDG_CACHE_HOME", cache.path().c_str(), 1), 0);
  EXPECT_EQ(tessera_measure_machine(nullptr), TESSERA_OK) << tessera_last_error();
  EXPECT_FALSE(std::filesystem::is_empty(cache / "tessera"));
  const Session session(demo(), {.threads = 1});
  EXPECT_THAT(session.plan(16), ::testing::Not(HasSubstr("nominal")));
  EXPECT_REFUSED(tessera_measure_machine("avx1024"), TESSERA_INVALID_ARGUMENT,
                 HasSubstr("isa: got \"avx1024\", expected one of baseline"));
  if (before == nullptr) {
    ::unsetenv("XDG_CACHE_HOME");
  } else {
    ::setenv("XDG_CACHE_HOME", kept.c_str(), 1);
  }
}

}  // namespace
}  // namespace tessera::test
