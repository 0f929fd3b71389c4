// SPDX-License-Identifier: Apache-2.0
#include "models/bert/bert_like.hpp"

#include <fmt/format.h>

namespace tessera::models {
BertConfig read_bert_config(BuildContext& context, const BertDefaults& defaults,
                            const EncoderKeys& keys) {
  const Config& c = context.config;
  BertConfig bert{.layer = read_encoder(context, c, defaults.encoder, keys)};
  bert.vocab = c.dim("vocab_size", defaults.vocab_size);
  bert.positions = c.dim("max_position_embeddings", defaults.max_position_embeddings);
  if (defaults.type_vocab_size > 0) {
    bert.types = c.dim("type_vocab_size", defaults.type_vocab_size);
  }
  bert.embedding = bert.layer.hidden;
  return bert;
}

TokenSpec column_positions(const BertConfig& config) {
  return {.vocab_size = config.vocab.size,
          .type_vocab_size = config.types.size,
          .position_rows = config.positions.size,
          .max_tokens = config.positions.size,
          .position_rule = PositionRule::column};
}

TokenSpec positions_from_ids(const Config& config, const BertConfig& bert, Index pad) {
  // position_ids = (cumsum(ids != pad) * (ids != pad)) + pad
  //                 transformers v4.57 modeling_roberta.py create_position_ids_from_input_ids
  const Index rows = bert.positions.size;
  if (rows < pad + 2) {
    config.wrong(
        bert.positions.key,
        fmt::format("at least {}: positions count from the padding index {} + 1", pad + 2, pad));
  }
  return {.vocab_size = bert.vocab.size,
          .type_vocab_size = bert.types.size,
          .position_rows = rows,
          .max_tokens = rows - pad - 1,
          .position_rule = PositionRule::from_ids,
          .position_pad = static_cast<std::int32_t>(pad)};
}

ValueId bert_embeddings(BuildContext& context, const BertConfig& config) {
  // x = inputs_embeds + token_type_embeddings; x += position_embeddings; x = self.LayerNorm(x)
  //                                             transformers v4.57 modeling_bert.py BertEmbeddings
  Builder& b = context.builder;
  const Dim& E = config.embedding;
  const std::string e = context.prefix + "embeddings.";
  std::vector<Builder::EmbeddingTerm> terms = word_and_type_terms(e, config.vocab, config.types);
  terms.push_back({e + "position_embeddings.weight", TokenInput::positions, config.positions});
  const ValueId sum = b.embedding("embeddings.sum", terms, E);  // (ΣT,E)
  return b.layer_norm("embeddings.out", sum, e + "LayerNorm", E, config.layer.norm_eps);
}

void output_bert_states(BuildContext& context, const std::vector<ValueId>& states) {
  context.builder.output("last_hidden_state", states.back());
  output_states(context, states);
}

ValueId bert_encoder(BuildContext& context, const LayerOf& layer, ValueId x) {
  const std::vector<ValueId> states = encoder_states(context, layer, x);
  output_bert_states(context, states);
  return states.back();
}

void bert_head(BuildContext& context, const HeadTensors& tensors, const BertConfig& config,
               ValueId x) {
  const LayerOptions& layer = config.layer;
  add_head(context, tensors,
           {.x = x,
            .hidden = layer.hidden,
            .embedding = config.embedding,
            .vocab = config.vocab,
            .activation = layer.activation,
            .norm_eps = layer.norm_eps});
}

}  // namespace tessera::models
