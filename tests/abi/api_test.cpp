// SPDX-License-Identifier: Apache-2.0
// tessera.hpp, and with it tessera.h, against the shared library.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <map>
#include <thread>

#include "tests/abi/demo.hpp"

namespace tessera::test {
namespace {

using testing::HasSubstr;

// (S, width), one text at a time.
std::vector<float> one_by_one(const Model& model) {
  Session session(model, {.threads = 1});
  std::vector<float> all;
  for (const std::string_view text : kTexts) {
    const std::vector<float> one = session.embed(text);
    all.insert(all.end(), one.begin(), one.end());
  }
  return all;
}

TEST(ApiTest, SaysWhatTheModelIs) {
  const tessera_model_info info = demo().info();
  EXPECT_EQ(info.input, TESSERA_INPUT_TOKENS);
  EXPECT_STREQ(info.model_type, "bert");
  EXPECT_STREQ(info.architecture, "BertModel");
  EXPECT_THAT(info.embedding, HasSubstr("mean pooling"));
  EXPECT_EQ(info.vocabulary_size, 8000);
  EXPECT_EQ(info.token_types, 2);
  EXPECT_EQ(demo().output("hidden_states.4").width, 256);
  EXPECT_TRUE(demo().output("last_hidden_state").is_per_token);
  EXPECT_EQ(demo().outputs().size(), info.output_count);
  const Model sections(kSections);
  EXPECT_EQ(sections.labels().size(), sections.info().label_count);
  EXPECT_EQ(sections.labels().at(0), "admin");
  EXPECT_STREQ(sections.info().main_output, "logits");
  EXPECT_STREQ(sections.info().problem_type, "single_label_classification");
}

TEST(ApiTest, Bf16IsAskedForAndSaid) {
  EXPECT_EQ(demo().info().precision, TESSERA_PRECISION_FP32);
  const Model model(kDemo, {.precision = TESSERA_PRECISION_BF16});
  EXPECT_EQ(model.info().precision, TESSERA_PRECISION_BF16);
  const std::vector<float> got = one_by_one(model), expected = one_by_one(demo());
  ASSERT_EQ(got.size(), expected.size());
  EXPECT_NE(got, expected);
  for (std::size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], expected[i], 4e-3F) << i;
}

TEST(ApiTest, Int8IsAskedForAndSaid) {
  const Model model(kDemo, {.precision = TESSERA_PRECISION_INT8});
  EXPECT_EQ(model.info().precision, TESSERA_PRECISION_INT8);
  const std::vector<float> got = one_by_one(model), expected = one_by_one(demo());
  ASSERT_EQ(got.size(), expected.size());
  EXPECT_NE(got, expected);
  for (std::size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], expected[i], 4e-2F) << i;
}

TEST(ApiTest, SplitsGiveTheSameBits) {
  const std::vector<float> expected = one_by_one(demo());
  for (const std::int64_t rows : {64, 70, 128, 512}) {
    for (const std::int64_t sequences : {1, 2, 5}) {
      Session session(demo(), {.threads = 1, .max_rows = rows, .max_sequences = sequences});
      EXPECT_EQ(session.embed(Texts(kTexts)), expected) << rows << " rows, " << sequences;
    }
  }
}

TEST(ApiTest, WritesRowsAtTheCallersStrideAndNothingBetween) {
  Session session(demo(), {.outputs = {"embedding", "last_hidden_state", "hidden_states.0"}});
  const Tokens tokens = demo().tokenize(Texts(kTexts));
  const std::size_t rows = tokens.ids.size(), stride = 256 + 7;
  std::vector<float> states((rows - 1) * stride + 256, -7.0F), embedding(kTexts.size() * 256);
  session.encode(tokens,
                 {Output("last_hidden_state", states, 256 + 7), Output(nullptr, embedding)});
  EXPECT_EQ(embedding, one_by_one(demo()));
  for (std::size_t r = 0; r < rows; ++r) {
    EXPECT_NE(states[r * stride], -7.0F);
    for (std::size_t i = 256; r + 1 < rows && i < stride; ++i) {
      ASSERT_EQ(states[r * stride + i], -7.0F) << "row " << r;
    }
  }
  // The embedding is the normalised mean of the states.
  double sum = 0, length = 0;
  for (std::size_t i = 0; i < 256; ++i) {
    double mean = 0;
    for (std::size_t r = 0; r < static_cast<std::size_t>(tokens.offsets[1]); ++r) {
      mean += static_cast<double>(states[r * stride + i]);
    }
    length += mean * mean;
    sum += mean * static_cast<double>(embedding[i]);
  }
  EXPECT_NEAR(sum / std::sqrt(length), 1.0, 1e-5);  // cosine; 256 terms of f32: 256 u = 1.5e-5
}

TEST(ApiTest, FilesInMemoryGiveTheSameBits) {
  std::map<std::string, std::vector<std::byte>> contents;
  for (const char* name :
       {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
        "modules.json", "1_Pooling/config.json", "sentence_bert_config.json"}) {
    contents[name] = read_bytes(kDemo + "/" + name);
  }
  std::vector<File> files;
  for (const auto& [name, bytes] : contents) files.push_back({name, bytes});
  const Model model(files);
  // What is said to be copied may go.
  for (auto& [name, bytes] : contents) {
    if (name != "model.safetensors") std::fill(bytes.begin(), bytes.end(), std::byte{});
  }
  EXPECT_EQ(one_by_one(model), one_by_one(demo()));
}

TEST(ApiTest, SessionsOutliveTheModelsHandle) {
  auto model = std::make_unique<Model>(kDemo);
  Session session(*model);
  const std::vector<float> before = session.embed(kTexts[0]);
  model.reset();
  EXPECT_EQ(session.embed(kTexts[0]), before);
}

TEST(ApiTest, SessionsOnSeveralThreadsShareAModel) {
  const std::vector<float> expected = one_by_one(demo());
  const Model model(kDemo);
  std::vector<std::thread> threads;
  std::atomic<int> equal{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      Session session(model, {.threads = 1});
      equal += session.embed(Texts(kTexts)) == expected ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(equal, 4);
}

TEST(ApiTest, MemoryIsSaidBeforehand) {
  const SessionOptions options{.threads = 1, .max_rows = 200, .max_sequences = 8};
  const tessera_memory promised = Session::memory_bytes(demo(), options);
  const tessera_memory taken = Session(demo(), options).memory();
  EXPECT_EQ(promised.arena, taken.arena);
  EXPECT_EQ(promised.total, taken.total);
  EXPECT_EQ(promised.total, promised.weights_packed + promised.weights_mapped + promised.arena);
  EXPECT_EQ(taken.max_rows, 200);
  EXPECT_EQ(taken.threads, 1U);
  EXPECT_GT(Session::memory_bytes(demo(), {.threads = 1, .max_rows = 400}).arena, taken.arena);
}

TEST(ApiTest, ACapCutsTheRunsAndKeepsTheBits) {
  const SessionOptions whole{.threads = 1};
  const tessera_memory most = Session::memory_bytes(demo(), whole);
  SessionOptions capped = whole;
  capped.memory_cap_bytes = most.total - most.arena / 2;
  const tessera_memory promised = Session::memory_bytes(demo(), capped);
  EXPECT_LE(promised.total, capped.memory_cap_bytes);
  EXPECT_LT(promised.max_rows, most.max_rows);
  Session session(demo(), capped);
  EXPECT_EQ(session.memory().total, promised.total);
  EXPECT_EQ(session.embed(Texts(kTexts)), one_by_one(demo()));
  session.trim();
  EXPECT_EQ(session.embed(Texts(kTexts)), one_by_one(demo()));
}

TEST(ApiTest, TheCallersPoolGivesTheSameBits) {
  std::atomic<int> calls{0};
  const auto pool = [](void* context, std::int64_t lanes, void (*body)(void*, std::int64_t),
                       void* arg) {
    ++*static_cast<std::atomic<int>*>(context);
    std::vector<std::thread> threads;
    for (std::int64_t lane = 1; lane < lanes; ++lane) threads.emplace_back(body, arg, lane);
    body(arg, 0);
    for (std::thread& thread : threads) thread.join();
  };
  Session session(demo(), {.threads = 3, .parallel_for = pool, .parallel_for_context = &calls});
  EXPECT_EQ(session.embed(Texts(kTexts)), one_by_one(demo()));
  EXPECT_GT(calls, 0);
}

TEST(ApiTest, PackedWeightsAreKept) {
  const TemporaryDirectory directory;
  for (int start = 0; start < 2; ++start) {
    const Model model(kDemo, {.packed_cache = directory.path()});
    EXPECT_EQ(one_by_one(model), one_by_one(demo()));
    EXPECT_FALSE(std::filesystem::is_empty(directory.path()));
  }
}

TEST(ApiTest, CopiedTablesNeedNoFiles) {
  std::vector<std::byte> weights = read_bytes(kDemo + "/model.safetensors");
  const std::vector<std::byte> config = read_bytes(kDemo + "/config.json"),
                               vocabulary = read_bytes(kDemo + "/tokenizer.json");
  const std::vector<File> files{
      {"config.json", config}, {"model.safetensors", weights}, {"tokenizer.json", vocabulary}};
  Model model(files, {.copy_tables = true});
  const std::vector<float> before = Session(model, {.threads = 1}).embed(kTexts[0]);
  std::fill(weights.begin(), weights.end(), std::byte{0xff});
  EXPECT_EQ(Session(model, {.threads = 1}).embed(kTexts[0]), before);
}

TEST(ApiTest, TextsAreCutAndPairedAsAskedFor) {
  const std::vector<std::string_view> pairs(kTexts.rbegin(), kTexts.rend());
  const Tokens alone = demo().tokenize(Texts(kTexts)), both = demo().tokenize(Texts(kTexts, pairs));
  EXPECT_GT(both.ids.size(), alone.ids.size());
  EXPECT_EQ(both.types.back(), 1);
  const Tokens cut = demo().tokenize(Texts(kTexts, {.max_tokens = 4}));
  for (std::size_t s = 0; s < kTexts.size(); ++s) {
    EXPECT_LE(cut.offsets[s + 1] - cut.offsets[s], 4);
  }
  std::vector<unsigned char> is_cut(kTexts.size(), 7);
  demo().tokenize(Texts(kTexts, {.max_tokens = 6, .is_cut = is_cut.data()}));
  for (std::size_t s = 0; s < kTexts.size(); ++s) {
    EXPECT_EQ(is_cut[s], alone.offsets[s + 1] - alone.offsets[s] > 6 ? 1 : 0) << s;
  }
  demo().tokenize(Texts(kTexts, {.is_cut = is_cut.data()}));
  EXPECT_EQ(is_cut, std::vector<unsigned char>(kTexts.size(), 0));
  EXPECT_THROW(
      demo().tokenize(Texts(kTexts, {.truncation = TESSERA_DO_NOT_TRUNCATE, .max_tokens = 4})),
      Error);
  const Tokens prompted = demo().tokenize(Texts(kTexts, {.prompt = "query: "}));
  EXPECT_GT(prompted.ids.size(), alone.ids.size());
}

TEST(ApiTest, APromptThatThePoolingLeavesOutIsNotPooled) {
  const TemporaryDirectory directory;
  std::filesystem::copy(kDemo, directory.path(), std::filesystem::copy_options::recursive);
  directory.write("1_Pooling/config.json",
                  R"({"word_embedding_dimension": 256, "include_prompt": false})");
  directory.write("modules.json", R"([
      {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
      {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}])");
  const Model model(directory.path().string());
  EXPECT_THAT(model.info().embedding, HasSubstr("without the prompt"));
  const Texts prompted(kTexts, {.prompt = "a query "});
  Session session(model, {.max_rows = 64, .max_sequences = 2});
  const std::vector<float> got = session.embed(prompted);

  const Tokens tokens = demo().tokenize(prompted);  // the same, of a model that pools all
  const std::size_t prompt =
      demo().tokenize(Texts(std::vector<std::string_view>{"a query"})).ids.size() - 1;
  std::vector<float> states(tokens.ids.size() * 256);
  Session whole(demo(), {.outputs = {"last_hidden_state"}});
  whole.encode(tokens, {Output("last_hidden_state", states)});
  for (std::size_t s = 0; s < kTexts.size(); ++s) {
    const auto begin = static_cast<std::size_t>(tokens.offsets[s]) + prompt,
               end = static_cast<std::size_t>(tokens.offsets[s + 1]);
    for (std::size_t n = 0; n < 256; ++n) {
      double sum = 0;
      for (std::size_t t = begin; t < end; ++t) sum += static_cast<double>(states[t * 256 + n]);
      ASSERT_NEAR(got[s * 256 + n], sum / static_cast<double>(end - begin), 1e-5) << s;
    }
  }
  try {  // ids cannot tell which of them are the prompt's
    model.tokenize(prompted);
    ADD_FAILURE() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), TESSERA_UNSUPPORTED_MODEL);
    EXPECT_THAT(error.what(), HasSubstr("include_prompt false"));
  }
  EXPECT_EQ(model.tokenize(Texts(kTexts)).ids, demo().tokenize(Texts(kTexts)).ids);
}

TEST(ApiTest, NothingIsEncodedWithoutTexts) {
  Session session(demo());
  EXPECT_TRUE(session.embed(Texts(std::span<const std::string_view>())).empty());
}

TEST(ApiTest, RunsEndOnRequestAndInTime) {
  Session session(demo(), {.threads = 1});
  std::vector<float> out(kTexts.size() * 256, -7.0F);
  const Output output(nullptr, out);
  Cancel cancel;
  cancel.request();
  const auto status = [&](const RunOptions& options) {
    try {
      session.encode(Texts(kTexts), std::span(&output, 1), options);
      return TESSERA_OK;
    } catch (const Error& error) {
      return error.status();
    }
  };
  EXPECT_EQ(status({.cancel = &cancel}), TESSERA_CANCELLED);
  EXPECT_THAT(tessera_last_error(), HasSubstr("cancel"));
  EXPECT_EQ(status({.timeout = std::chrono::nanoseconds(1)}), TESSERA_CANCELLED);
  EXPECT_EQ(out, std::vector<float>(out.size(), -7.0F));
  cancel.reset();
  EXPECT_EQ(status({.cancel = &cancel, .timeout = std::chrono::hours(24 * 365 * 200)}), TESSERA_OK);
  EXPECT_EQ(out, one_by_one(demo()));
}

TEST(ApiTest, WarningsReachTheCallback) {
  std::vector<std::string> messages;
  const auto keep = [](void* context, tessera_log_level level, const char* message) {
    if (level == TESSERA_LOG_WARNING) {
      static_cast<std::vector<std::string>*>(context)->emplace_back(message);
    }
    throw 1;  // none of the library's business
  };
  // A tokenizer with more ids than the vocabulary has rows is worth a warning.
  std::vector<File> files;
  std::vector<std::byte> config = read_bytes(kDemo + "/config.json"),
                         weights = read_bytes(kDemo + "/model.safetensors");
  std::string vocabulary;
  for (int i = 0; i < 9000; ++i) vocabulary.append("w").append(std::to_string(i)).append("\n");
  vocabulary += "[UNK]\n[CLS]\n[SEP]\n[PAD]\n[MASK]\n";
  files.push_back({"config.json", config});
  files.push_back({"model.safetensors", weights});
  files.push_back({"vocab.txt", std::as_bytes(std::span(vocabulary))});
  ASSERT_EQ(tessera_set_log_callback(keep, &messages), TESSERA_OK);
  const Model model(files);
  ASSERT_EQ(tessera_set_log_callback(nullptr, nullptr), TESSERA_OK);
  ASSERT_EQ(messages.size(), 1U);
  EXPECT_THAT(messages[0], HasSubstr("vocab_size=8000"));
}

TEST(ApiTest, ATextThatFailsLeavesTheOthers) {
  Session session(demo(), {.threads = 1, .max_rows = 64});
  const std::vector<float> expected = one_by_one(demo());
  const auto width = static_cast<std::size_t>(session.width());
  std::string words;
  for (int i = 0; i < 200; ++i) words += "tea ";
  const std::vector<std::string> texts{words, std::string(kTexts[0]), words,
                                       std::string(kTexts[1])};
  std::vector<tessera_status> status(texts.size(), TESSERA_INTERNAL);
  const TextOptions uncut{.truncation = TESSERA_DO_NOT_TRUNCATE, .max_tokens = 12};
  const auto check = [&](const TextOptions& options, const char* part) {
    std::vector<float> out(texts.size() * width, -7.0F);
    const Output output(nullptr, out);
    const auto offsets =
        session.encode(Texts(texts, options), std::span(&output, 1), {.item_status = status});
    EXPECT_EQ(status, (std::vector<tessera_status>{TESSERA_INVALID_ARGUMENT, TESSERA_OK,
                                                   TESSERA_INVALID_ARGUMENT, TESSERA_OK}));
    EXPECT_EQ(offsets[1], 0);
    EXPECT_EQ(offsets[3], offsets[2]);
    for (std::size_t i = 0; i < width; ++i) {
      EXPECT_EQ(out[i], -7.0F);
      EXPECT_EQ(out[width + i], expected[i]);
      EXPECT_EQ(out[2 * width + i], -7.0F);
      EXPECT_EQ(out[3 * width + i], expected[width + i]);
    }
    EXPECT_THAT(tessera_last_error(), HasSubstr("text 0: "));
    EXPECT_THAT(tessera_last_error(), HasSubstr("\ntext 2: "));
    EXPECT_THAT(tessera_last_error(), HasSubstr(part));
  };
  check(uncut, "expected");
  check({.max_tokens = 100}, "expected at most 64 (the session's max_rows)");
  EXPECT_THROW(session.embed(Texts(texts, uncut)), Error);  // nobody asked for statuses
  const std::vector<std::string> bad{words, words};
  std::vector<tessera_status> two(2, TESSERA_OK);
  EXPECT_EQ(session.embed(Texts(bad, uncut), {.item_status = two}),
            std::vector<float>(2 * width, 0.0F));
  EXPECT_EQ(two, std::vector<tessera_status>(2, TESSERA_INVALID_ARGUMENT));
  EXPECT_THROW(session.embed(Texts(texts, uncut), {.item_status = two}), Error);
  std::vector<float> out(width);
  const Output output(nullptr, out);
  std::vector<tessera_status> one(1);
  EXPECT_THROW(session.encode(demo().tokenize("tea"), {output}, {.item_status = one}), Error);
  EXPECT_THAT(tessera_last_error(), HasSubstr("item_status is given, expected NULL"));
}

}  // namespace
}  // namespace tessera::test
