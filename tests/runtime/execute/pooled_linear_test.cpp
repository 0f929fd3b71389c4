// SPDX-License-Identifier: Apache-2.0
//
// A linear whose rows are pooled, against double on the rows that it read: ragged sequences, rows that
// are left out, blocks of every size, threads; and that neither blocks nor neighbours change a bit.
#include "runtime/plan/pooled_linear.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "runtime/base/error.hpp"
#include "runtime/execute/execute.hpp"
#include "runtime/machine/machine.hpp"
#include "tests/reference/activation.hpp"
#include "tests/reference/gemm.hpp"
#include "tests/runtime/op_model.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/tolerance.hpp"

namespace tessera {
namespace {

using test::near_elementwise;
using test::OpModel;

constexpr Index kVocab = 40;

struct Shape {
  Index K, N;
  Activation activation;
  RowReduction over;
};

class PooledLinearTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override { SKIP_UNLESS_SUPPORTED(GetParam()); }

  static void build(OpModel& model, const Shape& shape) {
    model.program().inputs =
        TokenSpec{.vocab_size = kVocab, .position_rows = 400, .max_tokens = 400};
    const ValueId in = model.add(
        "in", kTokens, shape.K,
        EmbeddingOp{.terms = {{model.parameter("table", ParameterKind::table, kVocab, shape.K),
                               TokenInput::ids}},
                    .out = kNone});
    model.add("out", kSequences, shape.N,
              PooledLinearOp{
                  .in = in,
                  .weight = model.parameter("w", ParameterKind::matrix, shape.N, shape.K, 0.3F),
                  .bias = model.parameter("b", ParameterKind::vector, shape.N),
                  .out = kNone,
                  .activation = shape.activation,
                  .over = shape.over});
  }

  struct Input {
    std::vector<std::int32_t> ids, offsets{0}, query_only, pool_from;
  };
  static Input input(const std::vector<Index>& lengths, std::uint64_t seed = 4) {
    test::Random random{seed};
    Input input;
    for (const Index T : lengths) {
      for (Index t = 0; t < T; ++t) {
        input.ids.push_back(static_cast<std::int32_t>(random.integer(0, kVocab - 1)));
      }
      input.offsets.push_back(static_cast<std::int32_t>(input.ids.size()));
    }
    return input;
  }

  /// Compares the output of the last run with double on the rows that it read.
  static void expect_right(const OpModel& model, const Shape& shape, const Session& session,
                           const Input& input) {
    const TensorView<const float> in = session.output("in"), out = session.output("out");
    for (Index s = 0; s < out.rows; ++s) {
      const auto i = static_cast<std::size_t>(s);
      Index first = input.offsets[i];
      if (!input.query_only.empty()) first += input.query_only[i];
      const Index rows = input.offsets[i + 1] - first;
      std::vector<double> value(static_cast<std::size_t>(shape.N), 0.0), bound(value);
      if (rows > 0) {
        const reference::GemmResult c =
            reference::gemm(in.data + first * in.stride, in.stride, model["w"].data(), shape.K,
                            model["b"].data(), rows, shape.N, shape.K);
        for (std::size_t n = 0; n < value.size(); ++n) {
          double most = -HUGE_VAL, sum = 0, error = 0;
          for (std::size_t r = 0; r < static_cast<std::size_t>(rows); ++r) {
            const std::size_t e = r * value.size() + n;
            most = std::max(most, c.value[e]);
            const double y = reference::activate(shape.activation, c.value[e]);
            sum += y;
            // of the product, of the activation (4 ulp), of the sum
            const double of_row =
                test::gamma(shape.K + 2) * c.magnitude[e] + test::gamma(8 + rows) * std::abs(y);
            error = shape.over == RowReduction::max ? std::max(error, of_row) : error + of_row;
          }
          value[n] =
              shape.over == RowReduction::max ? reference::activate(shape.activation, most) : sum;
          bound[n] = error + 1e-40;
        }
      }
      EXPECT_TRUE(near_elementwise(out.row(s), value,
                                   [&](Index n) { return bound[static_cast<std::size_t>(n)]; }))
          << "sequence " << s << " of " << rows << " rows, K=" << shape.K << " N=" << shape.N << ' '
          << to_string(shape.activation) << ' ' << to_string(shape.over);
    }
  }
};
INSTANTIATE_FOR_ALL_ISAS(PooledLinearTest);

constexpr Shape kShapes[] = {
    {16, 1, Activation::none, RowReduction::max},
    {64, 140, Activation::log1p_relu, RowReduction::max},
    {33, 65, Activation::log1p2_relu, RowReduction::max},
    {200, 1000, Activation::log1p_relu, RowReduction::sum},
    {32, 129, Activation::none, RowReduction::sum},
    {48, 300, Activation::gelu_erf, RowReduction::sum},
};

TEST_P(PooledLinearTest, RaggedSequencesAreThoseOfDouble) {
  for (const Shape& shape : kShapes) {
    for (const int threads : {1, 2}) {
      OpModel model;
      build(model, shape);
      const auto session = model.session(GetParam(), 700, 8, threads);
      for (const std::vector<Index>& lengths :
           {std::vector<Index>{1}, {1, 2, 17, 64, 33, 5}, {400, 1, 129, 128}}) {
        const Input batch = input(lengths);
        session->run({.ids = batch.ids, .offsets = batch.offsets});
        expect_right(model, shape, *session, batch);
      }
    }
  }
}

TEST_P(PooledLinearTest, RowsThatNoRowAttendsToAreLeftOut) {
  const Shape shape{64, 140, Activation::log1p_relu, RowReduction::max};
  OpModel model;
  build(model, shape);
  const auto session = model.session(GetParam(), 300, 8);
  Input batch = input({9, 200, 3, 40});
  batch.query_only = {4, 131, 3, 0};
  session->run({.ids = batch.ids, .offsets = batch.offsets, .query_only = batch.query_only});
  expect_right(model, shape, *session, batch);
  for (const float x : session->output("out").row(2)) EXPECT_EQ(x, 0.0F);
}

TEST_P(PooledLinearTest, NeitherNeighboursNorThreadsChangeABit) {
  for (const Shape& shape : kShapes) {
    OpModel model;
    build(model, shape);
    const auto alone = model.session(GetParam(), 400, 1);
    const Input batch = input({1, 2, 17, 64, 33, 5, 300});
    for (const int threads : {1, 2}) {
      const auto session = model.session(GetParam(), 600, 8, threads);
      session->run({.ids = batch.ids, .offsets = batch.offsets});
      for (std::size_t s = 0; s + 1 < batch.offsets.size(); ++s) {
        const auto begin = static_cast<std::size_t>(batch.offsets[s]),
                   end = static_cast<std::size_t>(batch.offsets[s + 1]);
        const std::span ids = std::span(batch.ids).subspan(begin, end - begin);
        const std::vector<std::int32_t> offsets{0, static_cast<std::int32_t>(ids.size())};
        alone->run({.ids = ids, .offsets = offsets});
        EXPECT_TRUE(test::bit_identical(session->output("out").row(static_cast<Index>(s)),
                                        alone->output("out").row(0)))
            << "sequence " << s << ", " << threads << " threads";
      }
    }
  }
}

TEST(PooledLinearPlanTest, BlocksFitInL2AndTasksAreSharedEvenly) {
  PlanMachine machine{};
  machine.l1_bytes = 48 * 1024, machine.l2_bytes = 2 << 20, machine.l3_bytes = 32 << 20;
  machine.tile[Precision::f32] = {.MR = 14, .NR = 64};
  for (const int threads : {1, 2, 7}) {
    machine.threads = threads;
    for (const Index M : {1, 13, 128, 4096}) {
      for (const Index K : {64, 768, 1024}) {
        const PooledLinearTask task{.shape = {.M = M, .N = 30522, .K = K}, .sequences = 32};
        const LoopNest nest = plan_pooled_linear(task, machine);
        EXPECT_EQ(nest.order, LoopOrder::ws_os_a);
        EXPECT_EQ(nest.k_blocks, 1);
        EXPECT_EQ(nest.col_blocks % threads, 0);
        const auto rows = static_cast<double>(ceil_div(M, nest.row_blocks)),
                   columns =
                       static_cast<double>(ceil_div(ceil_div(30522, 64), nest.col_blocks) * 64),
                   k = static_cast<double>(K);
        EXPECT_LE(4 * (rows * k + columns * k + rows * columns), machine.Z2() * 1.01);
      }
    }
  }
}

TEST(PooledLinearPlanTest, MovesLessThanALinearAndAPooling) {
  PlanMachine machine{};
  machine.l1_bytes = 48 * 1024, machine.l2_bytes = 2 << 20, machine.l3_bytes = 32 << 20;
  machine.tile[Precision::f32] = {.MR = 14, .NR = 64};
  machine.rates = nominal_rates(Machine{}, Isa::avx512);
  const PooledLinearTask task{.shape = {.M = 4096, .N = 30522, .K = 768}, .sequences = 32};
  const PooledLinearCost cost =
      pooled_linear_cost(task, plan_pooled_linear(task, machine), machine);
  EXPECT_GE(cost.l2_bytes, cost.bound_bytes);
  const double logits = 4.0 * 4096 * 30522;  // which a pooling reads
  const LinearPlan linear = plan_linear({.shape = task.shape}, machine);
  EXPECT_LT(cost.l2_bytes, 0.75 * (linear.chosen.cost.l2_bytes() + logits));
}

TEST(PooledLinearCheckTest, AMaximumOfWhatFallsIsRefused) {
  OpModel model;
  model.program().inputs = TokenSpec{.vocab_size = kVocab, .position_rows = 8, .max_tokens = 8};
  const ValueId in = model.add(
      "in", kTokens, 4,
      EmbeddingOp{
          .terms = {{model.parameter("t", ParameterKind::table, kVocab, 4), TokenInput::ids}},
          .out = kNone});
  PooledLinearOp op{.in = in,
                    .weight = model.parameter("w", ParameterKind::matrix, 6, 4),
                    .out = kNone,
                    .activation = Activation::gelu_erf,
                    .over = RowReduction::max};
  model.add("out", kSequences, 6, op);
  EXPECT_THROW(check(model.program()), Error);
  std::get<PooledLinearOp>(model.program().ops.back()).over = RowReduction::sum;
  check(model.program());
  std::get<PooledLinearOp>(model.program().ops.back()).out = in;
  EXPECT_THROW(check(model.program()), Error);
}

}  // namespace
}  // namespace tessera
