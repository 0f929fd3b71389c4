// SPDX-License-Identifier: Apache-2.0
//
// A Package is everything that a published checkpoint directory says, read and checked but not yet
// loaded into kernels: the Program with all its outputs, the open checkpoint, the tokenizer,
// labels, limits.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/sentence/multi_vector.hpp"
#include "models/text/tokenizer.hpp"
#include "runtime/base/tensor_view.hpp"
#include "runtime/program/program.hpp"

namespace tessera {
class Checkpoint;
}

namespace tessera::models {

/// What the head of the architecture computes, and with that what "logits" means.
enum class Task : std::uint8_t {
  features,  ///< no head: last_hidden_state, pooler_output where the checkpoint has a pooler
  sequence_classification,  ///< logits (S, labels), of texts or of images
  token_classification,     ///< logits (ΣT, labels)
  masked_lm,                ///< logits (ΣT, vocab)
  pretraining,         ///< BERT: prediction_logits (ΣT, vocab), seq_relationship_logits (S, 2)
  discriminator,       ///< ELECTRA: logits (ΣT, 1), reference shape (B, T)
  question_answering,  ///< start_logits, end_logits (ΣT, 1), reference shape (B, T)
  next_sentence,       ///< logits (S, 2): the second text follows the first, or not
  multiple_choice,     ///< logits (S, 1) of each choice, reference shape (B, choices)
};

/// Which encoder of a model that has two (CLIP, SigLIP).
enum class Tower : std::uint8_t { automatic, text, image };  ///< automatic: image

/// What of a model that reads queries and documents by modules of their own (Router). A model
/// without a Router reads all texts alike, whichever is asked for.
enum class Route : std::uint8_t {
  automatic,  ///< default_route; where the files name none the first, or none (allow_empty_key)
  query,
  document,
};

/// logits = exp(scale)·⟨image, text⟩ + bias over normalised embeddings.
struct Similarity {
  float logit_scale = 0.0F;
  float logit_bias = 0.0F;
  bool is_sigmoid = false;  ///< a pair's probability is σ(logit) (SigLIP); else softmax over texts
};

/// logits[i·texts + t] of image i and text t; their (rows, D) embeddings are normalised.
/// Throws Error{invalid_argument} if the shapes do not fit.
void logits_per_image(const Similarity& similarity, TensorView<const float> images,
                      TensorView<const float> texts, std::span<float> logits);

struct PackageOptions {
  Tower tower = Tower::automatic;
  Route route = Route::automatic;
  /// Use this class in place of config.json's architectures[0] (e.g. "BertModel" on a masked-LM
  /// directory).
  std::string architecture;
  /// Columns of the embedding; 0: all. Throws invalid_argument where it has not that many.
  Index dims = 0;
  /// Tokens of sparse outputs that are kept, the heaviest; 0: all (sentence/top_k.hpp).
  Index top_k = 0;
  /// What pools where the directory does not say it; none: the mean. Throws invalid_argument where it
  /// says it, or has an embedding without a pooling.
  std::optional<Pooling> pooling{};
  /// The embedding has length 1, also where the directory does not normalise it.
  bool normalize = false;
};

/// How sentence-transformers compares embeddings: similarity_fn_name of
/// config_sentence_transformers.json.
enum class SimilarityMeasure : std::uint8_t {
  cosine,
  dot,
  euclidean,  ///< minus the distance
  manhattan,  ///< likewise
};
const char* to_string(SimilarityMeasure measure) noexcept;

/// How model2vec reads texts: their first most_tokens · token_length code points, without unknown
/// tokens, then the first most_tokens.                               model2vec, StaticModel.tokenize
struct StaticModelTexts {
  std::optional<std::int32_t> unknown{};
  std::size_t token_length = 0;   ///< the median of the vocabulary's, in code points
  std::size_t most_tokens = 512;  ///< max_length of encode()
};

/// A causal language model that ranks by the token that would come next: "yes" or "no". logits (S, 1) is
/// then the difference of the two tokens' logits at the last token, whose sigmoid is the probability of
/// the first where there are no others.                             Qwen3-Reranker; LogitScore
struct AnswerTokens {
  std::int32_t yes = 0;
  std::optional<std::int32_t> no{};  ///< none: the logit of `yes` alone
  std::string from;                  ///< which file says so, in words
};

/// What a pair is written as for such a model: before + query and document with an instruction + after,
/// each of the three by itself in tokens; what is too long leaves the second.
struct PairTemplate {
  std::string instruction;  ///< unless a prompt is given
  std::string from;         ///< which file says so, in words

  static std::string_view before() noexcept;
  static std::string_view after() noexcept;
  static std::string between(std::string_view instruction, std::string_view query,
                             std::string_view document);
};

/// The output of late interaction: a row per token.
inline constexpr const char* kTokenVectors = "token_embeddings";

struct Package {
  std::filesystem::path directory;
  std::filesystem::path transformer_directory;  ///< where config.json, weights and tokenizer are
  std::string model_type;                       ///< "bert", "static-embedding", …
  std::string architecture;                     ///< "BertForMaskedLM", "StaticEmbedding"
  Task task = Task::features;
  Index layers = 0, hidden = 0, heads = 0, intermediate = 0;

  /// Outputs: last_hidden_state, hidden_states.0 … .N, pooler_output, logits, … as the task has
  /// them, and "embedding" (S, D) where sentence-transformers files (or a plain encoder: mean
  /// pooling, not normalised) define one.
  Program program;
  bool maps_are_channels_first = false;  ///< the reference's hidden states are (B,C,h,w)
  std::shared_ptr<const Checkpoint> checkpoint;
  std::string stored_weights;  ///< how weights are stored that are no floats, in words; "" if none

  std::optional<text::Tokenizer> tokenizer;
  std::string tokenizer_problem;  ///< why there is none ("" if there is one)
  /// Where texts are cut: at what the position table holds, or less where sentence_bert_config's
  /// max_seq_length says so, or, without that, model_max_length of tokenizer_config.json.
  /// Of a model that takes images: rows of an image of the native size.
  Index max_tokens = 0;
  std::string max_tokens_from;  ///< which of them, in words; "" of images
  /// The model has no mask and pools what is last (SigLIP): texts are padded to max_tokens with this.
  std::optional<text::TextPadding> text_padding;

  /// Late interaction: how queries and documents are read, and which tokens have vectors. There is an
  /// output kTokenVectors then, and no "embedding".
  std::optional<MultiVector> multi_vector;

  /// What compares the "embedding" of one tower with that of the other; empty: there is one tower.
  std::optional<Similarity> similarity;

  std::vector<std::string> labels;  ///< id2label in order, where the task has labels
  /// "single_label_classification", "multi_label_classification", "regression" or "" as in
  /// config.json.
  std::string problem_type;
  /// What makes scores out of the logits, where config.json names it for sentence-transformers'
  /// CrossEncoder; none: the sigmoid of one label (a reranker), problem_type of several.
  std::optional<Activation> score_activation;
  std::string score_activation_from;  ///< the key that names it

  std::optional<AnswerTokens> answer_tokens;
  std::optional<PairTemplate> pair_template;

  /// sentence-transformers: what the embedding is made of, in words ("mean pooling, normalised");
  /// "" if none.
  std::string embedding_description;
  /// modules.json said so, or the heads of BGE-M3, or PackageOptions::pooling.
  bool embedding_from_files = false;
  bool embedding_is_normalized = false;
  bool embedding_is_sparse = false;  ///< column j is the weight of token j, most are 0 (SPLADE)
  /// The same of any output: "lexical_weights" of BGE-M3, too.
  bool is_sparse(std::string_view output) const noexcept {
    return output == "lexical_weights" || (output == "embedding" && embedding_is_sparse);
  }
  Index top_k = 0;  ///< > 0: sparse outputs are (S,2·top_k), weights and ids (sentence/top_k.hpp)
  std::map<std::string, std::string> prompts;  ///< name → text to put before the input
  std::string default_prompt_name;
  std::optional<SimilarityMeasure> similarity_measure;  ///< none said: cosine; of sparse ones, dot
  bool similarity_from_files = false;  ///< config_sentence_transformers.json said so
  bool strips_texts = false;  ///< modules.json: sentence-transformers strips texts of white space
  /// include_prompt of the Pooling; false: a prompt's rows are left out (Encoding::pool_from).
  bool pools_prompts = true;
  bool adds_special_tokens = true;                     ///< false: static embeddings
  std::optional<StaticModelTexts> static_model_texts;  ///< of model2vec without a modules.json
  std::vector<std::string> routes;  ///< of a Router, by their names; none: the model has no Router
  std::string route;                ///< which of them the program is of
  bool lower_case_first =
      false;  ///< sentence_bert_config do_lower_case: lowercases before tokenizing
};

/// Reads a directory as published: config.json or modules.json, model.safetensors or pytorch_model.bin (single or
/// sharded), tokenizer files, modules.json and what it names. `model` may also name a model that
/// huggingface_hub has downloaded (find_model()). Throws not_found, corrupt_file,
/// unsupported_model (naming the config key and value that this version does not compute).
Package open_package(const std::filesystem::path& model, const PackageOptions& options = {});

/// Classes that open_package understands, as "model_type: Class, Class".
std::string supported_architectures();

}  // namespace tessera::models
