// SPDX-License-Identifier: Apache-2.0
// Labels that are asked for: which logits count, and what is refused.
#include "tessera/pipeline/zero_shot.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "runtime/base/error.hpp"

namespace tessera {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

models::Package package_of(std::vector<std::string> labels) {
  models::Package package;
  package.architecture = "BertForSequenceClassification";
  package.task = models::Task::sequence_classification;
  package.labels = std::move(labels);
  return package;
}

std::vector<double> scores(const models::Package& package, bool are_independent,
                           const std::vector<std::vector<float>>& logits) {
  std::vector<std::string> labels;
  std::vector<std::span<const float>> rows;
  for (const auto& row : logits) {
    labels.push_back(std::string(1, static_cast<char>('a' + labels.size())));
    rows.emplace_back(row);
  }
  return ZeroShot(package, labels, ZeroShot::kTemplate, are_independent)(rows);
}

double sigmoid_of(double x) {
  return 1.0 / (1.0 + std::exp(-x));
}

TEST(ZeroShotTest, OneLabelHoldsBySoftmaxOfTheEntailments) {
  const auto package = package_of({"contradiction", "neutral", "Entailment"});
  const std::vector<double> p = scores(package, false, {{9, 0, 1}, {-5, 3, 2}, {0, 0, 0}});
  const double sum = std::exp(1.0) + std::exp(2.0) + 1.0;
  EXPECT_NEAR(p[0], std::exp(1.0) / sum, 1e-12);
  EXPECT_NEAR(p[1], std::exp(2.0) / sum, 1e-12);
  EXPECT_NEAR(p[2], 1.0 / sum, 1e-12);
}

TEST(ZeroShotTest, SeveralLabelsEachAgainstItsContradiction) {
  const auto package = package_of({"contradiction", "neutral", "entailment"});
  const std::vector<double> p = scores(package, true, {{1, 50, 3}, {2, -50, -1}});
  EXPECT_NEAR(p[0], sigmoid_of(2.0), 1e-12) << "neutral does not count";
  EXPECT_NEAR(p[1], sigmoid_of(-3.0), 1e-12);
}

TEST(ZeroShotTest, OneLabelByItselfIsAskedForAsOneOfSeveral) {
  EXPECT_NEAR(scores(package_of({"contradiction", "entailment"}), false, {{1, 3}})[0],
              sigmoid_of(2.0), 1e-12);
}

TEST(ZeroShotTest, WhereEntailmentComesFirstTheLastIsTheContradiction) {
  const auto package = package_of({"entailment", "neutral", "contradiction"});
  EXPECT_NEAR(scores(package, true, {{3, 70, 1}})[0], sigmoid_of(2.0), 1e-12);
  EXPECT_NEAR(scores(package_of({"entailment", "not_entailment"}), true, {{3, 1}})[0],
              sigmoid_of(2.0), 1e-12);
}

TEST(ZeroShotTest, TheLabelTakesItsPlaceInTheHypothesis) {
  const auto package = package_of({"contradiction", "entailment"});
  EXPECT_THAT(ZeroShot(package, {"tea", "a {}"}, "About {}?", false).hypotheses(),
              ElementsAre("About tea?", "About a {}?"));
}

std::string refusal(const models::Package& package, std::vector<std::string> labels,
                    std::string_view hypothesis, ErrorCode code) {
  try {
    ZeroShot(package, std::move(labels), hypothesis, false);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code);
    return error.what();
  }
  return "none";
}

TEST(ZeroShotTest, SaysWhatItCannotAskFor) {
  const auto package = package_of({"contradiction", "entailment"});
  const auto bad = ErrorCode::invalid_argument;
  EXPECT_THAT(refusal(package, {"a"}, "About it.", bad),
              HasSubstr("got \"About it.\", expected {} once"));
  EXPECT_THAT(refusal(package, {"a"}, "{} and {}", bad), HasSubstr("expected {} once"));
  EXPECT_THAT(refusal(package, {}, "{}", bad), HasSubstr("got none"));
  EXPECT_THAT(refusal(package, {"a", ""}, "{}", bad), HasSubstr("number 2 is empty"));
  EXPECT_THAT(refusal(package, {"a", "b", "a"}, "{}", bad), HasSubstr("got \"a\" twice"));
  const auto other = ErrorCode::unsupported_model;
  EXPECT_THAT(
      refusal(package_of({"joy", "anger"}), {"a"}, "{}", other),
      HasSubstr("got the labels joy, anger, expected a model of natural language inference"));
  EXPECT_THAT(refusal(package_of({"entailment"}), {"a"}, "{}", other), HasSubstr("expected"));
  auto tokens = package_of({"contradiction", "entailment"});
  tokens.task = models::Task::token_classification;
  EXPECT_THAT(refusal(tokens, {"a"}, "{}", other), HasSubstr("no class for sequences"));
}

}  // namespace
}  // namespace tessera
