// SPDX-License-Identifier: Apache-2.0
//
// What image encoders and their text towers need beside linears: attention pooling, gating, biases
// of pairs, rows by id, means of a range of rows, scaled sums, LayerScale folded at load. Each op
// against double on the very inputs that it read, which are outputs of the session, too.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "runtime/base/error.hpp"
#include "tests/reference/activation.hpp"
#include "tests/reference/attention.hpp"
#include "tests/runtime/op_model.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/tolerance.hpp"

namespace tessera {
namespace {

using test::near_elementwise;
using test::OpModel;

constexpr Index kVocab = 40;

class ImageOpsTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override { SKIP_UNLESS_SUPPORTED(GetParam()); }

  /// Rows that ids choose out of a random table.
  static ValueId embedded(OpModel& model, const std::string& name, Index width) {
    model.program().inputs = TokenSpec{.vocab_size = kVocab, .position_rows = 64, .max_tokens = 64};
    EmbeddingOp op{.terms = {{model.parameter(name + ".table", ParameterKind::table, kVocab, width),
                              TokenInput::ids}},
                   .out = kNone};
    return model.add(name, kTokens, width, op);
  }

  /// Sequences of 1 to 64 tokens.
  void run(const OpModel& model, int threads = 1) {
    session_ = model.session(GetParam(), 300, 8, threads);
    test::Random random{4};
    ids_.clear(), offsets_ = {0};
    for (const Index T : {1, 2, 17, 64, 33, 5}) {
      for (Index t = 0; t < T; ++t) {
        ids_.push_back(static_cast<std::int32_t>(random.integer(0, kVocab - 1)));
      }
      offsets_.push_back(static_cast<std::int32_t>(ids_.size()));
    }
    session_->run({.ids = ids_, .offsets = offsets_});
  }
  Index sequences() const { return std::ssize(offsets_) - 1; }
  Index begin(Index s) const { return offsets_[static_cast<std::size_t>(s)]; }
  std::span<const float> row(const char* name, Index i) const {
    return session_->output(name).row(i);
  }

  std::unique_ptr<Session> session_;
  std::vector<std::int32_t> ids_, offsets_;
};
INSTANTIATE_FOR_ALL_ISAS(ImageOpsTest);

TEST_P(ImageOpsTest, AttentionPoolingIsAttentionWithOneQuery) {
  constexpr Index kHeads = 3, d = 10, H = kHeads * d;
  for (const int threads : {1, 2}) {
    OpModel model;
    const ValueId kv = embedded(model, "kv", 2 * H);
    const ValueId q = model.add(
        "q", kSequences, H,
        BroadcastOp{.row = model.parameter("probe", ParameterKind::rows, 1, H), .out = kNone});
    model.add("pooled", kSequences, H, pooling_attention(q, kv, kNone, kHeads, d, 0.3F));
    run(model, threads);
    const TensorView<const float> keys = session_->output("kv");
    for (Index s = 0; s < sequences(); ++s) {
      EXPECT_TRUE(test::bit_identical(row("q", s), model["probe"]));
      std::vector<double> value, bound;
      for (Index h = 0; h < kHeads; ++h) {
        const float* key0 = keys.data + begin(s) * keys.stride + h * d;
        reference::attention_row({.q = row("q", s).data() + h * d,
                                  .ldq = H,
                                  .k = key0,
                                  .ldk = keys.stride,
                                  .v = key0 + H,
                                  .ldv = keys.stride,
                                  .o = nullptr,
                                  .ldo = H,
                                  .Tq = 1,
                                  .Tk = begin(s + 1) - begin(s),
                                  .d = d,
                                  .scale = 0.3F,
                                  .scratch = nullptr},
                                 0, value, bound);
      }
      EXPECT_TRUE(near_elementwise(row("pooled", s), value,
                                   [&](Index i) { return bound[static_cast<std::size_t>(i)]; }))
          << "sequence " << s;
    }
  }
}

TEST_P(ImageOpsTest, GatingMultipliesTheActivatedHalf) {
  for (const Activation act : {Activation::silu, Activation::gelu_erf, Activation::none}) {
    for (const Index W : {1, 7, 16, 37, 130}) {
      OpModel model;
      const ValueId in = embedded(model, "in", 2 * W);
      model.add("out", kTokens, W, GatedOp{.in = in, .activation = act, .out = kNone});
      run(model, 2);
      for (Index i = 0; i < std::ssize(ids_); ++i) {
        const auto x = row("in", i);
        std::vector<double> value, bound;
        for (Index n = 0; n < W; ++n) {
          const double left = static_cast<double>(x[static_cast<std::size_t>(n)]),
                       right = static_cast<double>(x[static_cast<std::size_t>(W + n)]);
          value.push_back(reference::activate(act, left) * right);
          // the bound of math_test.cpp, and a rounding
          bound.push_back(2.2e-7 * std::max(1.0, std::abs(left)) * std::abs(right) + 1e-40);
        }
        EXPECT_TRUE(near_elementwise(row("out", i), value,
                                     [&](Index n) { return bound[static_cast<std::size_t>(n)]; }))
            << to_string(act) << " W=" << W;
      }
    }
  }
}

TEST_P(ImageOpsTest, RowsAreFoundByTheirIds) {
  OpModel model;
  const ValueId in = embedded(model, "in", 5);
  model.add("largest", kSequences, 5,
            PoolOp{.pooling = Pooling::largest_id, .in = in, .out = kNone});
  model.add("first_of", kSequences, 5,
            PoolOp{.pooling = Pooling::first_of_id, .in = in, .out = kNone, .id = 7});
  run(model);
  int found = 0;
  for (Index s = 0; s < sequences(); ++s) {
    Index largest = begin(s), first = -1;
    for (Index i = begin(s); i < begin(s + 1); ++i) {
      const std::int32_t id = ids_[static_cast<std::size_t>(i)];
      if (id > ids_[static_cast<std::size_t>(largest)]) largest = i;
      if (id == 7 && first < 0) first = i;
    }
    found += first >= 0;
    EXPECT_TRUE(test::bit_identical(row("largest", s), row("in", largest)));
    EXPECT_TRUE(test::bit_identical(row("first_of", s), row("in", first < 0 ? begin(s) : first)));
  }
  EXPECT_GT(found, 0);
  EXPECT_LT(found, sequences());
}

TEST_P(ImageOpsTest, MeansLeaveOutSpecialRowsAndSumsAreScaled) {
  OpModel model;
  const ValueId in = embedded(model, "in", 9);
  const ValueId mean = model.add(
      "mean", kSequences, 9, PoolOp{.pooling = Pooling::mean, .in = in, .out = kNone, .skip = 1});
  const ValueId first =
      model.add("first", kSequences, 9, PoolOp{.pooling = Pooling::first, .in = in, .out = kNone});
  model.add("half", kSequences, 9, AddOp{.a = mean, .b = first, .out = kNone, .scale = 0.5F});
  run(model);
  for (Index s = 0; s < sequences(); ++s) {
    std::vector<double> sum(9, 0.0), magnitude(9, 0.0), half;
    const Index T = begin(s + 1) - begin(s) - 1;
    for (Index t = 1; t <= T; ++t) {
      for (std::size_t n = 0; n < 9; ++n) {
        const double x = static_cast<double>(row("in", begin(s) + t)[n]) / static_cast<double>(T);
        sum[n] += x, magnitude[n] += std::abs(x);
      }
    }
    EXPECT_TRUE(near_elementwise(
        row("mean", s), sum,
        [&](Index n) { return test::gamma(T + 2) * magnitude[static_cast<std::size_t>(n)]; }))
        << "sequence " << s;
    for (std::size_t n = 0; n < 9; ++n)
      half.push_back(static_cast<double>((row("mean", s)[n] + row("first", s)[n]) * 0.5F));
    EXPECT_TRUE(near_elementwise(row("half", s), half, [](Index) { return 1e-40; }));
  }
}

TEST_P(ImageOpsTest, LayerScaleIsMultipliedIntoRowsAtLoad) {
  OpModel model;
  const ValueId in = embedded(model, "in", 11);
  model.tensor("scale", 37, 1);
  const auto parameter = [&](const char* name, ParameterKind kind, Index cols) {
    model.tensor(name, 37, cols);
    return model.program().add_parameter({.name = name,
                                          .kind = kind,
                                          .rows = 37,
                                          .cols = cols,
                                          .sources = {{name, 37}},
                                          .row_scale = "scale"});
  };
  const ParameterId weight = parameter("w", ParameterKind::matrix, 11),
                    bias = parameter("b", ParameterKind::vector, 1);
  model.add("out", kTokens, 37, LinearOp{.in = in, .weight = weight, .bias = bias, .out = kNone});
  run(model);
  for (Index i = 0; i < std::ssize(ids_); ++i) {
    std::vector<double> value, bound;
    for (std::size_t n = 0; n < 37; ++n) {
      double y = static_cast<double>(model["b"][n]), size = std::abs(y);
      for (std::size_t k = 0; k < 11; ++k) {
        const double product =
            static_cast<double>(row("in", i)[k]) * static_cast<double>(model["w"][n * 11 + k]);
        y += product, size += std::abs(product);
      }
      const double scale = static_cast<double>(model["scale"][n]);
      value.push_back(scale * y);
      bound.push_back(test::gemm_tolerance(12, std::abs(scale) * size));
    }
    EXPECT_TRUE(near_elementwise(row("out", i), value,
                                 [&](Index n) { return bound[static_cast<std::size_t>(n)]; }));
  }
}

TEST_P(ImageOpsTest, PartsOfATensorAreRowsOfIt) {
  OpModel model;
  const ValueId in = embedded(model, "in", 6);
  model.tensor("stack", 30, 6);
  const ParameterId part = model.program().add_parameter(
      {.name = "part",
       .kind = ParameterKind::matrix,
       .rows = 20,
       .cols = 6,
       .sources = {{.tensor = "stack", .rows = 20, .first_row = 10, .tensor_rows = 30}}});
  model.add("out", kTokens, 20, LinearOp{.in = in, .weight = part, .out = kNone});
  run(model);
  for (std::size_t n = 0; n < 20; ++n) {
    double y = 0;
    for (std::size_t k = 0; k < 6; ++k) {
      y += static_cast<double>(row("in", 0)[k]) *
           static_cast<double>(model["stack"][(10 + n) * 6 + k]);
    }
    EXPECT_NEAR(static_cast<double>(row("out", 0)[n]), y, 1e-5);
  }
}

/// Images of one size: scores get a bias of every pair of rows, per head.
TEST_P(ImageOpsTest, ABiasOfPairsIsAddedToTheScores) {
  constexpr Index kHeads = 2, d = 8, H = kHeads * d, T = 50, kBuckets = 31;
  OpModel model;
  Program& p = model.program();
  p.inputs = ImageSpec{.channels = 1,
                       .height = 7,
                       .width = 7,
                       .patch_height = 1,
                       .patch_width = 1,
                       .special_tokens = 1};
  const ValueId qkv =
      model.add("qkv", kTokens, 3 * H,
                PatchEmbedOp{.weight = model.parameter("w", ParameterKind::matrix, 3 * H, 1),
                             .special = model.parameter("s", ParameterKind::rows, 1, 3 * H),
                             .out = kNone});
  model.tensor("buckets", kBuckets, kHeads, 2.0F);
  Parameter pairs{.name = "pairs",
                  .kind = ParameterKind::pair_bias,
                  .rows = kHeads,
                  .cols = T * T,
                  .sources = {{"buckets", kBuckets}}};
  for (Index i = 0; i < T * T; ++i) {
    pairs.gather.push_back(static_cast<std::int32_t>((i / T * 7 + i % T * 3) % kBuckets));
  }
  std::vector<float> table(static_cast<std::size_t>(kHeads * T * T));
  for (Index h = 0; h < kHeads; ++h) {
    for (Index i = 0; i < T * T; ++i) {
      table[static_cast<std::size_t>(h * T * T + i)] =
          model["buckets"]
               [static_cast<std::size_t>(pairs.gather[static_cast<std::size_t>(i)] * kHeads + h)];
    }
  }
  AttentionOp attention = self_attention(qkv, kNone, kHeads, d, 0.35F);
  attention.position = PairBias{p.add_parameter(pairs)};
  model.add("out", kTokens, H, attention);
  const auto session = model.session(GetParam(), 3 * T, 3, 2);
  std::vector<float> planes;
  test::Random random{8};
  for (int i = 0; i < 3 * 49; ++i) planes.push_back(random.normal());
  std::vector<Image> batch;
  for (std::ptrdiff_t i = 0; i < 3; ++i) {
    batch.push_back({.planes = planes.data() + 49 * i, .height = 7, .width = 7});
  }
  session->run({.images = batch});
  const TensorView<const float> in = session->output("qkv"), out = session->output("out");
  for (Index i = 0; i < 3 * T; ++i) {
    std::vector<double> value, bound;
    for (Index h = 0; h < kHeads; ++h) {
      const float* q = in.data + i / T * T * in.stride + h * d;
      reference::attention_row({.q = q,
                                .ldq = in.stride,
                                .k = q + H,
                                .ldk = in.stride,
                                .v = q + 2 * H,
                                .ldv = in.stride,
                                .o = nullptr,
                                .ldo = H,
                                .Tq = T,
                                .Tk = T,
                                .d = d,
                                .scale = 0.35F,
                                .scratch = nullptr,
                                .dense = table.data() + h * T * T,
                                .ld_dense = T},
                               i % T, value, bound);
    }
    EXPECT_TRUE(near_elementwise(out.row(i), value,
                                 [&](Index n) { return bound[static_cast<std::size_t>(n)]; }))
        << "row " << i;
  }
  std::get<ImageSpec>(p.inputs).sizes = ImageSizes::any;  // a bias of one grid is none of another
  EXPECT_THROW(check(p), Error);
}

TEST(ImageProgramTest, WrongOperandsAreRefused) {
  OpModel model;
  Program& p = model.program();
  const ValueId in = p.add_value("in", kTokens, 8), one = p.add_value("one", kSequences, 4);
  const ParameterId table = model.parameter("t", ParameterKind::table, 3, 8);
  p.ops.emplace_back(EmbeddingOp{.terms = {{table, TokenInput::ids}}, .out = in});
  p.ops.emplace_back(
      BroadcastOp{.row = model.parameter("r", ParameterKind::rows, 1, 4), .out = one});
  check(p);
  const auto refused = [&](SpaceId space, Index width, Op op) {
    Program broken = p;
    const ValueId out = broken.add_value("out", space, width);
    std::visit([&](auto& o) { o.out = out; }, op);
    broken.ops.push_back(op);
    EXPECT_THROW(check(broken), Error) << to_string(broken);
  };
  refused(kTokens, 3, GatedOp{.in = in, .activation = Activation::silu, .out = kNone});
  refused(kSequences, 4, pooling_attention(one, in, kNone, 3, 1, 1.0F));
  refused(kTokens, 4, pooling_attention(one, in, kNone, 4, 1, 1.0F));
  refused(kSequences, 8, PoolOp{.pooling = Pooling::max, .in = in, .out = kNone, .skip = 1});
  refused(kTokens, 4, BroadcastOp{.row = 1, .out = kNone});
  refused(kTokens, 8, PatchEmbedOp{.weight = 0, .out = kNone});
}

}  // namespace
}  // namespace tessera
