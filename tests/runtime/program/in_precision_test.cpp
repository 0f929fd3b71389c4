// SPDX-License-Identifier: Apache-2.0
// Which linears become bf16, and where their operands come from.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/base/error.hpp"
#include "runtime/program/rewrites.hpp"
#include "tests/runtime/tiny_model.hpp"

namespace tessera {
namespace {

using testing::HasSubstr;

std::size_t count(const Program& program, const char* name) {
  std::size_t n = 0;
  for (const Op& op : program.ops) n += std::string_view(name_of(op)) == name ? 1U : 0U;
  return n;
}

const LinearOp& linear_of(const Program& program, std::string_view out) {
  for (const Op& op : program.ops) {
    const auto* linear = std::get_if<LinearOp>(&op);
    if (linear != nullptr && program.values[at(linear->out)].name == out) return *linear;
  }
  throw std::out_of_range(std::string(out));
}

ParameterId parameter(Program& p, ParameterKind kind, const char* name, Index rows, Index cols) {
  return p.add_parameter(
      {.name = name, .kind = kind, .rows = rows, .cols = cols, .sources = {{name, rows}}});
}
ParameterId matrix(Program& p, const char* name, Index rows, Index cols) {
  return parameter(p, ParameterKind::matrix, name, rows, cols);
}
/// Of nine tokens.
ParameterId table(Program& p, Index width) {
  return parameter(p, ParameterKind::table, "table", 9, width);
}

/// tokens → norm → up → GELU → down + norm's result → logits; a pooled row → its own linear.
struct Small {
  Small() {
    p.inputs = TokenSpec{.vocab_size = 9, .max_tokens = 8};
    const auto vector = [&](const char* name, Index n) {
      return p.add_parameter({.name = name, .rows = n, .sources = {{name, n}}});
    };
    e = p.add_value("e", kTokens, 4);
    x = p.add_value("x", kTokens, 4);
    up = p.add_value("up", kTokens, 6);
    down = p.add_value("down", kTokens, 4);
    logits = p.add_value("logits", kTokens, 3);
    pooled = p.add_value("pooled", kSequences, 4);
    label = p.add_value("label", kSequences, 2);
    p.ops = {
        EmbeddingOp{.terms = {{table(p, 4), TokenInput::ids}}, .out = e},
        LayerNormOp{.in = e,
                    .gamma = vector("gamma", 4),
                    .beta = vector("beta", 4),
                    .eps = 1e-5F,
                    .out = x},
        LinearOp{.in = x,
                 .weight = matrix(p, "up.weight", 6, 4),
                 .out = up,
                 .activation = Activation::gelu_erf},
        LinearOp{.in = up, .weight = matrix(p, "down.weight", 4, 6), .out = down, .residual = x},
        LinearOp{.in = down, .weight = matrix(p, "logits.weight", 3, 4), .out = logits},
        PoolOp{.pooling = Pooling::first, .in = down, .out = pooled},
        LinearOp{.in = pooled, .weight = matrix(p, "label.weight", 2, 4), .out = label}};
    p.outputs = {{"logits", logits}, {"label", label}};
  }
  Program p;
  ValueId e, x, up, down, logits, pooled, label;
};

TEST(InPrecisionTest, LinearsOverTokensBecomeBf16AndAnswersStay) {
  const Small small;
  const Program half = in_precision(small.p, {.precision = Precision::bf16});
  check(half);
  // up reads the rounded norm; its result is rounded where it is written; down adds in f32.
  EXPECT_EQ(half.values[at(linear_of(half, "up").in)].name, "x.bf16");
  EXPECT_EQ(half.values[at(linear_of(half, "up").out)].type, DType::bf16);
  EXPECT_EQ(half.values[at(linear_of(half, "down").in)].name, "up");
  EXPECT_EQ(half.values[at(linear_of(half, "down").residual)].name, "x");
  EXPECT_EQ(half.values[at(linear_of(half, "down").out)].type, DType::f32);
  EXPECT_EQ(count(half, "narrow"), 1U);
  for (const char* name : {"logits", "label"}) {
    const LinearOp& answer = linear_of(half, name);
    EXPECT_EQ(half.parameters[at(answer.weight)].precision, Precision::f32) << name;
  }
  EXPECT_EQ(half.ops.size(), small.p.ops.size() + 1);
}

TEST(InPrecisionTest, Fp32IsTheProgramAsItIs) {
  const Small small;
  EXPECT_EQ(to_string(in_precision(small.p, {.precision = Precision::f32})), to_string(small.p));
}

// A linear over sequences is computed in f32, and with it every linear that shares its matrix; what
// such a linear writes for others may be bf16 all the same.
TEST(InPrecisionTest, AMatrixThatALinearOverSequencesUsesStays) {
  Small small;
  auto& label = std::get<LinearOp>(small.p.ops[6]);
  label.weight = linear_of(small.p, "up").weight;
  small.p.values[at(small.label)].width = 6;
  const Program half = in_precision(small.p, {.precision = Precision::bf16});
  check(half);
  EXPECT_EQ(half.parameters[at(linear_of(half, "up").weight)].precision, Precision::f32);
  EXPECT_EQ(half.values[at(linear_of(half, "up").in)].name, "x");
  EXPECT_EQ(half.values[at(linear_of(half, "up").out)].type, DType::bf16);
  EXPECT_EQ(half.parameters[at(linear_of(half, "down").weight)].precision, Precision::bf16);
  EXPECT_EQ(count(half, "narrow"), 0U);
}

// Asking for a value that others read, too, changes nothing of what it is.
TEST(InPrecisionTest, AnOutputThatIsReadIsNoAnswer) {
  Small small;
  small.p.outputs.push_back({"hidden", small.up});
  const Program half = in_precision(small.p, {.precision = Precision::bf16});
  check(half);
  EXPECT_EQ(half.parameters[at(linear_of(half, "up").weight)].precision, Precision::bf16);
  EXPECT_EQ(half.values[at(linear_of(half, "up").out)].type, DType::f32);
  EXPECT_EQ(half.values[at(linear_of(half, "down").in)].name, "up.bf16");
}

// A linear's result that one linear multiplies and another adds has both forms.
TEST(InPrecisionTest, AResultThatIsAddedIsF32) {
  Small small;
  const ValueId sum = small.p.add_value("sum", kTokens, 6);
  LinearOp last{.in = small.down,
                .weight = linear_of(small.p, "logits").weight,
                .out = sum,
                .residual = small.up};
  small.p.parameters[at(last.weight)].rows = 6;
  small.p.parameters[at(last.weight)].sources[0].rows = 6;
  small.p.ops[4] = last;
  small.p.outputs[0] = {"sum", sum};
  check(small.p);
  const Program half = in_precision(small.p, {.precision = Precision::bf16});
  check(half);
  EXPECT_EQ(half.values[at(linear_of(half, "sum").residual)].name, "up");
  EXPECT_EQ(half.values[at(linear_of(half, "up").out)].type, DType::f32);
  EXPECT_EQ(half.values[at(linear_of(half, "down").in)].name, "up.bf16");
}

/// tokens → QKV → attention → out; `also` reads the context, too.
struct WithAttention {
  explicit WithAttention(Index head_dim, bool also_in_f32 = false) {
    const Index H = 2 * head_dim;
    p.inputs = TokenSpec{.vocab_size = 9, .max_tokens = 8};
    const ValueId e = p.add_value("e", kTokens, H), qkv = p.add_value("qkv", kTokens, 3 * H),
                  context = p.add_value("context", kTokens, H), x = p.add_value("x", kTokens, H),
                  pooled = p.add_value("pooled", kSequences, H);
    p.ops = {
        EmbeddingOp{.terms = {{table(p, H), TokenInput::ids}}, .out = e},
        LinearOp{.in = e, .weight = matrix(p, "qkv.weight", 3 * H, H), .out = qkv},
        self_attention(qkv, context, 2, head_dim, 1.0F),
        LinearOp{.in = context, .weight = matrix(p, "x.weight", H, H), .out = x, .residual = e},
        PoolOp{.pooling = Pooling::mean, .in = also_in_f32 ? context : x, .out = pooled}};
    p.outputs = {{"pooled", pooled}, {"x", x}};
    check(p);
  }
  Program p;
};

const AttentionOp& attention_of(const Program& program) {
  for (const Op& op : program.ops) {
    if (const auto* attention = std::get_if<AttentionOp>(&op)) return *attention;
  }
  throw std::out_of_range("no attention");
}

TEST(InPrecisionTest, AttentionBetweenLinearsReadsAndWritesBf16) {
  const WithAttention model(4);
  const Program half = in_precision(model.p, {.precision = Precision::bf16, .attention = true});
  check(half);
  EXPECT_EQ(attention_of(half).precision, Precision::bf16);
  EXPECT_EQ(half.values[at(attention_of(half).q.value)].name, "qkv");
  EXPECT_EQ(half.values[at(linear_of(half, "qkv").out)].type, DType::bf16);
  EXPECT_EQ(half.values[at(attention_of(half).out)].type, DType::bf16);
  EXPECT_EQ(linear_of(half, "x").in, attention_of(half).out);
  EXPECT_EQ(count(half, "narrow"), 1U);  // of e
}

TEST(InPrecisionTest, AttentionStaysWhereTheLevelHasNoneOrItsResultIsReadAsF32OrHeadsAreOdd) {
  const WithAttention even(4), read(4, true), odd(3);
  for (const auto& [program, level_has] :
       {std::pair{&even.p, false}, {&read.p, true}, {&odd.p, true}}) {
    const Program half =
        in_precision(*program, {.precision = Precision::bf16, .attention = level_has});
    check(half);
    EXPECT_EQ(attention_of(half).precision, Precision::f32);
    EXPECT_EQ(half.values[at(attention_of(half).q.value)].type, DType::f32);
    EXPECT_EQ(half.values[at(linear_of(half, "x").in)].name, "context.bf16");
  }
}

TEST(InPrecisionTest, CheckRefusesAttentionOfMixedTypes) {
  Program half =
      in_precision(WithAttention(4).p, {.precision = Precision::bf16, .attention = true});
  for (Op& op : half.ops) {
    if (auto* attention = std::get_if<AttentionOp>(&op)) attention->precision = Precision::f32;
  }
  EXPECT_THROW(check(half), Error);
}

TEST(InPrecisionTest, AMatrixThatAnAnswerSharesStays) {
  Small small;
  std::get<LinearOp>(small.p.ops[4]).weight = linear_of(small.p, "up").weight;
  small.p.values[at(small.logits)].width = 6;
  const Program half = in_precision(small.p, {.precision = Precision::bf16});
  check(half);
  EXPECT_EQ(half.parameters[at(linear_of(half, "up").weight)].precision, Precision::f32);
  EXPECT_EQ(half.parameters[at(linear_of(half, "down").weight)].precision, Precision::bf16);
}

TEST(InPrecisionTest, CheckNamesWhatDoesNotFit) {
  const Small small;
  const auto refused = [](const Program& p) -> std::string {
    try {
      check(p);
    } catch (const Error& e) {
      return e.what();
    }
    return "accepted";
  };
  Program p = in_precision(small.p, {.precision = Precision::bf16});
  p.parameters[at(linear_of(p, "up").weight)].precision = Precision::f32;
  EXPECT_THAT(refused(p), HasSubstr("another type than its weight's precision"));
  p = small.p;
  p.values[at(small.e)].type = DType::bf16;
  EXPECT_THAT(refused(p), HasSubstr("not f32"));
  p = small.p;
  p.values[at(small.label)].type = DType::bf16;
  EXPECT_THAT(refused(p), HasSubstr("an output is not f32"));
  p = small.p;
  p.values[at(small.e)].type = DType::f16;
  EXPECT_THAT(refused(p), HasSubstr("f32 or bf16"));
}

TEST(InPrecisionTest, AnEncoderKeepsItsResidualStreamAndNorms) {
  const test::TinyModel tiny{test::TinyShape{}};
  const Program fused = fuse_epilogues(tiny.program());
  const Program half = in_precision(fused, {.precision = Precision::bf16});
  check(half);
  for (const Op& op : half.ops) {
    const auto* linear = std::get_if<LinearOp>(&op);
    if (linear == nullptr || half.values[at(linear->out)].space == kSequences) continue;
    EXPECT_EQ(half.parameters[at(linear->weight)].precision, Precision::bf16)
        << half.values[at(linear->out)].name;
  }
  for (const Output& output : half.outputs) {
    EXPECT_EQ(half.values[at(output.value)].type, DType::f32);
  }
}

// ---- Whole numbers ------------------------------------------------------------------------------

constexpr PrecisionRewrite kWholeNumbers{.precision = Precision::s8};

TEST(InPrecisionTest, LinearsOverTokensReadWholeNumbersAndWriteF32) {
  const Small small;
  for (const DType quantized : {DType::s8, DType::s16}) {
    const Program whole =
        in_precision(small.p, {.precision = Precision::s8, .quantized = quantized});
    check(whole);
    for (const auto& [name, in] : {std::pair{"up", "x.s8"}, {"down", "up.s8"}}) {
      const LinearOp& linear = linear_of(whole, name);
      EXPECT_EQ(whole.parameters[at(linear.weight)].precision, Precision::s8) << name;
      EXPECT_EQ(whole.values[at(linear.in)].name, in);
      EXPECT_EQ(whole.values[at(linear.in)].type, quantized);
      EXPECT_EQ(whole.values[at(linear.out)].type, DType::f32) << "its row is not whole yet";
    }
    EXPECT_EQ(whole.values[at(linear_of(whole, "down").residual)].name, "x");
    EXPECT_EQ(count(whole, "narrow"), 2U);
    EXPECT_EQ(whole.parameters[at(linear_of(whole, "logits").weight)].precision, Precision::f32);
  }
}

TEST(InPrecisionTest, AroundWholeNumbersAttentionIsBf16WhereTheLevelHasIt) {
  const WithAttention model(4);
  for (const bool level_has : {false, true}) {
    const Program whole =
        in_precision(model.p, {.precision = Precision::s8, .attention = level_has});
    check(whole);
    EXPECT_EQ(attention_of(whole).precision, level_has ? Precision::bf16 : Precision::f32);
    EXPECT_EQ(whole.values[at(attention_of(whole).out)].type, level_has ? DType::bf16 : DType::f32);
    EXPECT_EQ(whole.values[at(linear_of(whole, "x").in)].name, "context.s8");
    EXPECT_EQ(whole.parameters[at(linear_of(whole, "qkv").weight)].precision, Precision::s8);
  }
}

TEST(InPrecisionTest, WeightsThatAreKeptAreBf16WhereTheLevelHasAttentionInItElseF32) {
  const Small small;
  const std::vector<std::string> keep{"down.weight"};
  for (const bool level_has : {false, true}) {
    const Program whole =
        in_precision(small.p, {.precision = Precision::s8, .attention = level_has, .keep = keep});
    check(whole);
    EXPECT_EQ(whole.parameters[at(linear_of(whole, "down").weight)].precision,
              level_has ? Precision::bf16 : Precision::f32);
    EXPECT_EQ(whole.parameters[at(linear_of(whole, "up").weight)].precision, Precision::s8);
    EXPECT_EQ(whole.values[at(linear_of(whole, "up").out)].type,
              level_has ? DType::bf16 : DType::f32);
  }
  const std::vector<std::string> unknown{"up.weight", "label.weight"};
  try {
    (void)in_precision(small.p, {.precision = Precision::s8, .keep = unknown});
    FAIL() << "accepted";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("no linear over tokens has the weight \"label.weight\""));
  }
}

const NarrowOp& narrow_of(const Program& program, std::string_view in) {
  for (const Op& op : program.ops) {
    const auto* narrow = std::get_if<NarrowOp>(&op);
    if (narrow != nullptr && program.values[at(narrow->in)].name == in) return *narrow;
  }
  throw std::out_of_range(std::string(in));
}

TEST(InPrecisionTest, QuantisedValuesHaveFactorsOfTheirNormAndOfWhatReadsThem) {
  const Small small;
  const Program whole = in_precision(small.p, kWholeNumbers);
  for (const auto& [value, linear] : {std::pair{"x", "up"}, {"up", "down"}}) {
    const ParameterId factors = narrow_of(whole, value).factors;
    ASSERT_NE(factors, kNone);
    const Parameter& p = whole.parameters[at(factors)];
    const ParameterId matrix = linear_of(whole, linear).weight;
    EXPECT_EQ(p.kind, ParameterKind::factors);
    EXPECT_EQ(p.rows, whole.parameters[at(matrix)].cols);
    EXPECT_EQ(p.made_of.matrices, std::vector{matrix});
    EXPECT_EQ(whole.parameters[at(matrix)].input_factors, factors);
    ASSERT_EQ(p.made_of.norms.size(), value == std::string_view("x") ? 1U : 0U);
    if (p.made_of.norms.empty()) continue;
    EXPECT_EQ(whole.parameters[at(p.made_of.norms[0].gamma)].name, "gamma");
    EXPECT_EQ(whole.parameters[at(p.made_of.norms[0].beta)].name, "beta");
  }
  const std::vector<std::string> label{"logits"};
  EXPECT_NO_THROW(check(keep_outputs(whole, label)));  // ids are those of what is left
}

TEST(InPrecisionTest, ValuesThatShareAMatrixShareFactors) {
  Small small;
  auto& up = std::get<LinearOp>(small.p.ops[2]);
  auto& down = std::get<LinearOp>(small.p.ops[3]);
  small.p.values[at(small.up)].width = 4;
  small.p.parameters[at(up.weight)].rows = small.p.parameters[at(up.weight)].sources[0].rows = 4;
  down.weight = up.weight;
  const Program whole = in_precision(small.p, kWholeNumbers);
  check(whole);
  const ParameterId factors = narrow_of(whole, "x").factors;
  EXPECT_EQ(narrow_of(whole, "up").factors, factors);
  EXPECT_EQ(whole.parameters[at(factors)].made_of.matrices.size(), 1U);
  EXPECT_EQ(whole.parameters[at(factors)].made_of.norms.size(), 1U);
}

TEST(InPrecisionTest, ALinearForOtherFactorsThanItsInputHasIsNoProgram) {
  const Small small;
  Program whole = in_precision(small.p, kWholeNumbers);
  whole.parameters[at(linear_of(whole, "down").weight)].input_factors =
      narrow_of(whole, "x").factors;
  EXPECT_THROW(check(whole), Error);
}

TEST(InPrecisionTest, SumsThatMayLeave32BitsAreRefused) {
  for (const Index width : {kernels::kMostIntegerDepth, kernels::kMostIntegerDepth + 1}) {
    Small small;
    small.p.values[at(small.up)].width = width;
    for (const char* name : {"up", "down"}) {
      Parameter& w = small.p.parameters[at(linear_of(small.p, name).weight)];
      (name[0] == 'u' ? w.rows : w.cols) = width;
      if (name[0] == 'u') w.sources[0].rows = width;
    }
    if (width == kernels::kMostIntegerDepth) {
      EXPECT_NO_THROW(check(in_precision(small.p, kWholeNumbers)));
      continue;
    }
    try {
      (void)in_precision(small.p, kWholeNumbers);
      FAIL() << "accepted";
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), HasSubstr("\"down.weight\": a sum of 65537 products"));
    }
  }
}

}  // namespace
}  // namespace tessera
