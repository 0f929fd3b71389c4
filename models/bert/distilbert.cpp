// SPDX-License-Identifier: Apache-2.0
//
// DistilBERT (Sanh et al. 2019): no token types, no pooler, every LayerNorm with eps 1e-12, config
// keys of its own. Ports transformers v4.57 modeling_distilbert.py.
//
// `sinusoidal_pos_embds` changes how the position table is made, not how it is used: the table is
// in the checkpoint either way.
#include "models/bert/bert_like.hpp"

namespace tessera::models {

ValueId build_distilbert(BuildContext& context) {
  constexpr LayerTensors kLayer{.query = "attention.q_lin",
                                .key = "attention.k_lin",
                                .value = "attention.v_lin",
                                .attention_output = "attention.out_lin",
                                .attention_norm = "sa_layer_norm",
                                .ffn_in = "ffn.lin1",
                                .ffn_out = "ffn.lin2",
                                .ffn_norm = "output_layer_norm"};
  // x = self.vocab_layer_norm(self.activation(self.vocab_transform(x)))
  // logits = self.vocab_projector(x)                                   DistilBertForMaskedLM
  // logits = self.classifier(relu(self.pre_classifier(x[:, 0])))
  //                                                      DistilBertForSequenceClassification
  constexpr HeadTensors kHeads{
      .masked_lm = {.dense = "vocab_transform",
                    .norm = "vocab_layer_norm",
                    .decoder = "vocab_projector",
                    .bias = "vocab_projector.bias"},
      .classifier = {.first = "pre_classifier",
                     .activation = Activation::relu,
                     .last = "classifier"},
      .choice = {.first = "pre_classifier", .activation = Activation::relu, .last = "classifier"}};
  // The other spellings are those of attribute_map.               configuration_distilbert.py
  const Config& c = context.config;
  const BertConfig config =
      read_bert_config(context, {.encoder = {.num_hidden_layers = 6}, .type_vocab_size = 0},
                       {.hidden = c.spelled("dim", "hidden_size"),
                        .intermediate = "hidden_dim",
                        .layers = c.spelled("n_layers", "num_hidden_layers"),
                        .heads = c.spelled("n_heads", "num_attention_heads"),
                        .activation = "activation",
                        .norm_eps = nullptr});
  context.package.program.inputs = column_positions(config);
  // x = self.LayerNorm(input_embeds + position_embeddings)                       Embeddings
  ValueId x = bert_embeddings(context, config);  // (ΣT,H)
  // x = self.sa_layer_norm(sa_output + x); x = self.output_layer_norm(ffn_output + x)
  //                                                                         TransformerBlock
  x = bert_encoder(context, equal_layers(context, config.layer, kLayer, "transformer.layer."), x);
  bert_head(context, kHeads, config, x);
  return x;
}

}  // namespace tessera::models
