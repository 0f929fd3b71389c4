// SPDX-License-Identifier: Apache-2.0
//
// The files that sentence-transformers puts around a Transformer directory:
//
//   modules.json                       the modules, one after another: Transformer, Pooling, …; a
//                                      Router's route in its place (router.hpp)
//   1_WeightedLayerPooling/{config.json, model.safetensors or pytorch_model.bin}
//   1_Pooling/config.json              which pooling
//   1_SpladePooling/config.json        likewise, over a masked language model's vocabulary
//   1_LogitScore/config.json           a causal model's reranker: answer_tokens.hpp
//   2_Dense/{config.json, model.safetensors or pytorch_model.bin}
//   sentence_bert_config.json          max_seq_length, do_lower_case (beside config.json)
//   config_sentence_transformers.json  prompts, default_prompt_name, similarity_fn_name
//
// As in sentence-transformers 5: UKPLab/sentence-transformers, sentence_transformers/models/*.py;
// since 5.4 the classes have other paths and Pooling other keys, both forms are read.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "models/config.hpp"
#include "models/package.hpp"
#include "models/sentence/multi_vector.hpp"

namespace tessera::models {

/// One entry of modules.json after the Transformer.
struct SentenceModule {
  enum class Kind {
    layer_pooling,
    pooling,
    splade_pooling,
    dense,
    normalize,
    layer_norm,
    mask,
    logit_score
  };
  Kind kind;
  std::string path;                 ///< "1_Pooling"; relative to the directory
  Pooling pooling = Pooling::mean;  ///< of a pooling without a path
};

struct SentenceFiles {
  enum class First {
    transformer,
    clip,              ///< CLIPModel, which has an embedding by itself
    static_embedding,  ///< no layers: static_embedding.hpp
    sparse_static_embedding,
  };
  bool has_modules = false;  ///< modules.json is there
  First first = First::transformer;
  std::string transformer_path;  ///< the first module's directory; "" for the directory itself
  std::vector<SentenceModule> modules;
  std::vector<std::string> routes;  ///< of a Router; none: there is no Router
  std::string route;                ///< whose modules these are
  bool is_sparse = false;           ///< a SparseEncoder: SpladePooling, or SparseStaticEmbedding
  std::optional<Index> max_seq_length;
  std::string max_seq_length_from;  ///< "max_seq_length of sentence_bert_config.json"
  bool lower_case_first = false;
  /// sentence_bert_config's transformer_task: "feature-extraction" takes the class without head.
  std::string transformer_task = "feature-extraction";
  /// Of its config_args; none said: config.json's.
  std::optional<bool> output_hidden_states;
  std::map<std::string, std::string> prompts;
  std::string default_prompt_name;
  std::optional<SimilarityMeasure> similarity_measure;
  std::optional<SentenceModule>
      logit_score;              ///< a reranker: LogitScore, behind a causal model alone
  bool reads_messages = false;  ///< modality_config: texts go through the chat template
  std::optional<MultiVectorFiles> multi_vector;  ///< late interaction: modules are of tokens

  bool is_static() const noexcept {
    return first == First::static_embedding || first == First::sparse_static_embedding;
  }
};

/// Reads what there is; a directory without any of the files is a plain Transformer directory.
/// Errors  as Config's; not_found for a module's directory, or a route; unsupported_model naming a
///         module.
SentenceFiles read_sentence_files(const std::filesystem::path& directory,
                                  Route route = Route::automatic);

}  // namespace tessera::models
