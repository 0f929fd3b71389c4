// SPDX-License-Identifier: Apache-2.0
//
// The larger checkpoints of ../shared/checkpoints, where they are present: odd sizes, gamma and
// beta, a real exporter's test model with ONNX Runtime as oracle, and text to embedding.
// expected.safetensors holds "<run>.<name>", computed in f64.
#include <simdjson.h>

#include <cmath>
#include <string>
#include <tuple>
#include <vector>

#include "tests/golden/compare_run.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/temporary.hpp"

namespace tessera::test {
namespace {

namespace fs = std::filesystem;

const fs::path kCheckpoints = kShared / "checkpoints";
const fs::path kTokenizers = kShared / "tokenizers/files";

#define SKIP_UNLESS_PRESENT(path) \
  if (!fs::exists(path)) GTEST_SKIP() << (path) << " is not here"

/// Rows of `x`, each divided by its norm.
std::vector<float> normalized(TensorView<const float> x) {
  std::vector<float> y;
  for (Index i = 0; i < x.rows; ++i) {
    double sum = 0.0;
    for (const float v : x.row(i)) sum += static_cast<double>(v) * static_cast<double>(v);
    for (const float v : x.row(i)) {
      y.push_back(static_cast<float>(static_cast<double>(v) / std::sqrt(sum)));
    }
  }
  return y;
}

class CheckpointTest : public testing::TestWithParam<std::tuple<const char*, Isa>> {};

TEST_P(CheckpointTest, MatchesTheReference) {
  const auto [name, isa] = GetParam();
  SKIP_UNLESS_SUPPORTED(isa);
  SKIP_UNLESS_PRESENT(kCheckpoints / name);
  const models::Package package = models::open_package(kCheckpoints / name);
  Runner runner(package, isa);
  const SafetensorsFile file = SafetensorsFile::open(kCheckpoints / name / "expected.safetensors");
  int runs = 0;
  for (;; ++runs) {
    const std::string prefix = std::to_string(runs) + ".";
    if (file.find(prefix + "input_ids") == nullptr) break;
    const StoredInputs inputs = read_inputs(file, prefix);
    const models::ReferenceBatch batch = runner.batch(inputs);
    const Session& session = runner.run(batch);
    for (const char* output : {"last_hidden_state", "pooler_output"}) {
      const StoredTensor* expected = file.find(prefix + output);
      ASSERT_EQ(expected != nullptr, runner.has(output)) << output;
      if (expected == nullptr) continue;
      EXPECT_LE(
          output_distance(session, batch, output, elements_of<float>(*expected), inputs.tokens),
          kGoldenTolerance)
          << "run " << runs << ", " << output;
    }
    const StoredTensor* expected = file.find(prefix + "mean_pooled_normalized");
    ASSERT_NE(expected, nullptr);
    EXPECT_LE(distance(normalized(session.output("embedding")), elements_of<float>(*expected)),
              kGoldenTolerance)
        << "run " << runs;
  }
  EXPECT_GT(runs, 0);
}

std::string name_and_isa(const testing::TestParamInfo<std::tuple<const char*, Isa>>& info) {
  std::string name =
      std::string(std::get<0>(info.param)) + "_" + to_string(std::get<1>(info.param));
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Shared, CheckpointTest,
                         testing::Combine(testing::Values("bert-d48-i101-odd",
                                                          "bert-d96-gamma-beta", "distilbert-d64",
                                                          "e2e-bert-uncased-d32"),
                                          testing::ValuesIn(kAllIsas)),
                         name_and_isa);

class SharedIsaTest : public testing::TestWithParam<Isa> {};

std::vector<std::int64_t> integers(const simdjson::dom::element& tensor) {
  std::vector<std::int64_t> values;
  for (const auto v : simdjson::dom::array(tensor["data"])) values.push_back(std::int64_t(v));
  return values;
}

std::vector<float> floats(const simdjson::dom::element& tensor) {
  std::vector<float> values;
  for (const auto v : simdjson::dom::array(tensor["data"])) {
    values.push_back(static_cast<float>(double(v)));
  }
  return values;
}

TEST_P(SharedIsaTest, PretrainingHeadsMatchOnnxRuntime) {
  const fs::path directory = kCheckpoints / "ort-bert-toy-pretraining";
  SKIP_UNLESS_SUPPORTED(GetParam());
  SKIP_UNLESS_PRESENT(directory);
  const models::Package package = models::open_package(directory);
  EXPECT_EQ(package.task, models::Task::pretraining);
  Runner runner(package, GetParam());
  simdjson::dom::parser parser;
  int runs = 0;
  for (const auto run : simdjson::dom::array(parser.load((directory / "expected.json").string()))) {
    const auto in = run["inputs"], out = run["outputs"];
    const auto dims = simdjson::dom::array(in["input_ids"]["dims"]);
    const StoredInputs inputs{.sequences = static_cast<Index>(std::int64_t(dims.at(0))),
                              .tokens = static_cast<Index>(std::int64_t(dims.at(1))),
                              .ids = integers(in["input_ids"]),
                              .mask = integers(in["attention_mask"]),
                              .types = integers(in["token_type_ids"])};
    const models::ReferenceBatch batch = runner.batch(inputs);
    const Session& session = runner.run(batch);
    EXPECT_LE(output_distance(session, batch, "prediction_logits", floats(out["prediction_scores"]),
                              inputs.tokens),
              kGoldenTolerance)
        << "run " << runs;
    EXPECT_LE(output_distance(session, batch, "seq_relationship_logits",
                              floats(out["seq_relationship_score"]), inputs.tokens),
              kGoldenTolerance)
        << "run " << runs;
    ++runs;
  }
  EXPECT_GT(runs, 0);
}

TEST_P(SharedIsaTest, ImagesMatchTheReference) {
  const fs::path directory = kCheckpoints / "vit-i32p8-h48";
  SKIP_UNLESS_SUPPORTED(GetParam());
  SKIP_UNLESS_PRESENT(directory);
  Runner runner(models::open_package(directory), GetParam());
  const SafetensorsFile file = SafetensorsFile::open(directory / "expected.safetensors");
  for (const std::string prefix : {"0.", "1."}) {
    const Session& session = runner.run(read_images(file, prefix), false);
    for (const char* output : {"last_hidden_state", "logits"}) {
      const StoredTensor* expected = file.find(prefix + output);
      ASSERT_NE(expected, nullptr);
      EXPECT_LE(output_distance(session, output, elements_of<float>(*expected)), kGoldenTolerance)
          << "run " << prefix << output;
    }
  }
}

/// texts -> ids -> embedding, each step against the reference.
TEST_P(SharedIsaTest, TextsBecomeTheReferenceEmbeddings) {
  const fs::path source = kCheckpoints / "e2e-bert-uncased-d32";
  SKIP_UNLESS_SUPPORTED(GetParam());
  SKIP_UNLESS_PRESENT(source);
  SKIP_UNLESS_PRESENT(kTokenizers / "bert-base-uncased");
  const TemporaryDirectory directory;
  fs::copy(source, directory.path(), fs::copy_options::recursive);
  fs::copy(kTokenizers / "bert-base-uncased", directory.path(),
           fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  // The tokenizer's folder may bring a config.json of its own.
  fs::copy(source / "config.json", directory.path() / "config.json",
           fs::copy_options::overwrite_existing);

  const models::Package package = models::open_package(directory.path());
  ASSERT_TRUE(package.tokenizer.has_value()) << package.tokenizer_problem;
  EXPECT_TRUE(package.embedding_from_files);
  EXPECT_TRUE(package.embedding_is_normalized);
  EXPECT_LE(package.max_tokens, 256);  // sentence_bert_config.json

  const auto model =
      Model::create(package.program, package.checkpoint, {.isa = GetParam(), .outputs = {}});
  const SafetensorsFile expected = SafetensorsFile::open(source / "expected.safetensors");
  simdjson::dom::parser parser;
  int run = 0;
  for (const auto texts : simdjson::dom::array(parser.load((source / "texts.json").string()))) {
    const std::string prefix = std::to_string(run++) + ".";
    const StoredInputs inputs = read_inputs(expected, prefix);
    std::vector<std::int32_t> ids, offsets{0};
    std::size_t s = 0;
    for (const auto text : simdjson::dom::array(texts)) {
      const text::Encoding encoding = package.tokenizer->encode(std::string_view(text));
      std::vector<std::int32_t> row;
      for (std::size_t t = 0; t < static_cast<std::size_t>(inputs.tokens); ++t) {
        const std::size_t at = s * static_cast<std::size_t>(inputs.tokens) + t;
        if (inputs.mask[at] == 1) row.push_back(static_cast<std::int32_t>(inputs.ids[at]));
      }
      ASSERT_EQ(encoding.ids, row) << "run " << run - 1 << ", text " << s;
      ids.insert(ids.end(), row.begin(), row.end());
      offsets.push_back(static_cast<std::int32_t>(ids.size()));
      ++s;
    }
    const auto session = Session::create(model, {.max_rows = std::ssize(ids),
                                                 .max_sequences = std::ssize(offsets) - 1,
                                                 .threads = 1,
                                                 .outputs = {"embedding"}});
    session->run({.ids = ids, .types = {}, .offsets = offsets});
    const TensorView<const float> embedding = session->output("embedding");
    const StoredTensor* stored = expected.find(prefix + "mean_pooled_normalized");
    ASSERT_NE(stored, nullptr);
    const std::vector<float> values = elements_of<float>(*stored);
    for (Index i = 0; i < embedding.rows; ++i) {
      const auto width = static_cast<std::size_t>(embedding.cols);
      EXPECT_LE(distance(embedding.row(i),
                         std::span(values).subspan(static_cast<std::size_t>(i) * width, width)),
                kGoldenTolerance);
    }
  }
  EXPECT_GT(run, 0);
}

INSTANTIATE_FOR_ALL_ISAS(SharedIsaTest);

}  // namespace
}  // namespace tessera::test
