// SPDX-License-Identifier: Apache-2.0
//
// EuroBERT (Boizard et al. 2025): a Llama that sees both ways. Ports modeling_eurobert.py of the published
// repositories and of transformers v5.
#include "models/rotary/decoder_like.hpp"

namespace tessera::models {
namespace {

/// clf_pooling "bos", "mean" or "late": the head on the pooled row, or on every row, whose logits are
/// averaged.                                           EuroBertForSequenceClassification
void sequence_classification(BuildContext& context, const Decoder& decoder, ValueId x) {
  const Config& c = context.config;
  Builder& b = context.builder;
  const char* const key = c.spelled("clf_pooling", "classifier_pooling");
  const std::string pooling = c.string(key, "late");
  if (pooling != "bos" && pooling != "mean" && pooling != "late") {
    c.unsupported(key, "bos, mean or late");
  }
  const Dim &H = decoder.layer.hidden, labels = read_labels(context);
  const auto pool = [&](ValueId rows, Pooling how) {
    return b.pool("classifier.pooled", rows, how);
  };
  if (pooling == "bos") x = pool(x, Pooling::first);
  if (pooling == "mean") x = pool(x, Pooling::mean);
  x = b.linear("classifier.dense", x, "dense", H, H);
  x = b.activation("classifier.act", x, Activation::gelu_erf);
  x = b.linear("classifier.out", x, "out_proj", labels, H);
  if (pooling == "late") x = pool(x, Pooling::mean);
  b.output("logits", x);
}

}  // namespace

ValueId build_eurobert(BuildContext& context) {
  // EuroBertConfig
  Decoder decoder = read_decoder(context,
                                 {.hidden_size = 768,
                                  .num_hidden_layers = 12,
                                  .num_attention_heads = 12,
                                  .intermediate_size = 3072,
                                  .hidden_act = "silu",
                                  .layer_norm_eps = 1e-5},
                                 kDecoderKeys, 128256, 8192);
  Program& program = context.package.program;
  decoder.layer.rotation = program.add_rotation(
      read_rotation(context, "", decoder.head_dim, {.default_theta = 250000.0}));
  ValueId x = decoder_embeddings(context, decoder);
  x = output_normed_states(
      context,
      encoder_states(context, equal_layers(context, decoder.layer, kDecoderLayer, "layers."), x),
      "norm", decoder.layer.hidden, decoder.norm);
  switch (context.package.task) {
    case Task::masked_lm:
      language_model_head(context, decoder, false, x);
      break;
    case Task::sequence_classification:
      sequence_classification(context, decoder, x);
      break;
    default:
      add_head(context, {}, {.x = x, .hidden = decoder.layer.hidden});
  }
  return x;
}

}  // namespace tessera::models
