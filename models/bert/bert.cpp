// SPDX-License-Identifier: Apache-2.0
//
// BERT (Devlin et al. 2018). Ports transformers v4.57 modeling_bert.py.
#include "models/bert/bert_like.hpp"

namespace tessera::models {

ValueId build_bert(BuildContext& context) {
  // self.transform(x); self.decoder(x)                                 BertLMPredictionHead
  constexpr HeadTensors kHeads{.pooler = "pooler.dense",
                               .masked_lm = {.dense = "cls.predictions.transform.dense",
                                             .norm = "cls.predictions.transform.LayerNorm",
                                             .decoder = "cls.predictions.decoder",
                                             .bias = "cls.predictions.bias"},
                               .sentence_pair = {.name = "seq_relationship",
                                                 .tensor = "cls.seq_relationship",
                                                 .output = "seq_relationship_logits",
                                                 .labels = 2}};
  const BertConfig config = read_bert_config(context, {});
  context.package.program.inputs = column_positions(config);
  ValueId x = bert_embeddings(context, config);  // (ΣT,H)
  x = bert_encoder(context, equal_layers(context, config.layer, kBertLayer, "encoder.layer."), x);
  bert_head(context, kHeads, config, x);
  return x;
}

}  // namespace tessera::models
