// SPDX-License-Identifier: Apache-2.0
#include "models/sentence/files.hpp"

#include <fmt/format.h>

#include <array>

#include "runtime/base/error.hpp"
#include "runtime/base/files.hpp"

namespace tessera::models {
namespace {

namespace fs = std::filesystem;

constexpr const char* kModules = "modules.json";
constexpr const char* kPrompts = "config_sentence_transformers.json";

bool is_there(const fs::path& path) {
  return path_exists(path);
}

/// A module's directory lies below the one that was opened; a path that leads elsewhere is not
/// followed.
void check_path(const Config& entry, const std::string& path) {
  const fs::path normal = fs::path(path).lexically_normal();
  const bool leaves = normal.is_absolute() || (!normal.empty() && normal.begin()->string() == "..");
  if (leaves || path.find('\0') != std::string::npos) {
    entry.wrong("path", "a directory below that of modules.json");
  }
}

/// "sentence_transformers.models.Pooling" and
/// "sentence_transformers.sentence_transformer.modules.pooling.Pooling" are both "Pooling"; a
/// class of another package is nothing that is known here.
std::string class_of(const std::string& type) {
  if (!type.starts_with("sentence_transformers.")) return type;
  return type.substr(type.rfind('.') + 1);
}

SentenceModule read_module(const Config& entry, const std::string& path) {
  const std::string name = class_of(entry.string("type", ""));
  using Kind = SentenceModule::Kind;
  if (name == "Normalize") return {Kind::normalize, path};
  if (path.empty()) entry.wrong("path", "the directory of the module");
  if (name == "Pooling") return {Kind::pooling, path};
  if (name == "Dense") return {Kind::dense, path};
  if (name == "LayerNorm") return {Kind::layer_norm, path};
  entry.unsupported("type", "Transformer first, then Pooling, Dense, Normalize or LayerNorm");
}

void read_modules(const fs::path& directory, SentenceFiles& files) {
  const std::vector<Config> entries = Config::read_list(directory / kModules, kModules);
  files.has_modules = true;
  for (const Config& entry : entries) {
    const std::string path = entry.string("path", "");
    check_path(entry, path);
    if (&entry == &entries.front()) {
      const std::string name = class_of(entry.string("type", ""));
      files.is_clip = name == "CLIPModel";
      if (name != "Transformer" && !files.is_clip) {
        entry.unsupported("type",
                          "\"sentence_transformers.models.Transformer\" or CLIPModel first");
      }
      files.transformer_path = path;
    } else {
      files.modules.push_back(read_module(entry, path));
    }
  }
  if (entries.empty()) {
    throw Error(ErrorCode::corrupt_file,
                fmt::format("{}: no modules, expected a Transformer at least", kModules));
  }
}

/// sentence_bert_config.json, under any of the names that it had.       Transformer.load
void read_transformer_config(const fs::path& directory, SentenceFiles& files) {
  constexpr std::array kNames{
      "sentence_bert_config.json",       "sentence_roberta_config.json",
      "sentence_distilbert_config.json", "sentence_camembert_config.json",
      "sentence_albert_config.json",     "sentence_xlm-roberta_config.json",
      "sentence_xlnet_config.json",
  };
  for (const char* name : kNames) {
    if (!is_there(directory / name)) continue;
    const Config config = Config::read(directory / name, name);
    if (config.has("max_seq_length")) {
      files.max_seq_length = config.integer("max_seq_length", 0, 1);
      files.max_seq_length_from = fmt::format("max_seq_length of {}", name);
    }
    files.lower_case_first = config.boolean("do_lower_case", false);
    files.transformer_task = config.string("transformer_task", files.transformer_task);
    return;
  }
}

/// SimilarityFunction.to_similarity_fn
SimilarityMeasure read_measure(const Config& config) {
  const std::string name = config.string("similarity_fn_name", "");
  for (const SimilarityMeasure measure :
       {SimilarityMeasure::cosine, SimilarityMeasure::dot, SimilarityMeasure::euclidean,
        SimilarityMeasure::manhattan}) {
    if (name == to_string(measure)) return measure;
  }
  if (name == "dot_product") return SimilarityMeasure::dot;
  config.unsupported("similarity_fn_name", "cosine, dot, euclidean or manhattan");
}

void read_prompts(const fs::path& directory, SentenceFiles& files) {
  if (!is_there(directory / kPrompts)) return;
  const Config config = Config::read(directory / kPrompts, kPrompts);
  if (config.has("similarity_fn_name")) files.similarity_measure = read_measure(config);
  files.prompts = config.string_map("prompts");
  files.default_prompt_name = config.string("default_prompt_name", "");
  if (!files.default_prompt_name.empty() && !files.prompts.contains(files.default_prompt_name)) {
    std::string known;
    for (const auto& [name, text] : files.prompts) known += (known.empty() ? "" : ", ") + name;
    config.wrong("default_prompt_name", fmt::format("one of the prompts: {}", known));
  }
}

}  // namespace

SentenceFiles read_sentence_files(const fs::path& directory) {
  SentenceFiles files;
  if (is_there(directory / kModules)) read_modules(directory, files);
  read_transformer_config(directory / files.transformer_path, files);
  read_prompts(directory, files);
  return files;
}

}  // namespace tessera::models
