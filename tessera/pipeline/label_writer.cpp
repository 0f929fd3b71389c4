// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/label_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "models/text/unicode.hpp"
#include "tessera/pipeline/json_text.hpp"
#include "tessera/pipeline/score_text.hpp"
#include "tessera/pipeline/similarity.hpp"

namespace tessera {
namespace {

/// The best labels as members of a JSON array, or each between tabs.
void append_labels(std::string& out, std::span<const std::string> labels,
                   const std::vector<double>& scores, std::size_t count, bool is_json,
                   bool are_probabilities) {
  bool is_first = true;
  for (const std::size_t i : ranked(scores, count)) {
    if (is_json) {
      out += is_first ? "{\"label\": " : ", {\"label\": ";
      append_json_string(out, labels[i]);
      fmt::format_to(std::back_inserter(out), ", \"{}\": {}}}",
                     are_probabilities ? "probability" : "value", score_text(scores[i]));
    } else {
      fmt::format_to(std::back_inserter(out), "{}{}\t{}", is_first ? "" : "\t", labels[i],
                     are_probabilities ? probability_text(scores[i]) : score_text(scores[i]));
    }
    is_first = false;
  }
}

}  // namespace

std::string labels_line(std::span<const std::string> labels, const std::vector<double>& scores,
                        std::size_t count, bool is_json, bool are_probabilities) {
  std::string line = is_json ? "{\"labels\": [" : "";
  append_labels(line, labels, scores, count, is_json, are_probabilities);
  return line + (is_json ? "]}\n" : "\n");
}

LabelWriter::LabelWriter(const models::Package& package, Index width, bool is_json, Index top_k)
    : labels_(package.labels), scoring_(package, width), is_json_(is_json) {
  for (auto i = static_cast<Index>(labels_.size()); i < width; ++i) {
    labels_.push_back(fmt::format("LABEL_{}", i));
  }
  const Index shown = top_k > 0 ? top_k : scoring_.has_independent_labels() ? width : 1;
  shown_ = static_cast<std::size_t>(std::min(shown, width));
}

std::string LabelWriter::line(std::span<const float> logits,
                              std::optional<std::string_view> path) const {
  const std::vector<double> scores = scoring_(logits);
  std::string line(is_json_ ? 1 : 0, '{');
  if (path && is_json_) {
    line += "\"path\": ";
    append_json_string(line, *path);
    line += ", ";
  } else if (path) {
    line += *path;
    line += '\t';
  }
  if (scoring_.kind() == Scoring::Kind::score) {
    if (!is_json_) return line + score_text(scores[0]) + "\n";
    line += fmt::format("\"score\": {}, \"logit\": ", score_text(scores[0]));
    append_json_float(line, logits[0]);
    return line + "}\n";
  }
  if (is_json_) line += "\"labels\": [";
  append_labels(line, labels_, scores, shown_, is_json_, !scoring_.gives_values());
  return line + (is_json_ ? "]}\n" : "\n");
}

std::string LabelWriter::token_lines(std::string_view given, const text::Encoding& encoding,
                                     std::span<const std::int32_t> ids,
                                     const TensorView<const float>& logits) const {
  const std::string text = text::replace_invalid_utf8(given);
  std::string out = is_json_ ? "{\"tokens\": [" : "";
  bool is_first = true;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (encoding.size() != 0 && encoding.special_mask[i] != 0) continue;
    const std::vector<double> scores = scoring_(logits.row(static_cast<Index>(i)));
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
    if (!is_json_) out += '\t';
    append_labels(out, labels_, scores, shown_, is_json_, !scoring_.gives_values());
    out += is_json_ ? "]}" : "\n";
    is_first = false;
  }
  out += is_json_ ? "]}\n" : "\n";
  return out;
}

}  // namespace tessera
