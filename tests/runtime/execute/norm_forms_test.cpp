// SPDX-License-Identifier: Apache-2.0
//
// A norm that writes what a linear multiplies, bf16 or whole numbers, where nobody needs its rows in f32: the bits
// of the norm in f32 and a narrow op behind it.
#include <gtest/gtest.h>

#include "runtime/program/rewrites.hpp"
#include "tests/runtime/op_model.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/isa.hpp"

namespace tessera::test {
namespace {

constexpr Index kVocab = 60;

struct NormCase {
  Index H;
  bool has_residual, of_squares;
};

class NormFormsTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override { SKIP_UNLESS_SUPPORTED(GetParam()); }

  /// x + z is normalised, or x; y = norm · Wᵀ + x. Output "y", and "norm" where that is `shown`: in f32 then.
  static void build(OpModel& model, const NormCase& c, bool shown) {
    Program& program = model.program();
    program.inputs = TokenSpec{.vocab_size = kVocab, .max_tokens = kAnyLength};
    const auto table = [&](const char* name) {
      return model.add(name, kTokens, c.H,
                       EmbeddingOp{.terms = {{model.parameter(std::string(name) + ".table",
                                                              ParameterKind::table, kVocab, c.H),
                                              TokenInput::ids}},
                                   .out = kNone});
    };
    const ValueId x = table("x"), z = table("z");
    const ValueId norm =
        model.add("norm", kTokens, c.H,
                  LayerNormOp{.in = x,
                              .residual = c.has_residual ? z : kNone,
                              .gamma = model.parameter("gamma", ParameterKind::vector, c.H),
                              .beta = model.parameter("beta", ParameterKind::vector, c.H),
                              .eps = 1e-5F,
                              .out = kNone,
                              .of_squares = c.of_squares});
    model.values("gamma")[3] = 90.0F;  // factors that are not 1, of whole numbers
    if (!shown) program.outputs.pop_back();
    model.add("y", kTokens, c.H,
              LinearOp{.in = norm,
                       .weight = model.parameter("w", ParameterKind::matrix, c.H, c.H, 0.2F),
                       .out = kNone,
                       .residual = x});
  }
};
INSTANTIATE_FOR_ALL_ISAS(NormFormsTest);

TEST_P(NormFormsTest, HaveTheBitsOfTheNormRounded) {
  for (const NormCase& c : {NormCase{40, false, false}, NormCase{64, false, true},
                            NormCase{19, true, false}, NormCase{300, true, true}}) {
    OpModel own, apart;
    build(own, c, false);
    build(apart, c, true);
    for (const Precision precision : {Precision::bf16, Precision::s8}) {
      for (const int threads : {1, 3}) {
        const auto a = own.session(GetParam(), 150, 2, threads, precision),
                   b = apart.session(GetParam(), 150, 2, 1, precision);
        for (const Index rows : {1, 33, 150}) {
          std::vector<std::int32_t> ids;
          for (Index i = 0; i < rows; ++i) {
            ids.push_back(static_cast<std::int32_t>(i * 17 % kVocab));
          }
          const std::vector<std::int32_t> offsets{0, static_cast<std::int32_t>(rows)};
          a->run({.ids = ids, .offsets = offsets});
          b->run({.ids = ids, .offsets = offsets});
          for (Index i = 0; i < rows; ++i) {
            ASSERT_TRUE(bit_identical(a->output("y").row(i), b->output("y").row(i)))
                << "row " << i << " of " << rows << ", width " << c.H << ", "
                << to_string(precision);
          }
        }
      }
    }
  }
}

TEST(NormFormsProgramTest, ANormIsWhatItsOnlyReadersMultiply) {
  class Builder : public NormFormsTest {
   public:
    using NormFormsTest::build;
    void TestBody() override {}
  };
  const auto forms = [](bool shown, Precision precision) {
    OpModel model;
    Builder::build(model, {40, false, false}, shown);
    const Program changed = in_precision(model.program(), {.precision = precision});
    check(changed);
    std::vector<DType> types;
    for (const Op& op : changed.ops) {
      const bool is_form =
          std::holds_alternative<LayerNormOp>(op) || std::holds_alternative<NarrowOp>(op);
      if (is_form) types.push_back(changed.values[at(output_of(op))].type);
      const auto* norm = std::get_if<LayerNormOp>(&op);
      if (norm != nullptr) {
        EXPECT_EQ(norm->factors != kNone, !shown && precision == Precision::s8);
      }
    }
    return types;
  };
  using Types = std::vector<DType>;
  EXPECT_EQ(forms(false, Precision::bf16), Types{DType::bf16});
  EXPECT_EQ(forms(false, Precision::s8), Types{DType::s8});
  EXPECT_EQ(forms(true, Precision::bf16), (Types{DType::f32, DType::bf16}));
  EXPECT_EQ(forms(true, Precision::s8), (Types{DType::f32, DType::s8}));
}

}  // namespace
}  // namespace tessera::test
