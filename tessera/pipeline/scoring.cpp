// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/scoring.hpp"

#include <algorithm>
#include <cmath>

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

Scoring::Kind kind_of(const models::Package& package, Index width) {
  using Kind = Scoring::Kind;
  if (width == 1 && package.score_activation) return Kind::score;
  if (package.score_activation) {
    return package.score_activation == Activation::sigmoid ? Kind::sigmoid : Kind::activated;
  }
  if (package.problem_type == "regression") return Kind::regression;
  if (package.problem_type == "multi_label_classification") return Kind::sigmoid;
  return width == 1 ? Kind::score : Kind::softmax;
}

}  // namespace

Scoring::Scoring(const models::Package& package, Index width)
    : kind_(kind_of(package, width)),
      activation_(package.score_activation.value_or(Activation::sigmoid)) {}

std::vector<double> Scoring::operator()(std::span<const float> logits) const {
  if (kind_ == Kind::softmax) return softmax(logits);
  std::vector<double> scores(logits.begin(), logits.end());
  if (kind_ == Kind::regression) return scores;
  const Activation activation = kind_ == Kind::sigmoid ? Activation::sigmoid : activation_;
  for (double& score : scores) score = apply(activation, score);
  return scores;
}

}  // namespace tessera
