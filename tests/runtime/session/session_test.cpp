// SPDX-License-Identifier: Apache-2.0
#include "runtime/session/session.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "kernels/kernel_table.hpp"
#include "runtime/base/error.hpp"
#include "runtime/plan/memory_plan.hpp"
#include "tests/runtime/tiny_model.hpp"
#include "tests/support/isa.hpp"

namespace tessera {
namespace {

using test::TinyModel;
using test::TinyShape;

/// A ragged batch with its own storage.
struct Ragged {
  std::vector<std::int32_t> ids, types, offsets{0};

  void add(const std::vector<std::int32_t>& sequence,
           const std::vector<std::int32_t>& sequence_types) {
    ids.insert(ids.end(), sequence.begin(), sequence.end());
    types.insert(types.end(), sequence_types.begin(), sequence_types.end());
    offsets.push_back(static_cast<std::int32_t>(ids.size()));
  }
  Batch batch() const { return {.ids = ids, .types = types, .offsets = offsets}; }
};

std::vector<std::int32_t> random_ids(Index T, Index limit, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::int32_t> ids(static_cast<std::size_t>(T));
  for (std::int32_t& id : ids)
    id = static_cast<std::int32_t>(random() % static_cast<unsigned>(limit));
  return ids;
}

Ragged random_batch(const TinyShape& shape, const std::vector<Index>& lengths) {
  Ragged batch;
  unsigned seed = 100;
  for (const Index T : lengths) {
    batch.add(random_ids(T, shape.vocab, seed), random_ids(T, shape.types, seed + 1));
    seed += 2;
  }
  return batch;
}

std::vector<float> copy_rows(const TensorView<const float>& view, Index begin, Index end) {
  std::vector<float> rows;
  for (Index i = begin; i < end; ++i)
    rows.insert(rows.end(), view.row(i).begin(), view.row(i).end());
  return rows;
}

class SessionTest : public testing::TestWithParam<std::tuple<Isa, bool>> {
 protected:
  void SetUp() override { SKIP_UNLESS_SUPPORTED(std::get<0>(GetParam())); }
  TinyModel tiny_{TinyShape{.relative_bias = std::get<1>(GetParam())}};
  std::shared_ptr<const Model> model() const {
    return Model::create(tiny_.program(), tiny_.checkpoint(),
                         {.isa = std::get<0>(GetParam()), .outputs = {}});
  }
};

TEST_P(SessionTest, MatchesTheDoubleReference) {
  const std::vector<Index> lengths{1, 7, 64, 2, 33};
  const Ragged batch = random_batch(tiny_.shape(), lengths);
  const auto session =
      Session::create(model(), {.max_rows = 200, .max_sequences = 8, .threads = 2, .outputs = {}});
  session->run(batch.batch());
  const TensorView<const float> last = session->output("last_hidden_state");
  ASSERT_EQ(last.rows, 107);
  for (std::size_t s = 0; s < lengths.size(); ++s) {
    const auto begin = batch.ids.begin() + batch.offsets[s],
               end = batch.ids.begin() + batch.offsets[s + 1];
    const std::vector<std::int32_t> ids(begin, end);
    const std::vector<std::int32_t> types(batch.types.begin() + batch.offsets[s],
                                          batch.types.begin() + batch.offsets[s + 1]);
    const std::vector<double> expected = tiny_.reference(ids, types);
    const std::vector<float> got = copy_rows(last, batch.offsets[s], batch.offsets[s + 1]);
    // A few hundred roundings of values of size ~3 pass through three layer norms.
    for (std::size_t i = 0; i < got.size(); ++i)
      ASSERT_NEAR(static_cast<double>(got[i]), expected[i], 2e-5)
          << "sequence " << s << " element " << i;
  }
}

// Every pooling of the states, of the rows from pool_from on.
void check_pools(const Session& session, const Batch& batch) {
  const TensorView<const float> x = session.output("last_hidden_state");
  for (std::size_t s = 0; s + 1 < batch.offsets.size(); ++s) {
    const Index begin = batch.offsets[s], end = batch.offsets[s + 1];
    const Index from = batch.pool_from.empty() ? 0 : batch.pool_from[s];
    const auto T = static_cast<double>(end - begin - from);
    for (std::size_t n = 0; n < static_cast<std::size_t>(x.cols); ++n) {
      double sum = 0, weighted = 0, weights = 0, max = -1e300;
      for (Index t = from; t < end - begin; ++t) {
        const double value = static_cast<double>(x.row(begin + t)[n]);
        sum += value, weighted += static_cast<double>(t + 1) * value,
            weights += static_cast<double>(t + 1);
        max = std::max(max, value);
      }
      const auto pooled = [&](const char* name) {
        const auto row = static_cast<Index>(s);
        return static_cast<double>(session.output(std::string("pooled.") + name).row(row)[n]);
      };
      EXPECT_EQ(pooled("first"), static_cast<double>(x.row(begin)[n]));
      EXPECT_EQ(pooled("last"), static_cast<double>(x.row(end - 1)[n]));
      EXPECT_EQ(pooled("max"), max);
      EXPECT_NEAR(pooled("mean"), sum / T, 1e-6);
      EXPECT_NEAR(pooled("mean_sqrt_len"), sum / std::sqrt(T), 1e-5);
      EXPECT_NEAR(pooled("weighted_mean"), weighted / weights, 1e-6);
    }
  }
}

TEST_P(SessionTest, PoolsEachSequence) {
  const Ragged batch = random_batch(tiny_.shape(), {5, 1, 12});
  const auto session =
      Session::create(model(), {.max_rows = 18, .max_sequences = 3, .threads = 1, .outputs = {}});
  const std::vector<std::int32_t> pool_from{2, 0, 7};
  for (const bool leaves_out : {false, true}) {
    Batch given = batch.batch();
    if (leaves_out) given.pool_from = pool_from;
    session->run(given);
    check_pools(*session, given);
  }
  const std::vector<std::int32_t> everything{5, 1, 12}, more{0, 0, 13};
  Batch given = batch.batch();
  given.pool_from = everything;
  session->run(given);
  for (const char* name : {"pooled.mean", "pooled.max", "pooled.weighted_mean"}) {
    EXPECT_THAT(copy_rows(session->output(name), 0, 3), testing::Each(0.0F)) << name;
  }
  given.pool_from = more;
  EXPECT_THAT(
      [&] { session->run(given); },
      testing::Throws<Error>(testing::Property(
          &Error::what, testing::HasSubstr("sequence 2: pool_from is 13, expected 0 to 12"))));
}

TEST_P(SessionTest, ASequenceInABatchIsBitIdenticalToItselfAlone) {
  const std::vector<Index> lengths{13, 64, 1, 40, 16, 17, 64, 3};
  const Ragged batch = random_batch(tiny_.shape(), lengths);
  const auto m = model();
  for (const int threads : {1, 2}) {
    const auto together = Session::create(
        m, {.max_rows = 300, .max_sequences = 8, .threads = threads, .outputs = {}});
    const auto alone = Session::create(
        m, {.max_rows = 64, .max_sequences = 1, .threads = 1, .outputs = {"last_hidden_state"}});
    together->run(batch.batch());
    for (std::size_t s = 0; s < lengths.size(); ++s) {
      Ragged one;
      one.add({batch.ids.begin() + batch.offsets[s], batch.ids.begin() + batch.offsets[s + 1]},
              {batch.types.begin() + batch.offsets[s], batch.types.begin() + batch.offsets[s + 1]});
      alone->run(one.batch());
      EXPECT_EQ(
          copy_rows(together->output("last_hidden_state"), batch.offsets[s], batch.offsets[s + 1]),
          copy_rows(alone->output("last_hidden_state"), 0, lengths[s]))
          << "sequence " << s << ", " << threads << " threads";
    }
  }
}

TEST_P(SessionTest, QueryOnlyRowsChangeNothingForTheOthers) {
  const Ragged with = random_batch(tiny_.shape(), {9});
  const std::vector<std::int32_t> query_only{2}, columns{0, 1, 2, 3, 4, 5, 6, 7, 8};
  std::vector<std::int32_t> positions(9);
  for (std::size_t i = 0; i < 9; ++i) positions[i] = static_cast<std::int32_t>(i);
  const auto session =
      Session::create(model(), {.max_rows = 9, .max_sequences = 1, .threads = 1, .outputs = {}});
  Batch batch = with.batch();
  batch.positions = positions;
  batch.query_only = query_only;
  session->run(batch);
  const std::vector<float> got = copy_rows(session->output("last_hidden_state"), 2, 9);
  batch.ids = batch.ids.subspan(2);
  batch.types = batch.types.subspan(2);
  batch.positions = batch.positions.subspan(2);
  batch.query_only = {};
  const std::vector<std::int32_t> offsets{0, 7};
  batch.offsets = offsets;
  session->run(batch);
  EXPECT_EQ(got, copy_rows(session->output("last_hidden_state"), 0, 7));
  batch.columns = std::span(columns).subspan(2);  // the same differences, through the other path
  session->run(batch);
  EXPECT_EQ(got, copy_rows(session->output("last_hidden_state"), 0, 7));
}

TEST_P(SessionTest, MemoryIsStatedBeforeItIsAllocated) {
  const SessionOptions options{.max_rows = 100, .max_sequences = 4, .threads = 2, .outputs = {}};
  const auto m = model();
  EXPECT_EQ(Session::memory_bytes(*m, options), Session::create(m, options)->memory_bytes());
  SessionOptions fewer = options;
  fewer.outputs = {"pooled.first"};
  EXPECT_LT(Session::memory_bytes(*m, fewer), Session::memory_bytes(*m, options));
}

INSTANTIATE_TEST_SUITE_P(AllIsas, SessionTest,
                         testing::Combine(testing::ValuesIn(kAllIsas), testing::Bool()),
                         [](const auto& p) {
                           return std::string(to_string(std::get<0>(p.param))) +
                                  (std::get<1>(p.param) ? "_bias" : "_plain");
                         });

class SessionErrorTest : public testing::Test {
 protected:
  /// The message of the error that `run` throws; fails the test if it throws none or another code.
  static std::string message(ErrorCode code, const std::function<void()>& run) {
    try {
      run();
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), code) << e.what();
      return e.what();
    }
    ADD_FAILURE() << "no error";
    return {};
  }
  TinyModel tiny_{TinyShape{}};
  std::shared_ptr<const Model> model_ = Model::create(tiny_.program(), tiny_.checkpoint(), {});
  std::unique_ptr<Session> session_ =
      Session::create(model_, {.max_rows = 70, .max_sequences = 2, .threads = 1, .outputs = {}});
  const std::vector<std::int32_t> ids_{1, 2, 3}, offsets_{0, 3};
};

TEST_F(SessionErrorTest, BatchesAreRefusedByName) {
  const auto refused = [&](const Batch& batch) {
    return message(ErrorCode::invalid_argument, [&] { session_->run(batch); });
  };
  const std::vector<std::int32_t> big_ids{1, 50}, negative{1, -1}, falling{0, 2, 2}, late{1, 2},
      far{0, 2}, short_offsets{0};
  const std::vector<std::int32_t> two{0, 2}, many(71, 1), many_offsets{0, 71}, long_offsets{0, 65},
      three{0, 1, 2, 3}, bad_types{0, 2, 0}, bad_positions{0, 1, 64};
  EXPECT_EQ(refused({.ids = big_ids, .types = {}, .offsets = two}),
            "batch: sequence 0: token id 1 is 50, expected 0 to 49 (vocabulary)");
  EXPECT_EQ(refused({.ids = negative, .types = {}, .offsets = two}),
            "batch: sequence 0: token id 1 is -1, expected 0 to 49 (vocabulary)");
  EXPECT_EQ(refused({.ids = ids_, .types = {}, .offsets = far}),
            "batch: offsets ends at 2, expected 3 (the number of ids)");
  EXPECT_EQ(refused({.ids = late, .types = {}, .offsets = falling}),
            "batch: sequence 1: got no token ids, expected at least 1");
  EXPECT_EQ(refused({.ids = {}, .types = {}, .offsets = short_offsets}),
            "batch: offsets has 1 elements, expected sequences + 1 (at least 2)");
  EXPECT_EQ(refused({.ids = ids_, .types = {}, .offsets = three}),
            "batch: 3 sequences, expected at most 2 (max_sequences)");
  EXPECT_EQ(refused({.ids = many, .types = {}, .offsets = many_offsets}),
            "batch: 71 token rows, expected at most 70 (max_rows)");
  EXPECT_EQ(refused({.ids = std::span(many).first(65), .types = {}, .offsets = long_offsets}),
            "batch: sequence 0: got 65 tokens, expected at most 64 (position table)");
  EXPECT_EQ(refused({.ids = ids_, .types = bad_types, .offsets = offsets_}),
            "batch: sequence 0: type id 1 is 2, expected 0 to 1 (token types)");
  EXPECT_EQ(refused({.ids = ids_, .types = two, .offsets = offsets_}),
            "batch: types has 2 elements, expected 3 or none");
  EXPECT_EQ(refused({.ids = ids_, .types = {}, .offsets = offsets_, .positions = bad_positions}),
            "batch: sequence 0: position 2 is 64, expected 0 to 63 (position table)");
}

TEST_F(SessionErrorTest, OffsetsAreCheckedBeforeTheyAreUsed) {
  const std::vector<std::int32_t> ids(10, 1), far{0, 60, 10}, wild{0, 5, -2147483647 - 1},
      columns(10, 0);
  for (const auto& offsets : {far, wild}) {
    EXPECT_THROW(session_->run({.ids = ids, .types = {}, .offsets = offsets, .columns = columns}),
                 Error);
  }
}

TEST_F(SessionErrorTest, RowsBeyondTheReachOfTheBiasAreRefused) {
  const TinyModel biased{TinyShape{.relative_bias = true}};
  const auto model = Model::create(biased.program(), biased.checkpoint(), {});
  const auto session = Session::create(model, {.max_rows = 300, .max_sequences = 1, .threads = 1});
  const std::vector<std::int32_t> ids(300, 1), offsets{0, 300}, query_only{295}, positions(300, 0);
  const Batch batch{
      .ids = ids, .offsets = offsets, .positions = positions, .query_only = query_only};
  EXPECT_THAT(message(ErrorCode::invalid_argument, [&] { session->run(batch); }),
              testing::HasSubstr("expected at most 64 (the relative position bias)"));
}

TEST_F(SessionErrorTest, OptionsAndOutputsAreRefusedByName) {
  const auto create = [&](SessionOptions options) {
    return [=, this] { Session::create(model_, options); };
  };
  EXPECT_THAT(message(ErrorCode::invalid_argument,
                      create({.max_rows = 0, .max_sequences = 1, .threads = 1, .outputs = {}})),
              testing::HasSubstr("max_rows is 0"));
  EXPECT_THAT(message(ErrorCode::invalid_argument,
                      create({.max_rows = 4, .max_sequences = 5, .threads = 1, .outputs = {}})),
              testing::HasSubstr("max_sequences is 5"));
  EXPECT_THAT(message(ErrorCode::invalid_argument,
                      create({.max_rows = 4, .max_sequences = 1, .threads = -1, .outputs = {}})),
              testing::HasSubstr("threads is -1"));
  EXPECT_THAT(
      message(ErrorCode::not_found,
              create({.max_rows = 4, .max_sequences = 1, .threads = 1, .outputs = {"logits"}})),
      testing::HasSubstr("no output \"logits\""));
  EXPECT_THAT(message(ErrorCode::not_found, [&] { (void)session_->output("logits"); }),
              testing::HasSubstr("last_hidden_state"));
}

TEST_F(SessionErrorTest, ALevelWithoutTheProgramsPrecisionIsRefused) {
  const auto create = [&](const kernels::KernelTable& kernels) {
    return [&] { (void)Model::create(tiny_.program(), tiny_.checkpoint(), {.kernels = &kernels}); };
  };
  kernels::KernelTable no_gemm = kernels::kernels_at(Isa::baseline), no_attention = no_gemm;
  no_gemm.gemm = {};
  no_attention.attention = {};
  EXPECT_THAT(message(ErrorCode::invalid_argument, create(no_gemm)),
              testing::AllOf(testing::HasSubstr("weight \""), testing::HasSubstr("f32"),
                             testing::HasSubstr("baseline")));
  EXPECT_THAT(message(ErrorCode::invalid_argument, create(no_attention)),
              testing::HasSubstr("attention \""));
}

TEST_F(SessionErrorTest, ARefusedBatchLeavesTheLastResult) {
  session_->run({.ids = ids_, .types = {}, .offsets = offsets_});
  const std::vector<float> before = copy_rows(session_->output("last_hidden_state"), 0, 3);
  const std::vector<std::int32_t> bad{1, 2, 99};
  EXPECT_THROW(session_->run({.ids = bad, .types = {}, .offsets = offsets_}), Error);
  EXPECT_EQ(before, copy_rows(session_->output("last_hidden_state"), 0, 3));
}

// A unit that takes 16 rows reads 15 behind the last one of the last value: they are in the arena.
TEST(SessionMemoryTest, RowsThatAUnitReadsBehindTheLastAreInTheArena) {
  const TinyModel tiny(TinyShape{});
  const auto arena = [&](Index rows_read) {
    kernels::KernelTable table = kernels::kernels_at(best_isa());
    table.gemm[Precision::f32].rows_read = rows_read;
    const auto model = Model::create(tiny.program(), tiny.checkpoint(), {.kernels = &table});
    return Session::create(model, {.max_rows = 20, .max_sequences = 2, .threads = 1})
        ->memory_bytes();
  };
  const Index widest = activation_stride(tiny.shape().inner) * Index{sizeof(float)};
  EXPECT_GE(arena(16), arena(1) + static_cast<std::size_t>(15 * widest));
}

}  // namespace
}  // namespace tessera
