// SPDX-License-Identifier: Apache-2.0
//
// The text model of Gemma 3, which EmbeddingGemma (2025) is with use_bidirectional_attention: norms
// around each sublayer whose gammas are stored minus 1, windows in most layers, rotary positions of two
// bases. Ports transformers v4.57 modeling_gemma3.py.
#include <cmath>

#include "models/rotary/decoder_like.hpp"

namespace tessera::models {
namespace {

constexpr LayerTensors kLayer = [] {
  LayerTensors layer = kDecoderLayer;
  layer.query_norm = "self_attn.q_norm";
  layer.key_norm = "self_attn.k_norm";
  layer.attention_post_norm = "post_attention_layernorm";
  layer.ffn_norm = "pre_feedforward_layernorm";
  layer.ffn_post_norm = "post_feedforward_layernorm";
  return layer;
}();

constexpr EncoderKeys kKeys = [] {
  EncoderKeys keys = kDecoderKeys;
  keys.activation = "hidden_activation";
  return keys;
}();

void refuse_softcapping(const Config& config) {
  for (const char* key : {"attn_logit_softcapping", "final_logit_softcapping"}) {
    if (config.has(key)) config.unsupported(key, "null");
  }
}

}  // namespace

ValueId build_gemma3_text(BuildContext& context) {
  // Gemma3TextConfig
  const Config& c = context.config;
  refuse_softcapping(c);
  Decoder decoder = read_decoder(context,
                                 {.hidden_size = 2304,
                                  .num_hidden_layers = 26,
                                  .num_attention_heads = 8,
                                  .intermediate_size = 9216,
                                  .hidden_act = "gelu_pytorch_tanh",
                                  .layer_norm_eps = 1e-6,
                                  .head_dim = 256,
                                  .kv_heads = 4},
                                 kKeys, 262208, 131072);
  LayerOptions& layer = decoder.layer;
  layer.attention_norm = layer.ffn_norm = NormPlace::around;
  layer.norm_offset = decoder.norm.offset = 1.0F;  // output * (1.0 + self.weight)  Gemma3RMSNorm
  // self.scaling = config.query_pre_attn_scalar**-0.5                        Gemma3Attention
  const double scalar = c.number("query_pre_attn_scalar", 256.0, 0.0);
  if (scalar <= 0.0) c.wrong("query_pre_attn_scalar", "a number above 0");
  layer.attention.scale = static_cast<float>(1.0 / std::sqrt(scalar));
  const bool both_ways = c.boolean("use_bidirectional_attention", false);
  if (!both_ways) layer.attention.mask.right = 0;

  const Index period = c.integer("sliding_window_pattern", 6, 1);
  const std::vector<bool> sliding = read_sliding_layers(
      c, context.package.layers, [&](Index i) { return (i + 1) % period != 0; });
  // config.sliding_window = (config.sliding_window // 2) + 1, |distance| < that   Gemma3TextConfig
  const Index window = c.integer("sliding_window", 4096, 1);
  const bool is_newer = c.has("rope_parameters");
  Program& program = context.package.program;
  const auto rotation = [&](const char* type, const RotaryKeys& keys) {
    return program.add_rotation(read_rotation(context, type, decoder.head_dim, keys));
  };
  const std::int32_t full = rotation("full_attention", {.default_theta = 1'000'000.0}),
                     local = rotation("sliding_attention",
                                      {.theta = is_newer ? "rope_theta" : "rope_local_base_freq",
                                       .scaled = is_newer});
  const LayerOf equal = equal_layers(context, layer, kLayer, "layers.");
  const auto layer_at = [&](Index i) {
    Layer one = equal(i);
    const bool is_sliding = sliding[static_cast<std::size_t>(i)];
    one.options.rotation = is_sliding ? local : full;
    kernels::AttentionMask& mask = one.options.attention.mask;
    if (is_sliding && both_ways) mask.left = mask.right = window / 2;
    if (is_sliding && !both_ways) mask.left = window - 1;
    return one;
  };
  // inputs_embeds * self.config.hidden_size**0.5               Gemma3TextScaledWordEmbedding
  const auto scale = static_cast<float>(std::sqrt(static_cast<double>(layer.hidden.size)));
  ValueId x = decoder_embeddings(context, decoder, scale);
  x = output_normed_states(context, encoder_states(context, layer_at, x), "norm", layer.hidden,
                           decoder.norm);
  add_head(context, {}, {.x = x, .hidden = layer.hidden});
  return x;
}

}  // namespace tessera::models
