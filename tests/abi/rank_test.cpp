// SPDX-License-Identifier: Apache-2.0
// Ranking through tessera.h and tessera.hpp: what encoding says, sorted.
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

using testing::AllOf;
using testing::Each;
using testing::HasSubstr;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
const std::string kReranker = TESSERA_SOURCE_DIR "/tests/golden/data/xlm-roberta-reranker";
const std::vector<std::string_view> kDocuments{"brew tea in a pot", "the cat sat", "tea",
                                               "a pot of tea for the cat and the cat", "pot"};

// The golden reranker, of 40 tokens at most, with a tokenizer of a dozen words.
class Reranker {
 public:
  explicit Reranker(const std::string& more_config = "") {
    for (const char* name : {"config.json", "model.safetensors"}) {
      std::filesystem::copy(std::filesystem::path(kReranker) / name, directory_ / name);
    }
    const std::vector<std::byte> bytes = read_bytes(directory_ / "config.json");
    std::string config(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    config.insert(config.find('{') + 1, more_config);
    directory_.write("config.json", config);
    std::string words;
    int id = 4;
    for (const char* word :
         {"tea", "brew", "in", "a", "pot", "the", "cat", "sat", "of", "for", "and", "how", "to"}) {
      words += std::string(", \"") + word + "\": " + std::to_string(id++);
    }
    directory_.write("tokenizer.json", R"({"added_tokens": [], "normalizer": null,
      "pre_tokenizer": {"type": "WhitespaceSplit"}, "decoder": null,
      "post_processor": {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0],
                         "trim_offsets": true, "add_prefix_space": true},
      "model": {"type": "WordLevel", "unk_token": "<unk>",
                "vocab": {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3)" +
                                           words + "}}}");
  }
  Model model() const { return Model(directory_.path()); }

 private:
  TemporaryDirectory directory_;
};

std::vector<std::size_t> falling(std::span<const float> scores) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(),
                   [&](auto a, auto b) { return scores[a] > scores[b]; });
  return order;
}

TEST(RankTest, ARerankersLogitsAreThoseOfThePairs) {
  const Reranker files;
  const Model model = files.model();
  Session session(model, {.threads = 1, .max_rows = 40});  // several runs
  const std::vector<std::string_view> queries{"how to brew tea", "cat"};
  const std::size_t k = 4, count = queries.size() * k;
  std::vector<std::int64_t> ids(count);
  std::vector<float> scores(count), logits(count);
  const Texts asked{std::span(queries)}, searched{std::span(kDocuments)};
  const tessera_texts q = asked.get(), d = searched.get();
  ASSERT_EQ(tessera_rank_texts(session.get(), &q, &d, nullptr, k, ids.data(), scores.data(),
                               logits.data(), count),
            TESSERA_OK)
      << tessera_last_error();
  for (std::size_t i = 0; i < queries.size(); ++i) {
    const std::vector<std::string_view> same(kDocuments.size(), queries[i]);
    const std::vector<float> expected = session.embed(Texts(same, kDocuments));
    const std::vector<std::size_t> order = falling(expected);
    for (std::size_t place = 0; place < k; ++place) {
      const std::size_t at = i * k + place;
      EXPECT_EQ(ids[at], static_cast<std::int64_t>(order[place]));
      EXPECT_EQ(logits[at], expected[order[place]]);  // bit for bit
      EXPECT_NEAR(scores[at], 1 / (1 + std::exp(-static_cast<double>(logits[at]))), 1e-7);
    }
  }
  const std::vector<Hit> hits = session.rank(queries[1], Texts(kDocuments));  // all of them
  ASSERT_EQ(hits.size(), kDocuments.size());
  EXPECT_EQ(hits[0].id, ids[k]);
  EXPECT_EQ(hits[0].score, scores[k]);
  EXPECT_TRUE(session.rank("tea", Texts(std::vector<std::string>{})).empty());
}

TEST(RankTest, TheActivationIsTheModels) {
  const Reranker files(R"("sbert_ce_default_activation_function":
                          "torch.nn.modules.linear.Identity", )");
  const Model model = files.model();
  Session session(model, {.threads = 1});
  const Texts asked("how to brew tea"), searched{std::span(kDocuments)};
  const tessera_texts q = asked.get(), d = searched.get();
  std::vector<std::int64_t> ids(5);
  std::vector<float> scores(5), logits(5);
  ASSERT_EQ(tessera_rank_texts(session.get(), &q, &d, nullptr, 5, ids.data(), scores.data(),
                               logits.data(), 5),
            TESSERA_OK);
  EXPECT_EQ(scores, logits);
}

TEST(RankTest, APairThatIsTooLongIsCutOrLeftOut) {
  const Reranker files;
  const Model model = files.model();
  Session session(model, {.threads = 1});
  std::string long_text = "tea";
  for (int i = 0; i < 60; ++i) long_text += " tea";
  const std::vector<std::string_view> documents{"cat", long_text, "tea"};
  std::array<unsigned char, 3> cuts{};
  const Texts cut(documents, {.is_cut = cuts.data()});
  EXPECT_EQ(session.rank("tea", cut).size(), 3U);
  EXPECT_THAT(cuts, testing::ElementsAre(0, 1, 0));

  std::array<tessera_status, 3> statuses{};
  const Texts whole(documents, {.truncation = TESSERA_DO_NOT_TRUNCATE});
  const std::vector<Hit> hits = session.rank("tea", whole, 0, {.item_status = statuses});
  EXPECT_THAT(statuses, testing::ElementsAre(TESSERA_OK, TESSERA_INVALID_ARGUMENT, TESSERA_OK));
  EXPECT_THAT(tessera_last_error(), HasSubstr("document 1: the text has 66 tokens"));
  ASSERT_EQ(hits.size(), 2U);
  EXPECT_NE(hits[0].id, 1);
  EXPECT_NE(hits[1].id, 1);
  EXPECT_THROW(session.rank("tea", whole), Error);

  std::array<std::int64_t, 3> ids{};
  std::array<float, 3> scores{};
  const Texts asked("tea");
  const tessera_texts q = asked.get(), d = whole.get();
  tessera_run_options run = TESSERA_RUN_OPTIONS_INIT;
  run.item_status = statuses.data();
  ASSERT_EQ(
      tessera_rank_texts(session.get(), &q, &d, &run, 3, ids.data(), scores.data(), nullptr, 3),
      TESSERA_OK);
  EXPECT_EQ(ids[2], -1);
  EXPECT_EQ(scores[2], -kInfinity);
}

TEST(RankTest, EmbeddingsAreComparedAsASearchDoes) {
  Session session(demo(), {.threads = 1});
  const SearchIndex index(Matrix(session.embed(Texts(kTexts)), session.width()));
  const std::vector<Hit> expected = index.search(session.embed("text editor"), 3);
  const std::vector<Hit> hits = session.rank("text editor", Texts(kTexts), 3);
  ASSERT_EQ(hits.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(hits[i].id, expected[i].id);
    EXPECT_EQ(hits[i].score, expected[i].score);
  }
  // Prompts of both sides.
  const TextOptions with_prompt{.prompt = "tea: "};
  const std::vector<Hit> prompted =
      session.rank(Texts("brew", with_prompt), Texts(kTexts, with_prompt), 1);
  const SearchIndex other(Matrix(session.embed(Texts(kTexts, with_prompt)), session.width()));
  EXPECT_EQ(prompted[0].score, other.search(session.embed(Texts("brew", with_prompt)), 1)[0].score);
}

// A call with buffers that show every write.
class BadRankTest : public testing::Test {
 protected:
  BadRankTest() {
    ids_.fill(-7);
    scores_.fill(-7);
  }
  void expect_refused(tessera_status status, const std::string& part) {
    EXPECT_EQ(tessera_rank_texts(session_.get(), &queries_, &documents_, &options_, k_, ids_.data(),
                                 scores_.data(), logits_, capacity_),
              status);
    EXPECT_THAT(tessera_last_error(), HasSubstr(part));
    EXPECT_THAT(ids_, Each(-7));
    EXPECT_THAT(scores_, Each(-7.0F));
  }

  Session session_{demo(), {.threads = 1}};
  Texts asked_{"editor"}, searched_{std::span(kTexts)};
  tessera_texts queries_ = asked_.get(), documents_ = searched_.get();
  tessera_run_options options_ = TESSERA_RUN_OPTIONS_INIT;
  std::size_t k_ = 2, capacity_ = 2;
  std::array<std::int64_t, 4> ids_{};
  std::array<float, 4> scores_{};
  float* logits_ = nullptr;
};

TEST_F(BadRankTest, ArgumentsAreNamed) {
  k_ = 0;
  expect_refused(TESSERA_INVALID_ARGUMENT, "k is 0, expected 1 to 5 (documents)");
  k_ = 6;
  expect_refused(TESSERA_INVALID_ARGUMENT, "k is 6, expected 1 to 5 (documents)");
  k_ = 3;
  expect_refused(TESSERA_INVALID_ARGUMENT, "ids: capacity is 2, expected at least 1 x 3");
  k_ = 2;
  documents_.pairs = documents_.texts;
  expect_refused(TESSERA_INVALID_ARGUMENT, "documents.pairs is given, expected NULL");
  documents_.pairs = nullptr;
  std::array<const char*, 5> some{"a", "b", nullptr, "c", "d"};
  documents_.texts = some.data();
  documents_.lengths = nullptr;
  expect_refused(TESSERA_INVALID_ARGUMENT, "documents.texts[2] is NULL, expected a text");
  documents_ = searched_.get();
  documents_.truncation = static_cast<tessera_truncation>(9);
  expect_refused(TESSERA_INVALID_ARGUMENT, "documents.truncation is 9, expected 0 to 2");
  documents_ = searched_.get();
  logits_ = scores_.data();
  expect_refused(TESSERA_INVALID_ARGUMENT, "logits is given, expected NULL: the model compares");
  logits_ = nullptr;
  queries_.prompt_name = "nobody";
  expect_refused(TESSERA_NOT_FOUND, "prompt name: got \"nobody\"");
}

TEST_F(BadRankTest, StatusesAreOfOneQuery) {
  std::array<tessera_status, 5> statuses{};
  options_.item_status = statuses.data();
  queries_ = searched_.get();
  expect_refused(TESSERA_INVALID_ARGUMENT, "item_status is given with 5 queries, expected 1");
}

// A text that is refused, were it looked at: what is cancelled ends before.
TEST_F(BadRankTest, ACancelledCallEndsWhileTextsAreTokenised) {
  Cancel cancel;
  cancel.request();
  const std::string longest = "an encyclopedia of everything about tea";
  const Texts refused(longest, {.truncation = TESSERA_DO_NOT_TRUNCATE, .max_tokens = 3});
  documents_ = refused.get();
  k_ = 1;
  expect_refused(TESSERA_INVALID_ARGUMENT, "document 0: the text has ");
  options_.cancel = cancel.get();
  expect_refused(TESSERA_CANCELLED, "cancelled by its caller");
  EXPECT_EQ(tessera_encode_texts(session_.get(), &documents_, &options_, nullptr, 0, nullptr),
            TESSERA_CANCELLED);
}

TEST_F(BadRankTest, AModelThatRanksNothing) {
  const Model sections(kSections);
  session_ = Session(sections, {.threads = 1});
  expect_refused(TESSERA_UNSUPPORTED_MODEL,
                 "expected one logit (a reranker), a multiple choice or an embedding");
}

TEST_F(BadRankTest, ASessionWithoutTheOutput) {
  session_ = Session(demo(), {.threads = 1, .outputs = {"last_hidden_state"}});
  expect_refused(TESSERA_NOT_FOUND, "the session does not compute \"embedding\"");
}

TEST_F(BadRankTest, WhatARerankerCannotRead) {
  const Reranker files;
  const Model model = files.model();
  session_ = Session(model, {.threads = 1});
  queries_.max_tokens = 5;
  expect_refused(TESSERA_INVALID_ARGUMENT, "queries.truncation and max_tokens are given");
  queries_.max_tokens = 0;
  std::array<unsigned char, 1> cut{};
  queries_.is_cut = cut.data();
  expect_refused(TESSERA_INVALID_ARGUMENT, "queries.is_cut is given");
  queries_.is_cut = nullptr;
  documents_.prompt = "passage: ";
  expect_refused(TESSERA_INVALID_ARGUMENT, "documents.prompt is given");
}

// The conformance case's encoder with a tokenizer of a dozen words; queries are of 8 tokens.
class LateInteraction {
 public:
  LateInteraction() {
    const std::filesystem::path from = TESSERA_SOURCE_DIR "/tests/golden/data/colbert-bert";
    for (const char* name : {"config.json", "model.safetensors"}) {
      std::filesystem::copy(from / name, directory_ / name);
    }
    directory_.write(
        "vocab.txt",
        "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n[unused0]\n[unused1]\ntea\nbrew\nin\na\npot\n"
        "the\ncat\nsat\n.\n");
    directory_.write("artifact.metadata",
                     R"({"query_maxlen": 8, "doc_maxlen": 20, "attend_to_mask_tokens": true})");
  }
  Model model() const { return Model(directory_.path()); }

 private:
  TemporaryDirectory directory_;
};
constexpr std::size_t kWidth = 12;

TEST(RankTest, LateInteractionIsTheMaxSimOfTheTokensVectors) {
  const LateInteraction files;
  const Model model = files.model();
  Session session(model);
  const std::vector<Hit> hits = session.rank("tea pot", Texts(kDocuments));
  ASSERT_EQ(hits.size(), kDocuments.size());
  for (std::size_t i = 0; i < hits.size(); ++i) {
    EXPECT_LE(hits[i].score, 8.0F + 1e-4F) << "of eight vectors of the query";
    if (i > 0) {
      EXPECT_LE(hits[i].score, hits[i - 1].score);
    }
    const std::vector<Hit> alone =
        session.rank("tea pot", Texts(kDocuments[static_cast<std::size_t>(hits[i].id)]));
    EXPECT_EQ(alone.at(0).score, hits[i].score) << "whatever the other documents are";
  }
  // By hand: of documents "." (15) has no vector, of queries it has.
  const auto vectors_of = [&](const std::vector<std::int32_t>& ids, std::int32_t skipped) {
    std::vector<float> all(ids.size() * kWidth);
    const std::vector<std::int64_t> offsets{0, std::ssize(ids)};
    const std::array outputs{Output("token_embeddings", all)};
    session.encode(ids, {}, offsets, outputs);
    std::vector<std::vector<float>> out;
    for (std::size_t t = 0; t < ids.size(); ++t) {
      if (ids[t] == skipped) continue;
      out.emplace_back(all.begin() + static_cast<std::ptrdiff_t>(t * kWidth),
                       all.begin() + static_cast<std::ptrdiff_t>((t + 1) * kWidth));
    }
    return out;
  };
  double expected = 0.0, unskipped = 0.0;
  for (const auto& [skipped, sum] : {std::pair{15, &expected}, std::pair{-1, &unskipped}}) {
    const auto document = vectors_of({2, 6, 7, 15, 11, 15, 3}, skipped);
    for (const std::vector<float>& q : vectors_of({2, 5, 7, 15, 3, 4, 4, 4}, -1)) {
      double best = -2.0;
      for (const std::vector<float>& d : document) {
        best = std::max(best, std::inner_product(q.begin(), q.end(), d.begin(), 0.0));
      }
      *sum += best;
    }
  }
  ASSERT_GT(unskipped, expected + 1e-3);
  EXPECT_NEAR(session.rank("tea .", Texts("tea . pot .")).at(0).score, expected, 1e-4);
}

TEST(RankTest, LateInteractionSaysWhichTextsAreCut) {
  const LateInteraction files;
  const Model model = files.model();
  Session session(model);
  const std::string longer =
      "tea tea tea tea tea tea tea tea tea tea tea tea tea tea tea tea tea tea";
  std::array<unsigned char, 1> query_cut{7};
  std::array<unsigned char, 3> cut{7, 7, 7};
  session.rank(Texts("tea pot in a cat sat the", {.is_cut = query_cut.data()}),
               Texts({"tea", longer, "pot"}, {.is_cut = cut.data()}));
  EXPECT_THAT(query_cut, testing::ElementsAre(1));
  EXPECT_THAT(cut, testing::ElementsAre(0, 1, 0));
}

}  // namespace
}  // namespace tessera::test
