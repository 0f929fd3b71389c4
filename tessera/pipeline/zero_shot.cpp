// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/zero_shot.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>

#include "models/text/python_text.hpp"
#include "runtime/base/error.hpp"
#include "tessera/pipeline/encoder.hpp"
#include "tessera/pipeline/similarity.hpp"

namespace tessera {
namespace {

constexpr std::string_view kPlace = "{}";

std::size_t entailment_of(const models::Package& package) {
  const std::vector<std::string>& labels = package.labels;
  const bool classifies = package.task == models::Task::sequence_classification;
  for (std::size_t i = 0; classifies && labels.size() > 1 && i < labels.size(); ++i) {
    if (text::lower_case(labels[i]).starts_with("entail")) return i;
  }
  throw Error(
      ErrorCode::unsupported_model,
      fmt::format("{}: {} gives no labels that are asked for: got {}, expected a model of "
                  "natural language inference, one label of which begins with \"entail\"",
                  package.directory.string(), package.architecture,
                  !classifies ? "no class for sequences, but " + listed_outputs(package.program)
                  : labels.empty() ? std::string("no label")
                                   : fmt::format("the labels {}", fmt::join(labels, ", "))));
}

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorCode::invalid_argument, message);
}

}  // namespace

ZeroShot::ZeroShot(const models::Package& package, std::vector<std::string> labels,
                   std::string_view hypothesis, bool are_independent)
    : labels_(std::move(labels)),
      entailment_(entailment_of(package)),
      contradiction_(entailment_ == 0 ? package.labels.size() - 1 : 0),
      are_independent_(are_independent || labels_.size() == 1) {
  const std::size_t place = hypothesis.find(kPlace);
  if (place == std::string_view::npos ||
      hypothesis.find(kPlace, place + 1) != std::string_view::npos) {
    refuse(fmt::format("hypothesis: got \"{}\", expected {{}} once, where the label is put",
                       hypothesis));
  }
  if (labels_.empty()) refuse("labels: got none, expected one at least");
  for (std::size_t i = 0; i < labels_.size(); ++i) {
    const auto here = labels_.begin() + static_cast<std::ptrdiff_t>(i);
    if (labels_[i].empty())
      refuse(fmt::format("labels: number {} is empty, expected a text", i + 1));
    if (std::find(labels_.begin(), here, labels_[i]) != here) {
      refuse(fmt::format("labels: got \"{}\" twice, expected each once", labels_[i]));
    }
    hypotheses_.push_back(std::string(hypothesis).replace(place, kPlace.size(), labels_[i]));
  }
}

std::vector<double> ZeroShot::operator()(std::span<const std::span<const float>> logits) const {
  if (!are_independent_) {
    std::vector<float> entailments;
    for (const std::span<const float> row : logits) entailments.push_back(row[entailment_]);
    return softmax(entailments);
  }
  std::vector<double> out;
  for (const std::span<const float> row : logits) {
    const std::array<float, 2> pair{row[contradiction_], row[entailment_]};
    out.push_back(softmax(pair)[1]);
  }
  return out;
}

}  // namespace tessera
