// SPDX-License-Identifier: Apache-2.0
//
// What the BERT family shares: the keys of config.json, the embeddings, the names of a layer's
// tensors. Each member's own file says how it differs.
#pragma once

#include <string>

#include "models/encoder.hpp"
#include "models/heads.hpp"

namespace tessera::models {

/// Defaults of the reference's config class: those of BertConfig, where a member does not say
/// otherwise.
struct BertDefaults {
  EncoderDefaults encoder{};
  Index vocab_size = 30522;
  Index max_position_embeddings = 512;
  Index type_vocab_size = 2;  ///< 0: no token types
};

struct BertConfig {
  LayerOptions layer;
  Dim vocab{}, positions{}, types{};  ///< rows of the three embedding tables
  Dim embedding{};  ///< their width: the hidden size, where a member does not say else
};

/// Reads the keys that the members have in common, refuses what is not computed, and fills in the
/// package's sizes.
BertConfig read_bert_config(BuildContext& context, const BertDefaults& defaults,
                            const EncoderKeys& keys = {});

/// What the program takes: positions 0, 1, 2, …; or counted from pad + 1 over the ids that are not
/// pad.
TokenSpec column_positions(const BertConfig& config);
TokenSpec positions_from_ids(const Config& config, const BertConfig& bert, Index pad);

/// LayerNorm(words + types + positions) (ΣT,E).
ValueId bert_embeddings(BuildContext& context, const BertConfig& config);

/// A layer of BertEncoder, below "bert.encoder.layer.3.".
inline constexpr LayerTensors kBertLayer{.query = "attention.self.query",
                                         .key = "attention.self.key",
                                         .value = "attention.self.value",
                                         .attention_output = "attention.output.dense",
                                         .attention_norm = "attention.output.LayerNorm",
                                         .ffn_in = "intermediate.dense",
                                         .ffn_out = "output.dense",
                                         .ffn_norm = "output.LayerNorm"};

/// The heads of RoBERTa, and of what has copied them.
///
///   x = self.layer_norm(gelu(self.dense(x))); x = self.decoder(x)           RobertaLMHead
///   x = tanh(self.dense(x[:, 0])); x = self.out_proj(x)          RobertaClassificationHead
inline constexpr HeadTensors kRobertaHeads{.pooler = "pooler.dense",
                                           .masked_lm = {.dense = "lm_head.dense",
                                                         .norm = "lm_head.layer_norm",
                                                         .decoder = "lm_head.decoder",
                                                         .bias = "lm_head.bias",
                                                         .activation = Activation::gelu_erf},
                                           .classifier = {.first = "classifier.dense",
                                                          .activation = Activation::tanh,
                                                          .last = "classifier.out_proj"}};

/// The layers over `x` (hidden_states.0), with last_hidden_state and hidden_states.0 … .N as
/// outputs. Returns the last.
ValueId bert_encoder(BuildContext& context, const LayerOf& layer, ValueId x);
/// "last_hidden_state", then "hidden_states.0", ….
void output_bert_states(BuildContext& context, const std::vector<ValueId>& states);

/// The head of package.task over the last hidden state.
void bert_head(BuildContext& context, const HeadTensors& tensors, const BertConfig& config,
               ValueId x);

}  // namespace tessera::models
