// SPDX-License-Identifier: Apache-2.0
//
// What all families share: the sizes of an encoder out of config.json, and its layers one after
// another.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "models/layer.hpp"
#include "models/registry.hpp"

namespace tessera::models {

/// How config.json spells what read_encoder() reads.
struct EncoderKeys {
  const char* hidden = "hidden_size";
  const char* intermediate = "intermediate_size";
  const char* layers = "num_hidden_layers";
  const char* heads = "num_attention_heads";
  const char* activation = "hidden_act";
  const char* norm_eps = "layer_norm_eps";  ///< null: no key, always the default
  /// Heads of their own size, and fewer of K and V; null: there are no such.
  const char* head_dim = nullptr;
  const char* kv_heads = nullptr;
  const char* position = "absolute";  ///< what position_embedding_type must be, where it is given
};

/// Defaults of the reference's config class: those of BertConfig and ViTConfig, where a family does
/// not say otherwise.
struct EncoderDefaults {
  Index hidden_size = 768;
  Index num_hidden_layers = 12;
  Index num_attention_heads = 12;
  Index intermediate_size = 3072;  ///< 0: mlp_ratio says
  const char* hidden_act = "gelu";
  double layer_norm_eps = 1e-12;
  Index head_dim = 0;  ///< 0: hidden_size / num_attention_heads
  Index kv_heads = 0;  ///< 0: as many as heads
};

/// Refuses, by name, what no family computes: decoders, pruned heads, quantised weights, positions other
/// than `position`.
void refuse_unsupported(const Config& config, const std::string& position);

/// What the layers have in common, as `config` says it (context.config, or the object of one tower
/// in it); and the package's sizes, `layers` among them. As refuse_unsupported().
LayerOptions read_encoder(BuildContext& context, const Config& config,
                          const EncoderDefaults& defaults, const EncoderKeys& keys = {});

/// The terms of an embedding that BERT and its descendants begin with, below `prefix`: word_embeddings of
/// the ids and, where there are types, token_type_embeddings of theirs.
std::vector<Builder::EmbeddingTerm> word_and_type_terms(const std::string& prefix, const Dim& vocab,
                                                        const Dim& types);

/// Layer i, asked for in order, each just before its ops are written.
using LayerOf = std::function<Layer(Index i)>;

/// Equal layers, whose tensors lie under "<prefix><stack><i>." ("bert." "encoder.layer." "3.").
LayerOf equal_layers(const BuildContext& context, const LayerOptions& options,
                     const LayerTensors& tensors, const std::string& stack);

/// package.layers layers over `x`. The states: `x`, then what each layer writes.
std::vector<ValueId> encoder_states(BuildContext& context, const LayerOf& layer, ValueId x);

/// "hidden_states.0", … as outputs.
void output_states(BuildContext& context, const std::vector<ValueId>& states);

/// Both of these. Returns the last state.
ValueId encoder_stack(BuildContext& context, const LayerOf& layer, ValueId x);

}  // namespace tessera::models
