// SPDX-License-Identifier: Apache-2.0
// Answers, entities and labels through tessera.h and tessera.hpp: what the tool says of the same.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "tests/abi/demo.hpp"

namespace tessera::test {
namespace {

using testing::HasSubstr;

constexpr float kLowest = -std::numeric_limits<float>::infinity();

class SpansTest : public testing::Test {
 protected:
  SpansTest() {
    copy("bert-qa", "qa", {});
    copy("bert-tokcls", "ner", {"O", "B-PER", "I-PER", "B-LOC", "I-LOC"});
    copy("bert-seqcls", "nli", {"contradiction", "neutral", "entailment"});
  }
  /// A golden model with a vocabulary of a few words, and other labels.
  void copy(const char* golden, const char* name, const std::vector<std::string>& labels) {
    const std::filesystem::path from = TESSERA_SOURCE_DIR "/tests/golden/data",
                                to = directory_ / name;
    std::filesystem::create_directories(to);
    std::filesystem::copy(from / golden / "model.safetensors", to / "model.safetensors");
    const std::vector<std::byte> bytes = read_bytes(from / golden / "config.json");
    std::string config(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    for (std::size_t i = 0; i < labels.size(); ++i) {
      const std::string old = "\"L" + std::to_string(i) + "\"";
      for (std::size_t at; (at = config.find(old)) != std::string::npos;) {
        config.replace(at, old.size(), '"' + labels[i] + '"');
      }
    }
    write(to / "config.json", config);
    write(to / "vocab.txt",
          "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\nworld\ntea\nbrew\na\n##b\ncaf\n##e\n,\n.\n"
          "the\ncat\nsat\non\nmat\n");
    write(to / "tokenizer_config.json", R"({"do_lower_case": true, "model_max_length": 24})");
  }
  static void write(const std::filesystem::path& path, const std::string& content) {
    std::ofstream(path, std::ios::binary) << content;
  }
  static SessionOptions computing(std::vector<std::string> outputs) {
    SessionOptions options;
    options.outputs = std::move(outputs);
    return options;
  }
  Model model(const char* name) const { return Model(directory_ / name); }

  TemporaryDirectory directory_;
};

template <class Call>
void expect_refused(tessera_status status, const std::string& part, const Call& call) {
  try {
    call();
    ADD_FAILURE() << "expected " << part;
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), status) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(part));
  }
}

TEST_F(SpansTest, AnswersArePlacesInTheContextBestFirst) {
  const Model qa = model("qa");
  Session session(qa, computing({"start_logits", "end_logits"}));
  const std::string context = "brew caf\u00E9 tea, world.";
  const std::vector<Span> answers =
      session.find_answers("hello", context, 50, {.may_be_none = true});
  ASSERT_GT(answers.size(), 6U);
  double sum = 0.0;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (i > 0) {
      EXPECT_LE(answers[i].score, answers[i - 1].score);
    }
    sum += static_cast<double>(answers[i].score);
    EXPECT_EQ(answers[i].label, -1);
  }
  EXPECT_GT(sum, 0.1);
  EXPECT_LT(sum, 1.0);
  const auto whole = std::find_if(answers.begin(), answers.end(),
                                  [&](const Span& a) { return a.text == "caf\u00E9 tea"; });
  ASSERT_NE(whole, answers.end());
  EXPECT_EQ(whole->begin, 5);
  EXPECT_EQ(whole->end, 13);
  EXPECT_EQ(
      std::count_if(answers.begin(), answers.end(), [](const Span& a) { return a.text.empty(); }),
      1)
      << "no answer";
  EXPECT_EQ(session.find_answers("hello", context)[0].text,
            answers[0].text.empty() ? answers[1].text : answers[0].text);
}

TEST_F(SpansTest, PlacesThatAreLeftAreSaidSo) {
  const Model qa = model("qa");
  Session session(qa, computing({"start_logits", "end_logits"}));
  const std::vector<std::string_view> questions{"hello", "tea"}, contexts{"tea", ""};
  const Texts texts{std::span<const std::string_view>(questions),
                    std::span<const std::string_view>(contexts)};
  const tessera_texts c = texts.get();
  std::vector<tessera_status> statuses(2);
  tessera_run_options run = TESSERA_RUN_OPTIONS_INIT;
  run.item_status = statuses.data();
  std::vector<tessera_span> spans(6);
  ASSERT_EQ(tessera_find_answers(session.get(), &c, &run, nullptr, 3, spans.data(), 6), TESSERA_OK)
      << tessera_last_error();
  EXPECT_EQ(statuses[0], TESSERA_OK);
  EXPECT_EQ(statuses[1], TESSERA_INVALID_ARGUMENT);
  EXPECT_THAT(tessera_last_error(), HasSubstr("text 1: got an empty context"));
  EXPECT_EQ(spans[0].end, 3);
  EXPECT_GT(spans[0].score, 0.0F);
  for (std::size_t i = 1; i < 6; ++i) EXPECT_EQ(spans[i].score, kLowest) << i;
  EXPECT_EQ(tessera_find_answers(session.get(), &c, nullptr, nullptr, 3, spans.data(), 6),
            TESSERA_INVALID_ARGUMENT);
  EXPECT_EQ(tessera_find_answers(session.get(), &c, &run, nullptr, 3, spans.data(), 5),
            TESSERA_INVALID_ARGUMENT);
  EXPECT_THAT(tessera_last_error(), HasSubstr("capacity is 5, expected at least 2 x 3"));
  EXPECT_EQ(tessera_find_answers(session.get(), &c, &run, nullptr, 0, spans.data(), 6),
            TESSERA_INVALID_ARGUMENT);
}

TEST_F(SpansTest, ALongContextIsReadInWindows) {
  const Model qa = model("qa");
  Session session(qa, computing({"start_logits", "end_logits"}));
  std::string context;
  for (int i = 0; i < 100; ++i) context += "a tea the cat ";
  EXPECT_EQ(session.find_answers("hello", context, 5).size(), 5U);
  expect_refused(TESSERA_INVALID_ARGUMENT, "expected room for more than the stride, 20 tokens",
                 [&] { session.find_answers("hello", context, 1, {.stride = 20}); });
  expect_refused(TESSERA_INVALID_ARGUMENT, "stride is -2",
                 [&] { session.find_answers("hello", context, 1, {.stride = -2}); });
}

TEST_F(SpansTest, EntitiesAreTheLabelsOfTokensPutTogether) {
  const Model ner = model("ner");
  Session session(ner, computing({"logits"}));
  const std::string text = "hello brewb tea, the caf\u00E9 world";
  const std::vector<Span> tokens = session.find_entities(text, TESSERA_GROUP_NONE);
  const std::vector<Span> groups = session.find_entities(text);
  ASSERT_FALSE(tokens.empty());
  ASSERT_FALSE(groups.empty());
  EXPECT_LE(groups.size(), tokens.size());
  EXPECT_EQ(groups.front().begin, tokens.front().begin);
  EXPECT_EQ(groups.back().end, tokens.back().end);
  for (const Span& token : tokens) {
    EXPECT_GT(token.label, 0);
    EXPECT_GT(token.score, 1.0F / 5);
  }
  for (const Span& group : groups) {
    EXPECT_TRUE(group.label == 1 || group.label == 3) << "the first class of PER and of LOC";
    EXPECT_THAT(text, HasSubstr(group.text));
  }
  EXPECT_TRUE(session.find_entities("").empty());
  std::string long_text;
  for (int i = 0; i < 50; ++i) long_text += text + " ";
  EXPECT_GT(session.find_entities(long_text, TESSERA_GROUP_FIRST, 4).size(),
            session.find_entities(long_text, TESSERA_GROUP_FIRST).size());
  expect_refused(TESSERA_INVALID_ARGUMENT, "stride is 4 with TESSERA_GROUP_NONE",
                 [&] { session.find_entities(text, TESSERA_GROUP_NONE, 4); });
}

TEST_F(SpansTest, TooFewPlacesForEntitiesAreRefusedWithTheirNumber) {
  const Model ner = model("ner");
  Session session(ner, computing({"logits"}));
  const Texts texts{"hello tea the cat", "world"};
  const tessera_texts c = texts.get();
  std::int64_t offsets[3] = {7, 7, 7};
  EXPECT_EQ(tessera_find_entities(session.get(), &c, nullptr, TESSERA_GROUP_NONE, -1, nullptr, 0,
                                  offsets),
            TESSERA_INVALID_ARGUMENT);
  EXPECT_THAT(tessera_last_error(), HasSubstr("entities: capacity is 0, expected at least"));
  EXPECT_EQ(offsets[2], 7) << "nothing is written";
  std::vector<tessera_span> spans(32);
  ASSERT_EQ(tessera_find_entities(session.get(), &c, nullptr, TESSERA_GROUP_NONE, -1, spans.data(),
                                  spans.size(), offsets),
            TESSERA_OK);
  EXPECT_EQ(offsets[0], 0);
  EXPECT_LE(offsets[1], offsets[2]);
  EXPECT_EQ(static_cast<std::size_t>(offsets[1]),
            session.find_entities("hello tea the cat", TESSERA_GROUP_NONE).size());
}

TEST_F(SpansTest, LabelsAreProbabilities) {
  const Model nli = model("nli");
  Session session(nli, computing({"logits"}));
  const Texts texts{"hello tea", "the cat sat on the mat"};
  const std::vector<float> one = session.classify(texts, {"tea", "cat", "mat"});
  ASSERT_EQ(one.size(), 6U);
  EXPECT_NEAR(one[0] + one[1] + one[2], 1.0F, 1e-6F);
  const std::vector<float> each = session.classify(texts, {"tea", "cat", "mat"}, true, "a {} .");
  EXPECT_NE(each[0] + each[1] + each[2], 1.0F);
  // By hand, from the logits of the pairs.
  const std::vector<std::string_view> first{"hello tea"}, second{"a tea ."};
  const std::vector<float> logits = session.embed(
      Texts(std::span<const std::string_view>(first), std::span<const std::string_view>(second)));
  EXPECT_NEAR(each[0], 1.0F / (1.0F + std::exp(logits[0] - logits[2])), 1e-6F);
  expect_refused(TESSERA_INVALID_ARGUMENT, "expected {} once",
                 [&] { session.classify(texts, {"tea"}, false, "nothing"); });
  expect_refused(TESSERA_INVALID_ARGUMENT, "labels: got none",
                 [&] { session.classify(texts, {}); });
}

TEST_F(SpansTest, TextsThatAreCutAreSaidSo) {
  const Model ner = model("ner"), nli = model("nli");
  Session tokens(ner, computing({"logits"})), texts(nli, computing({"logits"}));
  std::string longer;
  for (int i = 0; i < 50; ++i) longer += "tea ";
  std::array<unsigned char, 2> cut{7, 7};
  const Texts given({longer, "the cat"}, {.is_cut = cut.data()});
  const tessera_texts c = given.get();
  std::vector<tessera_span> spans(64);
  std::array<std::int64_t, 3> offsets{};
  ASSERT_EQ(tessera_find_entities(tokens.get(), &c, nullptr, TESSERA_GROUP_NONE, -1, spans.data(),
                                  spans.size(), offsets.data()),
            TESSERA_OK);
  EXPECT_THAT(cut, testing::ElementsAre(1, 0));
  cut = {7, 7};
  texts.classify(given, {"tea", "cat"});
  EXPECT_THAT(cut, testing::ElementsAre(1, 0));
}

TEST_F(SpansTest, OtherModelsAreNamed) {
  const Model qa = model("qa"), ner = model("ner"), nli = model("nli");
  Session answers(qa, computing({"start_logits", "end_logits"})), tokens(ner), texts(nli);
  expect_refused(TESSERA_UNSUPPORTED_MODEL, "BertForTokenClassification answers no questions",
                 [&] { tokens.find_answers("a", "b"); });
  expect_refused(TESSERA_UNSUPPORTED_MODEL, "BertForSequenceClassification finds no entities",
                 [&] { texts.find_entities("a"); });
  expect_refused(TESSERA_UNSUPPORTED_MODEL, "no class for sequences",
                 [&] { answers.classify("a", {"b"}); });
  Session half(qa, computing({"start_logits"}));
  expect_refused(TESSERA_NOT_FOUND, "computes start_logits, expected end_logits too",
                 [&] { half.find_answers("a", "b"); });
}

}  // namespace
}  // namespace tessera::test
