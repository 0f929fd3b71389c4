// SPDX-License-Identifier: Apache-2.0
// Models without layers on the command line: static embeddings, model2vec, and a Router whose queries
// are looked up in a table (inference-free SPLADE).
#include <gmock/gmock.h>
#include <simdjson.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "tessera/cli/sides.hpp"
#include "tests/models/sentence/static_directory.hpp"
#include "tests/tessera/cli/cli_test.hpp"

namespace tessera::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

/// A hit of search or rerank.
struct Hit {
  std::int64_t line;
  double score;
};
std::vector<Hit> hits_of(const CommandResult& result) {
  EXPECT_EQ(result.status, 0) << result.err;
  std::vector<Hit> out;
  simdjson::dom::parser parser;
  for (const auto hit : simdjson::dom::array(parser.parse(result.out)["hits"])) {
    out.push_back({std::int64_t(hit["line"]), double(hit["score"])});
  }
  return out;
}

class StaticCliTest : public CliTest {
 protected:
  static constexpr std::int64_t kWidth = 6;

  void SetUp() override {
    fs::create_directories(path("static"));
    file("static/modules.json", modules_json({{"StaticEmbedding", "."}}));
    write_static(path("static"), table_);
  }
  /// The mean of rows, as a line of embed --format text.
  std::vector<double> mean(const std::vector<Index>& ids) const {
    std::vector<double> row(kWidth, 0.0);
    for (const Index id : ids) {
      for (Index j = 0; j < kWidth; ++j) {
        row[static_cast<std::size_t>(j)] +=
            static_cast<double>(table_.at(id, j)) / static_cast<double>(ids.size());
      }
    }
    return row;
  }
  /// Sums of a few numbers of size 1 in f32; more of them need more.
  void expect_rows(const CommandResult& result, const std::vector<std::vector<double>>& expected,
                   double tolerance = 1e-6) {
    ASSERT_EQ(result.status, 0) << result.err;
    const std::vector<std::string> lines = lines_of(result.out);
    ASSERT_EQ(lines.size(), expected.size());
    for (std::size_t r = 0; r < lines.size(); ++r) {
      const std::vector<float> row = numbers_of(lines[r]);
      ASSERT_EQ(row.size(), expected[r].size());
      for (std::size_t j = 0; j < row.size(); ++j) {
        EXPECT_NEAR(static_cast<double>(row[j]), expected[r][j], tolerance) << r << " " << j;
      }
    }
  }

  const Tensor table_ = static_table(kWidth);
};

TEST_F(StaticCliTest, TextsGetNoSpecialTokensAndNoneIsZeros) {
  file("texts.txt", "brew Tea\nthe zebra [SEP] mat\n\n   \ntea tea tea cat\n");
  const std::vector<double> zeros(kWidth, 0.0);
  expect_rows(tessera("embed static texts.txt --format text"),
              {mean({5, 4}), mean({6, 1, 3, 8}), zeros, zeros, mean({4, 4, 4, 7})});
  expect_rows(tessera("embed static texts.txt --format text --batch-tokens 2"),
              {mean({5, 4}), mean({6, 1, 3, 8}), zeros, zeros, mean({4, 4, 4, 7})});
  const CommandResult cut = tessera("embed static texts.txt --format text --max-length 1");
  expect_rows(cut, {mean({5}), mean({6}), zeros, zeros, mean({4})});
  EXPECT_THAT(cut.err, HasSubstr("3 of 5 texts were cut to 1 tokens"));
}

// batch_tokens is a budget: a longer text is computed alone. What the cap cannot hold is one line's
// problem.
TEST_F(StaticCliTest, OnlyAMemoryCapLimitsTexts) {
  const auto teas = [](int count) {
    std::string text = "tea";
    for (int i = 1; i < count; ++i) text += " tea";
    return text;
  };
  file("long.txt", "brew tea\n" + teas(6000) + "\ncat\n");
  for (const char* flags : {"", " --batch-tokens 4", " --memory-cap 1M"}) {
    expect_rows(tessera("embed static long.txt --format text" + std::string(flags)),
                {mean({5, 4}), mean({4}), mean({7})}, 6000 * 0x1p-24);  // of a sum in order
  }
  file("huge.txt", "brew tea\n" + teas(100000) + "\ncat\n");
  expect_rows(tessera("embed static huge.txt --format text"), {mean({5, 4}), mean({4}), mean({7})},
              100000 * 0x1p-24);
  const std::string problem = "the text has 100000 tokens, expected at most ";
  const CommandResult embed = tessera("embed static huge.txt --format text --memory-cap 1M");
  expect_bad_lines(embed, 2, "huge.txt: line 2: " + problem);
  EXPECT_THAT(embed.err, HasSubstr("as fit into the memory cap of 1048576 bytes"));
  for (const char* command : {"search static --index huge.txt tea -q --format jsonl",
                              "rerank static --query tea huge.txt -q --format jsonl"}) {
    const CommandResult result = tessera(command + std::string(" --memory-cap 1M"));
    EXPECT_EQ(result.status, 1) << command;
    EXPECT_THAT(result.err, HasSubstr(problem)) << command;
    EXPECT_THAT(result.out, HasSubstr("brew tea")) << command;
  }
}

TEST_F(StaticCliTest, RunWritesTheEmbedding) {
  const std::vector<std::int64_t> ids{5, 4, 7, 6, 8, 0}, mask{1, 1, 1, 1, 1, 0};
  const auto input = [](const char* name, const std::vector<std::int64_t>& values) {
    return TensorToWrite{.name = name,
                         .type = StoredType::i64,
                         .shape = {2, 3},
                         .data = std::as_bytes(std::span(values))};
  };
  const std::vector<TensorToWrite> inputs{input("input_ids", ids), input("attention_mask", mask)};
  write_safetensors(path("in.st"), inputs);
  const CommandResult result = tessera("run static --input in.st --output out.st");
  ASSERT_EQ(result.status, 0) << result.err;
  const SafetensorsFile out = SafetensorsFile::open(path("out.st"));
  const StoredTensor* embedding = out.find("embedding");
  ASSERT_NE(embedding, nullptr);
  ASSERT_EQ(embedding->shape, (std::vector<std::int64_t>{2, kWidth}));
  std::vector<float> values(2 * kWidth);
  std::memcpy(values.data(), embedding->data, embedding->bytes);
  std::vector<double> expected = mean({5, 4, 7});
  for (const double value : mean({6, 8})) expected.push_back(value);
  for (std::size_t i = 0; i < values.size(); ++i) {
    EXPECT_NEAR(static_cast<double>(values[i]), expected[i], 1e-6) << i;
  }
}

TEST_F(StaticCliTest, TokensAreThoseThatAreRead) {
  const auto ids = [&](const std::string& arguments) {
    const CommandResult result = tessera("tokens " + arguments);
    EXPECT_EQ(result.status, 0) << result.err;
    return result.out.substr(0, result.out.find(']') + 1);
  };
  file("in.jsonl", R"({"text": "the zebra mat cat"})");
  EXPECT_EQ(ids("static --json in.jsonl"), "{\"ids\": [6, 1, 8, 7]");
  EXPECT_EQ(ids("static --json in.jsonl --max-length 3"), "{\"ids\": [6, 1, 8]");
  fs::create_directories(path("m2v"));
  write_static(path("m2v"), table_, "embeddings");
  file("m2v/config.json", R"({"model_type": "model2vec", "normalize": false})");
  EXPECT_EQ(ids("m2v --json in.jsonl"), "{\"ids\": [6, 8, 7]");
  // 4 code points a token: "the zebra ma", then the unknown ones are left out
  EXPECT_EQ(ids("m2v --json in.jsonl --max-length 3"), "{\"ids\": [6]");
  file("pair.jsonl", R"({"text": "tea", "pair": "cat"})");
  EXPECT_THAT(tessera("tokens m2v --json pair.jsonl").out, HasSubstr("model2vec reads one text"));
  // Every token unless told to truncate.
  std::string many = "tea";
  for (int i = 1; i < 600; ++i) many += " tea";
  file("many.txt", many + "\n");
  EXPECT_EQ(lines_of(tessera("tokens m2v many.txt").out).front(), "many.txt: line 1: 600 tokens");
  EXPECT_EQ(lines_of(tessera("tokens m2v many.txt --file-truncation").out).front(),
            "many.txt: line 1: 512 tokens");
}

TEST_F(StaticCliTest, EveryCommandThatEmbedsTakesIt) {
  file("texts.txt", "brew tea\nthe cat\n");
  const auto cosine = [&](const std::vector<Index>& a, const std::vector<Index>& b) {
    const auto x = mean(a), y = mean(b);
    double xy = 0.0, xx = 0.0, yy = 0.0;
    for (std::size_t j = 0; j < x.size(); ++j)
      xy += x[j] * y[j], xx += x[j] * x[j], yy += y[j] * y[j];
    return xy / std::sqrt(xx * yy);
  };
  for (const char* command : {"search static --index texts.txt 'the mat' -q --format jsonl",
                              "rerank static --query 'the mat' texts.txt -q --format jsonl"}) {
    const std::vector<Hit> hits = hits_of(tessera(command));
    ASSERT_EQ(hits.size(), 2U);
    EXPECT_GE(hits[0].score, hits[1].score);
    for (const Hit& hit : hits) {
      const std::vector<Index> line =
          hit.line == 1 ? std::vector<Index>{5, 4} : std::vector<Index>{6, 7};
      EXPECT_NEAR(hit.score, cosine({6, 8}, line), 1e-6);
    }
  }
  const CommandResult info = tessera("info static");
  ASSERT_EQ(info.status, 0) << info.err;
  EXPECT_THAT(info.out, HasSubstr("static-embedding"));
  EXPECT_THAT(info.out, HasSubstr("no special tokens"));
  EXPECT_THAT(info.out, Not(HasSubstr("position_table")));
  const CommandResult plan =
      tessera("plan static --no-measure");  // of weights that are read in place
  EXPECT_THAT(plan.out, HasSubstr(" predicted), the packed weights (0.0 -> 0.0 MiB), "));
  EXPECT_THAT(plan.out, testing::Not(HasSubstr("nan")));
  for (const char* command : {"plan static", "profile static", "tokens static texts.txt"}) {
    const CommandResult result = tessera(command);
    EXPECT_EQ(result.status, 0) << command << ": " << result.err;
  }
  for (const char* command : {"embed static texts.txt", "info static", "plan static",
                              "profile static", "tokens static texts.txt"}) {
    expect_failure(tessera(command + std::string(" --as query")), 2, "Router");
  }
  expect_failure(tessera("classify static texts.txt"), 1, "has no labels");
}

// The reference turns a padding of tokenizer.json off.
TEST_F(StaticCliTest, APaddingOfTheTokenizerAddsNoRows) {
  const std::string texts[] = {"embed static texts.txt",
                               "embed static texts.txt --class StaticModel",
                               "tokens static texts.txt"};
  file("texts.txt", "brew tea\ntea\n\nthe cat the cat the cat\n");
  file("static/config.json", R"({"model_type": "model2vec"})");
  write_static(path("static"), table_, "embeddings");
  std::vector<std::string> plain;
  for (const std::string& command : texts) plain.push_back(tessera(command).out);
  const std::string json = static_tokenizer_json(), none = "\"padding\": null";
  for (const char* strategy : {R"({"Fixed": 5})", "\"BatchLongest\""}) {
    for (const char* direction : {"Left", "Right"}) {
      file("static/tokenizer.json",
           std::string(json).replace(
               json.find(none), none.size(),
               fmt::format(R"("padding": {{"strategy": {}, "direction": "{}", "pad_id": 0,
                 "pad_to_multiple_of": 4, "pad_type_id": 0, "pad_token": "[PAD]"}})",
                           strategy, direction)));
      for (std::size_t i = 0; i < plain.size(); ++i) {
        const CommandResult padded = tessera(texts[i]);
        EXPECT_EQ(padded.status, 0) << padded.err;
        EXPECT_EQ(padded.out, plain[i]) << texts[i] << strategy;
      }
    }
  }
}

TEST_F(StaticCliTest, IdsBeyondTheTableAreRefusedLineByLine) {
  Tensor table = table_;
  table.shape[0] = 5;
  table.data.resize(5 * kWidth);
  write_static(path("static"), table);
  file("texts.txt", "brew tea\ntea\n");
  const CommandResult result = tessera("embed static texts.txt --format text");
  expect_bad_lines(result, 1, "token id 0 is 5, expected 0 to 4");
}

TEST_F(StaticCliTest, Model2vecLeavesUnknownTokensOutAndCutsTwice) {
  fs::create_directories(path("m2v"));
  write_static(path("m2v"), table_, "embeddings");
  file("m2v/config.json", R"({"model_type": "model2vec", "normalize": false})");
  file("texts.txt", "the zebra mat\nzebra\n");
  expect_rows(tessera("embed m2v texts.txt --format text"),
              {mean({6, 8}), std::vector<double>(kWidth, 0.0)});
  // The median token has 4 code points: --max-length 3 leaves 12 of them, then 3 known tokens.
  file("long.txt",
       "the zebra mat cat tea\ntea tea tea tea\nééé the \xc3\xa9\xc3\xa9\xc3\xa9 mat\n");
  const CommandResult result = tessera("embed m2v long.txt --format text --max-length 3");
  expect_rows(result, {mean({6}), mean({4, 4, 4}), mean({6})});
  EXPECT_THAT(result.err, HasSubstr("3 of 3 texts were cut to 3 tokens"));
  std::string many = "cat";
  for (int i = 0; i < 600; ++i) many += " .";  // unknown
  for (int i = 0; i < 210; ++i) many += " mat";
  many += " the";  // its last letter is code point 2047 of the 512 · 4 that are read
  for (int i = 0; i < 600; ++i) many += " tea";
  file("many.txt", many + "\n");
  std::vector<Index> ids{7};
  ids.insert(ids.end(), 210, 8);
  ids.push_back(6);
  expect_rows(tessera("embed m2v many.txt --format text"), {mean(ids)}, 1e-5);
}

class RouterCliTest : public CliTest {
 protected:
  void SetUp() override {
    const fs::path from = fs::path(TESSERA_SOURCE_DIR) / "tests/golden/data/splade-bert";
    fs::create_directories(path("router/document_0_MLMTransformer"));
    fs::create_directories(path("router/document_1_SpladePooling"));
    for (const char* name : {"config.json", "model.safetensors"}) {
      fs::copy(from / name, path("router/document_0_MLMTransformer") / name);
    }
    fs::copy(from / "1_SpladePooling/config.json",
             path("router/document_1_SpladePooling/config.json"));
    std::string words = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nbrew\ntea\nthe\ncat\nhello\nworld\n";
    for (int id = 11; id < 140; ++id) words += fmt::format("w{}\n", id);
    for (const char* folder : {"document_0_MLMTransformer", "query_0_SparseStaticEmbedding"}) {
      fs::create_directories(path("router") / folder);
      file(fmt::format("router/{}/vocab.txt", folder), words);
    }
    write_weight(140);
    file("router/query_0_SparseStaticEmbedding/config.json", R"({"frozen": true})");
    file("router/modules.json", modules_json({{"Router", ""}}));
    file("router/router_config.json", R"({
      "types": {"query_0_SparseStaticEmbedding":
                  "sentence_transformers.sparse_encoder.models.SparseStaticEmbedding",
                "document_0_MLMTransformer":
                  "sentence_transformers.sparse_encoder.models.MLMTransformer",
                "document_1_SpladePooling":
                  "sentence_transformers.sparse_encoder.models.SpladePooling"},
      "structure": {"query": ["query_0_SparseStaticEmbedding"],
                    "document": ["document_0_MLMTransformer", "document_1_SpladePooling"]},
      "parameters": {"default_route": "document", "allow_empty_key": true}})");
    file("router/config_sentence_transformers.json",
         R"({"model_type": "SparseEncoder", "prompts": {"query": "hello ", "document": ""},
             "default_prompt_name": null, "similarity_fn_name": "dot"})");
    file("texts.txt", "brew tea\nthe cat\nhello world tea\n");
  }
  void write_weight(std::int64_t rows) {
    weight_ = random_tensor({rows}, 11, 1.0F, 3.0F);
    write_tensors(path("router/query_0_SparseStaticEmbedding/model.safetensors"),
                  {{"weight", weight_}});
  }
  std::vector<std::map<std::int64_t, double>> sparse(const std::string& command) {
    const CommandResult result = tessera(command);
    EXPECT_EQ(result.status, 0) << result.err;
    std::vector<std::map<std::int64_t, double>> rows;
    simdjson::dom::parser parser;
    for (const std::string& line : lines_of(result.out)) {
      auto& row = rows.emplace_back();
      for (const auto element : simdjson::dom::array(parser.parse(line)["sparse"])) {
        row[std::int64_t(element["id"])] = double(element["weight"]);
      }
    }
    return rows;
  }
  double weight(std::size_t id) const { return static_cast<double>(weight_.data[id]); }

  Tensor weight_;
};

// Golden vectors are of one route, which they name, and the other is said to be left out.
TEST_F(RouterCliTest, VectorsAreVerifiedByTheirRoute) {
  ASSERT_EQ(tessera("verify router --record --as query -o query.st").status, 0);
  std::vector<TensorToWrite> tensors;  // as a reference writes them, which knows of no route
  const SafetensorsFile file = SafetensorsFile::open(path("query.st"));
  for (const StoredTensor& t : file.tensors()) {
    tensors.push_back(
        {.name = t.name, .type = t.type, .shape = t.shape, .data = {t.data, t.bytes}});
  }
  write_safetensors(path("reference.st"), tensors);
  ASSERT_EQ(tessera("verify router --record --as query --against reference.st -o again.st").status,
            0);
  for (const char* vectors : {"query.st", "again.st"}) {
    const CommandResult result = tessera(fmt::format("verify router --against {}", vectors));
    EXPECT_EQ(result.status, 0) << vectors << result.out << result.err;
    EXPECT_THAT(result.out, HasSubstr("none route document: these vectors are of query"));
  }
  Tensor changed = weight_;
  for (float& value : changed.data) value *= -3.0F;
  write_tensors(path("router/query_0_SparseStaticEmbedding/model.safetensors"),
                {{"weight", changed}});
  EXPECT_EQ(tessera("verify router --against query.st").status, 1);
}

TEST_F(RouterCliTest, EmbedTakesTheRouteThatIsAskedFor) {
  file("queries.txt", "tea tea brew\n\n");
  const auto queries = sparse("embed router queries.txt --as query");
  ASSERT_EQ(queries.size(), 2U);
  // Behind the prompt "hello ", each token once, without [CLS] and [SEP].
  ASSERT_EQ(queries[0].size(), 3U);
  for (const std::size_t id : {5U, 6U, 9U}) {
    EXPECT_NEAR(queries[0].at(static_cast<std::int64_t>(id)), weight(id), 1e-6);
  }
  ASSERT_EQ(queries[1].size(), 1U) << "the prompt alone";
  const auto unprompted = sparse("embed router queries.txt --as query --prompt ''");
  EXPECT_EQ(unprompted[0].size(), 2U);
  EXPECT_TRUE(unprompted[1].empty());
  const auto documents = sparse("embed router texts.txt");
  EXPECT_EQ(documents, sparse("embed router texts.txt --as document"));
  EXPECT_GT(documents[0].size(), 3U);
}

TEST_F(RouterCliTest, SearchAndRerankReadEachSideByItsRoute) {
  const auto documents = sparse("embed router texts.txt --as document");
  ASSERT_EQ(documents.size(), 3U);
  std::vector<double> expected;
  for (const auto& document : documents) {
    double sum = 0.0;
    for (const std::size_t id : {6U, 8U, 9U}) {  // hello tea cat
      const auto found = document.find(static_cast<std::int64_t>(id));
      if (found != document.end()) sum += weight(id) * found->second;
    }
    expected.push_back(sum);
  }
  for (const char* command : {"search router --index texts.txt 'tea cat' -q --format jsonl",
                              "rerank router --query 'tea cat' texts.txt -q --format jsonl"}) {
    const std::vector<Hit> hits = hits_of(tessera(command));
    ASSERT_EQ(hits.size(), 3U);
    for (std::size_t i = 0; i < 3; ++i) {
      const double score = expected[static_cast<std::size_t>(hits[i].line - 1)];
      EXPECT_NEAR(hits[i].score, score, 1e-4 * std::abs(score)) << command;
      if (i > 0) {
        EXPECT_GE(hits[i - 1].score, hits[i].score);
      }
    }
  }
  ASSERT_EQ(tessera("search router --index texts.txt tea -q --save-index i.npy").status, 0);
  EXPECT_EQ(tessera("search router --index texts.txt tea -q --load-index i.npy").out,
            tessera("search router --index texts.txt tea -q").out);
}

TEST_F(RouterCliTest, MemoryCapIsOnBothSidesTogether) {
  cli::ModelFlags model;
  model.model = path("router").string();
  const cli::SidePackages sides = cli::open_sides(model);
  EncoderOptions options = model.encoder_options({"embedding"});
  options.split_to_cap = true;
  const std::size_t documents = memory_bytes(*sides.documents, options, 1).weights(),
                    queries = memory_bytes(*sides.queries, options, 1).weights();
  std::size_t fitted = 0;
  for (const std::size_t left :
       std::vector<std::size_t>{0, 1, 1 << 14, 1 << 17, 1 << 20, 1 << 23}) {
    options.session.memory_cap_bytes = documents + queries + left;
    try {
      cli::SideEncoders encoders(sides, options);
      const auto total = [](const TextEncoder& encoder) { return encoder.memory_bytes(1).total(); };
      EXPECT_LE(total(encoders.of_documents()) + total(encoders.of_queries()),
                options.session.memory_cap_bytes);
      ++fitted;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::out_of_memory);
      EXPECT_LT(left, std::size_t{1} << 19);
    }
  }
  EXPECT_GE(fitted, 2U);
  for (const char* command :
       {"search router --index texts.txt tea", "rerank router --query tea texts.txt"}) {
    const std::string cap = fmt::format(" -q --memory-cap {}", documents + queries);
    expect_failure(tessera(command + cap), 1, "weights of queries and documents take");
    EXPECT_EQ(tessera(command + std::string(" -q --memory-cap 16M")).out,
              tessera(command + std::string(" -q")).out);
  }
}

TEST_F(RouterCliTest, InfoSaysWhichRoutesThereAre) {
  const CommandResult info = tessera("info router --json");
  ASSERT_EQ(info.status, 0) << info.err;
  EXPECT_THAT(info.out,
              HasSubstr("\"route\": \"document\", \"routes\": [\"query\", \"document\"]"));
  EXPECT_THAT(info.out, HasSubstr("\"architecture\": \"BertForMaskedLM\""));
}

TEST_F(RouterCliTest, CommandsThatShowAModelTakeARoute) {
  const CommandResult info = tessera("info router --as query --json");
  EXPECT_THAT(info.out, HasSubstr("\"route\": \"query\""));
  EXPECT_THAT(info.out, HasSubstr("\"architecture\": \"SparseStaticEmbedding\""));
  EXPECT_EQ(tessera("info router --as document --json").out, tessera("info router --json").out);
  for (const char* command : {"plan router --no-measure", "profile router --runs 1"}) {
    const CommandResult documents = tessera(command),
                        queries = tessera(command + std::string(" --as query"));
    EXPECT_EQ(documents.status, 0) << documents.err;
    EXPECT_EQ(queries.status, 0) << queries.err;
    EXPECT_THAT(documents.out, HasSubstr("attention")) << command;
    EXPECT_THAT(queries.out, Not(HasSubstr("attention"))) << command;
  }
  file("in.jsonl", R"({"text": "brew tea"})");
  EXPECT_THAT(tessera("tokens router --json in.jsonl --as query").out,
              StartsWith("{\"ids\": [5, 6]"));
  for (const char* flags : {"", " --as document"}) {
    EXPECT_THAT(tessera("tokens router --json in.jsonl" + std::string(flags)).out,
                StartsWith("{\"ids\": [2, 5, 6, 3]"));
  }
}

TEST_F(RouterCliTest, WithoutADefaultARouteIsAskedFor) {
  const std::string config = read_file(path("router/router_config.json"));
  const std::string with = R"("default_route": "document", "allow_empty_key": true)";
  file("router/router_config.json",
       std::string(config).replace(config.find(with), with.size(), R"("allow_empty_key": false)"));
  for (const char* command :
       {"embed router texts.txt", "info router", "plan router --no-measure",
        "profile router --runs 1", "report router --rows 8 --runs 1 --bytes none",
        "tokens router texts.txt"}) {
    const CommandResult none = tessera(command);
    expect_failure(none, 1, "router_config.json: route: got none");
    EXPECT_THAT(none.err, HasSubstr("(--as query|document)")) << command;
    EXPECT_EQ(tessera(std::string(command) + " --as query").status, 0) << command;
    EXPECT_EQ(tessera(std::string(command) + " --as document").status, 0) << command;
  }
  EXPECT_EQ(tessera("search router --index texts.txt tea").status, 0) << "asks for both";
}

TEST_F(RouterCliTest, SidesOfTwoWidthsAreRefused) {
  write_weight(141);
  for (const char* command :
       {"search router --index texts.txt tea", "rerank router --query tea texts.txt"}) {
    expect_failure(tessera(command), 1,
                   "router: embeddings of route \"query\" have 141 columns, expected 140 as those "
                   "of \"document\"");
  }
}

// Positions of a rotation or a bias end nowhere: texts are cut where the model's files say, ids are
// taken as they are, and neither by the budget of a batch.
TEST_F(CliTest, TextsLongerThanABatchGoAlone) {
  const fs::path data = fs::path(TESSERA_SOURCE_DIR) / "tests/golden/data";
  for (const auto& [name, longest] : std::map<std::string, int>{{"bert-model", 64},
                                                                {"jina-bert-v2", 80},
                                                                {"modernbert-model-v5config", 120},
                                                                {"deberta-v2-p2c-only", 56}}) {
    std::string ids;
    for (int i = 0; i < longest; ++i) ids += fmt::format("{}{}", i == 0 ? "" : " ", 5 + i % 90);
    file("ids.txt", ids + "\n7 8 9\n");
    const std::string command = "embed '" + (data / name).string() + "' --ids ids.txt";
    const CommandResult expected = tessera(command);
    ASSERT_EQ(expected.status, 0) << expected.err;
    EXPECT_EQ(lines_of(expected.out).size(), 2U);
    for (const char* flags :
         {" --batch-tokens 16", " --memory-cap 1G", " --batch-tokens 16 --memory-cap 1G"}) {
      const CommandResult result = tessera(command + flags);
      EXPECT_EQ(result.status, 0) << name << flags << ": " << result.err;
      EXPECT_EQ(result.out, expected.out) << name << flags;
    }
  }
}

}  // namespace
}  // namespace tessera::test
