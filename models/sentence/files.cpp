// SPDX-License-Identifier: Apache-2.0
#include "models/sentence/files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "models/sentence/router.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/files.hpp"

namespace tessera::models {
namespace {

namespace fs = std::filesystem;

constexpr const char* kModules = "modules.json";
constexpr const char* kPrompts = "config_sentence_transformers.json";

constexpr const char* kPylateDense = "pylate.models.Dense.Dense";

bool is_there(const fs::path& path) {
  return path_exists(path);
}

SentenceModule read_module(const ModuleEntry& entry) {
  const std::string name = class_of_module(entry.type);
  using Kind = SentenceModule::Kind;
  if (name == "Normalize") return {Kind::normalize, entry.path};
  if (entry.path.empty()) entry.config.wrong(entry.path_key, "the directory of the module");
  if (name == "WeightedLayerPooling") return {Kind::layer_pooling, entry.path};
  if (name == "Pooling") return {Kind::pooling, entry.path};
  if (name == "SpladePooling") return {Kind::splade_pooling, entry.path};
  if (name == "Dense") return {Kind::dense, entry.path};
  if (name == "LayerNorm") return {Kind::layer_norm, entry.path};
  if (name == "MultiVectorMask") return {Kind::mask, entry.path};
  if (name == "LogitScore") return {Kind::logit_score, entry.path};
  entry.config.unsupported(entry.type_key,
                           "Transformer first, then WeightedLayerPooling, Pooling, SpladePooling, "
                           "Dense, Normalize, LayerNorm or MultiVectorMask; or LogitScore alone");
}

SentenceFiles::First read_first(const ModuleEntry& entry, SentenceFiles& files) {
  using First = SentenceFiles::First;
  const std::string name = class_of_module(entry.type);
  files.transformer_path = entry.path;
  if (name == "Transformer") return First::transformer;
  if (name == "CLIPModel") return First::clip;
  if (name == "StaticEmbedding") return First::static_embedding;
  if (name == "MLMTransformer") {  // before 5.4 a class of its own
    files.transformer_task = "fill-mask";
    return First::transformer;
  }
  if (name == "SparseStaticEmbedding") {
    files.is_sparse = true;
    return First::sparse_static_embedding;
  }
  entry.config.unsupported(entry.type_key,
                           "\"sentence_transformers.models.Transformer\", MLMTransformer, "
                           "CLIPModel, StaticEmbedding, SparseStaticEmbedding or Router first");
}

void read_modules(const fs::path& directory, Route route, SentenceFiles& files) {
  const ModuleList list = read_module_list(directory, route);
  files.has_modules = true;
  files.routes = list.routes;
  files.route = list.route;
  for (const ModuleEntry& entry : list.modules) {
    if (&entry == &list.modules.front()) {
      files.first = read_first(entry, files);
      continue;
    }
    files.modules.push_back(read_module(entry));
    if (files.modules.back().kind == SentenceModule::Kind::logit_score) {
      if (list.modules.size() != 2) {
        entry.config.unsupported(entry.type_key, "LogitScore right behind a Transformer, and last");
      }
      files.logit_score = std::move(files.modules.back());
      files.modules.clear();
      continue;
    }
    const SentenceModule::Kind kind = files.modules.back().kind;
    if (kind == SentenceModule::Kind::splade_pooling) files.is_sparse = true;
    const bool is_pylate = entry.type == kPylateDense;
    const bool is_mask = kind == SentenceModule::Kind::mask;
    if ((is_mask || is_pylate) && !files.multi_vector) files.multi_vector.emplace();
    if (is_mask) files.multi_vector->has_mask = true;
  }
  if (list.modules.empty()) {
    throw Error(ErrorCode::corrupt_file,
                fmt::format("{}: no modules, expected a Transformer at least", kModules));
  }
}

/// Arguments that the reference's classes get from the file: what changes no result, or is not there;
/// of the others output_hidden_states alone.
///                                                              Transformer._load_init_kwargs
void read_arguments(const Config& config, SentenceFiles& files) {
  constexpr std::array kArguments{"model_args",      "tokenizer_args", "config_args",
                                  "model_kwargs",    "config_kwargs",  "tokenizer_kwargs",
                                  "processor_kwargs"};
  constexpr std::array<std::string_view, 13> kHarmless{"trust_remote_code",
                                                       "cache_dir",
                                                       "token",
                                                       "revision",
                                                       "local_files_only",
                                                       "subfolder",
                                                       "use_fast",
                                                       "backend",
                                                       "use_safetensors",
                                                       "attn_implementation",
                                                       "low_cpu_mem_usage",
                                                       "add_pooling_layer",
                                                       "device_map"};
  for (const char* key : kArguments) {
    const Config arguments = config.object(key);
    for (const auto& [name, value] : arguments.shown_members()) {
      if (std::find(kHarmless.begin(), kHarmless.end(), name) != kHarmless.end()) continue;
      const bool is_type = name == "torch_dtype" || name == "dtype";  // of the sums: --precision
      if (is_type || value == "null") continue;
      if (name == "output_hidden_states" && std::string_view(key).starts_with("config_")) {
        files.output_hidden_states = arguments.boolean(name, false);
        continue;
      }
      throw Error(ErrorCode::unsupported_model,
                  fmt::format("{}: \"{}\" has \"{}\": {}, expected no argument that changes the "
                              "model or its tokenizer",
                              config.name(), key, name, value));
    }
  }
}

/// Since 5.4: which method of the model is called, and what of its result is taken.
void check_output(const Config& config, const SentenceFiles& files) {
  const std::string output = files.logit_score ? "causal_logits" : "token_embeddings";
  if (config.string("module_output_name", output) != output) {
    config.unsupported("module_output_name", '"' + output + '"');
  }
  const Config text = config.object("modality_config").object("text");
  if (text.string("method", "forward") != "forward") text.unsupported("method", "\"forward\"");
  const std::string expected =
      files.is_sparse || files.logit_score ? "logits" : "last_hidden_state";
  if (text.string("method_output_name", expected) != expected) {
    text.unsupported("method_output_name", '"' + expected + '"');
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
    read_arguments(config, files);
    files.transformer_task = config.string("transformer_task", files.transformer_task);
    check_output(config, files);
    files.reads_messages = config.object("modality_config").has("message");
    if (files.multi_vector) read_lengths(config, *files.multi_vector);
    const bool generates = files.transformer_task == "text-generation";
    if (files.transformer_task == "any-to-any" || generates != files.logit_score.has_value()) {
      config.unsupported("transformer_task",
                         files.logit_score
                             ? "text-generation: modules.json has a LogitScore"
                             : "feature-extraction, sequence-classification or fill-mask");
    }
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
  files.prompts = config.string_map("prompts");
  const std::string type = config.string("model_type", "");
  const bool is_late = type == "ColBERT" || type == "MultiVectorEncoder";
  if (is_late && files.has_modules && !files.multi_vector) files.multi_vector.emplace();
  if (files.multi_vector) {
    files.multi_vector->is_mean = config.string("similarity_fn_name", "") == "meanmaxsim";
    read_pylate(config, *files.multi_vector, files.prompts);
  } else if (config.has("similarity_fn_name")) {
    files.similarity_measure = read_measure(config);
  }
  files.default_prompt_name = config.string("default_prompt_name", "");
  if (!files.default_prompt_name.empty() && !files.prompts.contains(files.default_prompt_name)) {
    std::string known;
    for (const auto& [name, text] : files.prompts) known += (known.empty() ? "" : ", ") + name;
    config.wrong("default_prompt_name", fmt::format("one of the prompts: {}", known));
  }
}

}  // namespace

SentenceFiles read_sentence_files(const fs::path& directory, Route route) {
  SentenceFiles files;
  if (is_there(directory / kModules)) read_modules(directory, route, files);
  read_prompts(directory, files);  // of late interaction the Transformer's own file wins
  if (files.multi_vector && (files.is_static() || !files.routes.empty())) {
    throw Error(ErrorCode::unsupported_model,
                fmt::format("{}: late interaction behind a {}, expected a Transformer", kModules,
                            files.routes.empty() ? "static embedding" : "Router"));
  }
  if (files.is_static()) return files;
  read_transformer_config(directory / files.transformer_path, files);
  if (files.has_modules && files.transformer_task == "fill-mask" && !files.is_sparse) {
    throw Error(
        ErrorCode::unsupported_model,
        fmt::format("{}: no SpladePooling behind a masked language model, expected one: other "
                    "modules would take its logits for token embeddings",
                    kModules));
  }
  return files;
}

}  // namespace tessera::models
