// SPDX-License-Identifier: Apache-2.0
//
// What models with a text and an image tower share (CLIP, SigLIP): the objects of config.json,
// which tower is built, the text embeddings, names of a layer.
#pragma once

#include <string>
#include <string_view>

#include "models/vit/vit_like.hpp"

namespace tessera::models {

/// x / x.norm() has none; keeps an embedding of zeros from becoming NaN.
inline constexpr float kNormEps = 1e-12F;

/// The config of one tower: the object at `key` ("text_config") where there is one, else the file
/// itself. An object "text_config_dict", which old files have, takes its place.
Config tower_config(const Config& config, const std::string& key);

/// Is the text tower to be built? That of a class of one tower, or as the caller asked.
/// Throws Error{unsupported_model} if the class has one tower and the caller asked for the other.
bool takes_text(const BuildContext& context, bool is_text_class);

struct TextTower {
  LayerOptions layer;
  ValueId x;  ///< token + position embeddings (ΣT,H)
};
/// Sizes and embeddings of a text tower, and what the program takes.
TextTower text_embeddings(BuildContext& context, const Config& config,
                          const EncoderDefaults& defaults, Index vocab_size, Index positions);

/// A layer of CLIPEncoder, below "text_model.encoder.layers.3.".
inline constexpr LayerTensors kClipLayer{.query = "self_attn.q_proj",
                                         .key = "self_attn.k_proj",
                                         .value = "self_attn.v_proj",
                                         .attention_output = "self_attn.out_proj",
                                         .attention_norm = "layer_norm1",
                                         .ffn_in = "mlp.fc1",
                                         .ffn_out = "mlp.fc2",
                                         .ffn_norm = "layer_norm2"};

}  // namespace tessera::models
