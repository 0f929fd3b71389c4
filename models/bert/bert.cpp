// SPDX-License-Identifier: Apache-2.0
//
// BERT (Devlin et al. 2018). Ports transformers v4.57 modeling_bert.py.
#include "models/bert/bert_like.hpp"
#include "models/heads.hpp"

namespace tessera::models {

ValueId build_bert(BuildContext& context) {
  const BertConfig config = read_bert_config(context, BertDefaults{});
  const Dim& H = config.shape.hidden;
  context.package.program.tokens = column_positions(config);

  const std::string prefix = "bert.";
  ValueId x = bert_embeddings(context, config, prefix, H);  // (ΣT,H)
  x = encoder_stack(
      context, config.shape, [&](Index i) { return bert_layer_tensors(prefix, i); }, x);

  const std::string pooler_tensor = prefix + "pooler.dense";
  // self.transform(x); self.decoder(x)                                 BertLMPredictionHead
  MaskedLmHead lm{.dense = "cls.predictions.transform.dense",
                  .norm = "cls.predictions.transform.LayerNorm",
                  .decoder = "cls.predictions.decoder",
                  .bias = "cls.predictions.bias",
                  .word_embeddings = prefix + "embeddings.word_embeddings.weight",
                  .activation = config.shape.activation,
                  .width = H,
                  .norm_eps = config.shape.norm_eps};
  switch (context.package.task) {
    case Task::features:
      pooler_if_present(context, x, pooler_tensor, H);
      break;
    case Task::masked_lm:
      masked_lm(context, x, lm, H, config.vocab);
      break;
    case Task::pretraining: {
      // prediction_logits = cls.predictions(x); seq_relationship_logits =
      // cls.seq_relationship(pooled)                                        BertPreTrainingHeads
      const ValueId pooled = pooler(context, x, pooler_tensor, H);
      lm.output = "prediction_logits";
      masked_lm(context, x, lm, H, config.vocab);
      context.builder.output(
          "seq_relationship_logits",
          context.builder.linear("seq_relationship", pooled, "cls.seq_relationship",
                                 Dim{.size = 2, .key = ""}, H));
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
