// SPDX-License-Identifier: Apache-2.0
// Plans as data: made, saved, loaded, refused, compared, and run.
#include "runtime/plan/plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>

#include "runtime/base/error.hpp"
#include "runtime/execute/linear_onednn.hpp"
#include "runtime/machine/machine.hpp"
#include "runtime/plan/plan_file.hpp"
#include "runtime/program/rewrites.hpp"
#include "runtime/session/session.hpp"
#include "tests/runtime/tiny_model.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/temporary.hpp"

namespace tessera {
namespace test {
namespace {

/// embedding → layer norm → FF1 (H→F) → GELU → FF2 (F→N), no residual; in bf16 → layer norm, too, or
/// FF2 would be an answer and stay in f32.
class FeedForward {
 public:
  FeedForward(Index H, Index F, Index N, Precision precision = Precision::f32) {
    OpModel made;
    const auto parameter = [&](const char* name, ParameterKind kind, Index rows, Index cols) {
      return made.parameter(name, kind, rows, cols, 0.3F);
    };
    Program& program = made.program();
    program.inputs = TokenSpec{.vocab_size = 50, .position_rows = 0, .max_tokens = kRows};
    const ValueId e = program.add_value("e", kTokens, H), x = program.add_value("x", kTokens, H),
                  up = program.add_value("up", kTokens, F),
                  down = program.add_value("down", kTokens, N);
    program.ops = {
        EmbeddingOp{.terms = {{parameter("words", ParameterKind::table, 50, H), TokenInput::ids}},
                    .out = e},
        LayerNormOp{.in = e,
                    .gamma = parameter("gamma", ParameterKind::vector, H, 1),
                    .beta = parameter("beta", ParameterKind::vector, H, 1),
                    .eps = 1e-5F,
                    .out = x},
        LinearOp{.in = x,
                 .weight = parameter("up", ParameterKind::matrix, F, H),
                 .out = up,
                 .activation = Activation::gelu_erf},
        LinearOp{.in = up, .weight = parameter("down", ParameterKind::matrix, N, F), .out = down}};
    program.outputs = {{"logits", down}};
    if (precision == Precision::bf16) {
      const ValueId normed = program.add_value("normed", kTokens, N);
      program.ops.emplace_back(
          LayerNormOp{.in = down,
                      .gamma = parameter("gamma2", ParameterKind::vector, N, 1),
                      .beta = parameter("beta2", ParameterKind::vector, N, 1),
                      .eps = 1e-5F,
                      .out = normed});
      program.outputs = {{"logits", normed}};
    }
    model_ = Model::create(program, made.checkpoint(), {.precision = precision});
  }

  /// The logits of one sequence; chained in `blocks` blocks, or op by op if 0.
  std::vector<float> run(Index blocks, int threads) const {
    SessionOptions options{
        .max_rows = kRows, .max_sequences = 1, .threads = threads, .outputs = {}};
    Plan plan = Session::create(model_, options)->plan();
    for (OpSchedule& op : plan.ops) {
      op.chain = {};
      op.block_nests = {};
    }
    for (std::size_t i = 0; blocks > 0 && i < plan.ops.size(); ++i) {  // FF1 and FF2
      if (plan.ops[i].nests.empty()) continue;
      plan.ops[i].chain = {.ops = 2, .from_rows = 1, .block_rows = ceil_div(kRows, blocks)};
      break;
    }
    options.plan = std::make_shared<const Plan>(plan);
    const auto session = Session::create(model_, options);
    std::vector<std::int32_t> ids;
    for (std::int32_t i = 0; i < kRows; ++i) ids.push_back(i * 7 % 50);
    const std::vector<std::int32_t> offsets{0, kRows};
    session->run({.ids = ids, .offsets = offsets});
    std::vector<float> rows;
    const TensorView<const float> out = session->output("logits");
    for (Index i = 0; i < out.rows; ++i) {
      rows.insert(rows.end(), out.row(i).begin(), out.row(i).end());
    }
    return rows;
  }

 private:
  static constexpr std::int32_t kRows = 200;
  std::shared_ptr<const Model> model_;
};

}  // namespace
}  // namespace test

namespace {

using testing::HasSubstr;

MachineRates some_rates() {
  return {.flops = {170e9},
          .l1_bytes = 400e9,
          .l2_bytes = 100e9,
          .l3_bytes = 28e9,
          .memory_bytes = 14e9,
          .exps = 5e9,
          .source = "test"};
}

class PlanTest : public testing::Test {
 protected:
  test::TinyModel tiny_{test::TinyShape{.inner = 600}};
  std::shared_ptr<const Model> model_ = Model::create(tiny_.program(), tiny_.checkpoint(), {});
  SessionOptions options_{
      .max_rows = 64, .max_sequences = 4, .threads = 2, .outputs = {}, .rates = some_rates()};

  Plan plan() const { return Session::create(model_, options_)->plan(); }

  std::vector<float> run(const Plan& plan, int threads = 2) {
    SessionOptions options = options_;
    options.threads = threads;
    options.plan = std::make_shared<const Plan>(plan);
    const auto session = Session::create(model_, options);
    std::vector<std::int32_t> ids;
    for (std::int32_t i = 0; i < 60; ++i) ids.push_back(i * 7 % 50);
    const std::vector<std::int32_t> offsets{0, 41, 60};
    session->run({.ids = ids, .offsets = offsets});
    std::vector<float> rows;
    const TensorView<const float> out = session->output("last_hidden_state");
    for (Index i = 0; i < out.rows; ++i) {
      rows.insert(rows.end(), out.row(i).begin(), out.row(i).end());
    }
    return rows;
  }

  /// Writes the plan with one replacement, and the message of loading and checking it.
  std::string refused(const std::string& from, const std::string& to) {
    std::string json = plan_to_json(plan());
    const std::size_t at = json.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    json.replace(at, from.size(), to);
    const test::TemporaryFile file(".json");
    std::ofstream(file.path()) << json;
    try {
      return message_of(load_plan(file.path()));
    } catch (const Error& e) {
      return e.what();
    }
  }
  std::string message_of(const Plan& changed) {
    try {
      run(changed);
    } catch (const Error& e) {
      return e.what();
    }
    return "accepted";
  }
};

TEST_F(PlanTest, CoversEveryRowCountOfEveryLinear) {
  const Plan made = plan();
  const Program& program = model_->program();
  ASSERT_EQ(made.ops.size(), program.ops.size());
  for (std::size_t i = 0; i < made.ops.size(); ++i) {
    const bool linear = std::holds_alternative<LinearOp>(program.ops[i]);
    EXPECT_EQ(made.ops[i].nests.empty(), !linear);
    if (linear) {
      EXPECT_EQ(made.ops[i].nests.back().last_rows, 64);
    }
  }
}

TEST(AtRowsTest, ARangeEndsWithItsLastRow) {
  const std::vector<AttentionRange> ranges{{.last_rows = 14, .task_rows = 1},
                                           {.last_rows = 28, .task_rows = 2},
                                           {.last_rows = 100, .task_rows = 3}};
  EXPECT_EQ(at_rows(ranges, 1).task_rows, 1);
  EXPECT_EQ(at_rows(ranges, 14).task_rows, 1);
  EXPECT_EQ(at_rows(ranges, 15).task_rows, 2);
  EXPECT_EQ(at_rows(ranges, 28).task_rows, 2);
  EXPECT_EQ(at_rows(ranges, 29).task_rows, 3);
  EXPECT_EQ(at_rows(ranges, 100).task_rows, 3);
}

TEST_F(PlanTest, ComesBackFromAFileUnchanged) {
  for (const bool stay : {false, true}) {
    Plan made = plan();
    made.weights_stay_in_l3 = stay;
    const test::TemporaryFile file(".json");
    save_plan(file.path(), made);
    const Plan loaded = load_plan(file.path());
    EXPECT_EQ(loaded.identity, made.identity);
    EXPECT_EQ(loaded.ops, made.ops);
    EXPECT_EQ(loaded.weights_stay_in_l3, stay);
    EXPECT_EQ(diff_plans(made, loaded, model_->program()), "no differences\n");
  }
}

TEST_F(PlanTest, AnyPlanGivesTheSameBits) {
  const Plan made = plan();
  const std::vector<float> expected = run(made);
  const Program& program = model_->program();
  int chained = 0;
  for (const LoopOrder order : kLoopOrders) {
    for (const Index blocks : {1, 2, 5}) {
      Plan other = made;
      for (std::size_t i = 0; i < other.ops.size(); ++i) {
        if (other.ops[i].nests.empty()) continue;
        const LinearTask task = linear_task(program, i, other.ops[i].tile_ops, 64,
                                            tile_shapes(kernels::kernels_at(model_->isa())), false);
        const Index K = task.shape.K;
        other.ops[i].nests = {{64,
                               {.order = order,
                                .row_blocks = blocks,
                                .col_blocks = 1,
                                .k_blocks = task.residual ? 1 : std::min<Index>(K, blocks)}}};
      }
      for (const OpSpan& span : chains_of_rows(program)) {
        other.ops[span.first].chain = {.ops = static_cast<Index>(span.count),
                                       .from_rows = 20 * blocks,
                                       .block_rows = ceil_div(64, blocks)};
        ++chained;
      }
      const std::vector<float> got = run(other);
      ASSERT_EQ(got.size(), expected.size());
      EXPECT_EQ(std::memcmp(got.data(), expected.data(), got.size() * sizeof(float)), 0)
          << to_string(order) << " in " << blocks << " blocks";
    }
  }
  EXPECT_GT(chained, 0) << "what follows the attention of the model can be chained";
}

TEST_F(PlanTest, OneDnnRunsOnlyWhereAllowedAndAgrees) {
  Plan other = plan();
  const std::vector<float> expected = run(other);
  for (OpSchedule& op : other.ops) {
    for (NestRange& range : op.nests) range.onednn = true;
  }
  EXPECT_THROW(run(other), Error);  // not allowed
  options_.allow_onednn = true;
  if (!execute::OneDnnLinear::is_available()) {
    EXPECT_THROW(run(other), Error);
    return;
  }
  const std::vector<float> got = run(other);
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], expected[i], 2e-5F) << i;
  const auto session = Session::create(model_, options_);  // measures
  EXPECT_LE(session->memory_bytes(), Session::memory_bytes(*model_, options_) + (1 << 20));
}

TEST_F(PlanTest, RefusesWhatItWasNotMadeFor) {
  EXPECT_THAT(refused("\"version\":\"", "\"version\":\"9"), HasSubstr("version"));
  EXPECT_THAT(refused("\"program\":\"", "\"program\":\"f"), HasSubstr("model"));
  EXPECT_THAT(refused("\"machine\":\"", "\"machine\":\"another "), HasSubstr("machine"));
  EXPECT_THAT(refused("\"threads\":2", "\"threads\":3"), HasSubstr("threads"));
  EXPECT_THAT(refused("\"isa\":\"", "\"isa\":\"x"), HasSubstr("ISA"));
  EXPECT_THAT(refused("\"max_rows\":64", "\"max_rows\":63"), HasSubstr("rows"));
}

TEST_F(PlanTest, NamesTheFieldThatIsWrong) {
  EXPECT_THAT(refused("\"tessera_plan\":6", "\"tessera_plan\":1"), HasSubstr("tessera_plan is 1"));
  EXPECT_THAT(refused("\"order\":\"", "\"order\":\"Q"), HasSubstr("order is"));
  EXPECT_THAT(refused("\"row_blocks\":", "\"row_blocks\":-"), HasSubstr("row_blocks"));
  EXPECT_THAT(refused("\"row_blocks\":", "\"row_blocks\":999"), HasSubstr("row_blocks"));
  EXPECT_THAT(refused("\"col_blocks\":", "\"col_blocks\":77777"), HasSubstr("col_blocks"));
  EXPECT_THAT(refused("\"k_blocks\":", "\"k_blocks\":4444444"), HasSubstr("k_blocks"));
  EXPECT_THAT(refused("\"nests\":", "\"nest\":"), HasSubstr("nests"));
  EXPECT_THAT(refused("{\"tessera_plan\"", "\"tessera_plan\""), HasSubstr("JSON"));
  EXPECT_THROW(load_plan("no/such/plan.json"), Error);
}

TEST_F(PlanTest, NamesTheFieldOfAttentionThatIsWrong) {
  EXPECT_THAT(refused("\"dataflow\":\"", "\"dataflow\":\"Q"),
              AllOf(HasSubstr("dataflow is \"Q"), HasSubstr("flat_rows")));
  EXPECT_THAT(refused("\"task_rows\":", "\"task_rows\":-"), HasSubstr("task_rows"));
  EXPECT_THAT(refused("\"attention\":", "\"attentions\":"), HasSubstr("has \"attentions\""));
  EXPECT_THAT(refused("\"by_heads_from\":", "\"by_head_from\":"), HasSubstr("by_heads_from"));
  EXPECT_THAT(refused("\"dataflow\":\"streaming\",\"task_rows\":",
                      "\"dataflow\":\"streaming\",\"task_rows\":1,\"x\":"),
              AllOf(HasSubstr("op "), HasSubstr("has \"x\"")));
  Plan made = plan();
  for (OpSchedule& op : made.ops) {
    if (!op.attention.empty()) op.attention.back().last_rows = 63;
  }
  EXPECT_THROW(run(made), Error);
  made = plan();
  for (OpSchedule& op : made.ops) {
    if (!op.attention.empty()) op.attention.back().task_rows = 1;
  }
  EXPECT_THROW(run(made), Error) << "a task is a block of the kernel at least";
  made = plan();
  made.ops.front().attention = {{64, kernels::AttentionDataflow::streaming, 64}};
  EXPECT_THROW(run(made), Error) << "the first op is no attention";
  made = plan();
  made.ops.front().task_rows = 0;
  EXPECT_THROW(run(made), Error) << "the first op is an embedding, row by row";
  made = plan();
  for (OpSchedule& op : made.ops) {
    if (!op.attention.empty()) op.task_rows = 8;
  }
  EXPECT_THROW(run(made), Error) << "attention is not row by row";
  made = plan();
  made.ops.front().patch_rows = 4;
  EXPECT_THROW(run(made), Error) << "the first op embeds no patches";
}

TEST_F(PlanTest, WhatAFileSaysAndNothingWouldReadIsRefused) {
  EXPECT_THAT(refused("{\"nests\":[]", "{\"dataflow\":\"flat_rows\",\"nests\":[]"),
              AllOf(HasSubstr("op 0"), HasSubstr("has \"dataflow\""), HasSubstr("nests")));
  EXPECT_THAT(refused("\"threads\":2", "\"threads\":2,\"threads\":2"),
              HasSubstr("threads\" twice"));
  EXPECT_THAT(refused("\"task_rows\":", "\"by_heads_from\":0,\"task_rows\":"),
              HasSubstr("by_heads_from without attention"));
  EXPECT_THAT(refused("\"order\":\"", "\"order\":\"Q"), HasSubstr("op "));
}

// A plan may come from anywhere: what it says is cut and escaped before people see it.
TEST_F(PlanTest, MessagesAreShortAndPlain) {
  for (const std::string field : {"version", "program", "machine", "isa"}) {
    const std::string begin = "\"" + field + "\":\"";
    const std::string message = refused(begin, begin + "\\u001b" + std::string(5000, 'v'));
    EXPECT_LT(message.size(), 1000U) << field;
    EXPECT_THAT(message, AllOf(HasSubstr("\\u001bvvv"), HasSubstr("expected "))) << field;
    EXPECT_EQ(message.find('\x1B'), std::string::npos) << field;
  }
}

TEST_F(PlanTest, PlansOfFewerOpsAreNotCompared) {
  const Plan whole = plan();
  Plan cut = whole;
  cut.ops.resize(2);
  for (const bool is_first : {true, false}) {
    try {
      (void)diff_plans(is_first ? cut : whole, is_first ? whole : cut, model_->program());
      ADD_FAILURE() << "compared";
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), HasSubstr("has 2 ops, expected "));
    }
  }
}

TEST_F(PlanTest, SaysHowManyRowsItsRangesAreFor) {
  Plan made = plan();
  for (OpSchedule& op : made.ops) {
    if (!op.attention.empty()) op.attention.back().last_rows = 63;
  }
  EXPECT_THAT(message_of(made), HasSubstr("its last dataflow is for up to 63 rows, expected 64"));
  made = plan();
  for (OpSchedule& op : made.ops) {
    if (!op.nests.empty()) op.nests.back().last_rows = 63;
  }
  EXPECT_THAT(message_of(made), HasSubstr("its last range is for up to 63 rows, expected 64"));
  made = plan();
  for (OpSchedule& op : made.ops) {
    for (NestRange& range : op.nests) range.onednn = true;
  }
  EXPECT_THAT(message_of(made), HasSubstr("expected a nest of ours"));
}

TEST_F(PlanTest, APlanOfOtherOutputsSaysWhich) {
  SessionOptions options = options_;
  options.outputs = {"last_hidden_state"};
  options.plan = std::make_shared<const Plan>(plan());
  try {
    Session::create(model_, options);
    ADD_FAILURE() << "accepted";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), AllOf(HasSubstr("was made for outputs "),
                                HasSubstr("expected last_hidden_state (")));
  }
}

// What is asked for is in the plan, is in the file, and is what runs.
TEST_F(PlanTest, EveryLoopOrderCanBeForced) {
  const std::vector<float> expected = run(plan());
  for (const LoopOrder order : kLoopOrders) {
    SCOPED_TRACE(option_name(order));
    SessionOptions options = options_;
    options.loop_order = order;
    const auto session = Session::create(model_, options);
    for (const OpSchedule& op : session->plan().ops) {
      for (const NestRange& range : op.nests) EXPECT_EQ(range.nest.order, order);
    }
    const test::TemporaryFile file(".json");
    save_plan(file.path(), session->plan());
    const Plan loaded = load_plan(file.path());
    EXPECT_EQ(loaded.ops, session->plan().ops);
    EXPECT_EQ(run(loaded), expected);
  }
}

TEST_F(PlanTest, EveryDataflowCanBeForced) {
  const std::vector<float> expected = run(plan());
  for (const kernels::AttentionDataflow dataflow : kAllDataflows) {
    SCOPED_TRACE(to_string(dataflow));
    SessionOptions options = options_;
    options.attention = dataflow;
    const auto session = Session::create(model_, options);
    int attentions = 0;
    for (const OpSchedule& op : session->plan().ops) {
      for (const AttentionRange& range : op.attention) {
        EXPECT_EQ(range.dataflow, dataflow);
        ++attentions;
      }
    }
    EXPECT_GT(attentions, 0);
    const PlanReport report = session->report(64, 1);
    const auto is_attention = [](const OpReport& op) { return op.kind == "attention"; };
    const auto op = std::find_if(report.ops.begin(), report.ops.end(), is_attention);
    ASSERT_NE(op, report.ops.end());
    EXPECT_EQ(op->chosen.name, to_string(dataflow));
    const test::TemporaryFile file(".json");
    save_plan(file.path(), session->plan());
    const Plan loaded = load_plan(file.path());
    EXPECT_EQ(loaded.ops, session->plan().ops);
    const std::vector<float> got = run(loaded);
    ASSERT_EQ(got.size(), expected.size());
    for (std::size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], expected[i], 2e-5F) << i;
  }
}

TEST_F(PlanTest, ASavedPlanAndAForcedOrderContradict) {
  const auto saved = std::make_shared<const Plan>(plan());
  SessionOptions options = options_;
  options.plan = saved;
  options.loop_order = LoopOrder::os_2d;
  EXPECT_THROW(Session::create(model_, options), Error);
  options.loop_order.reset();
  options.attention = kernels::AttentionDataflow::flat_rows;
  EXPECT_THROW(Session::create(model_, options), Error);
}

// A plan is of a program, whatever its values are called; anything else that differs shows.
TEST_F(PlanTest, TheIdentityIsOfWhatIsComputedNotOfNames) {
  const Program program = model_->program();
  Program renamed = program;
  for (Value& value : renamed.values) value.name += "x";
  EXPECT_EQ(fingerprint(renamed), fingerprint(program));
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    if (!std::holds_alternative<AttentionOp>(program.ops[i])) continue;
    Program other = program;
    auto& op = std::get<AttentionOp>(other.ops[i]);
    op.scale = std::nextafter(op.scale, 1.0F);
    EXPECT_NE(fingerprint(other), fingerprint(program));
    other = program;
    std::get<AttentionOp>(other.ops[i]).mask.right = 0;
    EXPECT_NE(fingerprint(other), fingerprint(program));
    other = program;
    std::get<AttentionOp>(other.ops[i]).position = Alibi{};
    EXPECT_NE(fingerprint(other), fingerprint(program));
  }
}

TEST_F(PlanTest, RefusesRangesThatEndTooEarly) {
  Plan made = plan();
  for (OpSchedule& op : made.ops) {
    if (!op.nests.empty()) op.nests = {{63, {}}};
  }
  EXPECT_THROW(run(made), Error);
}

// FF2 may not write over what FF1 of other blocks still reads. Without a residual nothing else
// keeps that alive.
TEST(FeedForwardTest, OutputsDoNotLieOverTheInputOfTheChain) {
  for (const auto& [H, F, N] :
       {std::tuple<Index, Index, Index>{48, 64, 1}, {64, 256, 512}, {96, 96, 96}, {64, 300, 64}}) {
    const test::FeedForward model(H, F, N);
    const std::vector<float> expected = model.run(0, 1);
    for (const int threads : {1, 2, 3}) {
      for (const Index blocks : {1, 2, 5, 60}) {
        EXPECT_EQ(model.run(blocks, threads), expected) << H << " " << F << " " << N;
      }
    }
  }
}

/// The hidden block is bf16: half as large, and the bits of the op by op run.
TEST(FeedForwardTest, ChainsInBf16GiveTheSameBits) {
  const test::FeedForward model(64, 300, 64, Precision::bf16);
  const std::vector<float> expected = model.run(0, 1);
  for (const int threads : {1, 3}) {
    for (const Index blocks : {1, 2, 5, 60}) {
      EXPECT_EQ(model.run(blocks, threads), expected) << blocks << " blocks, " << threads;
    }
  }
  const std::vector<float> f32 = test::FeedForward(64, 300, 64).run(0, 1);
  EXPECT_NE(expected, f32);
}

// Of a chain the report has every op, all blocks together, and the memory with and without.
TEST_F(PlanTest, ReportsChainsByOpAndAsBlocks) {
  options_.max_rows = 640;
  options_.max_sequences = 40;
  options_.row_blocks = 64;
  for (const int threads : {1, 2}) {
    options_.threads = threads;
    const auto session = Session::create(model_, options_);
    const PlanReport report = session->report(640, 10);
    ASSERT_EQ(report.ops.size(), model_->program().ops.size());
    ASSERT_FALSE(report.chains.empty());
    EXPECT_EQ(report.chains[0].shape.blocks, 10);
    EXPECT_LT(report.values_bytes, report.unchained_values_bytes);
    EXPECT_THAT(report.text(), HasSubstr("in 10 blocks of 64 rows; values take"));
    EXPECT_THAT(report.json(), HasSubstr("\"chains\":[{"));
    options_.row_blocks = 0;
    const PlanReport alone = Session::create(model_, options_)->report(640, 10);
    options_.row_blocks = 64;
    EXPECT_TRUE(alone.chains.empty());
    double chained_flops = 0, flops = 0;
    for (const OpReport& op : report.ops) chained_flops += op.flops;
    for (const OpReport& op : alone.ops) flops += op.flops;
    EXPECT_DOUBLE_EQ(chained_flops, flops);
    for (std::size_t i = 0; i < report.ops.size(); ++i) {  // all blocks: no less than the least
      if (report.ops[i].kind != "linear") continue;
      EXPECT_GE(report.ops[i].chosen.l2_bytes, 0.999 * report.ops[i].bound_bytes);
      EXPECT_GE(report.ops[i].chosen.seconds, 0.9 * alone.ops[i].chosen.seconds);
    }
    EXPECT_EQ(report.run_l2_bytes().has_value(), threads == 1);
  }
}

TEST_F(PlanTest, DiffNamesOpRowsAndBothNests) {
  const Plan made = plan();
  Plan other = made;
  for (OpSchedule& op : other.ops) {
    if (op.nests.empty()) continue;
    op.nests.back().nest.order = LoopOrder::os_2d;
    op.nests.back().nest.k_blocks = 3;
    break;
  }
  const std::string text = diff_plans(made, other, model_->program());
  EXPECT_THAT(text, HasSubstr("qkv"));
  EXPECT_THAT(text, HasSubstr("2-D OS"));
  EXPECT_THAT(text, HasSubstr("to 64"));
}

TEST_F(PlanTest, DiffRefusesAPlanThatLacksSomething) {
  const Plan made = plan();
  Plan fewer = made;
  fewer.ops.resize(3);
  EXPECT_THROW(diff_plans(fewer, made, model_->program()), Error);
  Plan hollow = made;
  for (OpSchedule& op : hollow.ops) op.nests.clear();
  EXPECT_THROW(diff_plans(hollow, made, model_->program()), Error);
  EXPECT_EQ(diff_plans(made, made, model_->program()), "no differences\n");
}

TEST_F(PlanTest, StrictRefusesRatesThatNobodyMeasured) {
  options_.rates = nominal_rates(machine(), model_->isa());
  options_.strict = true;
  EXPECT_THROW(Session::create(model_, options_), Error);
  options_.rates = some_rates();
  EXPECT_NO_THROW(Session::create(model_, options_));
}

TEST_F(PlanTest, ReportAddsUpAndSaysWhy) {
  const auto session = Session::create(model_, options_);
  const PlanReport report = session->report(60, 2);
  ASSERT_EQ(report.ops.size(), model_->program().ops.size());
  double seconds = 0;
  for (const OpReport& op : report.ops) {
    seconds += op.chosen.seconds;
    if (op.kind != "linear") continue;
    EXPECT_GE(op.rejected.size(), 4U) << op.name;
    for (const CandidateReport& c : op.rejected) EXPECT_FALSE(c.why.empty()) << op.name;
    EXPECT_GE(op.chosen.l2_bytes, op.bound_bytes * 0.999) << op.name;
    EXPECT_GT(op.naive_bytes, op.chosen.l2_bytes) << op.name;
  }
  EXPECT_DOUBLE_EQ(report.totals().seconds, seconds);
  EXPECT_THAT(report.text(), HasSubstr("layer norm"));
  EXPECT_THAT(report.json(), HasSubstr("\"crossovers\""));
  EXPECT_THROW(session->report(0, 1), Error);
  EXPECT_THROW(session->report(65, 1), Error);
  EXPECT_THROW(session->report(3, 4), Error);
}

TEST_F(PlanTest, ALayerNormJoinsTheLinearBeforeIt) {
  int fused = 0, alone = 0;
  for (const Op& op : model_->program().ops) {
    const auto* linear = std::get_if<LinearOp>(&op);
    fused += linear != nullptr && linear->norm.has_value();
    alone += std::holds_alternative<LayerNormOp>(op);
  }
  EXPECT_EQ(fused, 2);
  EXPECT_EQ(alone, 1);  // of the embedding
}

}  // namespace
}  // namespace tessera
