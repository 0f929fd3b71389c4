// SPDX-License-Identifier: Apache-2.0
// QKV by heads gives the bits of QKV row by row, for every split over threads and every plan.
#include "runtime/execute/qkv_layout.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "runtime/plan/plan.hpp"
#include "runtime/session/session.hpp"
#include "tests/runtime/op_model.hpp"
#include "tests/support/isa.hpp"

namespace tessera {
namespace {

constexpr Index kHeads = 2, kHeadDim = 96, kHidden = kHeads * kHeadDim, kRows = 1200;

/// embedding → QKV → attention. If QKV is an output as well, it has to lie row by row.
class QkvModel {
 public:
  explicit QkvModel(Isa isa, bool qkv_is_output) {
    test::OpModel made;
    const auto parameter = [&](const char* name, ParameterKind kind, Index rows, Index cols) {
      return made.parameter(name, kind, rows, cols, 0.2F);
    };
    Program& program = made.program();
    program.inputs = TokenSpec{.vocab_size = 60, .position_rows = 0, .max_tokens = kRows};
    const ValueId x = program.add_value("x", kTokens, kHidden),
                  qkv = program.add_value("qkv", kTokens, 3 * kHidden),
                  out = program.add_value("context", kTokens, kHidden);
    program.ops = {
        EmbeddingOp{
            .terms = {{parameter("words", ParameterKind::table, 60, kHidden), TokenInput::ids}},
            .out = x},
        LinearOp{.in = x,
                 .weight = parameter("w", ParameterKind::matrix, 3 * kHidden, kHidden),
                 .bias = parameter("b", ParameterKind::vector, 3 * kHidden, 1),
                 .out = qkv},
        self_attention(qkv, out, kHeads, kHeadDim, static_cast<float>(1 / std::sqrt(96.0)))};
    program.outputs = {{"context", out}};
    if (qkv_is_output) program.outputs.push_back({"qkv", qkv});
    model_ = Model::create(program, made.checkpoint(), {.isa = isa, .outputs = {}});
  }

  const Program& program() const { return model_->program(); }

  std::vector<float> run(const std::vector<std::int32_t>& offsets, int threads,
                         const LoopNest* nest = nullptr) const {
    SessionOptions options{
        .max_rows = kRows, .max_sequences = 3, .threads = threads, .outputs = {}};
    if (nest != nullptr) {
      Plan plan = Session::create(model_, options)->plan();
      for (OpSchedule& op : plan.ops) {
        if (!op.nests.empty()) op.nests = {{kRows, *nest}};
      }
      options.plan = std::make_shared<const Plan>(plan);
    }
    const auto session = Session::create(model_, options);
    std::vector<std::int32_t> ids;
    for (std::int32_t i = 0; i < offsets.back(); ++i) ids.push_back(i * 7 % 60);
    session->run({.ids = ids, .offsets = offsets});
    std::vector<float> rows;
    const TensorView<const float> out = session->output("context");
    for (Index i = 0; i < out.rows; ++i) {
      rows.insert(rows.end(), out.row(i).begin(), out.row(i).end());
    }
    return rows;
  }

 private:
  std::shared_ptr<const Model> model_;
};

class QkvLayoutTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override { SKIP_UNLESS_SUPPORTED(GetParam()); }
};

TEST_P(QkvLayoutTest, GivesTheBitsOfRowMajor) {
  const QkvModel by_heads(GetParam(), false), by_rows(GetParam(), true);
  const auto tile = tile_shapes(kernels::kernels_at(GetParam()));
  ASSERT_EQ(head_dim_of(by_heads.program(), 1, tile), kHeadDim);
  ASSERT_EQ(head_dim_of(by_rows.program(), 1, tile), 0);
  // The offsets and lengths of a run are of the tokens: other rows lie row by row.
  Program of_merged = by_heads.program();
  of_merged.spaces.push_back(
      {.name = "merged", .parent = kTokens, .rule = RowRule::merged, .n = 2});
  of_merged.values[1].space = static_cast<SpaceId>(of_merged.spaces.size() - 1);
  ASSERT_EQ(head_dim_of(of_merged, 1, tile), 0);
  const std::vector<std::int32_t> offsets{0, 40, 1100, 1101};  // one long, two short
  const std::vector<float> expected = by_rows.run(offsets, 1);
  EXPECT_EQ(by_heads.run(offsets, 1), expected);
  EXPECT_EQ(by_heads.run(offsets, 3), expected);
  for (const LoopOrder order : kLoopOrders) {
    const LoopNest nest{.order = order, .row_blocks = 200, .col_blocks = 3, .k_blocks = 2};
    EXPECT_EQ(by_heads.run(offsets, 2, &nest), expected) << to_string(order);
  }
  const std::vector<std::int32_t> shorter{0, 500, 1000};
  EXPECT_EQ(by_heads.run(shorter, 2), by_rows.run(shorter, 2));
}

INSTANTIATE_TEST_SUITE_P(AllIsas, QkvLayoutTest, testing::ValuesIn(kAllIsas),
                         [](const auto& param) { return to_string(param.param); });

}  // namespace
}  // namespace tessera
