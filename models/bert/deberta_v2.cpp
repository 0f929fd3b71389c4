// SPDX-License-Identifier: Apache-2.0
//
// DeBERTa-v2 and -v3 (He et al. 2021, 2023): attention to contents and to distances, which have
// embeddings of their own. Ports transformers v4.57 modeling_deberta_v2.py.
#include "models/bert/deberta_v2.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "models/bert/bert_like.hpp"

namespace tessera::models {
namespace {

constexpr LayerTensors kLayer = [] {
  LayerTensors layer = kBertLayer;
  layer.query = "attention.self.query_proj";
  layer.key = "attention.self.key_proj";
  layer.value = "attention.self.value_proj";
  return layer;
}();

constexpr MaskedLmTensors kLegacyMaskedLm{.dense = "cls.predictions.transform.dense",
                                          .norm = "cls.predictions.transform.LayerNorm",
                                          .decoder = "cls.predictions.decoder",
                                          .bias = "cls.predictions.bias"};
constexpr MaskedLmTensors kMaskedLm{.dense = "lm_predictions.lm_head.dense",
                                    .norm = "lm_predictions.lm_head.LayerNorm",
                                    .decoder = "lm_predictions.lm_head.decoder",
                                    .bias = "lm_predictions.lm_head.bias"};

/// What the layers have besides BERT's.
struct DebertaConfig {
  BertConfig bert;
  bool c2p = false, p2c = false;      ///< pos_att_type
  bool relative = false;              ///< relative_attention
  bool shares_projections = false;    ///< share_att_key
  bool normalises_distances = false;  ///< norm_rel_ebd
  DebertaDistances distances{};
};

DebertaDistances read_distances(const Config& c, const Dim& positions) {
  constexpr Index kMost = Index{1} << 16;
  DebertaDistances d;
  // if self.max_relative_positions < 1: self.max_relative_positions = config.max_position_embeddings
  d.most = c.integer("max_relative_positions", -1, -1, kMost);
  const char* const from = d.most < 1 ? positions.key.c_str() : "max_relative_positions";
  if (d.most < 1) d.most = positions.size;
  if (d.most > kMost) c.unsupported(from, fmt::format("at most {}", kMost));
  d.buckets = std::max<Index>(0, c.integer("position_buckets", -1, -1, kMost));
  if (d.buckets == 0) return d;
  if (d.buckets < 4 || d.buckets % 2 != 0) {
    c.unsupported("position_buckets", "-1, or an even number of at least 4");
  }
  if (d.most - 1 <= d.buckets / 2) {
    c.unsupported("position_buckets",
                  fmt::format("less than {}: {} is {}", 2 * (d.most - 1), from, d.most));
  }
  return d;
}

DebertaConfig read_config(BuildContext& context) {
  const Config& c = context.config;
  DebertaConfig config{.bert = read_bert_config(context, {.encoder = {.hidden_size = 1536,
                                                                      .num_hidden_layers = 24,
                                                                      .num_attention_heads = 24,
                                                                      .intermediate_size = 6144,
                                                                      .layer_norm_eps = 1e-7},
                                                          .vocab_size = 128100,
                                                          .type_vocab_size = 0})};
  BertConfig& bert = config.bert;
  const Dim& H = bert.layer.hidden;
  bert.types = c.dim("type_vocab_size", 0, 0);
  bert.embedding = c.dim("embedding_size", H.size);
  const Index head_dim = H.size / bert.layer.heads;
  if (c.integer("attention_head_size", head_dim, 1) != head_dim) {
    c.unsupported("attention_head_size",
                  fmt::format("{}, hidden_size / num_attention_heads", head_dim));
  }
  // pos_att_type = [x.strip() for x in pos_att_type.lower().split("|")]        DebertaV2Config
  for (const std::string& listed : c.strings("pos_att_type")) {
    for (std::size_t begin = 0; begin <= listed.size();) {
      const std::size_t end = std::min(listed.find('|', begin), listed.size());
      const std::string term = listed.substr(begin, end - begin);
      begin = end + 1;
      if (term != "c2p" && term != "p2c") c.unsupported("pos_att_type", "c2p, p2c or both");
      (term == "c2p" ? config.c2p : config.p2c) = true;
    }
  }
  config.relative = c.boolean("relative_attention", false);
  config.shares_projections = c.boolean("share_att_key", false);
  const std::string norm = c.string("norm_rel_ebd", "none");
  if (norm != "none" && norm != "layer_norm") c.unsupported("norm_rel_ebd", "none or layer_norm");
  config.normalises_distances = norm == "layer_norm";
  if (config.relative) config.distances = read_distances(c, bert.positions);
  return config;
}

TokenSpec read_tokens(BuildContext& context, const BertConfig& bert) {
  TokenSpec tokens = column_positions(bert);
  // attention_mask = mask * mask.squeeze(-2).unsqueeze(-1): a row of zeros is one of equal scores
  tokens.masked_rows = MaskedRows::see_all;
  if (context.config.boolean("position_biased_input", true)) return tokens;
  tokens.position_rows = 0;
  tokens.max_tokens = kAnyLength;
  context.package.max_tokens = bert.positions.size;
  context.package.max_tokens_from = "max_position_embeddings of config.json";
  return tokens;
}

ValueId embeddings(BuildContext& context, const BertConfig& bert) {
  // x = inputs_embeds (+ position_embeddings) (+ token_type_embeddings); x = self.embed_proj(x);
  // x = self.LayerNorm(x) * mask                                           DebertaV2Embeddings
  Builder& b = context.builder;
  const std::string e = context.prefix + "embeddings.";
  const Dim &H = bert.layer.hidden, &E = bert.embedding;
  std::vector<Builder::EmbeddingTerm> terms{
      {e + "word_embeddings.weight", TokenInput::ids, bert.vocab}};
  if (context.package.program.tokens()->position_rows > 0) {
    terms.push_back({e + "position_embeddings.weight", TokenInput::positions, bert.positions});
  }
  if (bert.types.size > 0) {
    terms.push_back({e + "token_type_embeddings.weight", TokenInput::types, bert.types});
  }
  ValueId x = b.embedding("embeddings.sum", terms, E);  // (ΣT,E)
  if (E.size != H.size) {
    x = b.linear("embeddings.projected", x, e + "embed_proj", H, E, {.has_bias = false});
  }
  x = b.layer_norm("embeddings.norm", x, e + "LayerNorm", H, bert.layer.norm_eps);
  return b.mask_rows("embeddings.out", x);  // (ΣT,H)
}

/// Position and scale of layer i.
AttentionTerms attention_terms(BuildContext& context, const DebertaConfig& config, Index i,
                               const std::vector<std::int32_t>& rows) {
  // scale = sqrt(head_size * scale_factor), scale_factor = 1 + len(terms), relative or not
  //                                                           DisentangledSelfAttention
  const Dim& H = config.bert.layer.hidden;
  const Index heads = config.bert.layer.heads, terms = 1 + config.c2p + config.p2c;
  AttentionTerms attention{
      .scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(H.size / heads * terms)))};
  if (!config.relative || terms == 1) return attention;
  const std::string encoder = context.prefix + "encoder.",
                    self = fmt::format("{}layer.{}.attention.self.", encoder, i);
  const auto distances = [&](const char* shared, const char* own) {
    const std::string linear = self + (config.shares_projections ? shared : own);
    return context.builder.distances(
        linear,
        {.rows = encoder + "rel_embeddings.weight",
         .linear = linear,
         .norm = config.normalises_distances ? encoder + "LayerNorm" : std::string(),
         .eps = config.bert.layer.norm_eps},
        {2 * config.distances.span(),
         config.distances.buckets > 0 ? "2 * position_buckets" : "2 * max_relative_positions"},
        H, heads, rows);
  };
  attention.position =
      Disentangled{.key = config.c2p ? distances("key_proj", "pos_key_proj") : kNone,
                   .query = config.p2c ? distances("query_proj", "pos_query_proj") : kNone};
  return attention;
}

/// output = LayerNorm(residual + act(conv(embeddings))) * mask                       ConvLayer
ValueId convolved(BuildContext& context, const DebertaConfig& config, ValueId embedded,
                  ValueId residual) {
  const Config& c = context.config;
  Builder& b = context.builder;
  const Dim& H = config.bert.layer.hidden;
  const std::string conv = context.prefix + "encoder.conv.";
  const Dim taps = c.dim("conv_kernel_size", 0);
  if (taps.size % 2 == 0) c.unsupported(taps.key, "an odd number: sequences keep their length");
  if (c.integer("conv_groups", 1, 1) != 1) c.unsupported("conv_groups", "1");
  const ValueId wide = b.convolution("conv", embedded, conv + "conv", H, H, taps);
  const ValueId active = b.activation("conv.act", wide, c.activation("conv_act", "tanh"));
  const ValueId sum = b.add("conv.sum", residual, active);
  const ValueId norm =
      b.layer_norm("conv.norm", sum, conv + "LayerNorm", H, config.bert.layer.norm_eps);
  return b.mask_rows("conv.out", norm);
}

HeadTensors read_heads(BuildContext& context, const BertConfig& bert) {
  const Config& c = context.config;
  // pooled = ACT2FN[config.pooler_hidden_act](self.dense(x[:, 0]))               ContextPooler
  HeadTensors heads{.classifier = {.first = "pooler.dense", .last = "classifier"}};
  if (context.package.task == Task::sequence_classification) {
    heads.classifier.activation = c.activation("pooler_hidden_act", "gelu");
    const Index H = bert.layer.hidden.size;
    if (c.integer("pooler_hidden_size", H, 1) != H) {
      c.unsupported("pooler_hidden_size", fmt::format("{}, the hidden_size", H));
    }
  }
  // if self.legacy: self.cls = LegacyDebertaV2OnlyMLMHead(config)         DebertaV2ForMaskedLM
  // A config that does not say was written before there were two: the file tells.
  const bool is_legacy =
      c.boolean("legacy", !context.builder.weights().has_linear(kMaskedLm.dense));
  heads.masked_lm = is_legacy ? kLegacyMaskedLm : kMaskedLm;
  if (context.package.task == Task::masked_lm && !is_legacy &&
      bert.embedding.size != bert.layer.hidden.size) {
    c.unsupported("embedding_size",
                  fmt::format("{}, the hidden_size: legacy is false", bert.layer.hidden.size));
  }
  return heads;
}

}  // namespace

Index deberta_bucket(const DebertaDistances& d, Index distance) noexcept {
  // make_log_bucket_position(); its logarithms are in f32.
  const Index mid = d.buckets / 2, n = std::abs(distance);
  if (d.buckets == 0 || n <= mid) return distance;
  const auto f = [](Index x) { return static_cast<float>(x); };
  const auto scale =
      std::log(static_cast<float>(static_cast<double>(d.most - 1) / static_cast<double>(mid)));
  const float log_position = std::ceil(std::log(f(n) / f(mid)) / scale * f(mid - 1)) + f(mid);
  const auto bucket = static_cast<Index>(log_position);
  return distance < 0 ? -bucket : bucket;
}

std::vector<std::int32_t> deberta_rows(const DebertaDistances& d) {
  // index = clamp(relative_pos + att_span, 0, att_span * 2 - 1)     disentangled_attention_bias
  const Index last = 2 * d.span() - 1;
  const auto row = [&](Index distance) {
    return std::clamp<Index>(deberta_bucket(d, distance) + d.span(), 0, last);
  };
  Index reach = d.most - 1;
  while (row(reach) < last || row(-reach) > 0) ++reach;
  std::vector<std::int32_t> rows;
  for (Index distance = -reach; distance <= reach; ++distance) {
    rows.push_back(static_cast<std::int32_t>(row(distance)));
  }
  return rows;
}

ValueId build_deberta_v2(BuildContext& context) {
  DebertaConfig config = read_config(context);
  BertConfig& bert = config.bert;
  context.package.program.inputs = read_tokens(context, bert);
  const bool convolves = context.config.integer("conv_kernel_size", 0, 0, 255) > 0;
  const std::vector<std::int32_t> rows =
      config.relative ? deberta_rows(config.distances) : std::vector<std::int32_t>{};
  std::vector<ValueId> states{embeddings(context, bert)};
  for (Index i = 0; i < context.package.layers; ++i) {
    LayerOptions layer = bert.layer;
    layer.attention = attention_terms(context, config, i, rows);
    ValueId x = encoder_layer(
        context.builder, fmt::format("layer.{}", i),
        {layer, kLayer, fmt::format("{}encoder.layer.{}.", context.prefix, i)}, states.back());
    if (i == 0 && convolves) x = convolved(context, config, states.front(), x);
    states.push_back(x);
  }
  output_bert_states(context, states);
  bert_head(context, read_heads(context, bert), bert, states.back());
  return states.back();
}

}  // namespace tessera::models
