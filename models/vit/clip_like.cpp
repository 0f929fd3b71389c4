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
                          const EncoderDefaults& defaults, Index vocab_size, Index positions) {
  // embeddings = token_embedding(input_ids) + position_embedding(position_ids)
  //                                             transformers v4.57 CLIPTextEmbeddings
  TextTower tower{.layer = read_pre_norm_encoder(context, config, defaults), .x = kNone};
  const Dim vocab = config.dim("vocab_size", vocab_size);
  const Dim rows = config.dim("max_position_embeddings", positions);
  context.package.program.inputs =
      TokenSpec{.vocab_size = vocab.size, .position_rows = rows.size, .max_tokens = rows.size};
  const std::string e = "text_model.embeddings.";
  tower.x =
      context.builder.embedding("embeddings.out",
                                {{e + "token_embedding.weight", TokenInput::ids, vocab},
                                 {e + "position_embedding.weight", TokenInput::positions, rows}},
                                tower.layer.hidden);
  return tower;
}

}  // namespace tessera::models
