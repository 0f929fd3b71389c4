// SPDX-License-Identifier: Apache-2.0
// The same sequence gives the same bits: whatever the threads, the pool, the neighbours, the place
// in the batch, the session, the arena's size, and the caller's floating-point environment.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <immintrin.h>

#include <algorithm>
#include <cfenv>
#include <clocale>
#include <csignal>
#include <numeric>

#include "kernels/types.hpp"
#include "runtime/session/session.hpp"
#include "tests/runtime/op_model.hpp"
#include "tests/runtime/ragged.hpp"
#include "tests/runtime/threads/pools.hpp"
#include "tests/runtime/tiny_model.hpp"
#include "tests/support/isa.hpp"

namespace tessera {
namespace {

using test::results;
using test::Sequence;

constexpr test::TinyShape kShape{.vocab = 100, .heads = 4, .head_dim = 16, .inner = 200};

std::vector<Sequence> sequences_of(unsigned seed, std::size_t count) {
  std::mt19937 random(seed);
  std::vector<Sequence> sequences;
  for (std::size_t s = 0; s < count; ++s)
    sequences.push_back(test::random_sequence(1 + random() % 64, kShape.vocab,
                                              seed + 31 * static_cast<unsigned>(s)));
  return sequences;
}

class DeterminismTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    SKIP_UNLESS_SUPPORTED(GetParam());
    model_ = Model::create(tiny_.program(), tiny_.checkpoint(), {.isa = GetParam()});
  }
  std::unique_ptr<Session> session(SessionOptions options) const {
    return Session::create(model_, options);
  }
  /// Every sequence alone, with one thread: what all else is compared with.
  std::vector<std::vector<float>> alone(const std::vector<Sequence>& sequences) const {
    const auto one = session({.max_rows = 64, .max_sequences = 1, .threads = 1});
    std::vector<std::vector<float>> all;
    for (const Sequence& sequence : sequences) all.push_back(results(*one, {sequence}).front());
    return all;
  }

  test::TinyModel tiny_{kShape};
  std::shared_ptr<const Model> model_;
};

TEST_P(DeterminismTest, ThreadsAndPoolsDoNotMatter) {
  const std::vector<Sequence> sequences = sequences_of(7, 12);
  const auto expected = alone(sequences);
  for (const int threads : {1, 2, 3, 8}) {
    for (const ParallelFor pool : {ParallelFor{}, ParallelFor{.run = test::serial_pool},
                                   ParallelFor{.run = test::thread_pool}}) {
      const auto together =
          session({.max_rows = 800, .max_sequences = 12, .threads = threads, .parallel_for = pool});
      EXPECT_EQ(results(*together, sequences), expected) << threads << " threads";
      EXPECT_EQ(results(*together, sequences), expected) << "the second run";
    }
  }
}

TEST_P(DeterminismTest, NeighboursAndPlacesDoNotMatter) {
  const auto together = session({.max_rows = 1024, .max_sequences = 16, .threads = 2});
  for (unsigned seed = 0; seed < 20; ++seed) {
    std::mt19937 random(seed);
    std::vector<Sequence> sequences = sequences_of(1000 * seed, 1 + random() % 16);
    std::vector<std::vector<float>> expected = alone(sequences);
    std::vector<std::size_t> order(sequences.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::shuffle(order.begin(), order.end(), random);
    order.resize(1 + random() % order.size());
    std::vector<Sequence> chosen;
    std::vector<std::vector<float>> of_chosen;
    for (const std::size_t i : order) {
      chosen.push_back(sequences[i]);
      of_chosen.push_back(expected[i]);
    }
    EXPECT_EQ(results(*together, chosen), of_chosen) << "seed " << seed;
  }
}

TEST_P(DeterminismTest, SessionsAndArenasDoNotMatter) {
  const std::vector<Sequence> sequences = sequences_of(3, 4);
  const auto expected = alone(sequences);
  for (const Index rows : {256, 300, 1000, 5000}) {
    const auto other = session({.max_rows = rows, .max_sequences = 8, .threads = 1});
    EXPECT_EQ(results(*other, sequences), expected) << rows << " rows";
    other->trim();
    EXPECT_EQ(other->output("last_hidden_state").rows, 0);
    EXPECT_EQ(results(*other, sequences), expected) << "after trim()";
  }
}

TEST_P(DeterminismTest, TheCallersFloatingPointEnvironmentDoesNotMatterAndIsKept) {
  const std::vector<Sequence> sequences = sequences_of(5, 6);
  const auto expected = alone(sequences);
  constexpr unsigned kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040, kInexact = 0x0020;
  const unsigned before = _mm_getcsr();
  for (const int rounding : {FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO, FE_TONEAREST}) {
    for (const ParallelFor pool : {ParallelFor{}, ParallelFor{.run = test::thread_pool}}) {
      std::fesetround(rounding);
      _mm_setcsr((_mm_getcsr() | kFlushToZero | kDenormalsAreZero) & ~kInexact);
      const unsigned callers = _mm_getcsr();
      const auto model = Model::create(tiny_.program(), tiny_.checkpoint(), {.isa = GetParam()});
      const auto made_there = Session::create(
          model, {.max_rows = 400, .max_sequences = 6, .threads = 3, .parallel_for = pool});
      const auto got = results(*made_there, sequences);
      const int rounding_after = std::fegetround();
      const unsigned control_after = _mm_getcsr() & 0xFFC0U;
      std::fesetround(FE_TONEAREST);
      _mm_setcsr(before);
      EXPECT_EQ(rounding_after, rounding);
      EXPECT_EQ(control_after, callers & 0xFFC0U);
      EXPECT_EQ(got, expected) << "rounding mode " << rounding;
    }
  }
}

/// y = W x of one word, whose numbers are near `word`, with weights near `weight`.
std::vector<float> product_of(Isa isa, float word, float weight, ParallelFor pool) {
  constexpr Index kWidth = 48;
  test::OpModel made;
  Program& program = made.program();
  program.inputs = TokenSpec{.vocab_size = 2, .position_rows = 0, .max_tokens = 8};
  const ParameterId words = made.parameter("words", ParameterKind::table, 2, kWidth, 0.0F, word);
  const ParameterId w = made.parameter("w", ParameterKind::matrix, kWidth, kWidth, 0.0F, weight);
  const ValueId x =
      made.add("x", kTokens, kWidth, EmbeddingOp{.terms = {{words, TokenInput::ids}}, .out = {}});
  made.add("y", kTokens, kWidth, LinearOp{.in = x, .weight = w, .out = {}});
  program.outputs = {{"y", program.outputs.back().value}};
  const auto model = Model::create(program, made.checkpoint(), {.isa = isa});
  const auto session = Session::create(
      model, {.max_rows = 8, .max_sequences = 8, .threads = 2, .parallel_for = pool});
  session->run(test::batch_of({{0}}).batch());
  return test::rows_of(*session, "y", 0, 1);
}

TEST_P(DeterminismTest, SubnormalNumbersCountAsZero) {
  constexpr float kSubnormal = 1e-39F, kLarge = 1e30F;
  for (const ParallelFor pool : {ParallelFor{}, ParallelFor{.run = test::thread_pool}}) {
    EXPECT_THAT(product_of(GetParam(), kLarge, 1e-30F, pool), testing::Each(testing::Gt(1.0F)));
    EXPECT_THAT(product_of(GetParam(), kLarge, kSubnormal, pool), testing::Each(0.0F));
    EXPECT_THAT(product_of(GetParam(), kSubnormal, kLarge, pool), testing::Each(0.0F));
  }
}

TEST_P(DeterminismTest, RunsLeaveTheControlWordTheLocaleAndTheSignalHandlersAlone) {
  const auto one = session({.max_rows = 400, .max_sequences = 6, .threads = 2});
  const std::string locale = std::setlocale(LC_ALL, nullptr);
  struct sigaction handlers[32]{}, after[32]{};
  for (int i = 1; i < 32; ++i) sigaction(i, nullptr, &handlers[i]);
  std::feclearexcept(FE_ALL_EXCEPT);
  const unsigned before = _mm_getcsr();
  const test::RaggedBatch batch = test::batch_of(sequences_of(5, 6));
  one->run(batch.batch());
  EXPECT_EQ(_mm_getcsr(), before);  // also no sticky flag
  for (int i = 1; i < 32; ++i) {
    sigaction(i, nullptr, &after[i]);
    EXPECT_EQ(after[i].sa_handler, handlers[i].sa_handler) << "signal " << i;
  }
  EXPECT_EQ(std::setlocale(LC_ALL, nullptr), locale);
}

INSTANTIATE_TEST_SUITE_P(AllIsas, DeterminismTest, testing::ValuesIn(kAllIsas),
                         [](const auto& p) { return std::string(to_string(p.param)); });

}  // namespace
}  // namespace tessera
