// SPDX-License-Identifier: Apache-2.0
//
// The Transformer encoder layer, once, as separate ops; the runtime fuses them.
//
// Post-norm (Vaswani et al. 2017; BERT and its descendants):
//
//   a = LayerNorm(x + W_o Attention(W_q x, W_k x, W_v x))      (ΣT,H)
//   y = LayerNorm(a + W_2 act(W_1 a))                          (ΣT,H)
#pragma once

#include <string>

#include "models/builder.hpp"

namespace tessera::models {

/// Names of one layer's tensors in the checkpoint, without ".weight" and ".bias".
struct LayerTensors {
  std::string query, key, value, attention_output, attention_norm;
  std::string ffn_in, ffn_out, ffn_norm;
};

/// Sizes of an encoder and what its layers compute.
struct EncoderShape {
  Dim hidden, intermediate;
  Index heads = 0, layers = 0;
  Activation activation = Activation::gelu_erf;
  float norm_eps = 0.0F;
  ParameterId attention_bias = kNone;  ///< relative position bias, shared by all layers
};

/// One post-norm layer over `x`; its values are called "<name>.qkv" and so on.
ValueId post_norm_layer(Builder& b, const std::string& name, const EncoderShape& shape,
                        const LayerTensors& tensors, ValueId x);

}  // namespace tessera::models
