// SPDX-License-Identifier: Apache-2.0
// What a classification head's logits say, as its published files have it.
//
//   one label per input (the default)    p = softmax(logits)
//   several labels per input             p_i = 1/(1 + exp(-logit_i))      problem_type
//                                                                         multi_label_classification
//   one logit (rerankers)                score = 1/(1 + exp(-logit)), or the activation that
//                                        config.json names (Package::score_activation)
//   regression                           the logits themselves            problem_type regression
//   several, with such an activation     value_i = activation(logit_i)
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "models/package.hpp"

namespace tessera {

class Scoring {
 public:
  enum class Kind : std::uint8_t { softmax, sigmoid, score, regression, activated };

  /// `width`: logits of an input.
  Scoring(const models::Package& package, Index width);

  Kind kind() const noexcept { return kind_; }
  /// Several labels may hold, or none.
  bool has_independent_labels() const noexcept {
    return kind_ == Kind::sigmoid || kind_ == Kind::regression;
  }
  /// No probabilities.
  bool gives_values() const noexcept {
    return kind_ == Kind::regression || kind_ == Kind::activated;
  }
  /// A number per label, of one row of logits.
  std::vector<double> operator()(std::span<const float> logits) const;

 private:
  Kind kind_;
  Activation activation_;  // of score and activated
};

}  // namespace tessera
