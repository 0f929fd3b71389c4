// SPDX-License-Identifier: Apache-2.0
#include "models/encoder.hpp"

#include <fmt/format.h>

namespace tessera::models {
namespace {

/// More layers than any encoder has; keeps a broken config from building forever.
constexpr Index kMostLayers = 4096;
/// Heads, and columns of a head, where these do not follow from the hidden size: products stay in range.
constexpr Index kMostOfHeads = 65536;

Dim read_intermediate(const Config& config, const Dim& hidden, const EncoderDefaults& defaults,
                      const EncoderKeys& keys) {
  if (defaults.intermediate_size > 0) {
    return config.dim(keys.intermediate, defaults.intermediate_size);
  }
  // hidden_features = int(hidden_size * mlp_ratio)                               Dinov2MLP
  const double ratio = config.number("mlp_ratio", 4.0, 0.0);
  const auto size = static_cast<Index>(static_cast<double>(hidden.size) * ratio);
  if (size < 1 || ratio > 1024) config.wrong("mlp_ratio", "a ratio from 1/hidden_size to 1024");
  return {size, "mlp_ratio"};
}

}  // namespace

void refuse_unsupported(const Config& config, const std::string& position) {
  for (const char* key : {"is_decoder", "add_cross_attention", "is_encoder_decoder"}) {
    if (config.boolean(key, false)) config.unsupported(key, "false");
  }
  if (config.size_of("pruned_heads") > 0) config.unsupported("pruned_heads", "none");
  if (config.string("position_embedding_type", position) != position) {
    config.unsupported("position_embedding_type", '"' + position + '"');
  }
}

LayerOptions read_encoder(BuildContext& context, const Config& config,
                          const EncoderDefaults& defaults, const EncoderKeys& keys) {
  refuse_unsupported(config, keys.position);
  LayerOptions layer;
  layer.hidden = config.dim(keys.hidden, defaults.hidden_size);
  layer.intermediate = read_intermediate(config, layer.hidden, defaults, keys);
  const Index layers = config.integer(keys.layers, defaults.num_hidden_layers, 0, kMostLayers);
  layer.heads = config.integer(keys.heads, defaults.num_attention_heads, 1);
  if (keys.head_dim != nullptr) {
    layer.head_dim = config.integer(keys.head_dim, defaults.head_dim, 0, kMostOfHeads);
    if (layer.head_dim > 0 && layer.heads > kMostOfHeads) {
      config.wrong(keys.heads, fmt::format("at most {}", kMostOfHeads));
    }
  }
  if (keys.kv_heads != nullptr) {
    layer.kv_heads =
        config.integer(keys.kv_heads, defaults.kv_heads == 0 ? layer.heads : defaults.kv_heads, 1);
    if (layer.heads % layer.kv_heads != 0) {
      config.wrong(keys.kv_heads, fmt::format("a divisor of {}={}", keys.heads, layer.heads));
    }
  }
  if (layer.head_dim == 0 && layer.hidden.size % layer.heads != 0) {
    config.wrong(keys.heads,
                 fmt::format("a divisor of {}={}", layer.hidden.key, layer.hidden.size));
  }
  layer.activation = config.activation(keys.activation, defaults.hidden_act);
  const double eps = defaults.layer_norm_eps;
  layer.norm_eps =
      static_cast<float>(keys.norm_eps == nullptr ? eps : config.number(keys.norm_eps, eps, 0.0));

  Package& package = context.package;
  package.hidden = layer.hidden.size;
  package.intermediate = layer.intermediate.size;
  package.layers = layers;
  package.heads = layer.heads;
  return layer;
}

std::vector<Builder::EmbeddingTerm> word_and_type_terms(const std::string& prefix, const Dim& vocab,
                                                        const Dim& types) {
  std::vector<Builder::EmbeddingTerm> terms{
      {prefix + "word_embeddings.weight", TokenInput::ids, vocab}};
  if (types.size > 0) {
    terms.push_back({prefix + "token_type_embeddings.weight", TokenInput::types, types});
  }
  return terms;
}

LayerOf equal_layers(const BuildContext& context, const LayerOptions& options,
                     const LayerTensors& tensors, const std::string& stack) {
  const std::string prefix = context.prefix + stack;
  return [=](Index i) { return Layer{options, tensors, fmt::format("{}{}.", prefix, i)}; };
}

std::vector<ValueId> encoder_states(BuildContext& context, const LayerOf& layer, ValueId x) {
  std::vector<ValueId> states{x};
  for (Index i = 0; i < context.package.layers; ++i) {
    const std::string name = fmt::format("layer.{}", i);
    states.push_back(encoder_layer(context.builder, name, layer(i), states.back()));
  }
  return states;
}

void output_states(BuildContext& context, const std::vector<ValueId>& states) {
  for (std::size_t i = 0; i < states.size(); ++i) {
    context.builder.output(fmt::format("hidden_states.{}", i), states[i]);
  }
}

ValueId encoder_stack(BuildContext& context, const LayerOf& layer, ValueId x) {
  const std::vector<ValueId> states = encoder_states(context, layer, x);
  output_states(context, states);
  return states.back();
}

}  // namespace tessera::models
