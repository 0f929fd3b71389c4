// SPDX-License-Identifier: Apache-2.0
//
// A convolution along sequences, and rows that are masked, against loops: the ends of sequences, columns
// with gaps, rows that nobody attends to, blocks of rows, threads.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/reference/bf16.hpp"
#include "tests/runtime/op_model.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/tolerance.hpp"

namespace tessera::test {
namespace {

constexpr Index kVocab = 50, K = 11, N = 13;

class ConvolutionTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    SKIP_UNLESS_SUPPORTED(GetParam());
    model_.program().inputs = TokenSpec{.vocab_size = kVocab, .max_tokens = kAnyLength};
    in_ = model_.add(
        "in", kTokens, K,
        EmbeddingOp{.terms = {{model_.parameter("table", ParameterKind::table, kVocab, K),
                               TokenInput::ids}},
                    .out = kNone});
    for (const Index length : {1, 2, 3, 70, 129}) {
      for (Index i = 0; i < length; ++i) {
        ids_.push_back(static_cast<std::int32_t>(std::ssize(ids_) * 7 % kVocab));
        columns_.push_back(static_cast<std::int32_t>(2 * ids_.size() + ids_.size() / 3 * 3));
      }
      offsets_.push_back(static_cast<std::int32_t>(ids_.size()));
    }
  }

  void expect_reference(Index taps, const Batch& batch, const Session& session,
                        Precision asked) const {
    const Precision precision = K * taps < 64 ? Precision::f32 : asked;  // fewer are not rounded
    const std::string name = "taps " + std::to_string(taps);
    const TensorView<const float> in = session.output("in"), out = session.output(name);
    const auto column = [&](Index i) {
      return batch.columns.empty() ? i : Index{batch.columns[static_cast<std::size_t>(i)]};
    };
    for (std::size_t s = 0; s + 1 < offsets_.size(); ++s) {
      const Index keys = offsets_[s] + (batch.query_only.empty() ? 0 : batch.query_only[s]);
      for (Index i = offsets_[s]; i < offsets_[s + 1]; ++i) {
        for (Index n = 0; n < N; ++n) {
          const auto weight = [&](Index k, Index t) {
            return reference::factor(
                model_[name + ".weight"][static_cast<std::size_t>((n * K + k) * taps + t)],
                precision);
          };
          double sum = static_cast<double>(model_[name + ".bias"][static_cast<std::size_t>(n)]);
          double magnitude = std::abs(sum);
          for (Index j = keys; j < offsets_[s + 1]; ++j) {
            const Index t = column(j) - column(i) + taps / 2;
            if (t < 0 || t >= taps) continue;
            for (Index k = 0; k < K; ++k) {
              const double product =
                  weight(k, t) *
                  reference::factor(in.row(j)[static_cast<std::size_t>(k)], precision);
              sum += product;
              magnitude += std::abs(product);
            }
          }
          ASSERT_NEAR(static_cast<double>(out.row(i)[static_cast<std::size_t>(n)]), sum,
                      gemm_tolerance(K * taps, magnitude))
              << name << ", sequence " << s << ", row " << i - offsets_[s];
        }
      }
    }
  }

  OpModel model_;
  ValueId in_ = kNone;
  std::vector<std::int32_t> ids_{}, columns_{}, offsets_{0};
};
INSTANTIATE_FOR_ALL_ISAS(ConvolutionTest);

TEST_P(ConvolutionTest, MatchesTheReference) {
  for (const Index taps : {1, 3, 5, 7}) {
    const std::string name = "taps " + std::to_string(taps);
    const ParameterId weight =
                          model_.parameter(name + ".weight", ParameterKind::matrix, N, K * taps),
                      bias = model_.parameter(name + ".bias", ParameterKind::vector, N);
    model_.add(
        name, kTokens, N,
        ConvolutionOp{.in = in_, .weight = weight, .bias = bias, .taps = taps, .out = kNone});
  }
  const std::vector<std::int32_t> query_only{1, 1, 0, 3, 2};
  for (const auto& [threads, precision] :
       {std::pair{1, Precision::f32}, {3, Precision::f32}, {3, Precision::bf16}}) {
    const auto session = model_.session(GetParam(), 256, 8, threads, precision);
    for (const bool by_columns : {false, true}) {
      for (const bool masks : {false, true}) {
        Batch batch{.ids = ids_, .offsets = offsets_};
        if (by_columns) batch.columns = columns_;
        if (masks) batch.query_only = query_only;
        session->run(batch);
        for (const Index taps : {1, 3, 5, 7}) {
          expect_reference(taps, batch, *session, precision);
        }
      }
    }
  }
}

TEST_P(ConvolutionTest, MaskedRowsAreZeros) {
  model_.add("masked", kTokens, K, MaskRowsOp{.in = in_, .out = kNone});
  const auto session = model_.session(GetParam(), 256, 8, 2);
  const std::vector<std::int32_t> query_only{1, 0, 2, 0, 5};
  session->run({.ids = ids_, .offsets = offsets_, .query_only = query_only});
  const std::vector<float> zeros(K, 0.0F);
  for (std::size_t s = 0; s + 1 < offsets_.size(); ++s) {
    for (Index i = offsets_[s]; i < offsets_[s + 1]; ++i) {
      const bool is_masked = i < offsets_[s] + query_only[s];
      EXPECT_TRUE(
          bit_identical(session->output("masked").row(i),
                        is_masked ? std::span<const float>(zeros) : session->output("in").row(i)));
    }
  }
}

}  // namespace
}  // namespace tessera::test
