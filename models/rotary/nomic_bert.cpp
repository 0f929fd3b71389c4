// SPDX-License-Identifier: Apache-2.0
//
// NomicBERT (Nussbaum et al. 2024): BERT with rotary positions, gated linears and few biases. Ports
// modeling_hf_nomic_bert.py of the published repositories, whose config.json has the keys of GPT-2, and
// transformers v5, whose keys are those of BERT.
#include <fmt/format.h>

#include "models/rotary/rotary_like.hpp"

namespace tessera::models {
namespace {

constexpr LayerTensors kPlainLayer{.query = nullptr,
                                   .key = nullptr,
                                   .value = nullptr,
                                   .attention_output = "attn.out_proj",
                                   .attention_norm = "norm1",
                                   .ffn_in = "mlp.fc1",
                                   .ffn_out = "mlp.fc2",
                                   .ffn_norm = "norm2",
                                   .qkv = "attn.Wqkv"};
/// y = self.fc11(y); gate = self.fc12(y); y = y * activation(gate)          NomicBertGatedMLP
constexpr LayerTensors kGatedLayer = [] {
  LayerTensors layer = kPlainLayer;
  layer.ffn_in = "mlp.fc12";
  layer.ffn_up = "mlp.fc11";
  return layer;
}();

/// Layers of experts.
constexpr LayerTensors kExpertLayer = [] {
  LayerTensors layer = kPlainLayer;
  layer.router = "mlp.router.layer";
  layer.experts_in = "mlp.experts.mlp.w1";
  layer.experts_out = "mlp.experts.mlp.w2";
  layer.experts_bias = "mlp.experts.bias";
  return layer;
}();

void require_false(const Config& config, std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    if (config.boolean(key, false)) config.unsupported(key, "false");
  }
}

void refuse_what_is_not_computed(const Config& c) {
  require_false(c, {"prenorm", "parallel_block", "causal", "scale_attn_by_inverse_layer_idx"});
  if (!c.boolean("scale_attn_weights", true)) c.unsupported("scale_attn_weights", "true");
  for (const char* key : {"rotary_emb_scale_base", "rotary_scaling_factor"}) {
    if (c.has(key)) c.unsupported(key, "null");
  }
}

/// A gated layer by activation_function; else the activation of fc1.        NomicBertBlock
void read_activation(const Config& c, LayerOptions& layer) {
  const std::string name = c.string("activation_function", "gelu");
  layer.gated = name == "swiglu" || name == "geglu" || name == "glu";
  if (name == "swiglu") {
    layer.activation = Activation::silu;
  } else if (name == "glu") {
    layer.activation = Activation::sigmoid;
  } else if (name == "geglu") {
    layer.activation = Activation::gelu_erf;
  } else {
    layer.activation = c.activation("activation_function", "gelu");
  }
}

/// Both spellings of a config: that of GPT-2, as published, and that of BERT, as transformers writes it.
LayerOptions read_layer(BuildContext& context, bool is_newer) {
  const Config& c = context.config;
  const EncoderDefaults defaults{.intermediate_size = 3072,
                                 .hidden_act = is_newer ? "silu" : "gelu",
                                 .layer_norm_eps = is_newer ? 1e-12 : 1e-5};
  if (is_newer) {
    LayerOptions layer = read_encoder(context, c, defaults, {.head_dim = "head_dim"});
    layer.gated = true;
    layer.biases = {.query = false,
                    .key = false,
                    .value = false,
                    .attention_output = false,
                    .ffn_in = false,
                    .ffn_out = false,
                    .norms = true};
    return layer;
  }
  refuse_what_is_not_computed(c);
  EncoderDefaults published = defaults;
  if (!c.has("n_inner")) published.intermediate_size = 4 * c.integer("n_embd", 768, 1);
  LayerOptions layer = read_encoder(context, c, published,
                                    {.hidden = "n_embd",
                                     .intermediate = "n_inner",
                                     .layers = "n_layer",
                                     .heads = "n_head",
                                     .activation = "no_such_key",
                                     .norm_eps = "layer_norm_epsilon"});
  read_activation(c, layer);
  const bool qkv = c.boolean("qkv_proj_bias", true);
  layer.biases = {.query = qkv,
                  .key = qkv,
                  .value = qkv,
                  .attention_output = qkv,
                  .ffn_in = c.boolean("mlp_fc1_bias", true),
                  .ffn_out = c.boolean("mlp_fc2_bias", true),
                  .norms = true};
  layer.norms_of_squares = c.boolean("use_rms_norm", false);
  return layer;
}

/// Which layers are mixtures: every second one, from the second on, where moe_every_n_layers is 2.
///                                                                          NomicBertBlock
struct Mixtures {
  Index every = 0, experts = 0, top = 0;
};
Mixtures read_mixtures(const Config& c) {
  const Mixtures mixtures{.every = c.integer("moe_every_n_layers", 0, 0),
                          .experts = c.integer("num_experts", 0, 0, 4096),
                          .top = c.integer("moe_top_k", 1, 0)};
  if (mixtures.every == 0 || mixtures.experts == 0) return {};
  if (mixtures.top < 1 || mixtures.top > mixtures.experts) {
    c.wrong("moe_top_k", fmt::format("1 to num_experts={}", mixtures.experts));
  }
  require_false(c, {"moe_normalize_expert_weights", "expert_choice_router"});
  if (c.integer("num_shared_experts", 0) > 0) c.unsupported("num_shared_experts", "0");
  if (c.integer("ffn_div", 1) != 1) c.unsupported("ffn_div", "1");
  return mixtures;
}

/// vocab_size, rounded up as the published code does.
Dim read_vocabulary(const Config& c) {
  Dim vocab = c.dim("vocab_size", 30522);
  const Index multiple = c.integer("pad_vocab_size_multiple", 1, 1);
  vocab.size = (vocab.size + multiple - 1) / multiple * multiple;
  return vocab;
}

Rotation read_turn(const BuildContext& context, bool is_newer, Index head_dim) {
  const Config& c = context.config;
  if (is_newer) return read_rotation(context, "", head_dim, {.default_theta = 1000.0});
  const double part = c.number("rotary_emb_fraction", 0.0, 0.0);
  const auto columns = static_cast<Index>(static_cast<double>(head_dim) * part);
  if (part > 1.0 || columns < 2 || columns % 2 != 0) {
    c.unsupported("rotary_emb_fraction", "a part of the head that is 2 columns at least");
  }
  const double theta = c.number("rotary_emb_base", 10000.0, 0.0);
  if (theta <= 0.0) c.wrong("rotary_emb_base", "a number above 0");
  return {.frequencies = rotary_frequencies(theta, columns),
          .neighbours = c.boolean("rotary_emb_interleaved", false)};
}

}  // namespace

ValueId build_nomic_bert(BuildContext& context) {
  const Config& c = context.config;
  Builder& b = context.builder;
  const bool is_newer = !c.has("n_embd");
  LayerOptions layer = read_layer(context, is_newer);
  const Dim vocab = read_vocabulary(c), types = c.dim("type_vocab_size", 2, 0);
  const Index head_dim = layer.head_dim == 0 ? layer.hidden.size / layer.heads : layer.head_dim;
  Program& program = context.package.program;
  program.inputs =
      any_positions(context, vocab, types.size,
                    c.integer(c.spelled("max_position_embeddings", "n_positions"), 2048, 1));
  layer.rotation = program.add_rotation(read_turn(context, is_newer, head_dim));

  // emb_ln(word_embeddings(ids) + token_type_embeddings(types))             NomicBertModel
  const std::string e = context.prefix + "embeddings.";
  const NormTerms norm{.eps = layer.norm_eps, .of_squares = layer.norms_of_squares};
  ValueId x = b.embedding("embeddings.sum", word_and_type_terms(e, vocab, types), layer.hidden);
  x = b.norm("embeddings.out", x, context.prefix + "emb_ln", layer.hidden, norm);
  const Mixtures mixtures = is_newer ? Mixtures{} : read_mixtures(c);
  const LayerOf equal =
      equal_layers(context, layer, layer.gated ? kGatedLayer : kPlainLayer, "encoder.layers.");
  const auto layer_at = [&](Index i) {
    Layer one = equal(i);
    if (mixtures.every > 0 && i % mixtures.every == 1) {
      one.tensors = kExpertLayer;
      one.options.gated = false;
      one.options.experts = mixtures.experts;
      one.options.top_experts = mixtures.top;
    }
    return one;
  };
  const std::vector<ValueId> states = encoder_states(context, layer_at, x);
  b.output("last_hidden_state", states.back());
  output_states(context, states);
  return states.back();
}

}  // namespace tessera::models
