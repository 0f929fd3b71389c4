// SPDX-License-Identifier: Apache-2.0
// Chains as data: where they may be, and that no row is overwritten before its last reader, in whatever
// order workers take blocks.
#include "runtime/plan/chain.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "runtime/base/overloaded.hpp"
#include "runtime/plan/memory_plan.hpp"
#include "runtime/plan/plan.hpp"
#include "runtime/plan/tile_ops.hpp"
#include "runtime/program/keys_first.hpp"
#include "tests/runtime/layers_model.hpp"

namespace tessera {
namespace {

using testing::HasSubstr;

const PerPrecision<TileShape> kTile{TileShape{.MR = 4, .NR = 8}, TileShape{.MR = 4, .NR = 8},
                                    TileShape{.MR = 4, .NR = 8}, TileShape{.MR = 4, .NR = 8}};

std::string name_at(const Program& program, std::size_t i) {
  return program.values[at(output_of(program.ops[i]))].name;
}

TEST(ChainTest, SpansOfRowsStandBetweenAttentions) {
  const Program program = test::LayersModel({.layers = 2}).fused();
  std::vector<std::string> ends;
  for (const OpSpan& span : chains_of_rows(program)) {
    EXPECT_FALSE(takes_whole_sequences(program, span));
    ends.push_back(name_at(program, span.first) + " to " + name_at(program, span.end() - 1));
  }
  EXPECT_THAT(
      ends, testing::ElementsAre("embedded.norm to layer.0.qkv", "layer.0.mid.norm to layer.1.qkv",
                                 "layer.1.mid.norm to layer.1.end.norm"));
}

TEST(ChainTest, SpansOfLayersAreCutWhereTheFewestBytesLive) {
  for (const bool pre_norm : {false, true}) {
    const Program program = test::LayersModel({.layers = 3, .pre_norm = pre_norm}).fused();
    const std::vector<OpSpan> spans = chains_of_layers(program);
    ASSERT_EQ(spans.size(), 3U);
    for (const OpSpan& span : spans) {
      EXPECT_TRUE(takes_whole_sequences(program, span));
      // One value enters and one leaves: the residual stream.
      EXPECT_THAT(name_at(program, span.end() - 1), HasSubstr(pre_norm ? ".end" : ".end.norm"));
      const std::vector<bool> inner = inner_values(program, span);
      EXPECT_EQ(std::count(inner.begin(), inner.end(), true),
                static_cast<std::ptrdiff_t>(span.count) - 1);
    }
  }
}

TEST(ChainTest, OutputsAndWhatOthersReadAreNotInner) {
  Program program = test::LayersModel({.layers = 2}).fused();
  const OpSpan span = chains_of_layers(program)[1];
  const ValueId value = output_of(program.ops[span.first]);
  EXPECT_TRUE(inner_values(program, span)[at(value)]);
  program.outputs.push_back({"more", value});
  EXPECT_FALSE(inner_values(program, span)[at(value)]);
}

std::vector<OpSchedule> chained(const Program& program, const std::vector<OpSpan>& spans,
                                Index from_rows, Index block_rows) {
  std::vector<OpSchedule> schedule(program.ops.size());
  for (const OpSpan& span : spans) {
    schedule[span.first].chain = {
        .ops = static_cast<Index>(span.count), .from_rows = from_rows, .block_rows = block_rows};
  }
  return schedule;
}

/// Memory as it is in a run, a cell for every 64 bytes: which row of which value was written there last.
class Shadow {
 public:
  Shadow(const Program& program, const MemoryPlan& plan, Index block_rows)
      : program_(program), plan_(plan), block_rows_(block_rows) {}

  /// Op `op` with `behind` ops in its tiles, on `rows` of all `batch` rows.
  void run(std::size_t op, std::size_t behind, Range rows, Index batch, int worker, bool chained) {
    const ValueId out = output_of(program_.ops[op + behind]);
    std::set<std::size_t> written;
    for_each_cell(out, rows, worker, chained,
                  [&](std::size_t cell, std::int64_t) { written.insert(cell); });
    for_each_operand(program_.ops[op],
                     Overloaded{[&](Reads reads, ValueId in) {
                                  if (reads.in_place) return;
                                  for_each_cell(in, rows, worker, chained,
                                                [&](std::size_t cell, std::int64_t) {
                                                  ASSERT_EQ(written.count(cell), 0U)
                                                      << name_at(program_, op) << " over its input";
                                                });
                                },
                                [](auto, std::int32_t) {}});
    const auto* attention = std::get_if<AttentionOp>(&program_.ops[op]);
    for (const ValueId in : inputs_of(program_.ops[op])) {
      const bool are_keys = attention != nullptr && in != attention->q.value;  // of all rows
      const Range of_in = are_keys ? Range{0, batch} : rows;
      for_each_cell(in, of_in, worker, chained, [&](std::size_t cell, std::int64_t tag) {
        const auto found = cells_.find(cell);
        ASSERT_TRUE(found != cells_.end() && found->second == tag)
            << name_at(program_, op) << " reads row " << tag % 1000 << " of "
            << program_.values[at(in)].name;
      });
    }
    for_each_cell(out, rows, worker, chained,
                  [&](std::size_t cell, std::int64_t tag) { cells_[cell] = tag; });
  }

 private:
  template <class Visit>
  void for_each_cell(ValueId id, Range rows, int worker, bool chained, Visit&& visit) {
    const Value& value = program_.values[at(id)];
    if (value.space != kTokens) return;
    const MemorySlot& slot = plan_.slots[at(id)];
    const auto stride =
        static_cast<std::size_t>(activation_stride(value.width, value.type) * size_of(value.type));
    const bool in_block = chained && slot.in_block != MemorySlot::kNowhere;
    for (Index row = rows.begin; row < rows.end; ++row) {
      const auto r = static_cast<std::size_t>(in_block ? row - rows.begin : row);
      if (in_block) {
        ASSERT_LT(row - rows.begin, block_rows_);
      } else {
        ASSERT_LE((r + 1) * stride, slot.bytes) << value.name << " has no row " << row;
      }
      const std::size_t block =
          plan_.bytes + static_cast<std::size_t>(worker) * plan_.block_bytes + slot.in_block;
      const std::size_t begin = (in_block ? block : slot.offset) + r * stride;
      for (std::size_t b = 0; b < stride; b += 64) visit((begin + b) / 64, id * 1000 + row);
    }
  }

  const Program& program_;
  const MemoryPlan& plan_;
  Index block_rows_;
  std::map<std::size_t, std::int64_t> cells_;
};

/// Orders in which workers may run blocks × ops: block after block, from the last, and side by side.
using Step = std::pair<std::size_t, Index>;  // op, block
std::vector<std::vector<Step>> orders_of(OpSpan span, Index blocks,
                                         const std::vector<OpSchedule>& schedule) {
  std::vector<std::vector<Step>> orders(3);
  for (Index b = 0; b < blocks; ++b) {
    for (std::size_t op = span.first; op < span.end(); ++op) {
      orders[0].emplace_back(op, b);
      orders[1].emplace_back(op, blocks - 1 - b);
    }
  }
  // Two workers, one an op behind the other.
  for (Index pair = 0; pair < blocks; pair += 2) {
    for (std::size_t t = span.first; t <= span.end(); ++t) {
      if (t < span.end()) orders[2].emplace_back(t, pair);
      if (t > span.first && pair + 1 < blocks) orders[2].emplace_back(t - 1, pair + 1);
    }
  }
  for (std::vector<Step>& order : orders) {
    std::erase_if(order, [&](const Step& step) { return is_in_tiles(schedule, step.first); });
  }
  return orders;
}

/// Runs chains over `spans`, block by block in every order, and batches that are too small for them.
void expect_no_row_overwritten(const Program& program, const std::vector<OpSpan>& spans,
                               bool has_tile_ops = false) {
  constexpr Index kRows = 20, kBlock = 6;
  for (const Index from_rows : {Index{1}, Index{8}}) {
    auto schedule = chained(program, spans, from_rows, kBlock);
    for (std::size_t i = 0; i < program.ops.size() && has_tile_ops; ++i)
      schedule[i].tile_ops = tile_ops_behind(program, i, kTile);
    const auto behind = [&](std::size_t i) {
      return static_cast<std::size_t>(schedule[i].tile_ops);
    };
    const MemoryPlan plan = plan_memory(program, kRows, 1, schedule);
    for (std::size_t order = 0; order < 3; ++order) {
      for (const Index rows : {kRows, from_rows - 1}) {
        if (rows == 0) continue;
        Shadow shadow(program, plan, kBlock);
        for (std::size_t i = 0; i < program.ops.size();) {
          const Chain& chain = schedule[i].chain;
          if (!chain.begins() || rows < from_rows) {
            shadow.run(i, behind(i), {0, rows}, rows, 0, false);
            i += 1 + behind(i);
            continue;
          }
          const OpSpan span{i, static_cast<std::size_t>(chain.ops)};
          const std::vector<Step> steps = orders_of(span, ceil_div(rows, kBlock), schedule)[order];
          for (const auto& [op, block] : steps) {
            const Range of_block{block * kBlock, std::min(rows, (block + 1) * kBlock)};
            shadow.run(op, behind(op), of_block, rows, static_cast<int>(block % 2), true);
            if (testing::Test::HasFatalFailure()) return;
          }
          i = span.end();
        }
      }
    }
  }
}

TEST(ChainTest, NoRowOfKeysIsOverwrittenBeforeTheLastBlockOfQueries) {
  for (const bool pre_norm : {false, true}) {
    for (const Index kv_heads : {0, 1}) {  // 1: K and V together are as wide as the residual stream
      for (const bool turned : {false, true}) {
        for (const bool is_bf16 : {false, true}) {
          const test::LayersModel model({.layers = 2,
                                         .pre_norm = pre_norm,
                                         .inner = 192,
                                         .turned = turned,
                                         .gated = turned,
                                         .kv_heads = kv_heads});
          Program program = model.fused();
          for (std::size_t v = 0; v < program.values.size();
               ++v) {  // one that takes no memory over
            if (program.values[v].name == "layer.0.mid" && pre_norm)
              program.outputs.push_back({"mid", static_cast<ValueId>(v)});
          }
          if (is_bf16)
            program = in_precision(program, {.precision = Precision::bf16, .attention = true});
          program = keys_first(program, [](Precision) { return Index{8}; });
          check(program);
          const std::vector<OpSpan> spans = chains_of_queries(program);
          int of_queries = 0;
          for (const OpSpan& span : spans) {
            EXPECT_FALSE(takes_whole_sequences(program, span));
            of_queries += attention_of_queries(program, span).has_value();
          }
          EXPECT_EQ(of_queries, 2);
          expect_no_row_overwritten(program, spans, turned);
          // K and V in the memory of another value: a turn in place, on all rows.
          std::vector<OpSpan> of_queries_alone = spans;
          std::erase_if(of_queries_alone,
                        [&](const OpSpan& span) { return !attention_of_queries(program, span); });
          expect_no_row_overwritten(program, of_queries_alone);
        }
      }
    }
  }
}

TEST(ChainTest, ALinearAndTheOpsInItsTilesAreInOneChain) {
  const Program program =
      test::LayersModel({.layers = 2, .inner = 192, .turned = true, .gated = true}).fused();
  std::vector<OpSchedule> schedule(program.ops.size());
  std::size_t qkv = 0, gate = 0;
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    schedule[i].tile_ops = tile_ops_behind(program, i, kTile);
    if (name_at(program, i) == "layer.1.qkv") qkv = i;
    if (name_at(program, i) == "layer.0.gate") gate = i;
  }
  ASSERT_TRUE(is_in_tiles(schedule, gate) && schedule[qkv].tile_ops == 1);
  const auto why = [&](OpSpan span) {
    std::vector<OpSchedule> other = schedule;
    other[span.first].chain = {
        .ops = static_cast<Index>(span.count), .from_rows = 1, .block_rows = 100};
    return why_no_chain(program, other, span.first, 64);
  };
  EXPECT_EQ(why({gate - 1, qkv + 2 - (gate - 1)}), "");
  EXPECT_THAT(why({gate, qkv + 2 - gate}), HasSubstr("in the tiles of one linear"));
  EXPECT_THAT(why({gate - 1, qkv + 1 - (gate - 1)}), HasSubstr("in the tiles of one linear"));
}

TEST(ChainTest, NoRowIsOverwrittenBeforeItsLastReader) {
  for (const bool pre_norm : {false, true}) {
    for (const bool fused : {false, true}) {
      for (const bool is_bf16 : {false, true}) {
        const test::LayersModel model({.layers = 3, .pre_norm = pre_norm});
        Program program = fused ? model.fused() : model.program();
        if (is_bf16) program = in_precision(program, {.precision = Precision::bf16});
        expect_no_row_overwritten(program, chains_of_layers(program));
        expect_no_row_overwritten(program, chains_of_rows(program));
      }
    }
  }
}

// a (64) → c (64), an output → e (96) → d (128), an output: c is not written where a is read, and d not
// where a of other blocks is.
TEST(ChainTest, NoOutputLiesOverAnInputOfItsChain) {
  Program program;
  const auto linear = [&](ValueId in, const char* name, Index K, Index N) {
    const ParameterId weight = program.add_parameter({.name = name,
                                                      .kind = ParameterKind::matrix,
                                                      .rows = N,
                                                      .cols = K,
                                                      .sources = {{name, N}},
                                                      .gather = {}});
    const ValueId out = program.add_value(name, kTokens, N);
    program.ops.emplace_back(LinearOp{.in = in, .weight = weight, .out = out});
    return out;
  };
  const ParameterId table = program.add_parameter({.name = "t",
                                                   .kind = ParameterKind::table,
                                                   .rows = 9,
                                                   .cols = 64,
                                                   .sources = {{"t", 9}},
                                                   .gather = {}});
  const ValueId a = program.add_value("a", kTokens, 64);
  program.ops.emplace_back(EmbeddingOp{.terms = {{table, TokenInput::ids}}, .out = a});
  const ValueId c = linear(a, "c", 64, 64), d = linear(linear(c, "e", 64, 96), "d", 96, 128);
  program.outputs = {{"d", d}};
  expect_no_row_overwritten(program, {{1, 3}});
  expect_no_row_overwritten(program, {{1, 2}});
  program.outputs = {{"c", c}, {"d", d}};
  expect_no_row_overwritten(program, {{1, 3}});
}

/// What the arena holds of a chained encoder: the residual stream, once.
TEST(ChainTest, TheArenaHoldsOnlyWhatLeavesTheChains) {
  for (const bool pre_norm : {false, true}) {
    const Program program = test::LayersModel({.layers = 4, .pre_norm = pre_norm}).fused();
    const auto schedule = chained(program, chains_of_layers(program), 1, 64);
    const std::size_t row = static_cast<std::size_t>(activation_stride(64)) * sizeof(float);
    const MemoryPlan plan = plan_memory(program, 1000, 1, schedule);
    EXPECT_LE(plan.bytes, 1000 * row + row);  // and a pooled row
    EXPECT_GT(plan_memory(program, 1000, 1).bytes, 4 * plan.bytes);
    EXPECT_GT(plan.block_bytes, 0U);
    EXPECT_EQ(plan_memory(program, 5000, 1, schedule).block_bytes, plan.block_bytes);
  }
}

TEST(ChainTest, WhatCannotRunIsRefused) {
  const Program program = test::LayersModel({.layers = 2}).fused();
  const std::vector<OpSpan> layers = chains_of_layers(program);
  const auto why = [&](const std::function<void(std::vector<OpSchedule>&)>& change,
                       std::size_t op) {
    std::vector<OpSchedule> schedule = chained(program, layers, 1, 64);
    change(schedule);
    return why_no_chain(program, schedule, op, 500);
  };
  const std::size_t first = layers[0].first;
  const auto nothing = [](std::vector<OpSchedule>&) {};
  EXPECT_EQ(why(nothing, first), "");
  const auto with = [&](Chain chain, std::size_t op) {
    return why([&](std::vector<OpSchedule>& s) { s[op].chain = chain; }, op);
  };
  EXPECT_THAT(with({.ops = 1, .block_rows = 64}, first), HasSubstr("expected 2 to"));
  EXPECT_THAT(with({.ops = 99, .block_rows = 64}, first), HasSubstr("expected 2 to"));
  EXPECT_THAT(with({.ops = 2, .block_rows = 0}, first), HasSubstr("blocks of 0 rows"));
  EXPECT_THAT(with({.ops = 4, .block_rows = 63}, first), HasSubstr("longest sequence, 64"));
  EXPECT_THAT(with({.ops = 2, .block_rows = 64}, 0), HasSubstr("embedded is in its chain"));
  EXPECT_THAT(with({.ops = static_cast<Index>(layers[0].count) + 1, .block_rows = 64}, first),
              HasSubstr("begins a chain inside of another"));
  EXPECT_THAT(why(
                  [&](std::vector<OpSchedule>& s) {
                    s[first + 1].nests = {{500, {}, true}};
                  },
                  first),
              HasSubstr("oneDNN"));
  // QKV by heads of a whole batch cannot be read by an attention outside.
  EXPECT_THAT(why(
                  [&](std::vector<OpSchedule>& s) {
                    s[first].chain = {.ops = 2, .block_rows = 8};  // norm, qkv
                    s[first + 2].by_heads_from = 32;
                  },
                  first),
              HasSubstr("may lie by heads"));
}

/// A call of ternary weights takes 40 to 128 rows: blocks of so many would leave threads without work.
TEST(ChainTest, BlocksAreCutByTheLargestTileAndTernaryWeightsAsWholeNumbers) {
  Program program = test::LayersModel({.layers = 1}).fused();
  const auto rows_of = [](Precision precision) -> Index {
    return precision == Precision::ternary ? 64 : precision == Precision::s8 ? 14 : 6;
  };
  const OpSpan all{0, program.ops.size()};
  EXPECT_EQ(tile_rows(program, all, rows_of), 6);
  for (Parameter& p : program.parameters) p.precision = Precision::ternary;
  EXPECT_EQ(tile_rows(program, all, rows_of), 14);
  for (Parameter& p : program.parameters) p.precision = Precision::s8;
  EXPECT_EQ(tile_rows(program, all, rows_of), 14);
}

TEST(ChainTest, BlocksAreSharedEvenly) {
  const Chain chain{.ops = 2, .from_rows = 1, .block_rows = 512};
  // By rows: as many blocks as it takes, and a multiple of the workers.
  EXPECT_EQ(block_shape(chain, false, 4096, 32, 32, 1).blocks, 8);
  EXPECT_EQ(block_shape(chain, false, 4097, 32, 1, 1).blocks, 9);
  EXPECT_EQ(block_shape(chain, false, 1025, 32, 1, 2).blocks, 4);
  // By sequences: whole ones.
  const BlockShape shape = block_shape(chain, true, 4096, 32, 32, 1);
  EXPECT_EQ(shape.blocks, 8);
  EXPECT_EQ(shape.sequences, 4);
  EXPECT_EQ(block_shape(chain, true, 3000, 10, 32, 1).blocks, 10);  // of 300 rows: one each
}

}  // namespace
}  // namespace tessera
