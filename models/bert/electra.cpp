// SPDX-License-Identifier: Apache-2.0
//
// ELECTRA (Clark et al. 2020): BERT with embeddings of another width, projected; no pooler. Ports
// transformers v4.57 modeling_electra.py.
#include "models/bert/bert_like.hpp"
#include "models/heads.hpp"

namespace tessera::models {

ValueId build_electra(BuildContext& context) {
  // ElectraConfig
  const BertConfig config = read_bert_config(
      context,
      BertDefaults{.hidden_size = 256, .num_attention_heads = 4, .intermediate_size = 1024});
  const Dim& H = config.shape.hidden;
  const Dim E = context.config.dim("embedding_size", 128);
  context.package.program.tokens = column_positions(config);

  Builder& b = context.builder;
  const std::string prefix = "electra.";
  ValueId x = bert_embeddings(context, config, prefix, E);  // (ΣT,E)
  // if embedding_size != hidden_size: x = self.embeddings_project(x)             ElectraModel
  if (E.size != H.size) {
    x = b.linear("embeddings.project", x, prefix + "embeddings_project", H, E);  // (ΣT,H)
  }
  x = encoder_stack(
      context, config.shape, [&](Index i) { return bert_layer_tensors(prefix, i); }, x);

  switch (context.package.task) {
    case Task::features:
      break;
    case Task::masked_lm:
      // x = self.LayerNorm(gelu(self.dense(x)))                  ElectraGeneratorPredictions
      // logits = self.generator_lm_head(x)                                ElectraForMaskedLM
      masked_lm(context, x,
                {.dense = "generator_predictions.dense",
                 .norm = "generator_predictions.LayerNorm",
                 .decoder = "generator_lm_head",
                 .bias = "generator_lm_head.bias",
                 .word_embeddings = prefix + "embeddings.word_embeddings.weight",
                 .activation = Activation::gelu_erf,
                 .width = E,
                 .norm_eps = config.shape.norm_eps},
                H, config.vocab);
      break;
    case Task::discriminator: {
      // logits = self.dense_prediction(act(self.dense(x))).squeeze(-1)
      //                                                      ElectraDiscriminatorPredictions
      const std::string d = "discriminator_predictions.";
      const ValueId dense = b.linear("discriminator.dense", x, d + "dense", H, H);
      const ValueId active = b.activation("discriminator.act", dense, config.shape.activation);
      b.output("logits", b.linear("discriminator.out", active, d + "dense_prediction",
                                  Dim{.size = 1, .key = ""}, H));  // (ΣT,1)
      break;
    }
    case Task::sequence_classification:
      // x = gelu(self.dense(x[:, 0])); x = self.out_proj(x)        ElectraClassificationHead
      classify_first_token(context, x, "classifier.dense", Activation::gelu_erf,
                           "classifier.out_proj", H);
      break;
    case Task::token_classification:
      classify_tokens(context, x, H);
      break;
    case Task::pretraining:
      break;  // no such class
  }
  return x;
}

}  // namespace tessera::models
