// SPDX-License-Identifier: Apache-2.0
//
// Attention to contents and distances against the sum in double: either term and both, with a norm and
// without, ragged batches, columns with gaps, rows that nobody attends to, threads.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "runtime/base/error.hpp"
#include "runtime/plan/memory_plan.hpp"
#include "runtime/program/rewrites.hpp"
#include "tests/reference/bf16.hpp"
#include "tests/reference/disentangled.hpp"
#include "tests/runtime/op_model.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/isa.hpp"

namespace tessera::test {
namespace {

using reference::Bounded;

constexpr Index kHeads = 3, d = 10, H = kHeads * d, K = 21, kVocab = 97;
constexpr Index kSpan = 24, kReach = 37;
constexpr float kEps = 0.01F;

/// Distances of their own up to 12, then two by two, then the last ones: 0 … 2·span − 1.
std::vector<std::int32_t> rows_of_distances() {
  std::vector<std::int32_t> rows;
  for (Index r = -kReach; r <= kReach; ++r) {
    const Index n = std::abs(r), bucket = n <= 12 ? n : 12 + (n - 11) / 2;
    const Index row = std::clamp((r < 0 ? -bucket : bucket) + kSpan, Index{0}, 2 * kSpan - 1);
    rows.push_back(static_cast<std::int32_t>(row));
  }
  return rows;
}

struct BatchData {
  std::vector<std::int32_t> ids{}, offsets{}, columns{}, query_only{};

  Batch view() const {
    return {.ids = ids, .offsets = offsets, .columns = columns, .query_only = query_only};
  }
};

BatchData batch_of(const std::vector<Index>& lengths) {
  BatchData batch{.offsets = {0}};
  for (const Index T : lengths) {
    for (Index i = 0; i < T; ++i) {
      batch.ids.push_back(
          static_cast<std::int32_t>((std::ssize(batch.ids) * 31 + 5) % Index{kVocab}));
    }
    batch.offsets.push_back(static_cast<std::int32_t>(batch.ids.size()));
  }
  return batch;
}

class DisentangledTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override { SKIP_UNLESS_SUPPORTED(GetParam()); }

  void build(bool key, bool query, bool norm) {
    Program& program = model_.program();
    program.inputs = TokenSpec{
        .vocab_size = kVocab, .max_tokens = kAnyLength, .masked_rows = MaskedRows::see_all};
    const ValueId qkv = model_.add(
        "qkv", kTokens, 3 * H,
        EmbeddingOp{.terms = {{model_.parameter("table", ParameterKind::table, kVocab, 3 * H),
                               TokenInput::ids}},
                    .out = kNone});
    model_.tensor("rel", 2 * kSpan, K);
    if (norm) model_.tensor("gamma", K, 1, 0.5F, 1.0F), model_.tensor("beta", K, 1);
    AttentionOp op = self_attention(qkv, kNone, kHeads, d, 0.17F);
    const auto distances = [&](const std::string& name) {
      model_.tensor(name + ".weight", H, K, 0.3F);
      model_.tensor(name + ".bias", H, 1, 0.3F);
      return program.add_parameter({.name = name,
                                    .kind = ParameterKind::distances,
                                    .rows = 2 * kSpan,
                                    .cols = H,
                                    .sources = {{"rel", 2 * kSpan}},
                                    .gather = rows_of_distances(),
                                    .projection = {.weight = name + ".weight",
                                                   .bias = name + ".bias",
                                                   .width = K,
                                                   .heads = kHeads,
                                                   .gamma = norm ? "gamma" : "",
                                                   .beta = norm ? "beta" : "",
                                                   .eps = kEps}});
    };
    op.position = Disentangled{.key = key ? distances("key") : kNone,
                               .query = query ? distances("query") : kNone};
    model_.add("out", kTokens, H, op);
    if (key) key_ = project("key", norm);
    if (query) query_ = project("query", norm);
  }

  /// "y": what "out" is in bf16, through an identity that multiplies bf16: then nobody needs it in f32.
  void add_reader() {
    Program& program = model_.program();
    const ValueId out = program.outputs.back().value;
    program.outputs.clear();
    const ValueId zeros = model_.add(
        "zeros", kTokens, H,
        EmbeddingOp{.terms = {{model_.parameter("nothing", ParameterKind::table, kVocab, H, 0.0F),
                               TokenInput::ids}},
                    .out = kNone});
    const ParameterId identity = model_.parameter("identity", ParameterKind::matrix, H, H, 0.0F);
    for (Index n = 0; n < H; ++n)
      model_.values("identity")[static_cast<std::size_t>(n * (H + 1))] = 1;
    model_.add("y", kTokens, H,
               LinearOp{.in = out, .weight = identity, .out = kNone, .residual = zeros});
    std::swap(program.ops[program.ops.size() - 2], program.ops[program.ops.size() - 3]);
  }

  /// (2·span, H) in double.
  std::vector<Bounded> project(const std::string& name, bool norm) const {
    const std::span<const float> none;
    std::vector<Bounded> all;
    for (Index r = 0; r < 2 * kSpan; ++r) {
      for (Index n = 0; n < H; ++n) {
        all.push_back(reference::projected(model_["rel"], model_[name + ".weight"],
                                           model_[name + ".bias"], norm ? model_["gamma"] : none,
                                           norm ? model_["beta"] : none, static_cast<double>(kEps),
                                           K, r, n));
      }
    }
    return all;
  }

  /// In bf16 Q, K, V and the rows of distances are rounded, by 2^-9 of themselves at most; so are the weights of V,
  /// and what comes out.
  void expect_reference(const Session& session, const BatchData& batch,
                        Precision precision = Precision::f32) const {
    const std::vector<std::int32_t> rows = rows_of_distances();
    const bool rounds = precision == Precision::bf16;
    const TensorView<const float> out = session.output(rounds ? "y" : "out");
    const auto column = [&](Index i) -> Index {
      return batch.columns.empty() ? i : batch.columns[static_cast<std::size_t>(i)];
    };
    const auto element = [&](Index i, Index n) {
      const Index row = batch.ids[static_cast<std::size_t>(i)];
      return reference::factor(model_["table"][static_cast<std::size_t>(row * 3 * H + n)],
                               precision);
    };
    for (std::size_t s = 0; s + 1 < batch.offsets.size(); ++s) {
      const Index begin = batch.offsets[s], end = batch.offsets[s + 1];
      const Index keys = begin + (batch.query_only.empty() ? 0 : batch.query_only[s]);
      for (Index i = begin; i < end; ++i) {
        for (Index h = 0; h < kHeads; ++h) {
          const bool is_masked = i < keys;
          const Index first = is_masked ? begin : keys;
          const auto term = [&](const std::vector<Bounded>& of, Index j, Index n) {
            if (of.empty()) return Bounded{};
            const Index r = std::clamp(column(i) - column(first + j), -kReach, kReach) + kReach;
            Bounded row =
                of[static_cast<std::size_t>(rows[static_cast<std::size_t>(r)] * H + h * d + n)];
            if (rounds) row.bound += (std::abs(row.value) + row.bound) * 0x1p-9;
            return row;
          };
          const std::vector<Bounded> expected = reference::disentangled_row(
              end - first, d, is_masked ? 0.0 : static_cast<double>(0.17F),
              [&](Index n) { return element(i, h * d + n); },
              [&](Index j, Index n) { return element(first + j, H + h * d + n); },
              [&](Index j, Index n) { return element(first + j, 2 * H + h * d + n); },
              [&](Index j, Index n) { return term(key_, j, n); },
              [&](Index j, Index n) { return term(query_, j, n); });
          for (Index n = 0; n < d; ++n) {
            const Bounded& e = expected[static_cast<std::size_t>(n)];
            double bound = e.bound;
            for (Index j = 0; rounds && j < end - first; ++j) {  // Σ p·|v| is no more
              bound = std::max(
                  bound, e.bound + 0x1.02p-8 * std::abs(element(first + j, 2 * H + h * d + n)));
            }
            ASSERT_NEAR(static_cast<double>(out.row(i)[static_cast<std::size_t>(h * d + n)]),
                        e.value, bound)
                << "sequence " << s << ", row " << i - begin << ", head " << h;
          }
        }
      }
    }
  }

  void expect_all(const BatchData& batch) {
    for (const int threads : {1, 3}) {
      const auto session = model_.session(GetParam(), 400, 8, threads);
      session->run(batch.view());
      expect_reference(*session, batch);
    }
    add_reader();
    for (const int threads : {1, 3}) {
      const auto session = model_.session(GetParam(), 400, 8, threads, Precision::bf16);
      session->run(batch.view());
      expect_reference(*session, batch, Precision::bf16);
    }
  }

  OpModel model_;
  std::vector<Bounded> key_{}, query_{};
};
INSTANTIATE_FOR_ALL_ISAS(DisentangledTest);

const std::vector<Index> kLengths{1, 2, 17, 64, 65, 131};

TEST_P(DisentangledTest, BothTermsMatchTheReference) {
  build(true, true, true);
  expect_all(batch_of(kLengths));
}
TEST_P(DisentangledTest, FromContentToPositionAlone) {
  build(true, false, true);
  expect_all(batch_of(kLengths));
}
TEST_P(DisentangledTest, FromPositionToContentAlone) {
  build(false, true, false);
  expect_all(batch_of(kLengths));
}

TEST_P(DisentangledTest, DistancesGoByColumnsAndMaskedRowsAttendToAll) {
  build(true, true, false);
  BatchData batch = batch_of(kLengths);
  std::int32_t column = 0;
  for (std::size_t i = 0; i < batch.ids.size(); ++i) {
    column += i % 5 == 3 ? 9 : 1;
    batch.columns.push_back(column);
  }
  batch.query_only = {1, 1, 0, 2, 65, 70};
  expect_all(batch);
}

/// Whatever else is in the batch, whoever computes it.
TEST_P(DisentangledTest, SequencesHaveTheSameBitsAloneAndInABatch) {
  build(true, true, true);
  const BatchData batch = batch_of(kLengths);
  for (const Precision precision : {Precision::f32, Precision::bf16}) {
    if (precision == Precision::bf16) add_reader();
    const std::string name = precision == Precision::bf16 ? "y" : "out";
    const auto together = model_.session(GetParam(), 400, 8, 3, precision);
    together->run(batch.view());
    const auto alone = model_.session(GetParam(), 400, 8, 1, precision);
    for (std::size_t s = 0; s + 1 < batch.offsets.size(); ++s) {
      const Index begin = batch.offsets[s], end = batch.offsets[s + 1];
      BatchData one{.ids = {batch.ids.begin() + begin, batch.ids.begin() + end},
                    .offsets = {0, static_cast<std::int32_t>(end - begin)}};
      alone->run(one.view());
      for (Index i = begin; i < end; ++i) {
        ASSERT_TRUE(
            bit_identical(together->output(name).row(i), alone->output(name).row(i - begin)))
            << name << ", sequence " << s << ", row " << i - begin;
      }
    }
  }
}

/// Queries and keys are multiplied where they lie: a unit reads rows behind the last ones.
TEST_P(DisentangledTest, RowsThatAUnitReadsBehindTheLastAreInTheArena) {
  build(true, true, false);
  const auto arena = [&](Index rows_read) {
    kernels::KernelTable table = kernels::kernels_at(GetParam());
    table.gemm[Precision::f32].rows_read = rows_read;
    const auto model =
        Model::create(model_.program(), model_.checkpoint(), {.kernels = &table, .outputs = {}});
    return Session::create(model, {.max_rows = 20, .max_sequences = 2, .threads = 1, .outputs = {}})
        ->memory_bytes();
  };
  const Index row = activation_stride(3 * H) * Index{sizeof(float)};
  EXPECT_GE(arena(16), arena(1) + static_cast<std::size_t>(15 * row));
}

TEST_P(DisentangledTest, DistancesBeyondBf16AreRefusedWhereTheyAreBf16) {
  build(true, false, false);
  add_reader();
  for (Index k = 0; k < K; ++k) model_.values("key.weight")[static_cast<std::size_t>(k)] = 0.0F;
  model_.values("key.bias")[0] = 3.398e38F;  // an f32; the largest bf16 is 3.39e38
  EXPECT_NO_THROW((void)model_.session(GetParam(), 8, 1));
  const bool has_bf16 = kernels::kernels_at(GetParam()).attention[Precision::bf16].run != nullptr &&
                        !kernels::kernels_at(GetParam()).attention[Precision::bf16].is_absent;
  try {
    (void)model_.session(GetParam(), 8, 1, 1, Precision::bf16);
    EXPECT_FALSE(has_bf16) << "accepted";
  } catch (const Error& e) {
    EXPECT_TRUE(has_bf16) << e.what();
    EXPECT_NE(std::string(e.what()).find("\"key\" (of \"rel\") holds 3.39"), std::string::npos)
        << e.what();
  }
}

/// Of the attention, and of its distances.
Precision precision_of_attention(const Program& program) {
  for (const Op& op : program.ops) {
    const auto* attention = std::get_if<AttentionOp>(&op);
    if (attention == nullptr) continue;
    const auto& terms = std::get<Disentangled>(attention->position);
    for (const ParameterId id : {terms.key, terms.query})
      EXPECT_EQ(program.parameters[at(id)].precision, attention->precision);
    return attention->precision;
  }
  throw std::out_of_range("no attention");
}

TEST_P(DisentangledTest, IsBf16WhereTheLevelHasItAndItsResultIs) {
  build(true, true, true);
  const PrecisionRewrite half{.precision = Precision::bf16, .attention = true};
  EXPECT_EQ(precision_of_attention(in_precision(model_.program(), half)), Precision::f32);
  add_reader();
  const Program changed = in_precision(model_.program(), half);
  EXPECT_EQ(precision_of_attention(changed), Precision::bf16);
  EXPECT_EQ(precision_of_attention(in_precision(model_.program(), {.precision = Precision::bf16})),
            Precision::f32);
  Program mixed = changed;
  for (Parameter& p : mixed.parameters) {
    if (p.kind == ParameterKind::distances) p.precision = Precision::f32;
  }
  EXPECT_THROW(check(mixed), Error);
  // Distances of two layers: the other one may stay f32.
  for (Op& op : model_.program().ops) {
    auto* attention = std::get_if<AttentionOp>(&op);
    if (attention == nullptr) continue;
    AttentionOp again = *attention;
    model_.add("again", kTokens, H, again);
    break;
  }
  EXPECT_EQ(precision_of_attention(in_precision(model_.program(), half)), Precision::f32);
}

}  // namespace
}  // namespace tessera::test
