// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>

#include "cli/cli_test.hpp"

namespace tessera::test {
namespace {

const std::vector<std::string> kWords{
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "world", "tea", "brew", "a",
    "##b",   "caf",   "##e",   ",",     ".",      "the",   "cat",   "sat", "on",   "mat"};
constexpr int kHidden = 16, kInner = 24, kLayers = 2;

// Collects random tensors and writes them.
class TensorFile {
 public:
  void add(const std::string& name, std::vector<std::int64_t> shape, float scale = 0.3f,
           float mean = 0.0f) {
    std::size_t count = 1;
    for (const std::int64_t extent : shape) count *= static_cast<std::size_t>(extent);
    std::normal_distribution<float> normal(mean, scale);
    std::vector<float> values(count);
    for (float& value : values) value = normal(random_);
    names_.push_back(name);
    shapes_.push_back(std::move(shape));
    values_.push_back(std::move(values));
  }
  void add_linear(const std::string& name, int out, int in) {
    add(name + ".weight", {out, in});
    add(name + ".bias", {out}, 0.1f);
  }
  void add_norm(const std::string& name, int width) {
    add(name + ".weight", {width}, 0.1f, 1.0f);
    add(name + ".bias", {width}, 0.1f);
  }
  void write(const std::filesystem::path& path) const {
    std::vector<TensorToWrite> tensors;
    for (std::size_t i = 0; i < names_.size(); ++i) {
      tensors.push_back({.name = names_[i],
                         .type = StoredType::f32,
                         .shape = shapes_[i],
                         .data = std::as_bytes(std::span(values_[i]))});
    }
    write_safetensors(path, tensors);
  }

 private:
  std::mt19937 random_{7};
  std::vector<std::string> names_;
  std::vector<std::vector<std::int64_t>> shapes_;
  std::vector<std::vector<float>> values_;
};

std::string config_json(const TinyDirectory& options) {
  std::string labels;
  for (int i = 0; i < options.labels; ++i) {
    labels += fmt::format("{}\"{}\": \"label{}\"", i == 0 ? "" : ", ", i, i);
  }
  std::string extra;
  if (options.labels > 0) extra += fmt::format(", \"id2label\": {{{}}}", labels);
  if (!options.problem_type.empty())
    extra += fmt::format(", \"problem_type\": \"{}\"", options.problem_type);
  return fmt::format(
      "{{\"model_type\": \"bert\", \"architectures\": [\"{}\"], \"vocab_size\": {}, "
      "\"hidden_size\": {}, "
      "\"num_hidden_layers\": {}, \"num_attention_heads\": 2, \"intermediate_size\": {}, "
      "\"hidden_act\": \"gelu\", \"max_position_embeddings\": {}, \"type_vocab_size\": 2, "
      "\"layer_norm_eps\": 1e-12, \"pad_token_id\": 0{}}}",
      options.architecture, kWords.size(), kHidden, kLayers, kInner, options.positions, extra);
}

void write_weights(const std::filesystem::path& path, const TinyDirectory& options) {
  const bool is_headless = options.architecture == "BertModel";
  const std::string prefix = is_headless ? "" : "bert.";
  TensorFile file;
  file.add(prefix + "embeddings.word_embeddings.weight",
           {static_cast<std::int64_t>(kWords.size()), kHidden});
  file.add(prefix + "embeddings.position_embeddings.weight", {options.positions, kHidden});
  file.add(prefix + "embeddings.token_type_embeddings.weight", {2, kHidden});
  file.add_norm(prefix + "embeddings.LayerNorm", kHidden);
  for (int layer = 0; layer < kLayers; ++layer) {
    const std::string base = fmt::format("{}encoder.layer.{}.", prefix, layer);
    for (const char* part : {"query", "key", "value"}) {
      file.add_linear(base + "attention.self." + part, kHidden, kHidden);
    }
    file.add_linear(base + "attention.output.dense", kHidden, kHidden);
    file.add_norm(base + "attention.output.LayerNorm", kHidden);
    file.add_linear(base + "intermediate.dense", kInner, kHidden);
    file.add_linear(base + "output.dense", kHidden, kInner);
    file.add_norm(base + "output.LayerNorm", kHidden);
  }
  if (options.architecture != "BertForTokenClassification") {
    file.add_linear(prefix + "pooler.dense", kHidden, kHidden);
  }
  if (options.labels > 0) file.add_linear("classifier", options.labels, kHidden);
  file.write(path);
}

}  // namespace

CommandResult shell(const std::filesystem::path& directory, const std::string& command) {
  const auto out = directory / ".stdout", err = directory / ".stderr";
  const std::string wrapped =
      fmt::format("cd '{}' && export TESSERA='{}' && {{ {} ; }} > .stdout 2> .stderr",
                  directory.string(), TESSERA_CLI, command);
  const int raw = std::system(wrapped.c_str());
  CommandResult result;
  result.status = WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
  result.out = read_file(out);
  result.err = read_file(err);
  std::filesystem::remove(out);
  std::filesystem::remove(err);
  return result;
}

void write_file(const std::filesystem::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::vector<float> numbers_of(const std::string& line) {
  std::vector<float> numbers;
  std::istringstream stream(line);
  for (float number = 0; stream >> number;) numbers.push_back(number);
  return numbers;
}

void write_model(const std::filesystem::path& directory, const TinyDirectory& options) {
  std::filesystem::create_directories(directory);
  write_file(directory / "config.json", config_json(options));
  write_weights(directory / "model.safetensors", options);
  if (options.has_tokenizer) {
    std::string vocabulary;
    for (const std::string& word : kWords) vocabulary += word + "\n";
    write_file(directory / "vocab.txt", vocabulary);
    const std::string limit =
        options.model_max_length > 0
            ? fmt::format(", \"model_max_length\": {}", options.model_max_length)
            : "";
    write_file(directory / "tokenizer_config.json", "{\"do_lower_case\": true" + limit + "}");
  }
  if (!options.has_sentence_files) return;
  write_file(
      directory / "modules.json",
      R"([{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
                 {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
                 {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}])");
  std::filesystem::create_directories(directory / "1_Pooling");
  write_file(directory / "1_Pooling" / "config.json",
             fmt::format("{{\"word_embedding_dimension\": {}, \"pooling_mode_mean_tokens\": true}}",
                         kHidden));
}

void CliTest::SetUp() {
  std::string pattern = (std::filesystem::temp_directory_path() / "tessera-cli-XXXXXX").string();
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  directory_ = pattern;
  write_model(path("model"));
}

void CliTest::TearDown() {
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

std::vector<std::string> CliTest::temporaries() const {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
    const std::string name = entry.path().filename().string();
    if (name.find("tmp") != std::string::npos) names.push_back(name);
  }
  return names;
}

void expect_failure(const CommandResult& result, int status, const std::string& part) {
  EXPECT_EQ(result.status, status) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_NE(result.err.find(part), std::string::npos) << result.err;
  EXPECT_EQ(result.err.compare(0, 7, "tessera"), 0) << result.err;
  EXPECT_EQ(lines_of(result.err).size(), status == 2 ? 2U : 1U) << result.err;
}

}  // namespace tessera::test
