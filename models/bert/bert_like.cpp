// SPDX-License-Identifier: Apache-2.0
#include "models/bert/bert_like.hpp"

#include <fmt/format.h>

namespace tessera::models {
namespace {

/// More layers than any encoder has; keeps a broken config from building forever.
constexpr Index kMostLayers = 4096;

}  // namespace

void refuse_unsupported(const Config& config) {
  for (const char* key : {"is_decoder", "add_cross_attention", "is_encoder_decoder"}) {
    if (config.boolean(key, false)) config.unsupported(key, "false");
  }
  if (config.size_of("pruned_heads") > 0) config.unsupported("pruned_heads", "none");
  if (config.has("quantization_config")) config.unsupported("quantization_config", "none");
  if (config.string("position_embedding_type", "absolute") != "absolute") {
    config.unsupported("position_embedding_type", "\"absolute\"");
  }
}

void check_heads(const Config& config, const Dim& hidden, Index heads, std::string_view heads_key) {
  if (hidden.size % heads == 0) return;
  config.wrong(heads_key, fmt::format("a divisor of {}={}", hidden.key, hidden.size));
}

BertConfig read_bert_config(BuildContext& context, const BertDefaults& defaults) {
  const Config& c = context.config;
  refuse_unsupported(c);
  BertConfig bert;
  bert.vocab = c.dim("vocab_size", defaults.vocab_size);
  bert.positions = c.dim("max_position_embeddings", defaults.max_position_embeddings);
  if (defaults.type_vocab_size > 0) {
    bert.types = c.dim("type_vocab_size", defaults.type_vocab_size);
  }
  EncoderShape& shape = bert.shape;
  shape.hidden = c.dim("hidden_size", defaults.hidden_size);
  shape.intermediate = c.dim("intermediate_size", defaults.intermediate_size);
  shape.layers = c.integer("num_hidden_layers", defaults.num_hidden_layers, 0, kMostLayers);
  shape.heads = c.integer("num_attention_heads", defaults.num_attention_heads, 1);
  check_heads(c, shape.hidden, shape.heads, "num_attention_heads");
  shape.activation = c.activation("hidden_act", defaults.hidden_act);
  shape.norm_eps = static_cast<float>(c.number("layer_norm_eps", defaults.layer_norm_eps, 0.0));

  Package& package = context.package;
  package.hidden = shape.hidden.size;
  package.intermediate = shape.intermediate.size;
  package.layers = shape.layers;
  package.heads = shape.heads;
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

ValueId bert_embeddings(BuildContext& context, const BertConfig& config, const std::string& prefix,
                        const Dim& width) {
  // x = inputs_embeds + token_type_embeddings; x += position_embeddings; x = self.LayerNorm(x)
  //                                             transformers v4.57 modeling_bert.py BertEmbeddings
  Builder& b = context.builder;
  const std::string e = prefix + "embeddings.";
  std::vector<Builder::EmbeddingTerm> terms{
      {e + "word_embeddings.weight", TokenInput::ids, config.vocab}};
  if (config.types.size > 0) {
    terms.push_back({e + "token_type_embeddings.weight", TokenInput::types, config.types});
  }
  terms.push_back({e + "position_embeddings.weight", TokenInput::positions, config.positions});
  const ValueId sum = b.embedding("embeddings.sum", terms, width);  // (ΣT,E)
  return b.layer_norm("embeddings.out", sum, e + "LayerNorm", width, config.shape.norm_eps);
}

LayerTensors bert_layer_tensors(const std::string& prefix, Index i) {
  const std::string l = fmt::format("{}encoder.layer.{}.", prefix, i);
  return {.query = l + "attention.self.query",
          .key = l + "attention.self.key",
          .value = l + "attention.self.value",
          .attention_output = l + "attention.output.dense",
          .attention_norm = l + "attention.output.LayerNorm",
          .ffn_in = l + "intermediate.dense",
          .ffn_out = l + "output.dense",
          .ffn_norm = l + "output.LayerNorm"};
}

void output_states(BuildContext& context, const std::vector<ValueId>& states) {
  context.builder.output("last_hidden_state", states.back());
  for (std::size_t i = 0; i < states.size(); ++i) {
    context.builder.output(fmt::format("hidden_states.{}", i), states[i]);
  }
}

}  // namespace tessera::models
