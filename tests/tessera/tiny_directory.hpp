// SPDX-License-Identifier: Apache-2.0
// A tiny BERT directory as published: config.json, model.safetensors, vocab.txt, modules.json.
#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "runtime/weights/safetensors.hpp"

namespace tessera::test {

inline const std::vector<std::string> kTinyWords{
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "world", "tea", "brew", "a",
    "##b",   "caf",   "##e",   ",",     ".",      "the",   "cat",   "sat", "on",   "mat"};
inline constexpr int kTinyHidden = 16, kTinyInner = 24, kTinyLayers = 2;

/// What kind of directory to write.
struct TinyDirectory {
  std::string architecture = "BertModel";
  int labels = 0;                 ///< of a classifier
  std::string problem_type = {};  ///< config.json; "" leaves it out
  bool has_tokenizer = true;
  bool has_sentence_files = true;  ///< modules.json: mean pooling, normalised
  int positions = 24;
  int model_max_length = 24;  ///< tokenizer_config.json; 0 leaves it out
};

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

inline std::string config_json(const TinyDirectory& options) {
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
      options.architecture, kTinyWords.size(), kTinyHidden, kTinyLayers, kTinyInner,
      options.positions, extra);
}

inline void write_weights(const std::filesystem::path& path, const TinyDirectory& options = {}) {
  const bool is_headless = options.architecture == "BertModel";
  const std::string prefix = is_headless ? "" : "bert.";
  TensorFile file;
  file.add(prefix + "embeddings.word_embeddings.weight",
           {static_cast<std::int64_t>(kTinyWords.size()), kTinyHidden});
  file.add(prefix + "embeddings.position_embeddings.weight", {options.positions, kTinyHidden});
  file.add(prefix + "embeddings.token_type_embeddings.weight", {2, kTinyHidden});
  file.add_norm(prefix + "embeddings.LayerNorm", kTinyHidden);
  for (int layer = 0; layer < kTinyLayers; ++layer) {
    const std::string base = fmt::format("{}encoder.layer.{}.", prefix, layer);
    for (const char* part : {"query", "key", "value"}) {
      file.add_linear(base + "attention.self." + part, kTinyHidden, kTinyHidden);
    }
    file.add_linear(base + "attention.output.dense", kTinyHidden, kTinyHidden);
    file.add_norm(base + "attention.output.LayerNorm", kTinyHidden);
    file.add_linear(base + "intermediate.dense", kTinyInner, kTinyHidden);
    file.add_linear(base + "output.dense", kTinyHidden, kTinyInner);
    file.add_norm(base + "output.LayerNorm", kTinyHidden);
  }
  if (options.architecture != "BertForTokenClassification") {
    file.add_linear(prefix + "pooler.dense", kTinyHidden, kTinyHidden);
  }
  if (options.labels > 0) file.add_linear("classifier", options.labels, kTinyHidden);
  file.write(path);
}

inline void write_file(const std::filesystem::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

/// Two layers, hidden 16, the letters and a few words as vocabulary; random weights, always the
/// same.
inline void write_model(const std::filesystem::path& directory, const TinyDirectory& options = {}) {
  std::filesystem::create_directories(directory);
  write_file(directory / "config.json", config_json(options));
  write_weights(directory / "model.safetensors", options);
  if (options.has_tokenizer) {
    std::string vocabulary;
    for (const std::string& word : kTinyWords) vocabulary += word + "\n";
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
                         kTinyHidden));
}

}  // namespace tessera::test
