// SPDX-License-Identifier: Apache-2.0
//
// What families with rotary positions share: how config.json says the angles, which layers see a window,
// and what such a program takes: ids, and no table of positions.
#pragma once

#include <string>
#include <vector>

#include "models/encoder.hpp"
#include "models/heads.hpp"

namespace tessera::models {

/// The rotation of `head_dim` columns, or of partial_rotary_factor of them, in layers of this type: by the
/// keys `theta` and rope_scaling of the config (transformers 4), or by those of rotary_config()
/// (transformers 5); scaled as rope_scaling.hpp says.
struct RotaryKeys {
  const char* theta = "rope_theta";
  double default_theta = 10000.0;
  bool scaled = true;  ///< rope_scaling counts
};
/// After any_positions(): kinds of scaling ask for max_position_embeddings.
Rotation read_rotation(const BuildContext& context, const std::string& layer_type, Index head_dim,
                       const RotaryKeys& keys);

/// theta^(−2i/R) for i < R/2, in f32 as the reference has it. Throws unsupported_model where R is more than
/// a head may have.
std::vector<float> rotary_frequencies(double theta, Index rotary_dim);

/// Of transformers 5: rope_parameters, or the object of `layer_type` in it; else `config` itself.
Config rotary_config(const Config& config, const std::string& layer_type);

/// Which layers see a window: layer_types if the config has it ("sliding_attention" and
/// "full_attention", one for each layer), else `is_sliding(i)`.
std::vector<bool> read_sliding_layers(const Config& config, Index layers,
                                      const std::function<bool(Index)>& is_sliding);

/// By attention_bias and mlp_bias, both false where the config has none; norms without.
LayerBiases read_biases(const Config& config);

/// What the program takes. Texts are cut at max_position_embeddings; ids may be longer.
TokenSpec any_positions(BuildContext& context, const Dim& vocab, Index types,
                        Index max_position_embeddings);

/// The final norm over the last of `states`; last_hidden_state and hidden_states.0 … .N as outputs.
/// `keeps_last`: hidden_states.N is the last layer's, else it is what the norm makes of it.
ValueId output_normed_states(BuildContext& context, std::vector<ValueId> states,
                             const std::string& norm, const Dim& hidden, const NormTerms& terms,
                             bool keeps_last = false);

}  // namespace tessera::models
