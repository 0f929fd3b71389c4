// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/label_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>

#include "models/text/unicode.hpp"
#include "tessera/pipeline/json_text.hpp"
#include "tessera/pipeline/score_text.hpp"
#include "tessera/pipeline/similarity.hpp"

namespace tessera {
namespace {

double apply(Activation activation, double x) {
  switch (activation) {
    case Activation::tanh:
      return std::tanh(x);
    case Activation::relu:
      return std::max(x, 0.0);
    case Activation::none:
      return x;
    default:
      return sigmoid(static_cast<float>(x));
  }
}

}  // namespace

LabelWriter::LabelWriter(const models::Package& package, Index width, bool is_json, Index top_k)
    : labels_(package.labels),
      scoring_(scoring_of(package, width)),
      activation_(package.score_activation.value_or(Activation::sigmoid)),
      is_json_(is_json) {
  for (auto i = static_cast<Index>(labels_.size()); i < width; ++i) {
    labels_.push_back(fmt::format("LABEL_{}", i));
  }
  const bool shows_all = scoring_ == Scoring::sigmoid || scoring_ == Scoring::regression;
  const Index shown = top_k > 0 ? top_k : shows_all ? width : 1;
  shown_ = static_cast<std::size_t>(std::min(shown, width));
}

LabelWriter::Scoring LabelWriter::scoring_of(const models::Package& package, Index width) {
  if (width == 1 && package.score_activation) return Scoring::score;
  if (package.score_activation) {
    return package.score_activation == Activation::sigmoid ? Scoring::sigmoid : Scoring::activated;
  }
  if (package.problem_type == "regression") return Scoring::regression;
  if (package.problem_type == "multi_label_classification") return Scoring::sigmoid;
  return width == 1 ? Scoring::score : Scoring::softmax;
}

// What the head says about one row of logits, as a number per label.
std::vector<double> LabelWriter::scores_of(std::span<const float> logits) const {
  if (scoring_ == Scoring::softmax) return softmax(logits);
  std::vector<double> scores(logits.begin(), logits.end());
  if (scoring_ == Scoring::regression) return scores;
  const bool is_sigmoid = scoring_ == Scoring::sigmoid;
  const Activation activation = is_sigmoid ? Activation::sigmoid : activation_;
  for (double& score : scores) score = apply(activation, score);
  return scores;
}

std::string LabelWriter::line(std::span<const float> logits,
                              std::optional<std::string_view> path) const {
  const std::vector<double> scores = scores_of(logits);
  std::string line(is_json_ ? 1 : 0, '{');
  if (path && is_json_) {
    line += "\"path\": ";
    append_json_string(line, *path);
    line += ", ";
  } else if (path) {
    line += *path;
    line += '\t';
  }
  if (scoring_ == Scoring::score) {
    if (!is_json_) return line + score_text(scores[0]) + "\n";
    line += fmt::format("\"score\": {}, \"logit\": ", score_text(scores[0]));
    append_json_float(line, logits[0]);
    return line + "}\n";
  }
  const std::vector<std::size_t> order = ranked(scores, shown_);
  if (is_json_) line += "\"labels\": [";
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (is_json_) {
      line += i == 0 ? "" : ", ";
      append_label(line, order[i], scores[order[i]]);
    } else {
      fmt::format_to(std::back_inserter(line), "{}{}\t{}", i == 0 ? "" : "\t", labels_[order[i]],
                     shown(scores[order[i]]));
    }
  }
  line += is_json_ ? "]}\n" : "\n";
  return line;
}

std::string LabelWriter::token_lines(std::string_view given, const text::Encoding& encoding,
                                     std::span<const std::int32_t> ids,
                                     const TensorView<const float>& logits) const {
  const std::string text = text::replace_invalid_utf8(given);
  std::string out = is_json_ ? "{\"tokens\": [" : "";
  bool is_first = true;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (encoding.size() != 0 && encoding.special_mask[i] != 0) continue;
    const std::vector<double> scores = scores_of(logits.row(static_cast<Index>(i)));
    std::string_view covered;
    std::array<std::uint32_t, 2> offsets{};
    if (encoding.size() != 0) {
      offsets = encoding.offsets[i];
      covered = code_points(text, offsets[0], offsets[1]);
    }
    if (is_json_) {
      out += is_first ? "{" : ", {";
      if (encoding.size() != 0) {
        out += "\"text\": ";
        append_json_string(out, covered);
        fmt::format_to(std::back_inserter(out), ", \"begin\": {}, \"end\": {}, ", offsets[0],
                       offsets[1]);
      }
      fmt::format_to(std::back_inserter(out), "\"id\": {}, \"labels\": [", ids[i]);
    } else if (encoding.size() != 0) {
      fmt::format_to(std::back_inserter(out), "{}\t{}\t{}", offsets[0], offsets[1], covered);
    } else {
      fmt::format_to(std::back_inserter(out), "{}\t{}", i, ids[i]);
    }
    bool is_first_label = true;
    for (const std::size_t label : ranked(scores, shown_)) {
      if (is_json_) {
        out += is_first_label ? "" : ", ";
        append_label(out, label, scores[label]);
      } else {
        fmt::format_to(std::back_inserter(out), "\t{}\t{}", labels_[label], shown(scores[label]));
      }
      is_first_label = false;
    }
    out += is_json_ ? "]}" : "\n";
    is_first = false;
  }
  out += is_json_ ? "]}\n" : "\n";
  return out;
}

void LabelWriter::append_label(std::string& out, std::size_t label, double score) const {
  out += "{\"label\": ";
  append_json_string(out, labels_[label]);
  fmt::format_to(std::back_inserter(out), ", \"{}\": ", gives_values() ? "value" : "probability");
  out += score_text(score) + '}';
}

std::string LabelWriter::shown(double score) const {
  return gives_values() ? score_text(score) : probability_text(score);
}

}  // namespace tessera
