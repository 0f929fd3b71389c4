// SPDX-License-Identifier: Apache-2.0
//
// RoBERTa (Liu et al. 2019), XLM-RoBERTa (Conneau et al. 2019), CamemBERT (Martin et al. 2019): the
// layers of BERT; positions count from pad_token_id + 1 over the ids that are not padding; other
// heads. Ports transformers v4.57 modeling_roberta.py, of which the other two are copies.
#include "models/bert/bert_like.hpp"
#include "models/heads.hpp"

namespace tessera::models {

ValueId build_roberta(BuildContext& context) {
  // RobertaConfig; XLMRobertaConfig and CamembertConfig differ in vocab_size.
  const Index vocab_size = context.package.model_type == "roberta" ? 50265 : 30522;
  const BertConfig config = read_bert_config(context, BertDefaults{.vocab_size = vocab_size});
  const Dim& H = config.shape.hidden;
  // self.padding_idx = config.pad_token_id                                  RobertaEmbeddings
  constexpr Index kDefaultPad = 1;
  if (context.config.is_null("pad_token_id")) {
    context.config.wrong("pad_token_id", "an id: positions are counted from it");
  }
  const Index pad = context.config.integer("pad_token_id", kDefaultPad);
  context.package.program.tokens = positions_from_ids(context.config, config, pad);

  const std::string prefix = "roberta.";
  ValueId x = bert_embeddings(context, config, prefix, H);  // (ΣT,H)
  x = encoder_stack(
      context, config.shape, [&](Index i) { return bert_layer_tensors(prefix, i); }, x);

  switch (context.package.task) {
    case Task::features:
      pooler_if_present(context, x, prefix + "pooler.dense", H);
      break;
    case Task::masked_lm:
      // x = self.layer_norm(gelu(self.dense(x))); x = self.decoder(x)         RobertaLMHead
      masked_lm(context, x,
                {.dense = "lm_head.dense",
                 .norm = "lm_head.layer_norm",
                 .decoder = "lm_head.decoder",
                 .bias = "lm_head.bias",
                 .word_embeddings = prefix + "embeddings.word_embeddings.weight",
                 .activation = Activation::gelu_erf,
                 .width = H,
                 .norm_eps = config.shape.norm_eps},
                H, config.vocab);
      break;
    case Task::sequence_classification:
      // x = tanh(self.dense(x[:, 0])); x = self.out_proj(x)        RobertaClassificationHead
      classify_first_token(context, x, "classifier.dense", Activation::tanh, "classifier.out_proj",
                           H);
      break;
    case Task::token_classification:
      classify_tokens(context, x, H);
      break;
    case Task::pretraining:
    case Task::discriminator:
      break;  // no such class
  }
  return x;
}

}  // namespace tessera::models
