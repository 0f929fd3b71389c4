// SPDX-License-Identifier: Apache-2.0
//
// ModernBERT (Warner et al. 2024): pre-norm, gated linears, rotary positions of two bases, most layers
// with a sliding window. Ports transformers v4.57 and v5 modeling_modernbert.py, which differ in how
// config.json says the layers' types and in what the last of the hidden states is.
#include <fmt/format.h>

#include "models/rotary/rotary_like.hpp"

namespace tessera::models {
namespace {

constexpr LayerTensors kLayer{.query = nullptr,
                              .key = nullptr,
                              .value = nullptr,
                              .attention_output = "attn.Wo",
                              .attention_norm = "attn_norm",
                              .ffn_in = "mlp.Wi",
                              .ffn_out = "mlp.Wo",
                              .ffn_norm = "mlp_norm",
                              .qkv = "attn.Wqkv"};

/// What the config says beside the layers.
struct ModernBert {
  NormTerms norm;
  Dim hidden, vocab;
};

/// act(dense · x), normed.                                          ModernBertPredictionHead
ValueId prediction_head(BuildContext& context, const ModernBert& model, ValueId x) {
  const Config& c = context.config;
  Builder& b = context.builder;
  const ValueId dense = b.linear("head.dense", x, "head.dense", model.hidden, model.hidden,
                                 {.has_bias = c.boolean("classifier_bias", false)});
  const ValueId active =
      b.activation("head.act", dense, c.activation("classifier_activation", "gelu"));
  return b.norm("head.norm", active, "head.norm", model.hidden, model.norm);
}

/// logits (ΣT, vocab) = decoder · head(x), the decoder tied to the word embeddings unless
/// tie_word_embeddings says no.                                       ModernBertForMaskedLM
void masked_lm(BuildContext& context, const ModernBert& model, ValueId x) {
  const Config& c = context.config;
  Builder& b = context.builder;
  const bool tied = c.boolean("tie_word_embeddings", true);
  const std::string weight =
      tied ? context.prefix + "embeddings.tok_embeddings.weight" : std::string("decoder.weight");
  const std::string bias = c.boolean("decoder_bias", true) ? "decoder.bias" : "";
  const ValueId normed = prediction_head(context, model, x);
  b.output("logits", b.linear_of("decoder", normed, weight, bias, model.vocab, model.hidden));
}

/// logits (S, labels) = classifier · head(pooled)        ModernBertForSequenceClassification
void sequence_classification(BuildContext& context, const ModernBert& model, ValueId x) {
  const std::string pooling = context.config.string("classifier_pooling", "cls");
  if (pooling != "cls" && pooling != "mean") {
    context.config.unsupported("classifier_pooling", "cls or mean");
  }
  const ValueId pooled = context.builder.pool("classifier.pooled", x,
                                              pooling == "cls" ? Pooling::first : Pooling::mean);
  classify_pooled(context, prediction_head(context, model, pooled), model.hidden);
}

/// Of version 4, whose eager attention would scale all layers by it and whose fused one none.
void refuse_scaling(const Config& c) {
  if (c.has("rope_parameters")) return;
  const Config scaling = c.object("rope_scaling");
  const char* const key = scaling.has("rope_type") ? "rope_type" : "type";
  if (scaling.string(key, "default") != "default") scaling.unsupported(key, "default");
}

/// Which layers slide. Version 5 goes by layer_types, version 4 by global_attn_every_n_layers: a config
/// without rope_parameters, which may be of either, must not say both with different layers.
std::vector<bool> read_types(const Config& c, Index layers) {
  const Index period = c.integer("global_attn_every_n_layers", 3, 1);
  const auto by_period = [&](Index i) { return i % period != 0; };
  std::vector<bool> sliding = read_sliding_layers(c, layers, by_period);
  if (c.has("rope_parameters") || !c.has("global_attn_every_n_layers")) return sliding;
  for (Index i = 0; i < layers; ++i) {
    if (sliding[static_cast<std::size_t>(i)] == by_period(i)) continue;
    c.wrong("layer_types",
            fmt::format("{} in layer {}, as global_attn_every_n_layers={} says",
                        by_period(i) ? "sliding_attention" : "full_attention", i, period));
  }
  return sliding;
}

void head(BuildContext& context, const ModernBert& model, ValueId x) {
  HeadInput in{.x = x, .hidden = model.hidden, .embedding = model.hidden, .vocab = model.vocab};
  switch (context.package.task) {
    case Task::masked_lm:
      return masked_lm(context, model, x);
    case Task::sequence_classification:
      return sequence_classification(context, model, x);
    case Task::token_classification:
    case Task::question_answering:
      in.x = prediction_head(context, model, x);
      return add_head(context, {}, in);
    default:
      return add_head(context, {}, in);
  }
}

}  // namespace

ValueId build_modernbert(BuildContext& context) {
  // ModernBertConfig
  const Config& c = context.config;
  Builder& b = context.builder;
  LayerOptions layer = read_encoder(context, c,
                                    {.hidden_size = 768,
                                     .num_hidden_layers = 22,
                                     .num_attention_heads = 12,
                                     .intermediate_size = 1152,
                                     .layer_norm_eps = 1e-5},
                                    {.activation = "hidden_activation", .norm_eps = "norm_eps"});
  layer.biases = read_biases(c);
  layer.biases.norms = c.boolean("norm_bias", false);
  layer.attention_norm = layer.ffn_norm = NormPlace::before;
  layer.gated = true;
  const ModernBert model{.norm = {.eps = layer.norm_eps, .has_beta = layer.biases.norms},
                         .hidden = layer.hidden,
                         .vocab = c.dim("vocab_size", 50368)};
  Program& program = context.package.program;
  program.inputs =
      any_positions(context, model.vocab, 0, c.integer("max_position_embeddings", 8192, 1));
  // masked_fill(..., torch.finfo(dtype).min): scores that are all hidden are equal scores
  std::get<TokenSpec>(program.inputs).masked_rows = MaskedRows::see_all_if_nothing;

  // x = self.norm(self.tok_embeddings(input_ids))                        ModernBertEmbeddings
  const std::string e = context.prefix + "embeddings.";
  ValueId x =
      b.embedding("embeddings.words", {{e + "tok_embeddings.weight", TokenInput::ids, model.vocab}},
                  model.hidden);
  x = b.norm("embeddings.out", x, e + "norm", model.hidden, model.norm);

  const std::vector<bool> sliding = read_types(c, context.package.layers);
  // window: local_attention // 2 to either side                        ModernBertAttention
  const Index reach = c.integer("local_attention", 128, 0) / 2;
  const Index head_dim = layer.hidden.size / layer.heads;
  const bool is_newer = c.has("rope_parameters");
  refuse_scaling(c);
  const RotaryKeys global{.theta = is_newer ? "rope_theta" : "global_rope_theta",
                          .default_theta = 160000.0,
                          .scaled = is_newer};
  const double global_theta = c.number("global_rope_theta", 160000.0, 0.0);
  const RotaryKeys local{.theta = is_newer ? "rope_theta" : "local_rope_theta",
                         .default_theta = c.is_null("local_rope_theta") ? global_theta : 10000.0,
                         .scaled = is_newer};
  const auto rotation = [&](const char* type, const RotaryKeys& keys) {
    return program.add_rotation(read_rotation(context, type, head_dim, keys));
  };
  const auto layer_at = [&](Index i) {
    Layer one{layer, kLayer, fmt::format("{}layers.{}.", context.prefix, i)};
    const bool is_sliding = sliding[static_cast<std::size_t>(i)];
    if (is_sliding) one.options.attention.mask.left = one.options.attention.mask.right = reach;
    one.options.rotation =
        is_sliding ? rotation("sliding_attention", local) : rotation("full_attention", global);
    // self.attn_norm = nn.Identity() if layer_id == 0              ModernBertEncoderLayer
    if (i == 0) one.options.attention_norm = NormPlace::none;
    return one;
  };
  x = output_normed_states(context, encoder_states(context, layer_at, x), "final_norm",
                           model.hidden, model.norm, !is_newer);
  head(context, model, x);
  return x;
}

}  // namespace tessera::models
