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
  EncoderShape shape;
  ValueId x;  ///< token + position embeddings (ΣT,H)
};
/// Sizes and embeddings of a text tower, and program.tokens.
TextTower text_embeddings(BuildContext& context, const Config& config,
                          const VisionDefaults& defaults, Index vocab_size, Index positions);

/// Names of layer i under `prefix` ("text_model.").
LayerTensors clip_layer_tensors(const std::string& prefix, Index i);

}  // namespace tessera::models
