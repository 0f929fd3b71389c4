// SPDX-License-Identifier: Apache-2.0
//
// What stands on top of an encoder, once for all families. A head is named by its task (Task); what
// sets that of one family apart from that of another is the names of a few tensors, as data
// (HeadTensors). Each takes the last hidden state x (ΣT,H) and adds the outputs that the
// reference's class returns. A further task is a function in heads.cpp and a line in its table.
#pragma once

#include <optional>
#include <string>

#include "models/registry.hpp"

namespace tessera::models {

/// Number of labels: that of id2label if present, else num_labels, else 2; and their names into
/// package.labels, problem_type too.
Dim read_labels(BuildContext& context);

/// The activation that CrossEncoder of sentence-transformers puts on the logits, where `key` names it; else
/// it stays the sigmoid of a single one. A class that is not PyTorch's is not loaded there either.
///                                                   CrossEncoder.get_default_activation_fn
void read_score_activation(const Config& from, const char* key, Package& package);

/// "logits" (S, labels) = classifier · pooled.
void classify_pooled(BuildContext& context, ValueId pooled, const Dim& hidden);

/// logits (ΣT, vocab) = decoder · LayerNorm(act(dense · x)) + bias. With tie_word_embeddings (the
/// default) the decoder is the word embeddings, "<prefix>embeddings.word_embeddings.weight".
struct MaskedLmTensors {
  const char* dense = nullptr;
  const char* norm = nullptr;
  const char* decoder = nullptr;
  const char* bias = nullptr;              ///< full name; or that of the decoder
  std::optional<Activation> activation{};  ///< none: that of the layers
};

/// logits (S, labels) = last · act(first · x[0]); or without `first` classifier · pooler.
struct ClassifierTensors {
  const char* first = nullptr;
  Activation activation = Activation::none;
  const char* last = nullptr;
};

/// What else pre-training has of a pair of sentences: `output` (S, labels) = tensor · pooler.
struct SentencePairTensors {
  const char* name = nullptr;  ///< of the value
  const char* tensor = nullptr;
  const char* output = nullptr;
  Index labels = 0;  ///< 0: config.json says
};

/// The tensors of a family's heads, without ".weight" and ".bias"; null where it has none.
struct HeadTensors {
  const char* pooler = nullptr;  ///< behind the prefix; pooler_output = tanh(pooler · x[0])
  MaskedLmTensors masked_lm{};
  ClassifierTensors classifier{};
  SentencePairTensors sentence_pair{};
  /// logits (S, 1) of a choice, of `first` and `last` as of a classifier; or classifier · pooler.
  ClassifierTensors choice{};
  /// logits (ΣT, 1) = dense_prediction · act(dense · x) below this module
  const char* discriminator = nullptr;
};

/// What a head reads.
struct HeadInput {
  ValueId x = kNone;                         ///< last hidden state (ΣT,H)
  Dim hidden{}, embedding{}, vocab{};        ///< H; width and rows of the word embeddings
  Activation activation = Activation::none;  ///< of the layers, likewise
  float norm_eps = 0.0F;
};

/// The head of package.task.
void add_head(BuildContext& context, const HeadTensors& tensors, const HeadInput& in);

}  // namespace tessera::models
