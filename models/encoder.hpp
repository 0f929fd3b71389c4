// SPDX-License-Identifier: Apache-2.0
//
// The Transformer encoder layer, once, as separate ops; the runtime fuses them.
//
// Post-norm (Vaswani et al. 2017; BERT and its descendants):
//
//   a = LayerNorm(x + W_o Attention(W_q x, W_k x, W_v x))      (ΣT,H)
//   y = LayerNorm(a + W_2 act(W_1 a))                          (ΣT,H)
//
// Pre-norm (ViT and its descendants, CLIP), with LayerScale λ where the model has it (Touvron et
// al. 2021), which is multiplied into W_o and W_2 at load:
//
//   a = x + λ_1 ⊙ W_o Attention(W_q n, W_k n, W_v n),  n = LayerNorm(x)
//   y = a + λ_2 ⊙ W_2 act(W_1 LayerNorm(a))
//   or  a + λ_2 ⊙ W_2 (act(g) ⊙ u),                    (g,u) = W_1 LayerNorm(a)
#pragma once

#include <string>

#include "models/builder.hpp"

namespace tessera::models {

/// Names of one layer's tensors in the checkpoint, without ".weight" and ".bias".
struct LayerTensors {
  std::string query, key, value, attention_output, attention_norm;
  std::string ffn_in, ffn_out, ffn_norm;
  std::string attention_scale{}, ffn_scale{};  ///< λ_1, λ_2, full names; empty: none
  ParameterId pair_bias = kNone;               ///< of this layer's attention
};

/// Sizes of an encoder and what its layers compute.
struct EncoderShape {
  Dim hidden, intermediate;
  Index heads = 0, layers = 0;
  Activation activation = Activation::gelu_erf;
  float norm_eps = 0.0F;
  ParameterId attention_bias = kNone;  ///< relative position bias, shared by all layers
  kernels::AttentionMask mask{};
  bool query_bias = true, key_bias = true, value_bias = true;  ///< pre-norm only
  bool gated = false;  ///< the gated form of the feed-forward; pre-norm only
};

/// One post-norm layer over `x`; its values are called "<name>.qkv" and so on.
ValueId post_norm_layer(Builder& b, const std::string& name, const EncoderShape& shape,
                        const LayerTensors& tensors, ValueId x);

/// One pre-norm layer over `x`, likewise.
ValueId pre_norm_layer(Builder& b, const std::string& name, const EncoderShape& shape,
                       const LayerTensors& tensors, ValueId x);

}  // namespace tessera::models
