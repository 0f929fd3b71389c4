// SPDX-License-Identifier: Apache-2.0
#include "models/encoder.hpp"

namespace tessera::models {
namespace {

Position position_of(const EncoderShape& shape, const LayerTensors& tensors) {
  if (tensors.pair_bias != kNone) return PairBias{tensors.pair_bias};
  if (shape.attention_bias != kNone) return RelativeBias{shape.attention_bias};
  return NoPosition{};
}

}  // namespace

ValueId post_norm_layer(Builder& b, const std::string& name, const EncoderShape& shape,
                        const LayerTensors& tensors, ValueId x) {
  const Dim &H = shape.hidden, &F = shape.intermediate;
  // query = self.query(x); key = self.key(x); value = self.value(x)
  //                                       transformers v4.57 modeling_bert.py BertSelfAttention
  const ValueId qkv =
      b.stacked_linear(name + ".qkv", x, {tensors.query, tensors.key, tensors.value}, H, H);
  const ValueId context =
      b.attention(name + ".context", qkv, shape.heads, H.size / shape.heads,
                  {.position = position_of(shape, tensors), .mask = shape.mask});  // (ΣT,H)
  // x = self.LayerNorm(self.dense(x) + input_tensor)                           BertSelfOutput
  const ValueId projected =
      b.linear(name + ".attention_output", context, tensors.attention_output, H, H);
  const ValueId attended =
      b.layer_norm(name + ".attention_norm", b.add(name + ".attention_sum", projected, x),
                   tensors.attention_norm, H, shape.norm_eps);
  // x = self.intermediate_act_fn(self.dense(x))                              BertIntermediate
  const ValueId wide = b.linear(name + ".ffn_in", attended, tensors.ffn_in, F, H);  // (ΣT,F)
  const ValueId active = b.activation(name + ".ffn_act", wide, shape.activation);
  // x = self.LayerNorm(self.dense(x) + input_tensor)                               BertOutput
  const ValueId narrow = b.linear(name + ".ffn_out", active, tensors.ffn_out, H, F);
  return b.layer_norm(name + ".out", b.add(name + ".ffn_sum", narrow, attended), tensors.ffn_norm,
                      H, shape.norm_eps);
}

ValueId pre_norm_layer(Builder& b, const std::string& name, const EncoderShape& shape,
                       const LayerTensors& tensors, ValueId x) {
  const Dim &H = shape.hidden, &F = shape.intermediate;
  // x = x + lambda1 * attention(norm1(x))                 transformers v4.57 modeling_dinov2.py
  const ValueId before =
      b.layer_norm(name + ".attention_norm", x, tensors.attention_norm, H, shape.norm_eps);
  const ValueId qkv =
      b.stacked_linear(name + ".qkv", before, {tensors.query, tensors.key, tensors.value}, H, H,
                       {shape.query_bias, shape.key_bias, shape.value_bias});
  const ValueId context =
      b.attention(name + ".context", qkv, shape.heads, H.size / shape.heads,
                  {.position = position_of(shape, tensors), .mask = shape.mask});  // (ΣT,H)
  const ValueId projected = b.scaled_linear(
      name + ".attention_output", context, tensors.attention_output, H, H, tensors.attention_scale);
  const ValueId attended = b.add(name + ".attention_sum", projected, x);
  // x = x + lambda2 * mlp(norm2(x))                                              Dinov2Layer
  const ValueId normed =
      b.layer_norm(name + ".ffn_norm", attended, tensors.ffn_norm, H, shape.norm_eps);
  ValueId active = kNone;  // (ΣT,F)
  if (shape.gated) {
    const Dim both{.size = 2 * F.size, .key = F.key};
    active = b.gated(name + ".ffn_act", b.linear(name + ".ffn_in", normed, tensors.ffn_in, both, H),
                     shape.activation);
  } else {
    active =
        b.activation(name + ".ffn_act", b.linear(name + ".ffn_in", normed, tensors.ffn_in, F, H),
                     shape.activation);
  }
  const ValueId narrow =
      b.scaled_linear(name + ".ffn_out", active, tensors.ffn_out, H, F, tensors.ffn_scale);
  return b.add(name + ".out", narrow, attended);
}

}  // namespace tessera::models
