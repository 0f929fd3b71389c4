// SPDX-License-Identifier: Apache-2.0
//
// RoBERTa (Liu et al. 2019), XLM-RoBERTa (Conneau et al. 2019), CamemBERT (Martin et al. 2019): the
// layers of BERT; positions count from pad_token_id + 1 over the ids that are not padding; other
// heads. Ports transformers v4.57 modeling_roberta.py, of which the other two are copies.
#include "models/bert/bert_like.hpp"

namespace tessera::models {

ValueId build_roberta(BuildContext& context) {
  // RobertaConfig; XLMRobertaConfig and CamembertConfig differ in vocab_size.
  const Index vocab_size = context.package.model_type == "roberta" ? 50265 : 30522;
  const BertConfig config = read_bert_config(context, {.vocab_size = vocab_size});
  // self.padding_idx = config.pad_token_id                                  RobertaEmbeddings
  constexpr Index kDefaultPad = 1;
  if (context.config.is_null("pad_token_id")) {
    context.config.wrong("pad_token_id", "an id: positions are counted from it");
  }
  const Index pad = context.config.integer("pad_token_id", kDefaultPad);
  context.package.program.inputs = positions_from_ids(context.config, config, pad);
  ValueId x = bert_embeddings(context, config);  // (ΣT,H)
  x = bert_encoder(context, equal_layers(context, config.layer, kBertLayer, "encoder.layer."), x);
  bert_head(context, kRobertaHeads, config, x);
  return x;
}

}  // namespace tessera::models
