// SPDX-License-Identifier: Apache-2.0
//
// What the BERT family shares: the keys of config.json, the names of the encoder's tensors, the
// embeddings, the stack of layers. Each member's own file says how it differs.
#pragma once

#include <string>

#include "models/encoder.hpp"
#include "models/registry.hpp"

namespace tessera::models {

/// Defaults of the reference's config class: those of BertConfig, where a member does not say
/// otherwise.
struct BertDefaults {
  Index vocab_size = 30522;
  Index hidden_size = 768;
  Index num_hidden_layers = 12;
  Index num_attention_heads = 12;
  Index intermediate_size = 3072;
  Index max_position_embeddings = 512;
  Index type_vocab_size = 2;
  const char* hidden_act = "gelu";
  double layer_norm_eps = 1e-12;
};

struct BertConfig {
  EncoderShape shape;
  Dim vocab, positions, types;  ///< rows of the three embedding tables
};

/// Reads the keys that BERT, RoBERTa, MPNet, ELECTRA and ALBERT have in common, refuses what is
/// not computed, and fills in the package's sizes.
BertConfig read_bert_config(BuildContext& context, const BertDefaults& defaults);

/// Refuses, by name, what no member computes: decoders, pruned heads, quantised weights.
void refuse_unsupported(const Config& config);

/// Checks that `heads` (said by `heads_key`) divides the hidden size.
void check_heads(const Config& config, const Dim& hidden, Index heads, std::string_view heads_key);

/// program.tokens for positions 0, 1, 2, …; or counted from pad + 1 over the ids that are not pad.
TokenSpec column_positions(const BertConfig& config);
TokenSpec positions_from_ids(const Config& config, const BertConfig& bert, Index pad);

/// LayerNorm(words + types + positions), `width` wide.
ValueId bert_embeddings(BuildContext& context, const BertConfig& config, const std::string& prefix,
                        const Dim& width);

/// Names of layer i of BertEncoder under `prefix` ("bert.").
LayerTensors bert_layer_tensors(const std::string& prefix, Index i);

/// The layers over `x` (hidden_states.0), with hidden_states.0 … .N and last_hidden_state as
/// outputs; `tensors(i)` names those of layer i.
template <class Tensors>
ValueId encoder_stack(BuildContext& context, const EncoderShape& shape, Tensors&& tensors,
                      ValueId x);

// ---------------------------------------------------------------------------------------------

/// Adds "last_hidden_state" first, then "hidden_states.0" … of `states`.
void output_states(BuildContext& context, const std::vector<ValueId>& states);

template <class Tensors>
ValueId encoder_stack(BuildContext& context, const EncoderShape& shape, Tensors&& tensors,
                      ValueId x) {
  std::vector<ValueId> states{x};
  for (Index i = 0; i < shape.layers; ++i) {
    x = post_norm_layer(context.builder, "layer." + std::to_string(i), shape, tensors(i), x);
    states.push_back(x);
  }
  output_states(context, states);
  return x;
}

}  // namespace tessera::models
