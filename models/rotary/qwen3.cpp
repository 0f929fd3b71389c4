// SPDX-License-Identifier: Apache-2.0
//
// Qwen3 as an embedder and a reranker (Zhang et al. 2025): causal, Q and K normalised by head, the last
// token stands for the text. Ports transformers v4.57 modeling_qwen3.py.
#include <fmt/format.h>

#include "models/rotary/decoder_like.hpp"

namespace tessera::models {
namespace {

constexpr LayerTensors kLayer = [] {
  LayerTensors layer = kDecoderLayer;
  layer.query_norm = "self_attn.q_norm";
  layer.key_norm = "self_attn.k_norm";
  return layer;
}();

/// logits (S, 1) = (lm_head[yes] − lm_head[no]) · x at the last token: two rows of the vocabulary.
void answer_head(BuildContext& context, const Decoder& decoder, ValueId x) {
  const AnswerTokens& tokens = *context.package.answer_tokens;
  for (const std::optional<std::int32_t>& id : {std::optional(tokens.yes), tokens.no}) {
    if (!id || (*id >= 0 && *id < decoder.vocab.size)) continue;
    throw Error(ErrorCode::corrupt_file,
                fmt::format("{}: got token id {}, expected 0 to {} (vocab_size of {})", tokens.from,
                            *id, decoder.vocab.size - 1, context.config.name()));
  }
  Builder& b = context.builder;
  x = b.pool("lm_head.last", x, Pooling::last);
  b.output("logits",
           b.one_row_of_linear("lm_head.answer", x, language_model_weight(context, false),
                               decoder.vocab, tokens.yes, tokens.no, decoder.layer.hidden));
}

/// logits (S, labels) = score · x at the right-most token that is not pad_token_id.
///                                    transformers v4.57 GenericForSequenceClassification
void sequence_classification(BuildContext& context, const Decoder& decoder, ValueId x) {
  const Config& c = context.config;
  Builder& b = context.builder;
  const bool has_pad = c.has("pad_token_id");
  const auto pad = static_cast<std::int32_t>(c.integer("pad_token_id", 0));
  x = has_pad ? b.pool("score.last", x, Pooling::last_other_than_id, 0, pad)
              : b.pool("score.last", x, Pooling::last);
  const Dim labels = read_labels(context);
  b.output("logits",
           b.linear("score", x, "score", labels, decoder.layer.hidden, {.has_bias = false}));
}

/// logits (ΣT, labels) = score · x                 transformers v4.57 GenericForTokenClassification
void token_classification(BuildContext& context, const Decoder& decoder, ValueId x) {
  Builder& b = context.builder;
  const Dim labels = read_labels(context);
  b.output("logits", b.linear("score", x, "score", labels, decoder.layer.hidden));
}

}  // namespace

ValueId build_qwen3(BuildContext& context) {
  // Qwen3Config
  const Config& c = context.config;
  Decoder decoder = read_decoder(context,
                                 {.hidden_size = 4096,
                                  .num_hidden_layers = 32,
                                  .num_attention_heads = 32,
                                  .intermediate_size = 22016,
                                  .hidden_act = "silu",
                                  .layer_norm_eps = 1e-6,
                                  .head_dim = 128,
                                  .kv_heads = 32},
                                 kDecoderKeys, 151936, 32768);
  LayerOptions& layer = decoder.layer;
  layer.rotation =
      context.package.program.add_rotation(read_rotation(context, "", decoder.head_dim, {}));
  layer.attention.mask.right = 0;  // causal
  // layer_types: sliding where use_sliding_window and i >= max_window_layers       Qwen3Config
  const bool slides = c.boolean("use_sliding_window", false) && c.has("sliding_window");
  const Index first = c.integer("max_window_layers", 28);
  const std::vector<bool> sliding =
      read_sliding_layers(c, context.package.layers, [&](Index i) { return slides && i >= first; });
  const Index window = c.integer("sliding_window", 4096, 1);
  const LayerOf equal = equal_layers(context, layer, kLayer, "layers.");
  const auto layer_at = [&](Index i) {
    Layer one = equal(i);
    if (sliding[static_cast<std::size_t>(i)]) one.options.attention.mask.left = window - 1;
    return one;
  };
  ValueId x = decoder_embeddings(context, decoder);
  x = output_normed_states(context, encoder_states(context, layer_at, x), "norm", layer.hidden,
                           decoder.norm);
  switch (context.package.task) {
    case Task::masked_lm:
      language_model_head(context, decoder, false, x);
      break;
    case Task::sequence_classification:
      context.package.answer_tokens ? answer_head(context, decoder, x)
                                    : sequence_classification(context, decoder, x);
      break;
    case Task::token_classification:
      token_classification(context, decoder, x);
      break;
    default:
      add_head(context, {}, {.x = x, .hidden = layer.hidden});
  }
  return x;
}

}  // namespace tessera::models
