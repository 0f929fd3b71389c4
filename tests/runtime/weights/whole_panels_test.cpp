// SPDX-License-Identifier: Apache-2.0
// Whole numbers of a checkpoint become the panels that its floats became when they were quantised.
#include "runtime/weights/whole_panels.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <map>

#include "runtime/base/error.hpp"
#include "runtime/weights/packed_weights.hpp"
#include "runtime/weights/safetensors.hpp"
#include "runtime/weights/scaled_rows.hpp"
#include "tests/reference/quantize.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/random.hpp"
#include "tests/support/temporary.hpp"

namespace tessera {
namespace {

std::vector<float> random_rows(Index rows, Index K, std::uint64_t seed) {
  test::Random random{seed};
  std::vector<float> w(static_cast<std::size_t>(rows * K));
  for (float& x : w) x = random.normal();
  return w;
}

TEST(RowQuantizerTest, GivesTheNumbersOfTheReference) {
  RowQuantizer quantizer;
  constexpr float kInf = std::numeric_limits<float>::infinity();
  for (const std::vector<float>& row : {random_rows(1, 37, 1),
                                        random_rows(1, 768, 2),
                                        {0, 0, 0},
                                        {1e-35F, -1e-34F},
                                        {5},
                                        {1, kInf, 2},
                                        {std::nanf(""), 1},
                                        {0.5F, 1.5F, 2.5F, 127.0F}}) {
    std::vector<std::int8_t> q(row.size());
    const float scale = quantizer.quantize(row, q.data());
    const reference::QuantizedRow expected = reference::quantize(row);
    EXPECT_TRUE(test::same_bits(scale, expected.scale));
    EXPECT_EQ(std::vector<std::int32_t>(q.begin(), q.end()), expected.q);
  }
}

TEST(WidenScaledTest, TakesTheScaleOfEachRowFromAnyElementOn) {
  const std::vector<std::int8_t> q{1, -2, 3, -128, 127, 0};
  const std::vector<float> scales{0.5F, 2.0F};  // rows of 3
  for (Index begin = 0; begin < 6; ++begin) {
    std::vector<float> to(static_cast<std::size_t>(6 - begin));
    widen_scaled(q.data() + begin, scales, 3, begin, 6 - begin, to.data());
    const std::vector<float> all{0.5F, -1, 1.5F, -256, 254, 0};
    EXPECT_EQ(to, std::vector<float>(all.begin() + begin, all.end())) << begin;
  }
}

/// q, k and v of a fused weight (3·N, K), as floats and as whole numbers with their scales.
class WholePanelsTest : public testing::TestWithParam<Isa> {
 protected:
  static constexpr Index kRows = 21, kCols = 67;  // panels span sources at every NR
  void SetUp() override {
    SKIP_UNLESS_SUPPORTED(GetParam());
    RowQuantizer quantizer;
    for (const char* name : {"q", "k", "v"}) {
      floats_[name] = random_rows(kRows, kCols, static_cast<std::uint64_t>(*name));
      if (*name == 'k') std::fill_n(floats_[name].begin() + kCols, kCols, 0.0F);
      for (Index n = 0; n < kRows; ++n) {
        numbers_[name].resize(static_cast<std::size_t>((n + 1) * kCols));
        scales_[name].push_back(quantizer.quantize(
            std::span(floats_[name]).subspan(static_cast<std::size_t>(n * kCols), kCols),
            numbers_[name].data() + n * kCols));
      }
    }
    row_scale_ = random_rows(1, 3 * kRows, 9);
  }

  Checkpoint write(const test::TemporaryFile& file, const std::string& whole) {
    std::vector<TensorToWrite> tensors{{.name = "scale",
                                        .type = StoredType::f32,
                                        .shape = {3 * kRows},
                                        .data = std::as_bytes(std::span(row_scale_))}};
    for (const auto& [name, values] : floats_) {
      const bool is_whole = whole.find(name) != std::string::npos;
      tensors.push_back({.name = name,
                         .type = is_whole ? StoredType::i8 : StoredType::f32,
                         .shape = {kRows, kCols},
                         .data = is_whole ? std::as_bytes(std::span(numbers_[name]))
                                          : std::as_bytes(std::span(values))});
    }
    write_safetensors(file.path(), tensors);
    Checkpoint checkpoint = Checkpoint::open(file.path());
    for (const char c : whole) {
      const std::string name(1, c);
      checkpoint.set_scales(name, scales_[name]);
    }
    return checkpoint;
  }

  /// The block of the fused weight, and of a vector, where q, k and v of `whole` are whole numbers.
  std::vector<std::byte> pack(const std::string& whole, Precision precision, bool is_scaled) {
    const test::TemporaryFile file(".safetensors");
    auto checkpoint = std::make_shared<const Checkpoint>(write(file, whole));
    Program p;
    p.add_parameter({.name = "qkv",
                     .kind = ParameterKind::matrix,
                     .rows = 3 * kRows,
                     .cols = kCols,
                     .sources = {{"q", kRows}, {"k", kRows}, {"v", kRows}},
                     .row_scale = is_scaled ? "scale" : "",
                     .precision = precision});
    const PackedWeights weights(p, checkpoint, kernels::kernels_at(GetParam()));
    std::vector<std::byte> block(weights.packed_bytes());
    std::memcpy(block.data(), weights[0].panels, block.size());
    return block;
  }

  std::map<std::string, std::vector<float>> floats_, scales_;
  std::map<std::string, std::vector<std::int8_t>> numbers_;
  std::vector<float> row_scale_;
};

TEST_P(WholePanelsTest, AreThoseOfTheFloatsThatWereQuantised) {
  for (const bool is_scaled : {false, true}) {
    const std::vector<std::byte> floats = pack("", Precision::s8, is_scaled);
    for (const char* whole : {"q", "k", "v", "qk", "kv", "qkv"}) {
      EXPECT_EQ(pack(whole, Precision::s8, is_scaled), floats) << whole << " " << is_scaled;
    }
  }
}

TEST_P(WholePanelsTest, FloatsAreTheNumbersTimesTheirScales) {
  const std::vector<std::byte> whole = pack("qkv", Precision::f32, false);
  for (auto& [name, values] : floats_) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>(numbers_[name][i]) * scales_[name][i / kCols];
    }
  }
  EXPECT_EQ(whole, pack("", Precision::f32, false));
  EXPECT_EQ(pack("k", Precision::bf16, true), pack("", Precision::bf16, true));
}

INSTANTIATE_FOR_ALL_ISAS(WholePanelsTest);

}  // namespace
}  // namespace tessera
