// SPDX-License-Identifier: Apache-2.0
//
// Attention as an op of a session: a program whose QKV is a table of random rows, so that any batch
// can be made from ids; masks, ALiBi, long sequences that are carried in several blocks, threads,
// and what is refused at set-up.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <numeric>
#include <vector>

#include "runtime/base/error.hpp"
#include "runtime/machine/machine.hpp"
#include "runtime/plan/attention.hpp"
#include "runtime/program/mask.hpp"
#include "runtime/session/session.hpp"
#include "tests/reference/attention.hpp"
#include "tests/runtime/op_model.hpp"

namespace tessera {
namespace {

constexpr Index kHeads = 2;

struct Table {
  Table(Index rows, Index head_dim) : d{head_dim} {
    program.inputs = TokenSpec{.vocab_size = rows, .max_tokens = rows};
    const ParameterId table = model.parameter("qkv", ParameterKind::table, rows, 3 * kHeads * d);
    const ValueId in = program.add_value("qkv", kTokens, 3 * kHeads * d);
    const ValueId out = program.add_value("context", kTokens, kHeads * d);
    program.ops.emplace_back(EmbeddingOp{.terms = {{table, TokenInput::ids}}, .out = in});
    program.ops.emplace_back(self_attention(
        in, out, kHeads, d, static_cast<float>(1 / std::sqrt(static_cast<double>(d)))));
    program.outputs = {{"context", out}};
  }
  AttentionOp& op() { return std::get<AttentionOp>(program.ops[1]); }
  std::unique_ptr<Session> session(int threads) const {
    const auto made = Model::create(program, model.checkpoint(), {.isa = {}, .outputs = {}});
    return Session::create(made, {.max_rows = program.tokens()->vocab_size,
                                  .max_sequences = 4,
                                  .threads = threads,
                                  .outputs = {}});
  }
  /// Rows 0 … T−1 of the table as one batch of sequences that begin at `offsets`.
  std::vector<float> run(Session& session, const std::vector<std::int32_t>& offsets) const {
    std::vector<std::int32_t> ids(static_cast<std::size_t>(offsets.back()));
    std::iota(ids.begin(), ids.end(), 0);
    session.run({.ids = ids, .offsets = offsets});
    const TensorView<const float> out = session.output("context");
    std::vector<float> rows;
    for (Index i = 0; i < out.rows; ++i)
      rows.insert(rows.end(), out.row(i).begin(), out.row(i).end());
    return rows;
  }
  /// Every `step`-th row of a batch against the reference.
  void expect_reference(const std::vector<float>& got, const std::vector<std::int32_t>& offsets,
                        Index step) {
    for (std::size_t s = 0; s + 1 < offsets.size(); ++s) {
      const Index begin = offsets[s], T = offsets[s + 1] - begin;
      for (Index h = 0; h < kHeads; ++h) {
        for (Index i = 0; i < T; i += step) {
          kernels::AttentionTask t{};
          const float* row0 = model["qkv"].data() + begin * 3 * kHeads * d + h * d;
          t.ldq = t.ldk = t.ldv = 3 * kHeads * d;
          t.q = row0 + i * t.ldq;
          t.k = row0 + kHeads * d;
          t.v = row0 + 2 * kHeads * d;
          t.Tq = 1;
          t.Tk = T;
          t.d = d;
          t.scale = op().scale;
          t.q_begin = i;
          t.mask = op().mask;
          t.slope = std::holds_alternative<Alibi>(op().position)
                        ? std::exp2(-8.0F * static_cast<float>(h + 1) / kHeads)
                        : 0.0F;
          std::vector<double> value, bound;
          reference::attention_row(t, 0, value, bound);
          for (Index n = 0; n < d; ++n) {
            const auto at = static_cast<std::size_t>((begin + i) * kHeads * d + h * d + n);
            ASSERT_NEAR(static_cast<double>(got[at]), value[static_cast<std::size_t>(n)],
                        bound[static_cast<std::size_t>(n)])
                << "sequence " << s << " row " << i << " head " << h;
          }
        }
      }
    }
  }
  Index d;
  test::OpModel model;  ///< with the table "qkv", (rows, 3·heads·d)
  Program& program = model.program();
};

/// Every dataflow, forced, with keys hidden: how tasks are cut among threads must not show.
TEST(AttentionSessionTest, HiddenKeysGiveTheSameBitsWithAnyThreads) {
  constexpr std::int32_t kRows = 300;
  Table table(kRows, 16);
  table.op().mask = {.right = 0};
  const auto model = Model::create(table.program, table.model.checkpoint(), {});
  for (const kernels::AttentionDataflow dataflow : kAllDataflows) {
    std::vector<float> expected;
    for (const int threads : {1, 2, 3, 8}) {
      const auto session = Session::create(model, {.max_rows = kRows,
                                                   .max_sequences = 2,
                                                   .threads = threads,
                                                   .outputs = {},
                                                   .attention = dataflow});
      const std::vector<float> got = table.run(*session, {0, kRows});
      if (expected.empty()) expected = got;
      EXPECT_TRUE(got == expected) << to_string(dataflow) << ", " << threads << " threads";
    }
    table.expect_reference(expected, {0, kRows}, 37);
  }
}

/// A forced dataflow needs scratch for the longest sequence that there can be, not for all rows.
TEST(AttentionSessionTest, ScratchIsForTheLongestSequence) {
  const Table table(64, 16);  // sequences of up to 64 rows
  const auto model = Model::create(table.program, table.model.checkpoint(), {});
  const auto arena = [&](Index rows, std::optional<kernels::AttentionDataflow> dataflow) {
    return Session::memory_bytes(
        *model,
        {.max_rows = rows, .max_sequences = 4, .threads = 1, .outputs = {}, .attention = dataflow});
  };
  const std::size_t of_s = 2 * 64 * 128 * sizeof(float);  // S and P, rows padded
  EXPECT_LE(arena(4096, kernels::AttentionDataflow::layerwise), arena(4096, {}) + of_s);
}

TEST(AttentionSessionTest, MasksAndAlibiMatchTheReference) {
  Table table(700, 16);
  for (const bool alibi : {false, true}) {
    for (const kernels::AttentionMask& mask :
         {kernels::AttentionMask{}, sliding_window(65), sliding_window(100001), causal(),
          causal_window(40), log_sparse(4, 0, false), log_sparse(4, 64, true)}) {
      table.op().mask = mask;
      table.op().position = alibi ? Position{Alibi{}} : Position{NoPosition{}};
      const std::vector<std::int32_t> offsets{0, 1, 65, 300, 700};
      const auto one = table.session(1), two = table.session(2);
      const std::vector<float> got = table.run(*one, offsets);
      table.expect_reference(got, offsets, 7);
      EXPECT_EQ(got, table.run(*two, offsets));  // bit for bit
      // the same sequences without neighbours
      const std::vector<float> alone = table.run(*one, {0, 1, 65});
      EXPECT_TRUE(std::equal(alone.begin(), alone.end(), got.begin())) << to_string(mask);
    }
  }
}

TEST(AttentionSessionTest, LongSequencesCarryTheirBlocksAndKeepTheirBits) {
  // long enough that K and V outgrow L2 at d = 256
  const Index T = machine().l2.bytes * 3 / 4 / (2 * 256 * 4) + 300;
  Table table(T + 100, 256);
  const kernels::Attention& kernel = kernels::kernels_at(Isa::baseline).attention[Precision::f32];
  ASSERT_EQ(dataflow_of(T, 256, {}, machine().l2.bytes, kernel),
            kernels::AttentionDataflow::streaming_keys);
  const std::vector<std::int32_t> offsets{0, static_cast<std::int32_t>(T),
                                          static_cast<std::int32_t>(T + 100)};
  const std::vector<float> got = table.run(*table.session(1), offsets);
  table.expect_reference(got, offsets, 211);
  EXPECT_EQ(got, table.run(*table.session(2), offsets));
  EXPECT_EQ(got, table.run(*table.session(7), offsets));  // smaller pieces of blocks
}

TEST(AttentionSessionTest, RefusesAtSetUpWhatNoKernelTakes) {
  const auto refused = [](auto&& change, const char* what) {
    Table table(10, 8);
    change(table.op());
    try {
      table.session(1);
      FAIL() << what;
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), testing::HasSubstr(what));
    }
  };
  refused([](AttentionOp& o) { o.mask.left = -1; }, "left reach of the window is -1");
  refused([](AttentionOp& o) { o.mask.right = -5; }, "right reach of the window is -5");
  refused([](AttentionOp& o) { o.mask = {.kind = kernels::MaskKind::log_sparse, .local = 0}; },
          "local part of a log-sparse mask is 0");
  refused([](AttentionOp& o) { o.out = o.q.value; }, "writes a value twice");
  refused([](AttentionOp& o) { o.position = RelativeBias{0}; }, "bias of the wrong shape");
  refused([](AttentionOp& o) { o.heads = o.kv_heads = 1; }, "a context of the wrong width");
  refused([](AttentionOp& o) { o.heads = o.kv_heads = 3; }, "beyond the width");
  refused([](AttentionOp& o) { o.v.first += 1; }, "beyond the width");
  refused([](AttentionOp& o) { o.k.first = -1; }, "beyond the width");
  refused([](AttentionOp& o) { o.kv_heads = 3; }, "do not share those of K and V evenly");
  Table wide(4, 257);
  EXPECT_THROW(wide.session(1), Error);
  Table table(10, 8);
  const auto session = table.session(1);
  EXPECT_THROW(table.run(*session, {0, 0, 3}), Error);  // T = 0
}

}  // namespace
}  // namespace tessera
