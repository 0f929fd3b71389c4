// SPDX-License-Identifier: Apache-2.0
#include "models/layer.hpp"

namespace tessera::models {
namespace {

HeadCounts head_counts(const LayerOptions& o) {
  return {.q = o.heads,
          .kv = o.kv_heads == 0 ? o.heads : o.kv_heads,
          .dim = o.head_dim == 0 ? o.hidden.size / o.heads : o.head_dim};
}

/// q, k and v of every head, side by side (ΣT,(q + 2kv)·d): one product, however the checkpoint stores
/// them.
ValueId query_key_value(Builder& b, const std::string& name, const Layer& layer, ValueId x) {
  const LayerTensors& tensors = layer.tensors;
  const LayerBiases& biases = layer.options.biases;
  const std::string& prefix = layer.prefix;
  const Dim& H = layer.options.hidden;
  const HeadCounts heads = head_counts(layer.options);
  const bool sized = layer.options.head_dim != 0 || layer.options.kv_heads != 0;
  const auto width = [&](Index count, const char* key) {
    return sized ? Dim{count * heads.dim, key} : H;
  };
  if (tensors.qkv != nullptr) {
    const Dim all{.size = (heads.q + 2 * heads.kv) * heads.dim,
                  .key = sized ? "num_attention_heads" : H.key};
    return b.linear(name, x, prefix + tensors.qkv, all, H, {.has_bias = biases.query});
  }
  const Dim q = width(heads.q, "num_attention_heads"), kv = width(heads.kv, "num_key_value_heads");
  return b.stacked_linear(name, x,
                          {{prefix + tensors.query, q, biases.query},
                           {prefix + tensors.key, kv, biases.key},
                           {prefix + tensors.value, kv, biases.value}},
                          H);
}

/// The same with the heads of q and k normalised and turned, where the layer says so.
ValueId turned(Builder& b, const std::string& name, const Layer& layer, ValueId qkv) {
  const LayerOptions& o = layer.options;
  const LayerTensors& tensors = layer.tensors;
  if (o.rotation == kNone && tensors.query_norm == nullptr) return qkv;
  const auto full = [&](const char* tensor) {
    return tensor == nullptr ? std::string() : layer.prefix + tensor;
  };
  return b.rotate(name, qkv, head_counts(o),
                  {.rotation = o.rotation,
                   .q_norm = full(tensors.query_norm),
                   .k_norm = full(tensors.key_norm),
                   .norm = {.eps = o.norm_eps, .of_squares = true, .offset = o.norm_offset}});
}

/// What goes into the activation: (ΣT,F), or of a gated layer (ΣT,2F).
ValueId feed_forward_in(Builder& b, const std::string& name, const Layer& layer, ValueId m) {
  const LayerOptions& o = layer.options;
  const Dim &H = o.hidden, &F = o.intermediate;
  const std::string in = layer.prefix + layer.tensors.ffn_in;
  if (layer.tensors.ffn_up != nullptr) {
    return b.stacked_linear(
        name, m,
        {{in, F, o.biases.ffn_in}, {layer.prefix + layer.tensors.ffn_up, F, o.biases.ffn_in}}, H);
  }
  const Dim width{.size = o.gated ? 2 * F.size : F.size, .key = F.key};
  return b.linear(name, m, in, width, H, {.has_bias = o.biases.ffn_in});
}

}  // namespace

ValueId encoder_layer(Builder& b, const std::string& name, const Layer& layer, ValueId x) {
  const LayerOptions& o = layer.options;
  const LayerTensors& tensors = layer.tensors;
  const std::string& prefix = layer.prefix;
  const Dim &H = o.hidden, &F = o.intermediate;
  const auto norm = [&](const char* value, ValueId in, const char* tensor) {
    return b.norm(name + value, in, prefix + tensor, H,
                  {.eps = o.norm_eps,
                   .has_beta = o.biases.norms,
                   .of_squares = o.norms_of_squares,
                   .offset = o.norm_offset});
  };
  const auto comes_first = [](NormPlace place) {
    return place == NormPlace::before || place == NormPlace::around;
  };
  const HeadCounts heads = head_counts(o);
  const Dim A = heads.q * heads.dim == H.size ? H : Dim{heads.q * heads.dim, "head_dim"};
  const auto scale = [&](const char* tensor) {
    return tensor == nullptr ? std::string() : prefix + tensor;
  };

  // query = self.query(n); key = self.key(n); value = self.value(n)
  //                                       transformers v4.57 modeling_bert.py BertSelfAttention
  const ValueId n =
      comes_first(o.attention_norm) ? norm(".attention_norm", x, tensors.attention_norm) : x;
  ValueId qkv = query_key_value(b, name + ".qkv", layer, n);  // (ΣT,(q + 2kv)·d)
  qkv = turned(b, name + ".turned", layer, qkv);
  const ValueId context = b.attention(name + ".context", qkv, heads, o.attention);  // (ΣT,q·d)
  // x = self.LayerNorm(self.dense(x) + input_tensor)                           BertSelfOutput
  // x = x + lambda1 * attention(norm1(x))           transformers v4.57 modeling_dinov2.py
  ValueId projected =
      b.linear(name + ".attention_output", context, prefix + tensors.attention_output, H, A,
               {.has_bias = o.biases.attention_output, .scale = scale(tensors.attention_scale)});
  if (o.attention_norm == NormPlace::around) {
    projected = norm(".attention_post_norm", projected, tensors.attention_post_norm);
  }
  ValueId attended = b.add(name + ".attention_sum", projected, x);
  if (o.attention_norm == NormPlace::after) {
    attended = norm(".attention_norm", attended, tensors.attention_norm);
  }

  // x = self.intermediate_act_fn(self.dense(x))                              BertIntermediate
  const ValueId m =
      comes_first(o.ffn_norm) ? norm(".ffn_norm", attended, tensors.ffn_norm) : attended;
  const auto mixture = [&] {
    return b.experts(name + ".experts", m,
                     {.router = prefix + tensors.router,
                      .up = prefix + tensors.experts_in,
                      .down = prefix + tensors.experts_out,
                      .bias = prefix + tensors.experts_bias,
                      .experts = o.experts,
                      .top = o.top_experts,
                      .activation = o.activation},
                     F, H);
  };
  if (o.experts > 0) {
    return norm(".out", b.add(name + ".ffn_sum", mixture(), attended), tensors.ffn_norm);
  }
  const ValueId wide = feed_forward_in(b, name + ".ffn_in", layer, m);
  const ValueId active = o.gated ? b.gated(name + ".ffn_act", wide, o.activation, o.gate_second)
                                 : b.activation(name + ".ffn_act", wide, o.activation);  // (ΣT,F)
  // x = self.LayerNorm(self.dense(x) + input_tensor)                               BertOutput
  // x = x + lambda2 * mlp(norm2(x))                                              Dinov2Layer
  ValueId narrow = b.linear(name + ".ffn_out", active, prefix + tensors.ffn_out, H, F,
                            {.has_bias = o.biases.ffn_out, .scale = scale(tensors.ffn_scale)});
  if (o.ffn_norm == NormPlace::around) {
    narrow = norm(".ffn_post_norm", narrow, tensors.ffn_post_norm);
  }
  if (o.ffn_norm != NormPlace::after) return b.add(name + ".out", narrow, attended);
  return norm(".out", b.add(name + ".ffn_sum", narrow, attended), tensors.ffn_norm);
}

}  // namespace tessera::models
