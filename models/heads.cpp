// SPDX-License-Identifier: Apache-2.0
#include "models/heads.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <utility>

#include "runtime/base/json_text.hpp"

namespace tessera::models {

void read_score_activation(const Config& from, const char* key, Package& package) {
  const std::string name = from.string(key, "");
  if (!name.starts_with("torch.")) return;
  const std::string last = name.substr(name.rfind('.') + 1);
  if (last == "Identity") {
    package.score_activation = Activation::none;
  } else if (last == "Tanh") {
    package.score_activation = Activation::tanh;
  } else if (last == "ReLU") {
    package.score_activation = Activation::relu;
  } else if (last == "Sigmoid") {
    package.score_activation = Activation::sigmoid;
  } else {
    from.unsupported(key, "Identity, Sigmoid, Tanh or ReLU of torch.nn");
  }
  package.score_activation_from = fmt::format("{} of {}", key, from.name());
}

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
      config.wrong("id2label", fmt::format("keys from 0 to {}, got {}", labels.size - 1,
                                           detail::in_quotes(id)));
    }
    package.labels[static_cast<std::size_t>(i)] = label;
  }
  package.problem_type = config.string("problem_type", "");
  if (package.task == Task::sequence_classification && package.program.images() == nullptr) {
    const Config newer = config.object("sentence_transformers");
    const bool is_newer = newer.has("activation_fn");
    read_score_activation(is_newer ? newer : config,
                          is_newer ? "activation_fn" : "sbert_ce_default_activation_function",
                          package);
  }
  return labels;
}

void classify_pooled(BuildContext& context, ValueId pooled, const Dim& hidden) {
  // logits = self.classifier(pooled)                           BertForSequenceClassification
  const Dim labels = read_labels(context);
  context.builder.output(
      "logits", context.builder.linear("classifier", pooled, "classifier", labels, hidden));
}

namespace {

ValueId pooler(BuildContext& context, const HeadTensors& tensors, const HeadInput& in) {
  Builder& b = context.builder;
  const Dim& H = in.hidden;
  // pooled = tanh(self.dense(x[:, 0]))         transformers v4.57 modeling_bert.py BertPooler
  const ValueId first = b.pool("pooler.first", in.x, Pooling::first);  // (S,H)
  const ValueId dense =
      b.linear("pooler.dense", first, context.prefix + tensors.pooler, H, H);  // (S,H)
  const ValueId pooled = b.activation("pooler.out", dense, Activation::tanh);  // (S,H)
  b.output("pooler_output", pooled);
  return pooled;
}

/// The pooler, where the family and the checkpoint have one.
void features(BuildContext& context, const HeadTensors& tensors, const HeadInput& in) {
  if (tensors.pooler == nullptr) return;
  if (context.builder.weights().has_linear(context.prefix + tensors.pooler))
    pooler(context, tensors, in);
}

void write_masked_lm(BuildContext& context, const MaskedLmTensors& tensors, const HeadInput& in,
                     const char* output) {
  // x = self.LayerNorm(act(self.dense(x))); logits = self.decoder(x)
  //                       transformers v4.57 modeling_bert.py BertLMPredictionHead, RobertaLMHead
  Builder& b = context.builder;
  const Dim& E = in.embedding;
  const ValueId dense = b.linear("lm_head.dense", in.x, tensors.dense, E, in.hidden);  // (ΣT,E)
  const ValueId active =
      b.activation("lm_head.act", dense, tensors.activation.value_or(in.activation));
  const ValueId normed = b.layer_norm("lm_head.norm", active, tensors.norm, E, in.norm_eps);

  // self.tie_weights() after loading: the embeddings are the decoder, whatever else the file holds.
  // With tie_word_embeddings = false decoder and bias are parameters of their own.
  const bool tied = context.config.boolean("tie_word_embeddings", true);
  const std::string own = fmt::format("{}.weight", tensors.decoder);
  const std::string own_bias = fmt::format("{}.bias", tensors.decoder);
  const std::string weight = tied ? context.prefix + "embeddings.word_embeddings.weight" : own;
  const std::string_view bias = tied ? b.weights().first_of({tensors.bias, own_bias})
                                     : b.weights().first_of({own_bias, tensors.bias});
  b.output(output, b.linear_of("lm_head.decoder", normed, weight, std::string(bias), in.vocab,
                               E));  // (ΣT,vocab)
}

void masked_lm(BuildContext& context, const HeadTensors& tensors, const HeadInput& in) {
  write_masked_lm(context, tensors.masked_lm, in, "logits");
}

void pretraining(BuildContext& context, const HeadTensors& tensors, const HeadInput& in) {
  // prediction_logits = cls.predictions(x); seq_relationship_logits =
  // cls.seq_relationship(pooled)                                        BertPreTrainingHeads
  const SentencePairTensors& pair = tensors.sentence_pair;
  const ValueId pooled = pooler(context, tensors, in);
  write_masked_lm(context, tensors.masked_lm, in, "prediction_logits");
  const Dim labels = pair.labels == 0 ? read_labels(context) : Dim{pair.labels, ""};
  Builder& b = context.builder;
  b.output(pair.output, b.linear(pair.name, pooled, pair.tensor, labels, in.hidden));
}

/// logits (S, labels) = last · act(first · x[0]).
void classify_first(BuildContext& context, const ClassifierTensors& tensors, const HeadInput& in,
                    const Dim& labels) {
  // logits = self.out_proj(act(self.dense(x[:, 0])))              RobertaClassificationHead
  Builder& b = context.builder;
  const Dim& H = in.hidden;
  const ValueId token = b.pool("classifier.first", in.x, Pooling::first);  // (S,H)
  const ValueId dense = b.linear("classifier.dense", token, tensors.first, H, H);
  const ValueId active = b.activation("classifier.act", dense, tensors.activation);  // (S,H)
  b.output("logits", b.linear("classifier.out", active, tensors.last, labels, H));   // (S,labels)
}

void sequence_classification(BuildContext& context, const HeadTensors& tensors,
                             const HeadInput& in) {
  if (tensors.classifier.first == nullptr) {
    return classify_pooled(context, pooler(context, tensors, in), in.hidden);
  }
  classify_first(context, tensors.classifier, in, read_labels(context));
}

void multiple_choice(BuildContext& context, const HeadTensors& tensors, const HeadInput& in) {
  // logits = self.classifier(pooled).view(-1, num_choices)               BertForMultipleChoice
  const Dim one{.size = 1, .key = ""};
  if (tensors.choice.first != nullptr) return classify_first(context, tensors.choice, in, one);
  Builder& b = context.builder;
  const ValueId pooled = pooler(context, tensors, in);
  b.output("logits", b.linear("classifier", pooled, "classifier", one, in.hidden));
}

void next_sentence(BuildContext& context, const HeadTensors& tensors, const HeadInput& in) {
  // logits = self.cls(pooled)                                    BertForNextSentencePrediction
  const SentencePairTensors& pair = tensors.sentence_pair;
  const Dim labels{.size = pair.labels, .key = ""};
  Builder& b = context.builder;
  const ValueId pooled = pooler(context, tensors, in);
  b.output("logits", b.linear(pair.name, pooled, pair.tensor, labels, in.hidden));
  context.package.labels = {"next", "not next"};
}

void question_answering(BuildContext& context, const HeadTensors&, const HeadInput& in) {
  // start_logits, end_logits = self.qa_outputs(x).split(1, dim=-1)    BertForQuestionAnswering
  const Dim labels = read_labels(context), one{.size = 1, .key = ""};
  if (labels.size != 2) context.config.wrong(labels.key, "2: where an answer starts and ends");
  context.package.labels.clear();
  Builder& b = context.builder;
  const auto column = [&](const char* name, Index which) {
    b.output(name, b.part_of_linear(name, in.x, "qa_outputs.weight", "qa_outputs.bias", which, 1, 2,
                                    one, in.hidden));  // (ΣT,1)
  };
  column("start_logits", 0);
  column("end_logits", 1);
}

void token_classification(BuildContext& context, const HeadTensors&, const HeadInput& in) {
  // logits = self.classifier(x)                                   BertForTokenClassification
  const Dim labels = read_labels(context);
  Builder& b = context.builder;
  b.output("logits", b.linear("classifier", in.x, "classifier", labels, in.hidden));
}

void discriminator(BuildContext& context, const HeadTensors& tensors, const HeadInput& in) {
  // logits = self.dense_prediction(act(self.dense(x))).squeeze(-1)
  //                                                      ElectraDiscriminatorPredictions
  Builder& b = context.builder;
  const Dim &H = in.hidden, one{.size = 1, .key = ""};
  const std::string d = tensors.discriminator;
  const ValueId dense = b.linear("discriminator.dense", in.x, d + "dense", H, H);
  const ValueId active = b.activation("discriminator.act", dense, in.activation);
  b.output("logits",
           b.linear("discriminator.out", active, d + "dense_prediction", one, H));  // (ΣT,1)
}

struct Head {
  Task task;
  void (*add)(BuildContext& context, const HeadTensors& tensors, const HeadInput& in);
};

constexpr std::array kHeads{
    Head{Task::features, features},
    Head{Task::masked_lm, masked_lm},
    Head{Task::pretraining, pretraining},
    Head{Task::discriminator, discriminator},
    Head{Task::sequence_classification, sequence_classification},
    Head{Task::token_classification, token_classification},
    Head{Task::question_answering, question_answering},
    Head{Task::next_sentence, next_sentence},
    Head{Task::multiple_choice, multiple_choice},
};

}  // namespace

void add_head(BuildContext& context, const HeadTensors& tensors, const HeadInput& in) {
  for (const Head& head : kHeads) {
    if (head.task == context.package.task) return head.add(context, tensors, in);
  }
}

}  // namespace tessera::models
