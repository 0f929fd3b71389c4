// SPDX-License-Identifier: Apache-2.0
#include "runtime/program/program.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "runtime/base/error.hpp"
#include "runtime/program/rewrites.hpp"
#include "tests/runtime/tiny_model.hpp"

namespace tessera {
namespace {

std::vector<std::string> names(const Program& program) {
  std::vector<std::string> list;
  for (const Op& op : program.ops) list.emplace_back(name_of(op));
  return list;
}

TEST(ProgramTest, EpiloguesAreFusedWhereTheValueBetweenHasNoOtherReader) {
  const test::TinyModel tiny{test::TinyShape{}};
  const std::vector<std::string> wanted{"last_hidden_state"};
  const Program fused = fuse_epilogues(keep_outputs(tiny.program(), wanted));
  check(fused);
  EXPECT_THAT(names(fused), testing::ElementsAre("embedding", "layer_norm", "linear", "attention",
                                                 "linear", "linear", "linear"));
  EXPECT_EQ(std::get<LinearOp>(fused.ops[5]).activation, Activation::gelu_erf);
  for (const std::size_t i : {4U, 6U}) {
    EXPECT_NE(std::get<LinearOp>(fused.ops[i]).residual, kNone);
    EXPECT_TRUE(std::get<LinearOp>(fused.ops[i]).norm.has_value());
  }
}

TEST(ProgramTest, AResidualStreamIsAddedByTheLinear) {
  Program p;
  const ParameterId table = p.add_parameter({.name = "t",
                                             .kind = ParameterKind::table,
                                             .rows = 9,
                                             .cols = 8,
                                             .sources = {{"t", 9}},
                                             .gather = {}});
  const ParameterId weight = p.add_parameter({.name = "w",
                                              .kind = ParameterKind::matrix,
                                              .rows = 8,
                                              .cols = 8,
                                              .sources = {{"w", 8}},
                                              .gather = {}});
  const ValueId x = p.add_value("x", kTokens, 8), y = p.add_value("y", kTokens, 8),
                z = p.add_value("z", kTokens, 8);
  p.ops.emplace_back(EmbeddingOp{.terms = {{table, TokenInput::ids}}, .out = x});
  p.ops.emplace_back(LinearOp{.in = x, .weight = weight, .out = y});
  p.ops.emplace_back(AddOp{.a = x, .b = y, .out = z});
  p.outputs = {{"z", z}};
  Program fused = fuse_epilogues(p);
  check(fused);
  ASSERT_THAT(names(fused), testing::ElementsAre("embedding", "linear"));
  EXPECT_NE(std::get<LinearOp>(fused.ops[1]).residual, kNone);
  p.outputs.push_back({"y", y});  // now the product itself is asked for
  fused = fuse_epilogues(p);
  check(fused);
  EXPECT_THAT(names(fused), testing::ElementsAre("embedding", "linear", "add"));
}

TEST(ProgramTest, UnneededOpsAndParametersGo) {
  const test::TinyModel tiny{test::TinyShape{}};
  const std::vector<std::string> wanted{"hidden_states.0"};
  const Program pruned = keep_outputs(tiny.program(), wanted);
  check(pruned);
  EXPECT_THAT(names(pruned), testing::ElementsAre("embedding", "layer_norm"));
  EXPECT_EQ(pruned.parameters.size(), 5U);
  EXPECT_EQ(keep_outputs(tiny.program(), wanted, KeepParameters::all).parameters.size(),
            tiny.program().parameters.size());
}

TEST(ProgramTest, UnknownOutputsAreNamedWithTheKnownOnes) {
  const test::TinyModel tiny{test::TinyShape{}};
  const std::vector<std::string> wanted{"logits"};
  try {
    (void)keep_outputs(tiny.program(), wanted);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::not_found);
    EXPECT_THAT(e.what(), testing::AllOf(testing::HasSubstr("\"logits\""),
                                         testing::HasSubstr("last_hidden_state")));
  }
}

TEST(ProgramTest, BrokenProgramsAreRefused) {
  const test::TinyModel tiny{test::TinyShape{}};
  const auto broken = [&](const std::function<void(Program&)>& edit) {
    Program p = tiny.program();
    edit(p);
    EXPECT_THROW(check(p), Error);
  };
  broken([](Program& p) { std::swap(p.ops[0], p.ops[1]); });               // read before written
  broken([](Program& p) { p.ops.push_back(p.ops[0]); });                   // written twice
  broken([](Program& p) { p.values[2].width += 1; });                      // widths disagree
  broken([](Program& p) { p.outputs[0].value = 1000; });                   // no such value
  broken([](Program& p) { std::get<LinearOp>(p.ops[2]).weight = 1000; });  // no such parameter
  broken([](Program& p) { std::get<AttentionOp>(p.ops[3]).heads = 2; });   // heads do not fit
}

TEST(ProgramTest, PrintsOneLinePerOp) {
  const test::TinyModel tiny{test::TinyShape{}};
  const std::string text = to_string(tiny.program());
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), std::ssize(tiny.program().ops));
  EXPECT_THAT(text, testing::HasSubstr(
                        "attention    context (tokens,24) = 3 heads of 8 over qkv (tokens,72)"));
}

}  // namespace
}  // namespace tessera
