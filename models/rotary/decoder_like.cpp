// SPDX-License-Identifier: Apache-2.0
#include "models/rotary/decoder_like.hpp"

namespace tessera::models {

Decoder read_decoder(BuildContext& context, const EncoderDefaults& defaults,
                     const EncoderKeys& keys, Index vocab_size, Index max_position_embeddings) {
  const Config& c = context.config;
  Decoder decoder{.layer = read_encoder(context, c, defaults, keys),
                  .norm = {},
                  .vocab = c.dim("vocab_size", vocab_size)};
  LayerOptions& layer = decoder.layer;
  layer.biases = read_biases(c);
  layer.attention_norm = layer.ffn_norm = NormPlace::before;
  layer.gated = true;
  layer.norms_of_squares = true;
  if (layer.head_dim == 0) layer.head_dim = layer.hidden.size / layer.heads;
  decoder.head_dim = layer.head_dim;
  decoder.norm = {.eps = layer.norm_eps, .of_squares = true};
  context.package.program.inputs = any_positions(
      context, decoder.vocab, 0, c.integer("max_position_embeddings", max_position_embeddings, 1));
  return decoder;
}

ValueId decoder_embeddings(BuildContext& context, const Decoder& decoder, float scale) {
  const ValueId x = context.builder.embedding(
      "embeddings", {{context.prefix + "embed_tokens.weight", TokenInput::ids, decoder.vocab}},
      decoder.layer.hidden);
  std::get<EmbeddingOp>(context.package.program.ops.back()).scale = scale;
  return x;
}

std::string language_model_weight(const BuildContext& context, bool ties_by_default) {
  const bool tied = context.config.boolean("tie_word_embeddings", ties_by_default);
  return tied ? context.prefix + "embed_tokens.weight" : "lm_head.weight";
}

void language_model_head(BuildContext& context, const Decoder& decoder, bool ties_by_default,
                         ValueId x) {
  Builder& b = context.builder;
  b.output("logits", b.linear_of("lm_head", x, language_model_weight(context, ties_by_default), "",
                                 decoder.vocab, decoder.layer.hidden));
}

}  // namespace tessera::models
