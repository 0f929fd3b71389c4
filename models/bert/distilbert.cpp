// SPDX-License-Identifier: Apache-2.0
//
// DistilBERT (Sanh et al. 2019): no token types, no pooler, every LayerNorm with eps 1e-12, config
// keys of its own. Ports transformers v4.57 modeling_distilbert.py.
//
// `sinusoidal_pos_embds` changes how the position table is made, not how it is used: the table is
// in the checkpoint either way.
#include <fmt/format.h>

#include "models/bert/bert_like.hpp"
#include "models/heads.hpp"

namespace tessera::models {
namespace {

constexpr float kNormEps = 1e-12F;
constexpr Index kMostLayers = 4096;

BertConfig read_distilbert_config(BuildContext& context) {
  const Config& c = context.config;
  refuse_unsupported(c);
  BertConfig config;
  config.vocab = c.dim("vocab_size", 30522);
  config.positions = c.dim("max_position_embeddings", 512);
  EncoderShape& shape = config.shape;
  // The other spellings are those of attribute_map.               configuration_distilbert.py
  shape.hidden = c.dim("dim", 768, 1, "hidden_size");
  shape.intermediate = c.dim("hidden_dim", 3072);
  const Dim heads = c.dim("n_heads", 12, 1, "num_attention_heads");
  const Dim layers = c.dim("n_layers", 6, 0, "num_hidden_layers");
  if (layers.size > kMostLayers) c.wrong(layers.key, fmt::format("at most {}", kMostLayers));
  check_heads(c, shape.hidden, heads.size, heads.key);
  shape.heads = heads.size;
  shape.layers = layers.size;
  shape.activation = c.activation("activation", "gelu");
  shape.norm_eps = kNormEps;

  Package& package = context.package;
  package.hidden = shape.hidden.size;
  package.intermediate = shape.intermediate.size;
  package.layers = shape.layers;
  package.heads = shape.heads;
  return config;
}

LayerTensors layer_tensors(const std::string& prefix, Index i) {
  const std::string l = fmt::format("{}transformer.layer.{}.", prefix, i);
  return {.query = l + "attention.q_lin",
          .key = l + "attention.k_lin",
          .value = l + "attention.v_lin",
          .attention_output = l + "attention.out_lin",
          .attention_norm = l + "sa_layer_norm",
          .ffn_in = l + "ffn.lin1",
          .ffn_out = l + "ffn.lin2",
          .ffn_norm = l + "output_layer_norm"};
}

}  // namespace

ValueId build_distilbert(BuildContext& context) {
  const BertConfig config = read_distilbert_config(context);
  const Dim& H = config.shape.hidden;
  context.package.program.tokens = column_positions(config);

  const std::string prefix = "distilbert.";
  // x = self.LayerNorm(input_embeds + position_embeddings)                       Embeddings
  ValueId x = bert_embeddings(context, config, prefix, H);  // (ΣT,H)
  // x = self.sa_layer_norm(sa_output + x); x = self.output_layer_norm(ffn_output + x)
  //                                                                         TransformerBlock
  x = encoder_stack(
      context, config.shape, [&](Index i) { return layer_tensors(prefix, i); }, x);

  switch (context.package.task) {
    case Task::features:
      break;
    case Task::masked_lm:
      // x = self.vocab_layer_norm(self.activation(self.vocab_transform(x)))
      // logits = self.vocab_projector(x)                               DistilBertForMaskedLM
      masked_lm(context, x,
                {.dense = "vocab_transform",
                 .norm = "vocab_layer_norm",
                 .decoder = "vocab_projector",
                 .bias = "vocab_projector.bias",
                 .word_embeddings = prefix + "embeddings.word_embeddings.weight",
                 .activation = config.shape.activation,
                 .width = H,
                 .norm_eps = kNormEps},
                H, config.vocab);
      break;
    case Task::sequence_classification:
      // logits = self.classifier(relu(self.pre_classifier(x[:, 0])))
      //                                                  DistilBertForSequenceClassification
      classify_first_token(context, x, "pre_classifier", Activation::relu, "classifier", H);
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
