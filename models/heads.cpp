// SPDX-License-Identifier: Apache-2.0
#include "models/heads.hpp"

#include <fmt/format.h>

#include <charconv>
#include <utility>

namespace tessera::models {

Dim read_labels(BuildContext& context) {
  // num_labels = len(id2label)   transformers v4.57 configuration_utils.py PretrainedConfig
  const Config& config = context.config;
  Package& package = context.package;
  constexpr Index kDefaultLabels = 2, kMostLabels = 1'000'000;
  const auto id2label = config.string_map("id2label");
  Dim labels{config.integer("num_labels", kDefaultLabels, 1, kMostLabels), "num_labels"};
  if (!id2label.empty()) labels = {static_cast<Index>(id2label.size()), "id2label"};
  for (Index i = 0; i < labels.size; ++i) package.labels.push_back(fmt::format("LABEL_{}", i));
  for (const auto& [id, label] : id2label) {
    Index i = -1;
    const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), i);
    if (error != std::errc{} || end != id.data() + id.size() || i < 0 || i >= labels.size) {
      config.wrong("id2label", fmt::format("keys from 0 to {}, got \"{}\"", labels.size - 1, id));
    }
    package.labels[static_cast<std::size_t>(i)] = label;
  }
  package.problem_type = config.string("problem_type", "");
  return labels;
}

ValueId pooler(BuildContext& context, ValueId x, const std::string& tensor, const Dim& hidden) {
  Builder& b = context.builder;
  // pooled = tanh(self.dense(x[:, 0]))         transformers v4.57 modeling_bert.py BertPooler
  const ValueId first = b.pool("pooler.first", x, Pooling::first);                // (S,H)
  const ValueId dense = b.linear("pooler.dense", first, tensor, hidden, hidden);  // (S,H)
  const ValueId pooled = b.activation("pooler.out", dense, Activation::tanh);     // (S,H)
  b.output("pooler_output", pooled);
  return pooled;
}

ValueId pooler_if_present(BuildContext& context, ValueId x, const std::string& tensor,
                          const Dim& hidden) {
  const WeightMap& weights = context.builder.weights();
  if (!weights.has(tensor + ".weight") && !weights.has(tensor + ".bias")) return kNone;
  return pooler(context, x, tensor, hidden);
}

void classify_pooled(BuildContext& context, ValueId pooled, const Dim& hidden) {
  // logits = self.classifier(pooled)                           BertForSequenceClassification
  const Dim labels = read_labels(context);
  context.builder.output(
      "logits", context.builder.linear("classifier", pooled, "classifier", labels, hidden));
}

void classify_first_token(BuildContext& context, ValueId x, const std::string& first,
                          Activation activation, const std::string& last, const Dim& hidden) {
  // logits = self.out_proj(act(self.dense(x[:, 0])))              RobertaClassificationHead
  Builder& b = context.builder;
  const Dim labels = read_labels(context);
  const ValueId token = b.pool("classifier.first", x, Pooling::first);  // (S,H)
  const ValueId dense = b.linear("classifier.dense", token, first, hidden, hidden);
  const ValueId active = b.activation("classifier.act", dense, activation);      // (S,H)
  b.output("logits", b.linear("classifier.out", active, last, labels, hidden));  // (S,labels)
}

void classify_tokens(BuildContext& context, ValueId x, const Dim& hidden) {
  // logits = self.classifier(x)                                   BertForTokenClassification
  const Dim labels = read_labels(context);
  context.builder.output("logits",
                         context.builder.linear("classifier", x, "classifier", labels, hidden));
}

void masked_lm(BuildContext& context, ValueId x, const MaskedLmHead& head, const Dim& hidden,
               const Dim& vocab) {
  // x = self.LayerNorm(act(self.dense(x))); logits = self.decoder(x)
  //                       transformers v4.57 modeling_bert.py BertLMPredictionHead, RobertaLMHead
  Builder& b = context.builder;
  const Dim& E = head.width;
  const ValueId dense = b.linear("lm_head.dense", x, head.dense, E, hidden);  // (ΣT,E)
  const ValueId active = b.activation("lm_head.act", dense, head.activation);
  const ValueId normed = b.layer_norm("lm_head.norm", active, head.norm, E, head.norm_eps);

  // self.tie_weights() after loading: the embeddings are the decoder, whatever else the file holds.
  // With tie_word_embeddings = false decoder and bias are parameters of their own.
  const bool tied = context.config.boolean("tie_word_embeddings", true);
  const std::string own = head.decoder + ".weight", own_bias = head.decoder + ".bias";
  const std::string weight = tied ? head.word_embeddings : own;
  const std::string_view bias = tied ? b.weights().first_of({head.bias, own_bias})
                                     : b.weights().first_of({own_bias, head.bias});
  b.output(head.output, b.linear_of("lm_head.decoder", normed, weight, std::string(bias), vocab,
                                    E));  // (ΣT,vocab)
}

}  // namespace tessera::models
