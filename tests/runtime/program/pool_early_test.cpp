// SPDX-License-Identifier: Apache-2.0
//
// What one row per sequence is read of is computed for that row alone, with the same bits, and
// nothing moves where somebody reads more.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "runtime/program/rewrites.hpp"
#include "runtime/session/session.hpp"
#include "tests/runtime/tiny_model.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/isa.hpp"

namespace tessera {
namespace {

std::vector<std::string> ops_of(const Program& program) {
  std::vector<std::string> list;
  for (const Op& op : program.ops) {
    const Value& out = program.values[static_cast<std::size_t>(output_of(op))];
    list.push_back(std::string(name_of(op)) + (out.space == kTokens ? "" : " of one row"));
  }
  return list;
}

Program of_outputs(const std::vector<std::string>& outputs) {
  const test::TinyModel tiny{test::TinyShape{}};
  const Program moved = pool_early(keep_outputs(tiny.program(), outputs));
  check(moved);
  const Program fused = fuse_epilogues(moved);
  check(fused);
  return fused;
}

TEST(PoolEarlyTest, EverythingAfterTheLastAttentionIsOfOneRow) {
  EXPECT_THAT(ops_of(of_outputs({"pooled.first"})),
              testing::ElementsAre("embedding", "layer_norm", "pool of one row", "linear",
                                   "attention", "pool of one row", "linear of one row",
                                   "linear of one row", "linear of one row"));
}

TEST(PoolEarlyTest, NothingMovesWhereMoreThanThatRowIsRead) {
  for (const std::vector<std::string>& outputs :
       {std::vector<std::string>{"pooled.first", "last_hidden_state"},
        {"pooled.first", "pooled.mean"},
        {"pooled.last"}}) {
    const test::TinyModel tiny{test::TinyShape{}};
    const Program kept = keep_outputs(tiny.program(), outputs);
    EXPECT_EQ(to_string(pool_early(kept)), to_string(kept));
  }
}

TEST(PoolEarlyTest, TwoDifferentRowsAreLeftToThePoolings) {
  const test::TinyModel tiny{test::TinyShape{}};
  Program p = keep_outputs(tiny.program(), std::vector<std::string>{"pooled.first"});
  PoolOp second = std::get<PoolOp>(p.ops.back());
  second.skip = 1;
  second.out = p.add_value("second", kSequences, p.values.back().width);
  p.ops.emplace_back(second);
  p.outputs.push_back({"second", second.out});
  EXPECT_EQ(to_string(pool_early(p)), to_string(p));
}

TEST(PoolEarlyTest, AnyOneRowMayMove) {
  const test::TinyModel tiny{test::TinyShape{}};
  Program p = keep_outputs(tiny.program(), std::vector<std::string>{"pooled.first"});
  std::get<PoolOp>(p.ops.back()).skip = 1;
  const Program moved = pool_early(p);
  check(moved);
  for (const Op& op : moved.ops) {
    const auto* pool = std::get_if<PoolOp>(&op);
    EXPECT_TRUE(pool == nullptr || pool->skip == 1);
  }
  EXPECT_NE(to_string(moved), to_string(p));
}

class PoolEarlyIsaTest : public testing::TestWithParam<Isa> {};
INSTANTIATE_FOR_ALL_ISAS(PoolEarlyIsaTest);

TEST_P(PoolEarlyIsaTest, TheBitsAreThoseOfAllRows) {
  SKIP_UNLESS_SUPPORTED(GetParam());
  const test::TinyModel tiny{test::TinyShape{.relative_bias = true}};
  const std::vector<std::int32_t> offsets{0, 1, 20, 22, 60};
  std::vector<std::int32_t> ids(60);
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int32_t>(i * 7 % 50);
  const auto run = [&](const std::vector<std::string>& outputs, int threads) {
    const auto model =
        Model::create(tiny.program(), tiny.checkpoint(), {.isa = GetParam(), .outputs = outputs});
    auto session = Session::create(
        model, {.max_rows = 60, .max_sequences = 4, .threads = threads, .outputs = {}});
    session->run({.ids = ids, .offsets = offsets});
    return session;
  };
  const auto all = run({}, 1);
  for (const int threads : {1, 2}) {
    const auto one = run({"pooled.first"}, threads);
    for (Index s = 0; s < 4; ++s) {
      EXPECT_TRUE(test::bit_identical(one->output("pooled.first").row(s),
                                      all->output("pooled.first").row(s)))
          << "sequence " << s;
    }
  }
}

}  // namespace
}  // namespace tessera
