// SPDX-License-Identifier: Apache-2.0
#include "models/rotary/rotary_like.hpp"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "models/rotary/rope_scaling.hpp"
#include "runtime/base/error.hpp"

namespace tessera::models {

std::vector<float> rotary_frequencies(double theta, Index rotary_dim) {
  // inv_freq = 1.0 / (base ** (torch.arange(0, dim, 2).float() / dim))
  //                             transformers v4.57 modeling_rope_utils.py _compute_default_rope
  if (rotary_dim > kernels::kMaxHeadDim) {
    throw Error(ErrorCode::unsupported_model,
                fmt::format("rotary positions: got heads of {} columns, expected at most {}",
                            rotary_dim, kernels::kMaxHeadDim));
  }
  std::vector<float> frequencies;
  for (Index i = 0; i + 1 < rotary_dim; i += 2) {
    const float exponent = static_cast<float>(i) / static_cast<float>(rotary_dim);
    const auto power = static_cast<float>(std::pow(theta, static_cast<double>(exponent)));
    frequencies.push_back(1.0F / power);
  }
  return frequencies;
}

Rotation read_rotation(const BuildContext& context, const std::string& layer_type, Index head_dim,
                       const RotaryKeys& keys) {
  const Config& whole = context.config;
  const bool is_newer = whole.has("rope_parameters");
  if (is_newer && whole.has("rope_scaling")) {
    whole.unsupported("rope_scaling", "null beside rope_parameters, which says the same");
  }
  const Config config = rotary_config(whole, layer_type);
  const double theta = config.number(keys.theta, keys.default_theta, 0.0);
  if (theta <= 0.0) config.wrong(keys.theta, "a number above 0");
  const Config& says_part = config.has("partial_rotary_factor") ? config : whole;
  const double part = says_part.number("partial_rotary_factor", 1.0, 0.0);
  const auto rotary_dim = static_cast<Index>(static_cast<double>(head_dim) * part);
  if (part > 1.0 || rotary_dim < 2 || rotary_dim % 2 != 0) {
    says_part.wrong(
        "partial_rotary_factor",
        fmt::format("a part of the head size {} that is an even number of columns, 2 at "
                    "least",
                    head_dim));
  }
  Rotation rotation{.frequencies = rotary_frequencies(theta, rotary_dim)};
  if (!keys.scaled) return rotation;
  const Config scaling = is_newer ? config : config.object("rope_scaling");
  for (const auto& [key, own] : {std::pair{"rope_theta", theta}, {"partial_rotary_factor", part}}) {
    if (!is_newer && scaling.has(key) && scaling.number(key, own, 0.0) != own) {
      scaling.unsupported(key, fmt::format("null, or the model's own {}", own));
    }
  }
  scale_rotation(scaling, whole, {theta, rotary_dim, context.package.max_tokens}, rotation);
  return rotation;
}

Config rotary_config(const Config& config, const std::string& layer_type) {
  if (!config.has("rope_parameters")) return config;
  const Config all = config.object("rope_parameters");
  return all.has(layer_type) ? all.object(layer_type) : all;
}

std::vector<bool> read_sliding_layers(const Config& config, Index layers,
                                      const std::function<bool(Index)>& is_sliding) {
  std::vector<bool> sliding;
  if (!config.has("layer_types")) {
    for (Index i = 0; i < layers; ++i) sliding.push_back(is_sliding(i));
    return sliding;
  }
  for (const std::string& type : config.strings("layer_types")) {
    if (type != "sliding_attention" && type != "full_attention") {
      config.unsupported("layer_types", "sliding_attention or full_attention for each layer");
    }
    sliding.push_back(type == "sliding_attention");
  }
  if (std::ssize(sliding) != layers) {
    config.wrong("layer_types",
                 fmt::format("one for each of the {} layers, got {}", layers, sliding.size()));
  }
  return sliding;
}

LayerBiases read_biases(const Config& config) {
  const bool attention = config.boolean("attention_bias", false),
             mlp = config.boolean("mlp_bias", false);
  return {.query = attention,
          .key = attention,
          .value = attention,
          .attention_output = attention,
          .ffn_in = mlp,
          .ffn_out = mlp,
          .norms = false};
}

TokenSpec any_positions(BuildContext& context, const Dim& vocab, Index types,
                        Index max_position_embeddings) {
  context.package.max_tokens = max_position_embeddings;
  context.package.max_tokens_from = "max_position_embeddings of config.json";
  return {.vocab_size = vocab.size, .type_vocab_size = types, .max_tokens = kAnyLength};
}

ValueId output_normed_states(BuildContext& context, std::vector<ValueId> states,
                             const std::string& norm, const Dim& hidden, const NormTerms& terms,
                             bool keeps_last) {
  const ValueId last =
      context.builder.norm("final_norm", states.back(), context.prefix + norm, hidden, terms);
  if (!keeps_last) states.back() = last;
  context.builder.output("last_hidden_state", last);
  output_states(context, states);
  return last;
}

}  // namespace tessera::models
