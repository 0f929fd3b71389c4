// SPDX-License-Identifier: Apache-2.0
//
// GTE v1.5 and multilingual (Zhang et al. 2024), model_type "new": BERT with rotary positions, one
// product for Q, K and V and gated linears whose gate comes second. Ports modeling.py of
// Alibaba-NLP/new-impl.
#include <cmath>

#include "models/rotary/rotary_like.hpp"

namespace tessera::models {
namespace {

constexpr LayerTensors kPackedLayer{.query = nullptr,
                                    .key = nullptr,
                                    .value = nullptr,
                                    .attention_output = "attention.o_proj",
                                    .attention_norm = "attn_ln",
                                    .ffn_in = "mlp.up_gate_proj",
                                    .ffn_out = "mlp.down_proj",
                                    .ffn_norm = "mlp_ln",
                                    .qkv = "attention.qkv_proj"};
constexpr LayerTensors kSeparateLayer = [] {
  LayerTensors layer = kPackedLayer;
  layer.qkv = nullptr;
  layer.query = "attention.q_proj";
  layer.key = "attention.k_proj";
  layer.value = "attention.v_proj";
  return layer;
}();

constexpr HeadTensors kHeads{.pooler = "pooler.dense",
                             .masked_lm = {.dense = "lm_head.dense",
                                           .norm = "lm_head.norm",
                                           .decoder = "lm_head.decoder",
                                           .bias = "lm_head.decoder.bias"}};

/// Frequencies of longer contexts: (theta·factor)^(−2i/d) / factor^(2/d).
///                                                             NTKScalingRotaryEmbedding
Rotation read_turn(const Config& c, Index head_dim) {
  const double theta = c.number("rope_theta", 10000.0, 0.0);
  if (theta <= 0.0) c.wrong("rope_theta", "a number above 0");
  const Config scaling = c.object("rope_scaling");
  if (!c.has("rope_scaling")) return {.frequencies = rotary_frequencies(theta, head_dim)};
  if (scaling.string("type", "") != "ntk") scaling.unsupported("type", "ntk");
  if (scaling.has("mixed_b")) scaling.unsupported("mixed_b", "null");
  const double factor = scaling.number("factor", 1.0, 0.0);
  if (factor <= 0.0) scaling.wrong("factor", "a number above 0");
  Rotation rotation{.frequencies = rotary_frequencies(theta * factor, head_dim)};
  const auto divisor = static_cast<float>(std::pow(factor, 2.0 / static_cast<double>(head_dim)));
  for (float& frequency : rotation.frequencies) frequency /= divisor;
  return rotation;
}

}  // namespace

ValueId build_gte_new(BuildContext& context) {
  // NewConfig
  const Config& c = context.config;
  Builder& b = context.builder;
  LayerOptions layer = read_encoder(context, c, {}, {.position = "rope"});
  for (const char* key : {"logn_attention_scale", "logn_attention_clip1"}) {
    if (c.boolean(key, false)) c.unsupported(key, "false");
  }
  const std::string norms = c.string("layer_norm_type", "layer_norm");
  if (norms != "layer_norm" && norms != "rms_norm") {
    c.unsupported("layer_norm_type", "layer_norm or rms_norm");
  }
  layer.norms_of_squares = norms == "rms_norm";
  layer.gated = layer.gate_second = true;  // up_states, gate = torch.split(...)   NewGatedMLP
  layer.biases.ffn_in = false;
  const Dim vocab = c.dim("vocab_size", 30528), types = c.dim("type_vocab_size", 1, 0);
  const Index head_dim = layer.hidden.size / layer.heads;
  Program& program = context.package.program;
  program.inputs =
      any_positions(context, vocab, types.size, c.integer("max_position_embeddings", 2048, 1));
  layer.rotation = program.add_rotation(read_turn(c, head_dim));

  // embeddings = inputs_embeds + token_type_embeddings; LayerNorm                NewEmbeddings
  const std::string e = context.prefix + "embeddings.";
  const NormTerms norm{.eps = layer.norm_eps, .of_squares = layer.norms_of_squares};
  ValueId x = b.embedding("embeddings.sum", word_and_type_terms(e, vocab, types), layer.hidden);
  x = b.norm("embeddings.out", x, e + "LayerNorm", layer.hidden, norm);
  const LayerTensors& tensors = c.boolean("pack_qkv", true) ? kPackedLayer : kSeparateLayer;
  const std::vector<ValueId> states =
      encoder_states(context, equal_layers(context, layer, tensors, "encoder.layer."), x);
  b.output("last_hidden_state", states.back());
  output_states(context, states);
  // NewModel(config, add_pooling_layer=False): the pooler is the classifiers'.
  if (context.package.task != Task::features) {
    add_head(context, kHeads,
             {.x = states.back(),
              .hidden = layer.hidden,
              .embedding = layer.hidden,
              .vocab = vocab,
              .activation = layer.activation,
              .norm_eps = layer.norm_eps});
  }
  return states.back();
}

}  // namespace tessera::models
