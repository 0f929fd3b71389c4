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
  fmt::format_to(std::back_inserter(out),
                 ", \"{}\": ", scoring_.gives_values() ? "value" : "probability");
  out += score_text(score) + '}';
}

std::string LabelWriter::shown(double score) const {
  return scoring_.gives_values() ? score_text(score) : probability_text(score);
}

}  // namespace tessera
