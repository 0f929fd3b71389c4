// SPDX-License-Identifier: Apache-2.0
#include "models/layer.hpp"

namespace tessera::models {
namespace {

/// q, k and v of every head, side by side (ΣT,3H): one product, however the checkpoint stores them.
ValueId query_key_value(Builder& b, const std::string& name, const Layer& layer, ValueId x) {
  const LayerTensors& tensors = layer.tensors;
  const LayerBiases& biases = layer.options.biases;
  const std::string& prefix = layer.prefix;
  const Dim& H = layer.options.hidden;
  if (tensors.qkv != nullptr) {
    const Dim all{.size = 3 * H.size, .key = H.key};
    return b.linear(name, x, prefix + tensors.qkv, all, H, {.has_bias = biases.query});
  }
  return b.stacked_linear(name, x,
                          {prefix + tensors.query, prefix + tensors.key, prefix + tensors.value}, H,
                          H, {biases.query, biases.key, biases.value});
}

}  // namespace

ValueId encoder_layer(Builder& b, const std::string& name, const Layer& layer, ValueId x) {
  const LayerOptions& o = layer.options;
  const LayerTensors& tensors = layer.tensors;
  const std::string& prefix = layer.prefix;
  const Dim &H = o.hidden, &F = o.intermediate;
  const auto norm = [&](const char* value, ValueId in, const char* tensor) {
    return b.layer_norm(name + value, in, prefix + tensor, H, o.norm_eps, o.biases.norms);
  };
  const auto scale = [&](const char* tensor) {
    return tensor == nullptr ? std::string() : prefix + tensor;
  };

  // query = self.query(n); key = self.key(n); value = self.value(n)
  //                                       transformers v4.57 modeling_bert.py BertSelfAttention
  const ValueId n = o.attention_norm == NormPlace::before
                        ? norm(".attention_norm", x, tensors.attention_norm)
                        : x;
  const ValueId qkv = query_key_value(b, name + ".qkv", layer, n);  // (ΣT,3H)
  const ValueId context =
      b.attention(name + ".context", qkv, o.heads, H.size / o.heads, o.attention);  // (ΣT,H)
  // x = self.LayerNorm(self.dense(x) + input_tensor)                           BertSelfOutput
  // x = x + lambda1 * attention(norm1(x))           transformers v4.57 modeling_dinov2.py
  const ValueId projected =
      b.linear(name + ".attention_output", context, prefix + tensors.attention_output, H, H,
               {.has_bias = o.biases.attention_output, .scale = scale(tensors.attention_scale)});
  ValueId attended = b.add(name + ".attention_sum", projected, x);
  if (o.attention_norm == NormPlace::after) {
    attended = norm(".attention_norm", attended, tensors.attention_norm);
  }

  // x = self.intermediate_act_fn(self.dense(x))                              BertIntermediate
  const ValueId m =
      o.ffn_norm == NormPlace::before ? norm(".ffn_norm", attended, tensors.ffn_norm) : attended;
  const Dim in{.size = o.gated ? 2 * F.size : F.size, .key = F.key};
  const ValueId wide =
      b.linear(name + ".ffn_in", m, prefix + tensors.ffn_in, in, H, {.has_bias = o.biases.ffn_in});
  const ValueId active = o.gated ? b.gated(name + ".ffn_act", wide, o.activation)
                                 : b.activation(name + ".ffn_act", wide, o.activation);  // (ΣT,F)
  // x = self.LayerNorm(self.dense(x) + input_tensor)                               BertOutput
  // x = x + lambda2 * mlp(norm2(x))                                              Dinov2Layer
  const ValueId narrow =
      b.linear(name + ".ffn_out", active, prefix + tensors.ffn_out, H, F,
               {.has_bias = o.biases.ffn_out, .scale = scale(tensors.ffn_scale)});
  if (o.ffn_norm != NormPlace::after) return b.add(name + ".out", narrow, attended);
  return norm(".out", b.add(name + ".ffn_sum", narrow, attended), tensors.ffn_norm);
}

}  // namespace tessera::models
