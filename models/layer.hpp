// SPDX-License-Identifier: Apache-2.0
//
// One layer of a Transformer encoder, for every family: two sublayers, each with its residual,
//
//   f₁(n) = λ₁ ⊙ W_o Attention(W_q n, W_k n, W_v n)                                  (ΣT,H)
//   f₂(n) = λ₂ ⊙ W_2 act(W_1 n)   or gated   λ₂ ⊙ W_2 (act(g) ⊙ u), (g,u) = W_1 n    (ΣT,H)
//
// and a norm where the layer says:
//
//   after   y = LayerNorm(x + f(x))    Vaswani et al. 2017: BERT and its descendants
//   before  y = x + f(LayerNorm(x))    ViT and its descendants, CLIP
//   none    y = x + f(x)
//   around  y = x + LayerNorm'(f(LayerNorm(x)))    Gemma 2 and 3
//
// Norms are LayerNorm or RMSNorm. Q and K may be normalised by head and turned by their position
// (rotary), and heads of Q may share those of K and V.
//
// What a layer is, is data (Layer), and its options do not depend on one another: a family chooses
// them for each of its layers. LayerScale λ (Touvron et al. 2021) is multiplied into W_o and W_2 at
// load. Every operation is an op of its own; the runtime fuses them.
#pragma once

#include <string>

#include "models/builder.hpp"

namespace tessera::models {

/// Where the norm of a sublayer stands.
enum class NormPlace : std::uint8_t { none, before, after, around };

/// Which parts of a layer have a bias; that of a norm is its beta.
struct LayerBiases {
  bool query = true, key = true, value = true, attention_output = true;
  bool ffn_in = true, ffn_out = true;
  bool norms = true;
};

/// What one layer computes.
struct LayerOptions {
  Dim hidden, intermediate;  ///< H, F
  Index heads = 0;
  NormPlace attention_norm = NormPlace::after, ffn_norm = NormPlace::after;
  float norm_eps = 0.0F;
  Activation activation = Activation::gelu_erf;
  bool gated = false;                  ///< W_1 is (2F,H)
  bool gate_second = false;            ///< g is its second half, else its first
  Index kv_heads = 0;                  ///< 0: as many as heads
  Index head_dim = 0;                  ///< 0: H / heads
  bool norms_of_squares = false;       ///< RMSNorm
  float norm_offset = 0.0F;            ///< what gammas are stored minus
  std::int32_t rotation = kNone;       ///< of Program::rotations
  Index experts = 0, top_experts = 0;  ///< a mixture of experts in place of W_1 and W_2
  LayerBiases biases{};
  AttentionTerms attention{};  ///< position, mask
};

/// Names of a layer's tensors in the checkpoint, below the layer's own, without ".weight" and
/// ".bias".
struct LayerTensors {
  const char* query;
  const char* key;
  const char* value;
  const char* attention_output;
  const char* attention_norm;
  const char* ffn_in;
  const char* ffn_out;
  const char* ffn_norm;
  const char* attention_scale = nullptr;  ///< λ₁, a full name; null: none
  const char* ffn_scale = nullptr;        ///< λ₂, likewise
  /// One tensor with query, key and value one after another, in place of the three; with a bias
  /// where the query has one.
  const char* qkv = nullptr;
  const char* ffn_up = nullptr;      ///< u of a gated layer, if ffn_in is g alone
  const char* query_norm = nullptr;  ///< of each head; null: none
  const char* key_norm = nullptr;
  const char* attention_post_norm = nullptr;  ///< of NormPlace::around, before the sum
  const char* ffn_post_norm = nullptr;
  /// Of a mixture of experts: the router, then full names of W_1 and W_2ᵀ, expert after expert, and bias.
  const char* router = nullptr;
  const char* experts_in = nullptr;
  const char* experts_out = nullptr;
  const char* experts_bias = nullptr;
};

struct Layer {
  LayerOptions options;
  LayerTensors tensors;
  std::string prefix;  ///< of the tensors: "bert.encoder.layer.3."
};

/// The layer over `x`; its values are called "<name>.qkv" and so on, the last one "<name>.out".
ValueId encoder_layer(Builder& b, const std::string& name, const Layer& layer, ValueId x);

}  // namespace tessera::models
