// SPDX-License-Identifier: Apache-2.0
// A tiny BERT directory as published: config.json, model.safetensors, vocab.txt, modules.json.
#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/tensors.hpp"

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
  int model_max_length = 24;                  ///< tokenizer_config.json; 0 leaves it out
  std::vector<std::string> label_names = {};  ///< empty: label0, label1, …
};

inline std::string config_json(const TinyDirectory& options) {
  std::string labels;
  for (int i = 0; i < options.labels; ++i) {
    const std::string name = options.label_names.empty()
                                 ? fmt::format("label{}", i)
                                 : options.label_names[static_cast<std::size_t>(i)];
    labels += fmt::format("{}\"{}\": \"{}\"", i == 0 ? "" : ", ", i, name);
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
  Tensors tensors;
  add_random(tensors, prefix + "embeddings.word_embeddings.weight",
             {static_cast<std::int64_t>(kTinyWords.size()), kTinyHidden});
  add_random(tensors, prefix + "embeddings.position_embeddings.weight",
             {options.positions, kTinyHidden});
  add_random(tensors, prefix + "embeddings.token_type_embeddings.weight", {2, kTinyHidden});
  add_random_norm(tensors, prefix + "embeddings.LayerNorm", kTinyHidden);
  for (int layer = 0; layer < kTinyLayers; ++layer) {
    const std::string base = fmt::format("{}encoder.layer.{}.", prefix, layer);
    for (const char* part : {"query", "key", "value"}) {
      add_random_linear(tensors, base + "attention.self." + part, kTinyHidden, kTinyHidden);
    }
    add_random_linear(tensors, base + "attention.output.dense", kTinyHidden, kTinyHidden);
    add_random_norm(tensors, base + "attention.output.LayerNorm", kTinyHidden);
    add_random_linear(tensors, base + "intermediate.dense", kTinyInner, kTinyHidden);
    add_random_linear(tensors, base + "output.dense", kTinyHidden, kTinyInner);
    add_random_norm(tensors, base + "output.LayerNorm", kTinyHidden);
  }
  const bool answers = options.architecture == "BertForQuestionAnswering";
  if (answers) add_random_linear(tensors, "qa_outputs", 2, kTinyHidden);
  if (!answers && options.architecture != "BertForTokenClassification") {
    add_random_linear(tensors, prefix + "pooler.dense", kTinyHidden, kTinyHidden);
  }
  if (options.labels > 0) add_random_linear(tensors, "classifier", options.labels, kTinyHidden);
  write_tensors(path, tensors);
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
