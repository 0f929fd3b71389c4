// SPDX-License-Identifier: Apache-2.0
//
// A mixture of experts against double: every row's choice, its weights, both products; ragged batches,
// more rows than a block, threads; and that neither neighbours nor blocks change a bit of a row.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "runtime/base/error.hpp"
#include "tests/reference/activation.hpp"
#include "tests/runtime/op_model.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/tolerance.hpp"

namespace tessera {
namespace {

using test::OpModel;

constexpr Index kVocab = 90;

struct Shape {
  Index H, F, experts, top;
};

class ExpertsTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override { SKIP_UNLESS_SUPPORTED(GetParam()); }

  /// up is (experts·F, H), and down transposed, as published.
  static void build(OpModel& model, const Shape& s) {
    Program& program = model.program();
    program.inputs = TokenSpec{.vocab_size = kVocab, .position_rows = 2000, .max_tokens = 2000};
    const ValueId in = model.add(
        "in", kTokens, s.H,
        EmbeddingOp{.terms = {{model.parameter("table", ParameterKind::table, kVocab, s.H),
                               TokenInput::ids}},
                    .out = kNone});
    const ValueId scores = model.add(
        "scores", kTokens, s.experts,
        LinearOp{.in = in,
                 .weight = model.parameter("router", ParameterKind::matrix, s.experts, s.H, 0.3F),
                 .out = kNone});
    model.tensor("up", s.experts * s.F, s.H, 0.3F);
    model.tensor("down", s.experts * s.F, s.H, 0.3F);
    ExpertsOp op{.in = in,
                 .scores = scores,
                 .up = {},
                 .down = {},
                 .bias = model.parameter("bias", ParameterKind::vector, s.H),
                 .top = s.top,
                 .activation = Activation::gelu_erf,
                 .out = kNone};
    for (Index e = 0; e < s.experts; ++e) {
      const auto part = [&](const char* tensor, Index rows, Index cols, bool transposed) {
        return program.add_parameter({.name = tensor + std::to_string(e),
                                      .kind = ParameterKind::matrix,
                                      .rows = rows,
                                      .cols = cols,
                                      .sources = {{.tensor = tensor,
                                                   .rows = s.F,
                                                   .first_row = e * s.F,
                                                   .tensor_rows = s.experts * s.F}},
                                      .transposed = transposed});
      };
      op.up.push_back(part("up", s.F, s.H, false));
      op.down.push_back(part("down", s.H, s.F, true));
    }
    model.add("out", kTokens, s.H, op);
  }

  /// The same with every expert on every row: outputs "D 0", "D 1", …
  static void build_apart(OpModel& model, const Shape& s) {
    build(model, s);
    Program& program = model.program();
    const auto experts = std::get<ExpertsOp>(program.ops.back());
    program.ops.pop_back();
    program.outputs.pop_back();
    for (std::size_t e = 0; e < experts.up.size(); ++e) {
      const ValueId u = program.add_value("U", kTokens, s.F);
      program.ops.emplace_back(LinearOp{
          .in = experts.in, .weight = experts.up[e], .out = u, .activation = experts.activation});
      model.add("D " + std::to_string(e), kTokens, s.H,
                LinearOp{.in = u, .weight = experts.down[e], .out = kNone});
    }
    // An output that nobody reads stays f32; these are read.
    for (std::size_t e = 0; e < experts.up.size(); ++e) {
      const ValueId d = program.outputs[program.outputs.size() - experts.up.size() + e].value;
      program.ops.emplace_back(ActivationOp{.in = d,
                                            .activation = Activation::relu,
                                            .out = program.add_value("unused", kTokens, s.H)});
    }
    for (std::size_t e = 0; e < experts.up.size(); ++e) {
      program.outputs.push_back(
          {"unused " + std::to_string(e), output_of(program.ops[program.ops.size() - 1 - e])});
    }
  }

  /// Row i of the mixture, of the experts' rows.
  static std::vector<float> sum_of_chosen(const OpModel& model, const Shape& s,
                                          std::span<const float> scores, const Session& apart,
                                          Index i) {
    std::vector<std::size_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0U);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
    float sum = 0.0F;
    for (const float score : scores) sum += std::exp(score - scores[order[0]]);
    order.resize(static_cast<std::size_t>(s.top));
    std::sort(order.begin(), order.end());
    std::vector<float> y = model["bias"];
    for (const std::size_t e : order) {
      const float weight =
          std::exp(scores[e] - *std::max_element(scores.begin(), scores.end())) / sum;
      const std::span<const float> d = apart.output("D " + std::to_string(e)).row(i);
      for (std::size_t n = 0; n < y.size(); ++n) y[n] += weight * d[n];
    }
    return y;
  }

  static std::vector<std::int32_t> random_ids(Index rows) {
    test::Random random{9};
    std::vector<std::int32_t> ids;
    for (Index i = 0; i < rows; ++i) {
      ids.push_back(static_cast<std::int32_t>(random.integer(0, kVocab - 1)));
    }
    return ids;
  }

  /// One row in double, by the scores that the run had: which experts they choose is the run's. `rounding`:
  /// twice that of each number that is multiplied.
  static std::vector<double> reference(const OpModel& model, const Shape& s,
                                       std::span<const float> x, std::span<const float> scores,
                                       std::vector<double>& bound, double rounding = 0) {
    std::vector<std::size_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0U);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
    double sum = 0;
    for (const float score : scores) {
      sum += std::exp(static_cast<double>(score) - static_cast<double>(scores[order[0]]));
    }
    std::vector<double> y(x.size()), size(x.size(), 0.0), rounded(size);
    for (std::size_t n = 0; n < y.size(); ++n) y[n] = static_cast<double>(model["bias"][n]);
    for (std::size_t t = 0; t < static_cast<std::size_t>(s.top); ++t) {
      const std::size_t e = order[t];
      const double weight =
          std::exp(static_cast<double>(scores[e]) - static_cast<double>(scores[order[0]])) / sum;
      for (std::size_t f = 0; f < static_cast<std::size_t>(s.F); ++f) {
        const std::size_t row = (e * static_cast<std::size_t>(s.F) + f) * x.size();
        double h = 0, magnitude = 0;
        for (std::size_t k = 0; k < x.size(); ++k) {
          const double product =
              static_cast<double>(model["up"][row + k]) * static_cast<double>(x[k]);
          h += product, magnitude += std::abs(product);
        }
        h = reference::activate(Activation::gelu_erf, h);
        for (std::size_t n = 0; n < y.size(); ++n) {
          const double w = weight * static_cast<double>(model["down"][row + n]);
          y[n] += w * h;
          size[n] += std::abs(w) * (magnitude * 1.2 + std::abs(h));
          rounded[n] += std::abs(w) * (magnitude * 1.2 + std::abs(h)) * rounding * 1.02;
        }
      }
    }
    bound.assign(y.size(), 0.0);
    for (std::size_t n = 0; n < y.size(); ++n) {
      bound[n] = (size[n] + std::abs(y[n])) * test::gamma(s.H + s.F + 40) + rounded[n];
    }
    return y;
  }
};
INSTANTIATE_FOR_ALL_ISAS(ExpertsTest);

TEST_P(ExpertsTest, RowsAreThoseOfDouble) {
  for (const Shape& s :
       {Shape{16, 24, 4, 2}, Shape{33, 7, 3, 3}, Shape{8, 40, 1, 1}, Shape{40, 33, 8, 1}}) {
    OpModel model;
    build(model, s);
    for (const int threads : {1, 2}) {
      const auto session = model.session(GetParam(), 1200, 4, threads);
      for (const Index rows : {1, 5, 90, 1100}) {
        const std::vector<std::int32_t> ids = random_ids(rows),
                                        offsets{0, static_cast<std::int32_t>(rows)};
        session->run({.ids = ids, .offsets = offsets});
        const auto in = session->output("in"), scores = session->output("scores"),
                   out = session->output("out");
        for (Index i = 0; i < rows; i += std::max<Index>(1, rows / 25)) {
          std::vector<double> bound;
          const std::vector<double> y = reference(model, s, in.row(i), scores.row(i), bound);
          ASSERT_TRUE(test::near_elementwise(
              out.row(i), y, [&](Index n) { return bound[static_cast<std::size_t>(n)]; }))
              << "row " << i << " of " << rows << ", " << s.experts << " experts";
        }
      }
    }
  }
}

TEST_P(ExpertsTest, NeitherNeighboursNorThreadsChangeABit) {
  OpModel model;
  build(model, {24, 20, 4, 2});
  const std::vector<std::int32_t> ids = random_ids(1100), offsets{0, 1100}, one{0, 1};
  const auto alone = model.session(GetParam(), 1, 1);
  for (const int threads : {1, 2}) {
    const auto session = model.session(GetParam(), 1100, 1, threads);
    session->run({.ids = ids, .offsets = offsets});
    for (const std::size_t i : {0U, 511U, 512U, 700U, 1099U}) {
      alone->run({.ids = std::span(ids).subspan(i, 1), .offsets = one});
      EXPECT_TRUE(test::bit_identical(session->output("out").row(static_cast<Index>(i)),
                                      alone->output("out").row(0)))
          << i;
    }
  }
}

// What an expert computes of a row is what its linears compute of it; so in every precision, bit for bit.
TEST_P(ExpertsTest, ExpertsAreLinearsOfTheirRows) {
  for (const Shape& s : {Shape{16, 24, 4, 2}, Shape{33, 7, 3, 3}, Shape{72, 130, 5, 2}}) {
    OpModel model, apart;
    build(model, s);
    build_apart(apart, s);
    for (const auto& [precision, threads] : {std::pair{Precision::f32, 1},
                                             {Precision::bf16, 1},
                                             {Precision::bf16, 2},
                                             {Precision::s8, 1},
                                             {Precision::s8, 2}}) {
      const auto together = model.session(GetParam(), 1100, 1, threads, precision),
                 one_by_one = apart.session(GetParam(), 1100, 1, 1, precision);
      for (const Index rows : {1, 17, 1100}) {
        const std::vector<std::int32_t> ids = random_ids(rows),
                                        offsets{0, static_cast<std::int32_t>(rows)};
        together->run({.ids = ids, .offsets = offsets});
        one_by_one->run({.ids = ids, .offsets = offsets});
        const auto scores = together->output("scores");
        for (Index i = 0; i < rows; ++i) {
          ASSERT_TRUE(test::bit_identical(scores.row(i), one_by_one->output("scores").row(i)));
          const std::vector<float> y = sum_of_chosen(model, s, scores.row(i), *one_by_one, i);
          ASSERT_TRUE(test::bit_identical(together->output("out").row(i), y))
              << "row " << i << " of " << rows << ", " << to_string(precision);
        }
      }
    }
  }
}

// Against double: what is multiplied is off by 2^-9 of itself, U by as much of itself.
TEST_P(ExpertsTest, RowsOfBf16AreNearThoseOfDouble) {
  const Shape s{40, 33, 8, 2};
  OpModel model;
  build(model, s);
  const auto session = model.session(GetParam(), 90, 1, 1, Precision::bf16);
  const std::vector<std::int32_t> ids = random_ids(90), offsets{0, 90};
  session->run({.ids = ids, .offsets = offsets});
  for (Index i = 0; i < 90; ++i) {
    std::vector<double> bound;
    const std::vector<double> y = reference(model, s, session->output("in").row(i),
                                            session->output("scores").row(i), bound, 0x1p-8);
    EXPECT_TRUE(test::near_elementwise(session->output("out").row(i), y, [&](Index n) {
      return bound[static_cast<std::size_t>(n)];
    })) << i;
  }
}

// The plan's time is that of what is multiplied.
TEST_P(ExpertsTest, ArePricedInTheirPrecision) {
  OpModel model;
  build(model, {32, 64, 4, 2});
  const auto report = [&](Precision precision) {
    return test::report_of(
        Model::create(model.program(), model.checkpoint(),
                      {.isa = GetParam(), .outputs = {}, .precision = precision}),
        "experts", 512);
  };
  const OpReport f32 = report(Precision::f32);
  for (const auto& [precision, times] :
       {std::pair{Precision::f32, 1.0}, {Precision::bf16, 4.0}, {Precision::s8, 8.0}}) {
    const OpReport op = report(precision);
    EXPECT_EQ(op.precision, precision);
    EXPECT_EQ(op.flops, f32.flops);
    // Tiles of other sizes are filled to other parts.
    EXPECT_NEAR(f32.chosen.seconds / op.chosen.seconds, times, 0.3 * times);
  }
}

TEST(ExpertsCheckTest, ExpertsThatDoNotFitAreRefused) {
  class Build : public ExpertsTest {
   public:
    using ExpertsTest::build;
    void TestBody() override {}
  };
  OpModel model;
  Build::build(model, {8, 6, 3, 2});
  check(model.program());
  auto& op = std::get<ExpertsOp>(model.program().ops.back());
  for (const Index top : {Index{0}, Index{4}}) {
    op.top = top;
    EXPECT_THROW(check(model.program()), Error) << top;
  }
  op.top = 2;
  std::swap(op.up[0], op.down[0]);
  EXPECT_THROW(check(model.program()), Error);
  std::swap(op.up[0], op.down[0]);
  op.up.pop_back();
  EXPECT_THROW(check(model.program()), Error);
}

}  // namespace
}  // namespace tessera
