// SPDX-License-Identifier: Apache-2.0
//
// What encoders that were made from decoders share (EuroBERT, Qwen3, Gemma 3): RMSNorm before each
// sublayer, heads that share K and V, a gate of its own tensor, no biases, the names of the tensors.
#pragma once

#include "models/rotary/rotary_like.hpp"

namespace tessera::models {

/// A layer below "model.layers.3."
inline constexpr LayerTensors kDecoderLayer{.query = "self_attn.q_proj",
                                            .key = "self_attn.k_proj",
                                            .value = "self_attn.v_proj",
                                            .attention_output = "self_attn.o_proj",
                                            .attention_norm = "input_layernorm",
                                            .ffn_in = "mlp.gate_proj",
                                            .ffn_out = "mlp.down_proj",
                                            .ffn_norm = "post_attention_layernorm",
                                            .ffn_up = "mlp.up_proj"};

inline constexpr EncoderKeys kDecoderKeys{
    .norm_eps = "rms_norm_eps", .head_dim = "head_dim", .kv_heads = "num_key_value_heads"};

struct Decoder {
  LayerOptions layer;
  NormTerms norm;
  Dim vocab;
  Index head_dim = 0;
};

/// Sizes and what all layers have in common, out of context.config; what the program takes.
Decoder read_decoder(BuildContext& context, const EncoderDefaults& defaults,
                     const EncoderKeys& keys, Index vocab_size, Index max_position_embeddings);

/// embed_tokens (ΣT,H), times `scale`.
ValueId decoder_embeddings(BuildContext& context, const Decoder& decoder, float scale = 1.0F);

/// The name of lm_head's weight, or with tie_word_embeddings that of the word embeddings.
std::string language_model_weight(const BuildContext& context, bool ties_by_default);

/// logits (ΣT, vocab) = lm_head · x, or of the word embeddings with tie_word_embeddings.
void language_model_head(BuildContext& context, const Decoder& decoder, bool ties_by_default,
                         ValueId x);

}  // namespace tessera::models
