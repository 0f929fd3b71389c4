// SPDX-License-Identifier: Apache-2.0
//
// ALBERT (Lan et al. 2019): factorised embeddings, and layers that share weights: layer i uses
// group ⌊i / (layers / groups)⌋, and a group is inner_group_num layers one after another. Ports
// transformers v4.57 modeling_albert.py; hidden_states.i is the state after group application i.
#include <fmt/format.h>

#include "models/bert/bert_like.hpp"

namespace tessera::models {
namespace {

constexpr LayerTensors kLayer{.query = "attention.query",
                              .key = "attention.key",
                              .value = "attention.value",
                              .attention_output = "attention.dense",
                              .attention_norm = "attention.LayerNorm",
                              .ffn_in = "ffn",
                              .ffn_out = "ffn_output",
                              .ffn_norm = "full_layer_layer_norm"};

// x = self.LayerNorm(self.activation(self.dense(x))); x = self.decoder(x)      AlbertMLMHead
// prediction_logits = self.predictions(x); sop_logits = self.sop_classifier(pooled)
//                                                                     AlbertForPreTraining
constexpr HeadTensors kHeads{
    .pooler = "pooler",
    .masked_lm = {.dense = "predictions.dense",
                  .norm = "predictions.LayerNorm",
                  .decoder = "predictions.decoder",
                  .bias = "predictions.bias"},
    .sentence_pair = {
        .name = "sop_classifier", .tensor = "sop_classifier.classifier", .output = "sop_logits"}};

ValueId albert_encoder(BuildContext& context, const LayerOptions& options, ValueId x) {
  const Config& c = context.config;
  constexpr Index kMostInner = 64;  // keeps a broken config from building forever
  const Index inner_layers = c.integer("inner_group_num", 1, 1, kMostInner);
  const Index groups = c.integer("num_hidden_groups", 1, 1), layers = context.package.layers;
  std::vector<ValueId> states{x};
  for (Index i = 0; i < layers; ++i) {
    // group_idx = int(i / (num_hidden_layers / num_hidden_groups))          AlbertTransformer
    const auto group = static_cast<Index>(
        static_cast<double>(i) / (static_cast<double>(layers) / static_cast<double>(groups)));
    const LayerOf layer =
        equal_layers(context, options, kLayer,
                     fmt::format("encoder.albert_layer_groups.{}.albert_layers.", group));
    for (Index inner = 0; inner < inner_layers; ++inner) {
      const std::string name =
          inner_layers == 1 ? fmt::format("layer.{}", i) : fmt::format("layer.{}.{}", i, inner);
      x = encoder_layer(context.builder, name, layer(inner), x);
    }
    states.push_back(x);
  }
  output_bert_states(context, states);
  return x;
}

}  // namespace

ValueId build_albert(BuildContext& context) {
  // AlbertConfig
  BertConfig config = read_bert_config(context, {.encoder = {.hidden_size = 4096,
                                                             .num_attention_heads = 64,
                                                             .intermediate_size = 16384,
                                                             .hidden_act = "gelu_new"},
                                                 .vocab_size = 30000});
  config.embedding = context.config.dim("embedding_size", 128);
  context.package.program.inputs = column_positions(config);
  ValueId x = bert_embeddings(context, config);  // (ΣT,E)
  // x = self.embedding_hidden_mapping_in(x)                                 AlbertTransformer
  x = context.builder.linear("embeddings.project", x,
                             context.prefix + "encoder.embedding_hidden_mapping_in",
                             config.layer.hidden, config.embedding);
  x = albert_encoder(context, config.layer, x);  // (ΣT,H)
  bert_head(context, kHeads, config, x);
  return x;
}

}  // namespace tessera::models
