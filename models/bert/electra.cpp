// SPDX-License-Identifier: Apache-2.0
//
// ELECTRA (Clark et al. 2020): BERT with embeddings of another width, projected; no pooler. Ports
// transformers v4.57 modeling_electra.py.
#include "models/bert/bert_like.hpp"

namespace tessera::models {

namespace {

/// act(summary · x[0]) of the head for multiple choice; what else its keys may ask for is refused.
///                                                     ElectraSequenceSummary, as configured
void check_summary(const Config& config) {
  if (config.string("summary_type", "first") != "first") {
    config.unsupported("summary_type", "\"first\"");
  }
  if (!config.boolean("summary_use_proj", true)) config.unsupported("summary_use_proj", "true");
  if (config.string("summary_activation", "gelu") != "gelu") {
    config.unsupported("summary_activation", "\"gelu\"");
  }
  if (config.boolean("summary_proj_to_labels", false)) {
    config.unsupported("summary_proj_to_labels", "false");
  }
}

}  // namespace

ValueId build_electra(BuildContext& context) {
  if (context.package.task == Task::multiple_choice) check_summary(context.config);
  // x = self.LayerNorm(gelu(self.dense(x)))                      ElectraGeneratorPredictions
  // logits = self.generator_lm_head(x)                                    ElectraForMaskedLM
  // x = gelu(self.dense(x[:, 0])); x = self.out_proj(x)            ElectraClassificationHead
  constexpr HeadTensors kHeads{.masked_lm = {.dense = "generator_predictions.dense",
                                             .norm = "generator_predictions.LayerNorm",
                                             .decoder = "generator_lm_head",
                                             .bias = "generator_lm_head.bias",
                                             .activation = Activation::gelu_erf},
                               .classifier = {.first = "classifier.dense",
                                              .activation = Activation::gelu_erf,
                                              .last = "classifier.out_proj"},
                               .choice = {.first = "sequence_summary.summary",
                                          .activation = Activation::gelu_erf,
                                          .last = "classifier"},
                               .discriminator = "discriminator_predictions."};
  // ElectraConfig
  BertConfig config = read_bert_config(
      context,
      {.encoder = {.hidden_size = 256, .num_attention_heads = 4, .intermediate_size = 1024}});
  config.embedding = context.config.dim("embedding_size", 128);
  const Dim &H = config.layer.hidden, &E = config.embedding;
  context.package.program.inputs = column_positions(config);
  ValueId x = bert_embeddings(context, config);  // (ΣT,E)
  // if embedding_size != hidden_size: x = self.embeddings_project(x)             ElectraModel
  if (E.size != H.size) {
    x = context.builder.linear("embeddings.project", x, context.prefix + "embeddings_project", H,
                               E);  // (ΣT,H)
  }
  x = bert_encoder(context, equal_layers(context, config.layer, kBertLayer, "encoder.layer."), x);
  bert_head(context, kHeads, config, x);
  return x;
}

}  // namespace tessera::models
