// SPDX-License-Identifier: Apache-2.0
#include "models/vit/clip_like.hpp"

#include <fmt/format.h>

#include "runtime/base/error.hpp"

namespace tessera::models {

Config tower_config(const Config& config, const std::string& key) {
  // text_config.update(CLIPTextConfig(**text_config_dict))                          CLIPConfig
  if (config.has(key + "_dict")) return config.object(key + "_dict");
  return config.has(key) ? config.object(key) : config;
}

bool takes_text(const BuildContext& context, bool is_text_class) {
  const Package& package = context.package;
  if (package.similarity) return context.tower == Tower::text;
  const Tower has = is_text_class ? Tower::text : Tower::image;
  if (context.tower != Tower::automatic && context.tower != has) {
    throw Error(
        ErrorCode::unsupported_model,
        fmt::format("{}: {} has no {} tower, expected a class with both", context.config.name(),
                    package.architecture, context.tower == Tower::text ? "text" : "image"));
  }
  return is_text_class;
}

TextTower text_embeddings(BuildContext& context, const Config& config,
                          const VisionDefaults& defaults, Index vocab_size, Index positions) {
  // embeddings = token_embedding(input_ids) + position_embedding(position_ids)
  //                                             transformers v4.57 CLIPTextEmbeddings
  TextTower tower{.shape = read_encoder_shape(context, config, defaults), .x = kNone};
  const Dim vocab = config.dim("vocab_size", vocab_size);
  const Dim rows = config.dim("max_position_embeddings", positions);
  context.package.program.tokens = {
      .vocab_size = vocab.size, .position_rows = rows.size, .max_tokens = rows.size};
  const std::string e = "text_model.embeddings.";
  tower.x =
      context.builder.embedding("embeddings.out",
                                {{e + "token_embedding.weight", TokenInput::ids, vocab},
                                 {e + "position_embedding.weight", TokenInput::positions, rows}},
                                tower.shape.hidden);
  return tower;
}

LayerTensors clip_layer_tensors(const std::string& prefix, Index i) {
  const std::string l = fmt::format("{}encoder.layers.{}.", prefix, i);
  return {.query = l + "self_attn.q_proj",
          .key = l + "self_attn.k_proj",
          .value = l + "self_attn.v_proj",
          .attention_output = l + "self_attn.out_proj",
          .attention_norm = l + "layer_norm1",
          .ffn_in = l + "mlp.fc1",
          .ffn_out = l + "mlp.fc2",
          .ffn_norm = l + "layer_norm2"};
}

}  // namespace tessera::models
