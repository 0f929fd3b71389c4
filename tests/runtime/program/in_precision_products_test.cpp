// SPDX-License-Identifier: Apache-2.0
// Products that no linear computes, in other precisions: experts, patches, convolutions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/gemm/gemm.hpp"
#include "runtime/base/error.hpp"
#include "runtime/program/rewrites.hpp"

namespace tessera {
namespace {

using testing::HasSubstr;

/// tokens → norm; its experts added to it, → out.
struct WithExperts {
  explicit WithExperts(Index F = 6) {
    p.inputs = TokenSpec{.vocab_size = 9, .max_tokens = 8};
    const auto parameter = [&](const std::string& name, ParameterKind kind, Index rows,
                               Index cols) {
      return p.add_parameter(
          {.name = name, .kind = kind, .rows = rows, .cols = cols, .sources = {{name, rows}}});
    };
    const auto matrix = [&](const std::string& name, Index rows, Index cols) {
      return parameter(name, ParameterKind::matrix, rows, cols);
    };
    const ValueId e = p.add_value("e", kTokens, 4), x = p.add_value("x", kTokens, 4),
                  scores = p.add_value("scores", kTokens, 2), y = p.add_value("y", kTokens, 4),
                  sum = p.add_value("sum", kTokens, 4);
    ExpertsOp experts{.in = x, .scores = scores, .up = {}, .down = {}, .out = y};
    for (const char* each : {"0", "1"}) {
      experts.up.push_back(matrix(std::string("up.") + each, F, 4));
      experts.down.push_back(matrix(std::string("down.") + each, 4, F));
    }
    p.ops = {
        EmbeddingOp{.terms = {{parameter("table", ParameterKind::table, 9, 4), TokenInput::ids}},
                    .out = e},
        LayerNormOp{.in = e,
                    .gamma = parameter("gamma", ParameterKind::vector, 4, 1),
                    .beta = parameter("beta", ParameterKind::vector, 4, 1),
                    .eps = 1e-5F,
                    .out = x},
        LinearOp{.in = x, .weight = matrix("router", 2, 4), .out = scores}, experts,
        AddOp{.a = x, .b = y, .out = sum}};
    p.outputs = {{"sum", sum}};
    check(p);
  }
  Program p;
};

const ExpertsOp& experts_of(const Program& program) {
  for (const Op& op : program.ops) {
    if (const auto* experts = std::get_if<ExpertsOp>(&op)) return *experts;
  }
  throw std::out_of_range("no experts");
}

/// Of all its matrices, which are alike.
Precision precision_of(const Program& program, const ExpertsOp& experts) {
  const Precision first = program.parameters[at(experts.up[0])].precision;
  for (const auto* matrices : {&experts.up, &experts.down}) {
    for (const ParameterId id : *matrices) EXPECT_EQ(program.parameters[at(id)].precision, first);
  }
  return first;
}

TEST(InPrecisionProductsTest, ExpertsMultiplyTheRoundedRowsAndWhatChoosesThemIsF32) {
  const WithExperts model;
  for (const auto& [precision, in, type] :
       {std::tuple{Precision::bf16, "x.bf16", DType::bf16}, {Precision::s8, "x.s8", DType::s8}}) {
    const Program changed = in_precision(model.p, {.precision = precision});
    check(changed);
    const ExpertsOp& experts = experts_of(changed);
    EXPECT_EQ(precision_of(changed, experts), precision);
    EXPECT_EQ(changed.values[at(experts.in)].name, in);
    EXPECT_EQ(changed.values[at(experts.in)].type, type);
    EXPECT_EQ(changed.values[at(experts.out)].type, DType::f32);
    for (const Op& op : changed.ops) {
      const auto* router = std::get_if<LinearOp>(&op);
      if (router == nullptr) continue;
      EXPECT_EQ(changed.parameters[at(router->weight)].precision, Precision::f32);
      EXPECT_EQ(changed.values[at(router->in)].name, "x");
    }
  }
}

TEST(InPrecisionProductsTest, FactorsAreOfTheFirstMatricesOfAllExperts) {
  const Program whole = in_precision(WithExperts().p, {.precision = Precision::s8});
  const ExpertsOp& experts = experts_of(whole);
  const ParameterId factors = whole.parameters[at(experts.up[0])].input_factors;
  ASSERT_NE(factors, kNone);
  EXPECT_EQ(whole.parameters[at(factors)].made_of.matrices, experts.up);
  EXPECT_EQ(whole.parameters[at(factors)].made_of.norms.size(), 1U);
  for (const ParameterId id : experts.up)
    EXPECT_EQ(whole.parameters[at(id)].input_factors, factors);
  for (const ParameterId id : experts.down)
    EXPECT_EQ(whole.parameters[at(id)].input_factors, kNone);
  Program other = whole;
  other.parameters[at(experts.down[1])].input_factors = factors;
  EXPECT_THROW(check(other), Error);
}

TEST(InPrecisionProductsTest, OneExpertThatIsKeptKeepsAll) {
  const std::vector<std::string> keep{"down.1"};
  for (const bool level_has : {false, true}) {
    const Program whole = in_precision(
        WithExperts().p, {.precision = Precision::s8, .attention = level_has, .keep = keep});
    check(whole);
    const ExpertsOp& experts = experts_of(whole);
    EXPECT_EQ(precision_of(whole, experts), level_has ? Precision::bf16 : Precision::f32);
    EXPECT_EQ(whole.values[at(experts.in)].name, level_has ? "x.bf16" : "x");
  }
}

TEST(InPrecisionProductsTest, ExpertsOfSeveralPrecisionsAreNoProgram) {
  Program half = in_precision(WithExperts().p, {.precision = Precision::bf16});
  half.parameters[at(experts_of(half).down[0])].precision = Precision::f32;
  try {
    check(half);
    FAIL() << "accepted";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("has experts of several precisions"));
  }
}

TEST(InPrecisionProductsTest, SumsOfExpertsThatMayLeave32BitsAreRefused) {
  const Index most = kernels::kMostIntegerDepth;
  EXPECT_NO_THROW(check(in_precision(WithExperts(most).p, {.precision = Precision::s8})));
  try {
    (void)in_precision(WithExperts(most + 1).p, {.precision = Precision::s8});
    FAIL() << "accepted";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("\"down.0\": a sum of 65537 products"));
  }
}

/// Patches of 8 x 8 x `channels`, and a convolution of `taps` over their rows.
Program gathered(Index channels, Index taps) {
  Program p;
  const ImageSpec images{
      .channels = channels, .height = 16, .width = 16, .patch_height = 8, .patch_width = 8};
  p.inputs = images;
  const auto matrix = [&](const char* name, Index rows, Index cols) {
    return p.add_parameter({.name = name,
                            .kind = ParameterKind::matrix,
                            .rows = rows,
                            .cols = cols,
                            .sources = {{name, rows}}});
  };
  const ValueId x = p.add_value("x", kTokens, 16), y = p.add_value("y", kTokens, 4);
  p.ops = {PatchEmbedOp{.weight = matrix("patches", 16, images.patch_elements()), .out = x},
           ConvolutionOp{.in = x, .weight = matrix("taps", 4, 16 * taps), .taps = taps, .out = y}};
  p.outputs = {{"y", y}};
  check(p);
  return p;
}

TEST(InPrecisionProductsTest, WhatIsGatheredIsRoundedUnlessItIsFew) {
  const auto precisions = [](const Program& p, const PrecisionRewrite& rewrite) {
    const Program changed = in_precision(p, rewrite);
    check(changed);
    EXPECT_EQ(changed.ops.size(), p.ops.size());  // no narrow op: rows are rounded as they come
    return std::pair{changed.parameters[0].precision, changed.parameters[1].precision};
  };
  const PrecisionRewrite half{.precision = Precision::bf16}, whole{.precision = Precision::s8},
      mixed{.precision = Precision::s8, .attention = true};
  EXPECT_EQ(precisions(gathered(1, 5), half), (std::pair{Precision::bf16, Precision::bf16}));
  EXPECT_EQ(precisions(gathered(1, 3), half), (std::pair{Precision::bf16, Precision::f32}));
  EXPECT_EQ(precisions(gathered(1, 5), mixed), (std::pair{Precision::bf16, Precision::bf16}));
  EXPECT_EQ(precisions(gathered(1, 5), whole), (std::pair{Precision::f32, Precision::f32}));
  Program refused = gathered(1, 5);
  for (Parameter& weight : refused.parameters) {
    weight.precision = Precision::s8;
    EXPECT_THROW(check(refused), Error);
    weight.precision = Precision::f32;
  }
}

}  // namespace
}  // namespace tessera
