// SPDX-License-Identifier: Apache-2.0
//
// ALBERT (Lan et al. 2019): factorised embeddings, and layers that share weights: layer i uses
// group ⌊i / (layers / groups)⌋, and a group is inner_group_num layers one after another. Ports
// transformers v4.57 modeling_albert.py; hidden_states.i is the state after group application i.
#include <fmt/format.h>

#include "models/bert/bert_like.hpp"
#include "models/heads.hpp"

namespace tessera::models {
namespace {

LayerTensors layer_tensors(const std::string& prefix, Index group, Index inner) {
  const std::string l =
      fmt::format("{}encoder.albert_layer_groups.{}.albert_layers.{}.", prefix, group, inner);
  return {.query = l + "attention.query",
          .key = l + "attention.key",
          .value = l + "attention.value",
          .attention_output = l + "attention.dense",
          .attention_norm = l + "attention.LayerNorm",
          .ffn_in = l + "ffn",
          .ffn_out = l + "ffn_output",
          .ffn_norm = l + "full_layer_layer_norm"};
}

ValueId albert_encoder(BuildContext& context, const EncoderShape& shape, const std::string& prefix,
                       ValueId x) {
  const Config& c = context.config;
  constexpr Index kMostInner = 64;  // keeps a broken config from building forever
  const Index inner_layers = c.integer("inner_group_num", 1, 1, kMostInner);
  const Index groups = c.integer("num_hidden_groups", 1, 1);
  std::vector<ValueId> states{x};
  for (Index i = 0; i < shape.layers; ++i) {
    // group_idx = int(i / (num_hidden_layers / num_hidden_groups))          AlbertTransformer
    const auto group = static_cast<Index>(
        static_cast<double>(i) / (static_cast<double>(shape.layers) / static_cast<double>(groups)));
    for (Index inner = 0; inner < inner_layers; ++inner) {
      const std::string name =
          inner_layers == 1 ? fmt::format("layer.{}", i) : fmt::format("layer.{}.{}", i, inner);
      x = post_norm_layer(context.builder, name, shape, layer_tensors(prefix, group, inner), x);
    }
    states.push_back(x);
  }
  output_states(context, states);
  return x;
}

}  // namespace

ValueId build_albert(BuildContext& context) {
  // AlbertConfig
  const BertConfig config = read_bert_config(context, BertDefaults{.vocab_size = 30000,
                                                                   .hidden_size = 4096,
                                                                   .num_attention_heads = 64,
                                                                   .intermediate_size = 16384,
                                                                   .hidden_act = "gelu_new"});
  const Dim& H = config.shape.hidden;
  const Dim E = context.config.dim("embedding_size", 128);
  context.package.program.tokens = column_positions(config);

  Builder& b = context.builder;
  const std::string prefix = "albert.";
  ValueId x = bert_embeddings(context, config, prefix, E);  // (ΣT,E)
  // x = self.embedding_hidden_mapping_in(x)                                 AlbertTransformer
  x = b.linear("embeddings.project", x, prefix + "encoder.embedding_hidden_mapping_in", H, E);
  x = albert_encoder(context, config.shape, prefix, x);  // (ΣT,H)

  const std::string pooler_tensor = prefix + "pooler";
  // x = self.LayerNorm(self.activation(self.dense(x))); x = self.decoder(x)     AlbertMLMHead
  MaskedLmHead lm{.dense = "predictions.dense",
                  .norm = "predictions.LayerNorm",
                  .decoder = "predictions.decoder",
                  .bias = "predictions.bias",
                  .word_embeddings = prefix + "embeddings.word_embeddings.weight",
                  .activation = config.shape.activation,
                  .width = E,
                  .norm_eps = config.shape.norm_eps};
  switch (context.package.task) {
    case Task::features:
      pooler_if_present(context, x, pooler_tensor, H);
      break;
    case Task::masked_lm:
      masked_lm(context, x, lm, H, config.vocab);
      break;
    case Task::pretraining: {
      // prediction_logits = self.predictions(x); sop_logits = self.sop_classifier(pooled)
      //                                                                 AlbertForPreTraining
      const ValueId pooled = pooler(context, x, pooler_tensor, H);
      lm.output = "prediction_logits";
      masked_lm(context, x, lm, H, config.vocab);
      const Dim labels = read_labels(context);
      b.output("sop_logits",
               b.linear("sop_classifier", pooled, "sop_classifier.classifier", labels, H));
      break;
    }
    case Task::sequence_classification:
      classify_pooled(context, pooler(context, x, pooler_tensor, H), H);
      break;
    case Task::token_classification:
      classify_tokens(context, x, H);
      break;
    case Task::discriminator:
      break;  // ELECTRA only
  }
  return x;
}

}  // namespace tessera::models
