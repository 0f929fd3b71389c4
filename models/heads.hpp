// SPDX-License-Identifier: Apache-2.0
//
// What stands on top of an encoder, once for all families: pooler, classifiers, masked-LM head.
// Each takes the last hidden state x (ΣT,H) and adds the outputs that the reference's class
// returns.
#pragma once

#include <string>

#include "models/registry.hpp"

namespace tessera::models {

/// Number of labels: that of id2label if present, else num_labels, else 2; and their names into
/// package.labels, problem_type too.
Dim read_labels(BuildContext& context);

/// tanh(W x[0] + b) as "pooler_output" (S,H).
ValueId pooler(BuildContext& context, ValueId x, const std::string& tensor, const Dim& hidden);
/// As pooler() where the checkpoint has one; kNone where it has not.
ValueId pooler_if_present(BuildContext& context, ValueId x, const std::string& tensor,
                          const Dim& hidden);

/// "logits" (S, labels) = classifier · pooled.
void classify_pooled(BuildContext& context, ValueId pooled, const Dim& hidden);
/// "logits" (S, labels) = last · act(first · x[0]); tensors of the two linears.
void classify_first_token(BuildContext& context, ValueId x, const std::string& first,
                          Activation activation, const std::string& last, const Dim& hidden);
/// "logits" (ΣT, labels) = classifier · x.
void classify_tokens(BuildContext& context, ValueId x, const Dim& hidden);

/// logits (ΣT, vocab) = decoder · LayerNorm(act(dense · x)) + bias.
struct MaskedLmHead {
  std::string dense, norm;      ///< without ".weight" and ".bias"
  std::string decoder;          ///< likewise; its weight is that of the word embeddings if absent
  std::string bias;             ///< full name; or decoder + ".bias"
  std::string word_embeddings;  ///< full name
  Activation activation;
  Dim width;  ///< of the word embeddings: what dense projects to
  float norm_eps;
  std::string output = "logits";
};
void masked_lm(BuildContext& context, ValueId x, const MaskedLmHead& head, const Dim& hidden,
               const Dim& vocab);

}  // namespace tessera::models
