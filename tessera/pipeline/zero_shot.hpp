// SPDX-License-Identifier: Apache-2.0
//
// Labels that no one trained: a model of natural language inference is asked whether "This example is
// {label}." follows from the text. transformers 4.57, pipelines/zero_shot_classification.py.
//
//   one of the labels holds    p = softmax over the labels of the logit of entailment
//   several may hold           p_i = softmax of (contradiction, entailment), label by label; also of
//                              one label
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/package.hpp"
#include "runtime/base/tensor_view.hpp"

namespace tessera {

class ZeroShot {
 public:
  static constexpr const char* kTemplate = "This example is {}.";

  /// Throws Error: unsupported_model for a model without a label that begins with "entail"; says
  /// which it has; invalid_argument for no labels, an empty one or one that is there twice, and a
  /// template that has not "{}" once.
  ZeroShot(const models::Package& package, std::vector<std::string> labels,
           std::string_view hypothesis, bool are_independent);

  const std::vector<std::string>& labels() const noexcept { return labels_; }
  /// The second text of label number i, the text itself being the first.
  const std::vector<std::string>& hypotheses() const noexcept { return hypotheses_; }

  /// A probability per label, of the logits (labels, classes) of a text with each hypothesis.
  std::vector<double> operator()(std::span<const std::span<const float>> logits) const;

 private:
  std::vector<std::string> labels_, hypotheses_;
  std::size_t entailment_, contradiction_;
  bool are_independent_;
};

}  // namespace tessera
