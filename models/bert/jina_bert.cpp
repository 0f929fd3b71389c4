// SPDX-License-Identifier: Apache-2.0
//
// JinaBERT v2 (Günther et al. 2023), model_type "bert" with position_embedding_type "alibi": BERT without
// a table of positions and with gated linears; and its variant with norms of Q and K (of code). Ports
// modeling_bert.py of jinaai/jina-bert-implementation and jinaai/jina-bert-v2-qk-post-norm.
#include <fmt/format.h>

#include "models/bert/bert_like.hpp"

namespace tessera::models {
namespace {

constexpr LayerTensors kGatedLayer = [] {
  LayerTensors layer = kBertLayer;
  layer.ffn_in = "mlp.gated_layers";
  layer.ffn_out = "mlp.wo";
  layer.ffn_norm = "mlp.layernorm";
  return layer;
}();

constexpr HeadTensors kHeads{.pooler = "pooler.dense",
                             .masked_lm = {.dense = "cls.predictions.transform.dense",
                                           .norm = "cls.predictions.transform.LayerNorm",
                                           .decoder = "cls.predictions.decoder",
                                           .bias = "cls.predictions.bias"}};

/// feed_forward_type decides, and not hidden_act.                           JinaBertGLUMLP
void read_gate(const Config& c, LayerOptions& layer) {
  const std::string type = c.string("feed_forward_type", "original");
  layer.gated = type != "original";
  if (type == "reglu") {
    layer.activation = Activation::relu;
  } else if (type == "geglu") {
    layer.activation = Activation::gelu_erf;
  } else if (layer.gated) {
    c.unsupported("feed_forward_type", "original, geglu or reglu");
  }
  layer.biases.ffn_in = !layer.gated;
}

/// A layer of the variant: norms of all of Q and of all of K, before the heads; the layer's input is
/// added twice.
///
///   h  = LayerNorm(W_o attention(LN_q(W_q x), LN_k(W_k x), W_v x) + x)       JinaBertSelfOutput
///   h₁ = LN_1(x + h)                                                         JinaBertLayer
///   y  = LN_2(h₁ + W_2 (u ⊙ act(g))),  (u,g) = W_1 h₁
ValueId layer_with_norms(BuildContext& context, const LayerOptions& o, Index i, ValueId x) {
  Builder& b = context.builder;
  const Dim &H = o.hidden, &F = o.intermediate;
  const std::string name = fmt::format("layer.{}", i),
                    in = fmt::format("{}encoder.layer.{}.", context.prefix, i),
                    self = in + "attention.self.";
  const auto norm = [&](const char* value, ValueId of, const std::string& tensor) {
    return b.layer_norm(name + value, of, tensor, H, o.norm_eps);
  };
  const ValueId q = norm(".q", b.linear(name + ".query", x, self + "query", H, H),
                         self + "layer_norm_q"),
                k = norm(".k", b.linear(name + ".key", x, self + "key", H, H),
                         self + "layer_norm_k"),
                v = b.linear(name + ".value", x, self + "value", H, H);
  const ValueId attended = b.attention(name + ".context", q, k, v, o.heads, o.attention);
  const ValueId projected =
      b.linear(name + ".attention_output", attended, in + "attention.output.dense", H, H);
  const ValueId h = norm(".attention_norm", b.add(name + ".attention_sum", projected, x),
                         in + "attention.output.LayerNorm");
  const ValueId h1 = norm(".norm_1", b.add(name + ".sum_1", h, x), in + "layer_norm_1");
  const ValueId wide = b.linear(name + ".ffn_in", h1, in + "mlp.up_gated_layer",
                                {2 * F.size, F.key}, H, {.has_bias = false});
  const ValueId active = b.gated(name + ".ffn_act", wide, o.activation, true);
  const ValueId narrow = b.linear(name + ".ffn_out", active, in + "mlp.down_layer", H, F);
  return norm(".out", b.add(name + ".ffn_sum", narrow, h1), in + "layer_norm_2");
}

}  // namespace

ValueId build_jina_bert(BuildContext& context) {
  const Config& c = context.config;
  Builder& b = context.builder;
  BertConfig config = read_bert_config(context, {}, {.position = "alibi"});
  LayerOptions& layer = config.layer;
  read_gate(c, layer);
  layer.attention.position = Alibi{};
  Package& package = context.package;
  package.program.inputs = TokenSpec{.vocab_size = config.vocab.size,
                                     .type_vocab_size = config.types.size,
                                     .max_tokens = kAnyLength};
  package.max_tokens = config.positions.size;
  package.max_tokens_from = "max_position_embeddings of config.json";

  // embeddings = inputs_embeds + token_type_embeddings; LayerNorm           JinaBertEmbeddings
  const std::string e = context.prefix + "embeddings.";
  ValueId x = b.embedding("embeddings.sum", word_and_type_terms(e, config.vocab, config.types),
                          layer.hidden);
  x = b.layer_norm("embeddings.out", x, e + "LayerNorm", layer.hidden, layer.norm_eps);

  const std::string first = context.prefix + "encoder.layer.0.attention.self.layer_norm_q";
  if (b.weights().has_linear(first)) {
    std::vector<ValueId> states{x};
    for (Index i = 0; i < package.layers; ++i) {
      states.push_back(layer_with_norms(context, layer, i, states.back()));
    }
    output_bert_states(context, states);
    x = states.back();
  } else {
    x = bert_encoder(
        context,
        equal_layers(context, layer, layer.gated ? kGatedLayer : kBertLayer, "encoder.layer."), x);
  }
  // Published as JinaBertForMaskedLM without such a head: the encoder is what it has.
  if (package.task == Task::masked_lm && !b.weights().has_linear(kHeads.masked_lm.dense)) {
    package.task = Task::features;
    package.architecture = "JinaBertModel";
  }
  bert_head(context, kHeads, config, x);
  return x;
}

}  // namespace tessera::models
