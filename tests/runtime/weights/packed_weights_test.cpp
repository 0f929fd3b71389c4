// SPDX-License-Identifier: Apache-2.0
#include "runtime/weights/packed_weights.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <utility>

#include "runtime/base/error.hpp"
#include "runtime/base/log.hpp"
#include "runtime/weights/safetensors.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/temporary.hpp"

namespace tessera {
namespace {

std::uint16_t bf16(float x) {
  return static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(x) >> 16);
}

/// A safetensors file of small integers, which every stored type represents.
class PackedWeightsTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override { SKIP_UNLESS_SUPPORTED(GetParam()); }

  void add(const std::string& name, std::vector<float> values, StoredType type = StoredType::f32) {
    std::vector<std::byte>& bytes = storage_[name];
    if (type == StoredType::bf16) {
      bytes.resize(values.size() * 2);
      for (std::size_t i = 0; i < values.size(); ++i) {
        const std::uint16_t half = bf16(values[i]);
        std::memcpy(bytes.data() + 2 * i, &half, 2);
      }
    } else {
      bytes.resize(values.size() * 4);
      std::memcpy(bytes.data(), values.data(), bytes.size());
    }
    types_[name] = {type, static_cast<std::int64_t>(values.size())};
  }

  PackedWeights load(const Program& program) {
    std::vector<TensorToWrite> tensors;
    for (const auto& [name, bytes] : storage_) {
      tensors.push_back({.name = name,
                         .type = types_[name].first,
                         .shape = {types_[name].second},
                         .data = bytes});
    }
    write_safetensors(file_.path(), tensors);
    return PackedWeights(program,
                         std::make_shared<const Checkpoint>(Checkpoint::open(file_.path())),
                         kernels::kernels_at(GetParam()));
  }

  static std::vector<float> count_from(float first, Index n) {
    std::vector<float> values;
    for (Index i = 0; i < n; ++i) values.push_back(first + static_cast<float>(i % 100));
    return values;
  }

  test::TemporaryFile file_{".safetensors"};
  std::map<std::string, std::vector<std::byte>> storage_;
  std::map<std::string, std::pair<StoredType, std::int64_t>> types_;
};

TEST_P(PackedWeightsTest, StackedSourcesOfDifferentTypesFillThePanels) {
  constexpr Index K = 19, N = 21;  // three sources of 21 rows: panels span them at every NR
  add("q", count_from(1, N * K));
  add("k", count_from(2, N * K), StoredType::bf16);
  Program p;
  p.add_parameter({.name = "qkv",
                   .kind = ParameterKind::matrix,
                   .rows = 3 * N,
                   .cols = K,
                   .sources = {{"q", N}, {"k", N}, {"", N}},
                   .gather = {}});
  const PackedWeights weights = load(p);
  const Index NR = kernels::kernels_at(GetParam()).gemm[Precision::f32].NR;
  const auto* panels = reinterpret_cast<const float*>(weights[0].panels);
  for (Index n = 0; n < (3 * N + NR - 1) / NR * NR; ++n) {
    for (Index k = 0; k < K; ++k) {
      const float expected = n < N       ? 1 + static_cast<float>((n * K + k) % 100)
                             : n < 2 * N ? 2 + static_cast<float>(((n - N) * K + k) % 100)
                                         : 0;
      ASSERT_EQ(panels[n / NR * NR * K + k * NR + n % NR], expected) << n << ", " << k;
    }
  }
}

/// BatchNorm of the tensors "gamma", "beta", "mean" and "var", and what it is in double.
struct TestNorm {
  std::vector<float> gamma{2, -1, 0.5F}, beta{1, 3, -2}, mean{4, -3, 7}, var{0.25F, 9, 2};
  static constexpr double kEps = 1e-5;
  double s(Index i) const {
    const auto k = static_cast<std::size_t>(i);
    return static_cast<double>(gamma[k]) / std::sqrt(static_cast<double>(var[k]) + kEps);
  }
  double t(Index i) const {
    const auto k = static_cast<std::size_t>(i);
    return static_cast<double>(beta[k]) - static_cast<double>(mean[k]) * s(i);
  }
  BatchNorm names() const {
    return {.gamma = "gamma", .beta = "beta", .mean = "mean", .variance = "var", .eps = kEps};
  }
};

TEST_P(PackedWeightsTest, BatchNormsAreFoldedInDouble) {
  constexpr Index N = 3, K = 5, kTaps = 9;
  const TestNorm norm;
  add("gamma", norm.gamma), add("beta", norm.beta), add("mean", norm.mean), add("var", norm.var);
  add("w", count_from(1, N * K)), add("b", {5, 6, 7});
  add("head.w", count_from(3, K * N)), add("head.b", count_from(2, K));
  add("depthwise", count_from(1, N * kTaps)), add("conv", count_from(2, N * K * 4));
  BatchNorm first = norm.names();
  first.comes_first = true;
  first.weight = "head.w";
  Program p;
  const auto matrix = [&](const char* tensor, Index rows, Index cols, const BatchNorm& its,
                          Index taps = 1) {
    p.add_parameter({.name = tensor,
                     .kind = ParameterKind::matrix,
                     .rows = rows,
                     .cols = cols,
                     .sources = {{tensor, rows}},
                     .batch_norm = its,
                     .taps = taps});
  };
  const auto vector = [&](const char* tensor, Index rows, const BatchNorm& its) {
    p.add_parameter({.name = "bias",
                     .kind = ParameterKind::vector,
                     .rows = rows,
                     .sources = {{tensor, rows}},
                     .batch_norm = its});
  };
  matrix("w", N, K, norm.names());            // 0
  vector("b", N, norm.names());               // 1
  vector("", N, norm.names());                // 2: without a bias of its own
  matrix("head.w", K, N, first);              // 3
  vector("head.b", K, first);                 // 4
  matrix("conv", N, 4 * K, norm.names(), 4);  // 5
  for (const bool adds : {false, true}) {     // 6, 7
    p.add_parameter({.name = "depthwise",
                     .kind = ParameterKind::rows,
                     .rows = kTaps,
                     .cols = N,
                     .sources = {{"depthwise", N}},
                     .transposed = true,
                     .batch_norm = norm.names(),
                     .adds_input = adds});
  }
  const PackedWeights weights = load(p);
  const Index NR = kernels::kernels_at(GetParam()).gemm[Precision::f32].NR;
  const auto packed = [&](ParameterId id, Index n, Index k) {
    const auto* panels = reinterpret_cast<const float*>(weights[id].panels);
    return panels[n / NR * NR * weights[id].cols + k * NR + n % NR];
  };
  const auto stored = [](float from, Index i) {
    return static_cast<double>(from) + static_cast<double>(i % 100);
  };
  for (Index n = 0; n < N; ++n) {
    for (Index k = 0; k < K; ++k) {
      ASSERT_EQ(packed(0, n, k), static_cast<float>(stored(1, n * K + k) * norm.s(n)));
      ASSERT_EQ(packed(3, k, n), static_cast<float>(stored(3, k * N + n) * norm.s(n)));
      for (Index tap = 0; tap < 4; ++tap) {
        ASSERT_EQ(packed(5, n, tap * K + k),
                  static_cast<float>(stored(2, (n * K + k) * 4 + tap) * norm.s(n)));
      }
    }
    EXPECT_EQ(weights[1].data[n],
              static_cast<float>((5.0 + static_cast<double>(n)) * norm.s(n) + norm.t(n)));
    EXPECT_EQ(weights[2].data[n], static_cast<float>(norm.t(n)));
    for (Index tap = 0; tap < kTaps; ++tap) {
      const double w = stored(1, n * kTaps + tap) * norm.s(n);
      EXPECT_EQ(weights[6].data[tap * N + n], static_cast<float>(w));
      EXPECT_EQ(weights[7].data[tap * N + n], static_cast<float>(tap == kTaps / 2 ? w + 1 : w));
    }
  }
  for (Index n = 0; n < K; ++n) {
    double sum = 2.0 + static_cast<double>(n);
    for (Index k = 0; k < N; ++k) sum += stored(3, n * N + k) * norm.t(k);
    EXPECT_EQ(weights[4].data[n], static_cast<float>(sum));
  }
}

TEST_P(PackedWeightsTest, WhatBf16HasNoNumberForIsNamed) {
  constexpr float kLargest = 0x1.FEp127F;  // of bf16
  const auto of = [&](float largest, Precision precision, Index sources) {
    std::vector<float> values = count_from(1, 12);
    values[7] = -largest;
    add("w", values);
    Program p;
    p.add_parameter({.name = "p",
                     .kind = ParameterKind::matrix,
                     .rows = 4 * sources,
                     .cols = 3,
                     .sources = std::vector<Source>(static_cast<std::size_t>(sources), {"w", 4}),
                     .gather = {},
                     .row_scale = {},
                     .precision = precision});
    return load(p);
  };
  for (const Index sources : {1, 2}) {  // as stored, and gathered
    EXPECT_NO_THROW(of(kLargest, Precision::bf16, sources));
    EXPECT_NO_THROW(of(std::numeric_limits<float>::max(), Precision::f32, sources));
    try {
      of(std::numeric_limits<float>::max(), Precision::bf16, sources);
      ADD_FAILURE() << "accepted";
    } catch (const Error& e) {
      EXPECT_THAT(e.what(),
                  testing::AllOf(testing::HasSubstr("parameter \"p\" (of \"w\") holds -3.4"),
                                 testing::HasSubstr("bf16"), testing::HasSubstr("fp32")));
    }
  }
}

TEST_P(PackedWeightsTest, TablesStayWhereTheyAreMapped) {
  add("t", count_from(0, 12), StoredType::bf16);
  Program p;
  p.add_parameter({.name = "t",
                   .kind = ParameterKind::table,
                   .rows = 4,
                   .cols = 3,
                   .sources = {{"t", 4}},
                   .gather = {}});
  const PackedWeights weights = load(p);
  EXPECT_EQ(weights.packed_bytes(), 0U);
  EXPECT_EQ(weights.mapped_bytes(), 24U);
  EXPECT_EQ(weights[0].type, DType::bf16);
}

TEST_P(PackedWeightsTest, BiasIsGatheredAndTransposed) {
  add("b", {0, 1, 10, 11, 20, 21});  // (3 buckets, 2 heads)
  Program p;
  p.add_parameter({.name = "b",
                   .kind = ParameterKind::bias,
                   .rows = 2,
                   .cols = 5,
                   .sources = {{"b", 3}},
                   .gather = {2, 1, 0, 1, 2}});
  const PackedWeights weights = load(p);
  const std::vector<float> expected{20, 10, 0, 10, 20, 21, 11, 1, 11, 21};
  EXPECT_EQ(std::vector<float>(weights[0].data, weights[0].data + 10), expected);
}

TEST_P(PackedWeightsTest, WrongTensorsAreNamed) {
  add("w", count_from(0, 12));
  add("ints", count_from(0, 12));
  types_["ints"].first = StoredType::i32;
  const auto message = [&](const std::string& tensor, Index rows) {
    Program p;
    p.add_parameter({.name = "p",
                     .kind = ParameterKind::matrix,
                     .rows = rows,
                     .cols = 3,
                     .sources = {{tensor, rows}},
                     .gather = {}});
    try {
      (void)load(p);
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  EXPECT_THAT(message("w", 5),
              testing::HasSubstr("tensor \"w\" has shape (12) (12 elements), expected 5 x 3"));
  EXPECT_THAT(message("absent", 4), testing::HasSubstr("absent"));
  EXPECT_THAT(message("ints", 4),
              testing::HasSubstr("is stored as I32, expected F32, F16 or BF16"));
}

TEST_P(PackedWeightsTest, ValuesThatAreNotFiniteAreLogged) {
  std::vector<float> values = count_from(0, 12);
  values[7] = std::numeric_limits<float>::quiet_NaN();
  add("w", values);
  std::vector<std::string> messages;
  set_log_callback([&](LogLevel level, std::string_view text) {
    if (level == LogLevel::warning) messages.emplace_back(text);
  });
  Program p;
  p.add_parameter({.name = "p",
                   .kind = ParameterKind::matrix,
                   .rows = 4,
                   .cols = 3,
                   .sources = {{"w", 4}},
                   .gather = {}});
  (void)load(p);
  Program in_place;
  in_place.add_parameter({.name = "t",
                          .kind = ParameterKind::table,
                          .rows = 4,
                          .cols = 3,
                          .sources = {{"w", 4}},
                          .gather = {}});
  (void)load(in_place);
  add("v", count_from(0, 12));
  Program gathered;  // one panel of two sources, the second with the NaN
  gathered.add_parameter({.name = "g",
                          .kind = ParameterKind::matrix,
                          .rows = 8,
                          .cols = 3,
                          .sources = {{"v", 4}, {"w", 4}},
                          .gather = {}});
  (void)load(gathered);
  set_log_callback({});
  ASSERT_EQ(messages.size(), 3U);
  EXPECT_THAT(messages[0], testing::HasSubstr("parameter \"p\" holds a value that is not finite"));
  EXPECT_THAT(messages[2], testing::HasSubstr("parameter \"g\""));
}

INSTANTIATE_TEST_SUITE_P(AllIsas, PackedWeightsTest, testing::ValuesIn(kAllIsas),
                         [](const auto& p) { return std::string(to_string(p.param)); });

}  // namespace
}  // namespace tessera
