// SPDX-License-Identifier: Apache-2.0
// Chains run: the bits of op by op, whatever the blocks, the batch and the threads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <map>

#include "runtime/base/error.hpp"
#include "runtime/execute/run_observer.hpp"
#include "runtime/machine/machine.hpp"
#include "runtime/plan/plan_file.hpp"
#include "runtime/program/keys_first.hpp"
#include "runtime/session/memory_bytes.hpp"
#include "runtime/session/session.hpp"
#include "tests/runtime/layers_model.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/temporary.hpp"

namespace tessera {
namespace {

struct Ragged {
  std::vector<std::int32_t> ids, offsets{0}, query_only, pool_from;
  explicit Ragged(std::initializer_list<int> lengths) {
    for (const int T : lengths) {
      for (int t = 0; t < T; ++t)
        ids.push_back(static_cast<std::int32_t>((ids.size() * 7 + 3) % 50));
      offsets.push_back(static_cast<std::int32_t>(ids.size()));
      query_only.push_back(T > 4 ? T % 3 : 0);
      pool_from.push_back(T / 3);
    }
  }
  /// With either of the two, which leave rows out.
  Batch batch(bool with_query_only) const {
    Batch b{.ids = ids, .offsets = offsets};
    (with_query_only ? b.query_only : b.pool_from) = with_query_only ? query_only : pool_from;
    return b;
  }
  Index rows() const { return static_cast<Index>(ids.size()); }
};

std::vector<float> all_outputs(const Session& session) {
  std::vector<float> values;
  for (const char* name : {"last_hidden_state", "embedding"}) {
    const TensorView<const float> out = session.output(name);
    for (Index i = 0; i < out.rows; ++i)
      values.insert(values.end(), out.row(i).begin(), out.row(i).end());
  }
  return values;
}

class ChainRunTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override { SKIP_UNLESS_SUPPORTED(GetParam()); }
  SessionOptions options(Index blocks, int threads) const {
    return {.max_rows = 300,
            .max_sequences = 40,
            .threads = threads,
            .outputs = {},
            .row_blocks = blocks};
  }
};

TEST_P(ChainRunTest, GivesTheBitsOfOpByOp) {
  const Ragged batches[] = {Ragged({64, 1, 13, 40, 64, 7, 2, 2, 33, 64}), Ragged({5}),
                            Ragged({1, 1, 1, 1, 1, 1, 1}), Ragged({64, 64, 64, 64})};
  for (const bool pre_norm : {false, true}) {
    for (const kernels::AttentionMask& mask :
         {kernels::AttentionMask{}, kernels::AttentionMask{.right = 0}}) {
      const bool has_tile_ops = pre_norm == (mask.right == 0);
      const test::LayersModel layers({.layers = 2,
                                      .pre_norm = pre_norm,
                                      .inner = has_tile_ops ? 192 : 200,
                                      .mask = mask,
                                      .turned = has_tile_ops,
                                      .gated = has_tile_ops});
      for (const Precision precision : kModelPrecisions) {
        const auto model = layers.create(precision, GetParam());
        const auto expected = Session::create(model, options(0, 1));
        for (const auto& op : expected->plan().ops) ASSERT_FALSE(op.chain.begins());
        for (const int threads : {1, 3}) {
          for (const Index blocks : {1, 17, 40, 64, 100}) {
            const auto session = Session::create(model, options(blocks, threads));
            for (const Ragged& ragged : batches) {
              for (const bool query_only : {false, true}) {
                expected->run(ragged.batch(query_only));
                session->run(ragged.batch(query_only));
                const std::vector<float> want = all_outputs(*expected), got = all_outputs(*session);
                ASSERT_EQ(want.size(), got.size());
                ASSERT_EQ(std::memcmp(want.data(), got.data(), want.size() * sizeof(float)), 0)
                    << "blocks of " << blocks << ", " << threads << " threads, " << ragged.rows()
                    << " rows, " << to_string(precision);
              }
            }
          }
        }
      }
    }
  }
}

TEST_P(ChainRunTest, BlocksOfQueriesGiveTheBitsOfOpByOp) {
  const Ragged batches[] = {Ragged({300}), Ragged({190, 1, 13, 40, 7}), Ragged({1})};
  const kernels::AttentionMask masks[] = {{}, {.right = 0}, {.left = 20, .right = 20}};
  for (int variant = 0; variant < 6; ++variant) {
    const bool turned = variant % 2 == 1, query_only = !turned;
    const test::LayersModel layers({.layers = 2,
                                    .pre_norm = variant >= 3,
                                    .inner = 192,
                                    .positions = 300,
                                    .mask = masks[variant % 3],
                                    .turned = turned,
                                    .gated = turned,
                                    .kv_heads = variant % 3 == 1 ? 1 : 0});
    for (const Precision precision : kModelPrecisions) {
      const auto model = layers.create(precision, GetParam());
      const auto expected = Session::create(model, options(0, 1));
      std::vector<std::vector<float>> wants;
      for (const Ragged& ragged : batches) {
        expected->run(ragged.batch(query_only));
        wants.push_back(all_outputs(*expected));
      }
      for (const int threads : {1, 3}) {
        for (const Index blocks : {Index{threads == 1 ? 64 : 96}, Index{256}}) {
          SessionOptions least = options(blocks, threads);
          least.least_memory = true;
          const auto session = Session::create(model, least);
          EXPECT_EQ(session->memory_bytes(), Session::memory_bytes(*model, least));
          Index of_queries = 0;
          for (std::size_t i = 0; i < session->program().ops.size(); ++i) {
            const auto ops = static_cast<std::size_t>(session->plan().ops[i].chain.ops);
            of_queries += attention_of_queries(session->program(), {i, ops}).has_value();
          }
          // Where keys are hidden, blocks of the attention are the plan's, and may be larger.
          const bool may_be_larger = variant % 3 != 0 && blocks < 256;
          const Index NR = kernels::kernels_at(GetParam()).gemm[precision].NR;
          if (64 % NR == 0) {  // Q is whole panels
            EXPECT_TRUE(of_queries == 2 || may_be_larger) << blocks;
          } else {
            EXPECT_FALSE(is_keys_first(session->program()));
          }
          for (const Ragged& ragged : batches) {
            const std::vector<float>& want = wants[static_cast<std::size_t>(&ragged - batches)];
            session->run(ragged.batch(query_only));
            const std::vector<float> got = all_outputs(*session);
            ASSERT_EQ(want.size(), got.size());
            ASSERT_EQ(std::memcmp(want.data(), got.data(), want.size() * sizeof(float)), 0)
                << "variant " << variant << ", blocks of " << blocks << ", " << threads
                << " threads, " << ragged.rows() << " rows, " << to_string(precision);
          }
        }
      }
    }
  }
}

INSTANTIATE_FOR_ALL_ISAS(ChainRunTest);

TEST(ChainSessionTest, ACapThatAllowsNothingElseGetsBlocksOfQueries) {
  // W[K,V] begins a panel at every level: 192 columns.
  const test::LayersModel layers({.layers = 2,
                                  .pre_norm = true,
                                  .heads = 6,
                                  .inner = 576,
                                  .positions = 4000,
                                  .turned = true,
                                  .gated = true});
  const auto model = layers.create();
  SessionOptions options{.max_rows = 4000, .max_sequences = 1, .threads = 1, .outputs = {}};
  const auto usual = Session::create(model, options);
  EXPECT_FALSE(is_keys_first(usual->program()));
  options.least_memory = true;
  const std::size_t least = Session::memory_bytes(*model, options);
  EXPECT_LT(4 * least, 3 * usual->memory_bytes());
  options.least_memory.reset();
  const std::size_t weights = model->packed_bytes() + model->mapped_bytes();
  options.memory_cap_bytes = weights + least;
  const auto capped = Session::create(model, options);
  EXPECT_LE(weights + capped->memory_bytes(), options.memory_cap_bytes);
  EXPECT_TRUE(is_keys_first(capped->program()));
  EXPECT_EQ(capped->memory_bytes(), Session::memory_bytes(*model, options));
  const Ragged ragged({3000});
  usual->run(ragged.batch(false));
  capped->run(ragged.batch(false));
  EXPECT_EQ(all_outputs(*usual), all_outputs(*capped));
  // Every block reads K and V of all rows, which are more than L2 holds.
  const auto attention_bytes = [](const Session& session) {
    double bytes = 0;
    for (const OpReport& op : session.report(4000, 1).ops)
      bytes += op.kind == "attention" ? op.chosen.l2_bytes : 0;
    return bytes;
  };
  if (machine().l2.bytes <= Index{2} << 20) {
    EXPECT_GT(attention_bytes(*capped), 5 * attention_bytes(*usual));
  }
  // Fewer rows in the usual way, where these are enough; else blocks of queries.
  SessionOptions fewer = fit_to_cap(*model, options);
  EXPECT_LT(fewer.max_rows, 4000);
  EXPECT_FALSE(is_keys_first(Session::create(model, fewer)->program()));
  EXPECT_EQ(fit_to_cap(*model, options, 4000).max_rows, 4000);
  // Its plan says so, saved and loaded.
  SessionOptions planned{.max_rows = 4000, .max_sequences = 1, .threads = 1, .outputs = {}};
  const test::TemporaryFile file(".json");
  save_plan(file.path(), capped->plan());
  planned.plan = std::make_shared<const Plan>(load_plan(file.path()));
  EXPECT_EQ(Session::create(model, planned)->memory_bytes(), least);
  --options.memory_cap_bytes;
  EXPECT_THROW(Session::create(model, options), Error);
  options.least_memory = false;
  options.memory_cap_bytes = weights + least;
  EXPECT_THROW(Session::create(model, options), Error);
}

TEST(ChainSessionTest, TheArenaIsSmallerAndIsWhatWasPromised) {
  const test::LayersModel layers({.layers = 3});
  const auto model = layers.create();
  const auto bytes = [&](Index blocks) {
    const SessionOptions options{
        .max_rows = 2000, .max_sequences = 40, .threads = 1, .outputs = {}, .row_blocks = blocks};
    const auto session = Session::create(model, options);
    EXPECT_EQ(session->memory_bytes(), Session::memory_bytes(*model, options));
    return session->memory_bytes();
  };
  EXPECT_LT(2 * bytes(64), bytes(0));
}

/// The ops that an observer is told of.
class Seen final : public RunObserver {
 public:
  std::vector<std::pair<std::size_t, std::size_t>> begun, ended;
  void begin_ops(std::size_t op, std::size_t count) noexcept override {
    begun.emplace_back(op, count);
  }
  void end_ops(std::size_t op, std::size_t count) noexcept override {
    ended.emplace_back(op, count);
  }
};

TEST(ChainSessionTest, ObserversSeeEveryBlockOnOneThreadAndTheChainOnSeveral) {
  const test::LayersModel layers({.layers = 2});
  const auto model = layers.create();
  const Ragged ragged({64, 64, 64, 64});
  for (const int threads : {1, 2}) {
    SessionOptions options{
        .max_rows = 300, .max_sequences = 4, .threads = threads, .outputs = {}, .row_blocks = 64};
    const auto session = Session::create(model, options);
    Seen seen;
    seen.begun.reserve(1000);
    seen.ended.reserve(1000);
    session->observe(&seen);
    session->run(ragged.batch(false));
    EXPECT_EQ(seen.begun, seen.ended);
    std::map<std::size_t, std::size_t> times;
    for (const auto& [op, count] : seen.begun) {
      for (std::size_t i = op; i < op + count; ++i) ++times[i];
      EXPECT_TRUE(count == 1 || threads == 2);
    }
    for (std::size_t i = 0; i < session->program().ops.size(); ++i) {
      const bool is_chained = i > 0 && i + 1 < session->program().ops.size();
      EXPECT_EQ(times[i], threads == 1 && is_chained ? 4U : 1U) << i;
    }
  }
}

TEST(ChainSessionTest, CancelsWithinAChain) {
  const test::LayersModel layers({.layers = 2});
  const auto model = layers.create();
  const auto session = Session::create(
      model, {.max_rows = 300, .max_sequences = 4, .threads = 1, .outputs = {}, .row_blocks = 64});
  const Ragged ragged({64, 64, 64, 64});
  std::atomic<bool> cancelled{false};
  class CancelAt final : public RunObserver {
   public:
    explicit CancelAt(std::atomic<bool>& flag) : flag_(flag) {}
    void begin_ops(std::size_t, std::size_t) noexcept override { flag_ = ++begun_ == 9; }
    void end_ops(std::size_t, std::size_t) noexcept override {}

   private:
    std::atomic<bool>& flag_;
    int begun_ = 0;
  } observer(cancelled);
  session->observe(&observer);
  EXPECT_THROW(session->run(ragged.batch(false), {.cancelled = &cancelled}), Error);
  session->observe(nullptr);
  cancelled = false;
  session->run(ragged.batch(false), {.cancelled = &cancelled});
  const std::vector<float> after = all_outputs(*session);
  const auto fresh = Session::create(
      model, {.max_rows = 300, .max_sequences = 4, .threads = 1, .outputs = {}, .row_blocks = 0});
  fresh->run(ragged.batch(false));
  EXPECT_EQ(after, all_outputs(*fresh));
}

TEST(ChainSessionTest, ASavedPlanBringsItsChains) {
  const test::LayersModel layers({.layers = 2});
  const auto model = layers.create();
  for (const int threads : {1, 2}) {
    SessionOptions options{
        .max_rows = 300, .max_sequences = 4, .threads = threads, .outputs = {}, .row_blocks = 64};
    const auto session = Session::create(model, options);
    const test::TemporaryFile file(".json");
    save_plan(file.path(), session->plan());
    const Plan loaded = load_plan(file.path());
    EXPECT_EQ(loaded.ops, session->plan().ops);
    options.plan = std::make_shared<const Plan>(loaded);
    EXPECT_THROW(Session::create(model, options), Error);  // and row_blocks beside it
    options.row_blocks.reset();
    const auto replayed = Session::create(model, options);
    EXPECT_EQ(replayed->memory_bytes(), session->memory_bytes());
    const Ragged ragged({64, 20, 64, 3});
    session->run(ragged.batch(false));
    replayed->run(ragged.batch(false));
    EXPECT_EQ(all_outputs(*replayed), all_outputs(*session));
  }
}

/// A table of 50 rows of 32.
ValueId add_embedding(test::OpModel& made) {
  Program& p = made.program();
  p.inputs = TokenSpec{.vocab_size = 50, .position_rows = 0, .max_tokens = 64};
  const ValueId e = p.add_value("e", kTokens, 32);
  p.ops.emplace_back(EmbeddingOp{
      .terms = {{made.parameter("words", ParameterKind::table, 50, 32), TokenInput::ids}},
      .out = e});
  return e;
}

/// Two norms, one after the other, both of them outputs: a chain in which nothing is inner.
TEST(ChainSessionTest, AChainMayHaveNoValueOfItsOwn) {
  test::OpModel made;
  Program& p = made.program();
  const ValueId e = add_embedding(made);
  const ParameterId gamma = made.parameter("gamma", ParameterKind::vector, 32),
                    beta = made.parameter("beta", ParameterKind::vector, 32);
  const ValueId a =
      made.add("a", kTokens, 32,
               LayerNormOp{.in = e, .gamma = gamma, .beta = beta, .eps = 1e-5F, .out = kNone});
  made.add("b", kTokens, 32,
           LayerNormOp{.in = a, .gamma = gamma, .beta = beta, .eps = 1e-5F, .out = kNone});
  const auto model = Model::create(p, made.checkpoint(), {});
  const Ragged ragged({20, 30});
  for (const int threads : {1, 2}) {
    std::vector<std::vector<float>> got;
    for (const Index blocks : {0, 16}) {
      const auto session = Session::create(model, {.max_rows = 64,
                                                   .max_sequences = 4,
                                                   .threads = threads,
                                                   .outputs = {},
                                                   .row_blocks = blocks});
      EXPECT_EQ(session->plan().ops[1].chain.begins(), blocks > 0);
      session->run(ragged.batch(false));
      const TensorView<const float> out = session->output("b");
      got.emplace_back();
      for (Index i = 0; i < out.rows; ++i)
        got.back().insert(got.back().end(), out.row(i).begin(), out.row(i).end());
    }
    EXPECT_EQ(got[0], got[1]);
  }
}

TEST(ChainSessionTest, BlockNestsOfAPlanCoverTheBlockAndAreNotOneDnns) {
  const test::LayersModel layers({.layers = 2});
  const auto model = layers.create();
  SessionOptions options{
      .max_rows = 300, .max_sequences = 4, .threads = 2, .outputs = {}, .row_blocks = 64};
  const Plan made = Session::create(model, options)->plan();
  options.row_blocks.reset();
  const auto refused = [&](auto&& change) {
    Plan plan = made;
    bool changed = false;
    for (OpSchedule& op : plan.ops) {
      if (op.block_nests.empty()) continue;
      change(op.block_nests.back());
      changed = true;
    }
    EXPECT_TRUE(changed);
    options.plan = std::make_shared<const Plan>(plan);
    EXPECT_THROW(Session::create(model, options), Error);
  };
  refused([](NestRange& range) { range.last_rows = 63; });
  refused([](NestRange& range) { range.onednn = true; });
  // Blocks larger than the batch: as large as the batch, and in the file.
  options.plan = nullptr;
  options.row_blocks = (Index{1} << 31) - 1;
  const auto huge = Session::create(model, options);
  const test::TemporaryFile file(".json");
  save_plan(file.path(), huge->plan());
  EXPECT_EQ(load_plan(file.path()).ops, huge->plan().ops);
}

TEST(ChainSessionTest, BlocksThatNoOpTakesAreAFallback) {
  test::OpModel made;
  Program& p = made.program();
  const ValueId e = add_embedding(made);
  p.outputs = {{"e", e}};
  const auto model = Model::create(p, made.checkpoint(), {});
  SessionOptions options{
      .max_rows = 64, .max_sequences = 4, .threads = 1, .outputs = {}, .row_blocks = 16};
  const auto fallbacks = Session::create(model, options)->plan().fallbacks;
  EXPECT_THAT(fallbacks, testing::Contains(testing::HasSubstr("blocks of 16 rows were asked for")));
}

}  // namespace
}  // namespace tessera
