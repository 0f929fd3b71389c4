// SPDX-License-Identifier: Apache-2.0
// Weights of -1, 0 and 1, four in a byte: decoded, and packed as the whole numbers that they are.
#include "runtime/weights/ternary_rows.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>

#include "runtime/base/error.hpp"
#include "runtime/weights/packed_weights.hpp"
#include "runtime/weights/safetensors.hpp"
#include "runtime/weights/source_rows.hpp"
#include "tests/support/isa.hpp"
#include "tests/support/random.hpp"
#include "tests/support/temporary.hpp"

namespace tessera {
namespace {

using Numbers = std::vector<std::int8_t>;

/// (N,K) of numbers to (N/4,K) of bytes.
std::vector<std::byte> packed(const Numbers& t, Index N, Index K) {
  const Index R = N / kTernaryRows;
  std::vector<std::byte> bytes(static_cast<std::size_t>(R * K));
  for (Index n = 0; n < N; ++n) {
    for (Index k = 0; k < K; ++k) {
      const auto code = static_cast<unsigned>(t[static_cast<std::size_t>(n * K + k)] + 1);
      bytes[static_cast<std::size_t>(n % R * K + k)] |= static_cast<std::byte>(code << 2 * (n / R));
    }
  }
  return bytes;
}

/// One tensor "w" U8 (R,K) that is made ternary with the scales 1, 2, 3 ...
Checkpoint checkpoint_of(const test::TemporaryFile& file, std::span<const std::byte> bytes, Index R,
                         Index K) {
  const std::vector<TensorToWrite> tensors{
      {.name = "w", .type = StoredType::u8, .shape = {R, K}, .data = bytes}};
  write_safetensors(file.path(), tensors);
  Checkpoint checkpoint = Checkpoint::open(file.path());
  std::vector<float> scales;
  for (Index n = 0; n < kTernaryRows * R; ++n) scales.push_back(static_cast<float>(n + 1));
  checkpoint.set_ternary("w", scales);
  return checkpoint;
}

/// The example in the comment of transformers' unpack_weights.
constexpr std::array kBytes{std::byte{0xA1}, std::byte{0x18}, std::byte{0x90}, std::byte{0x0A}};
const Numbers kNumbers{0, -1, -1, 1, -1, 1, -1, 1, 1, 0, 0, -1, 1, -1, 1, -1};  // (8,2)

TEST(TernaryRowsTest, AreThoseOfTheReferencesExampleFromAnyElementOn) {
  const test::TemporaryFile file(".safetensors");
  const Checkpoint checkpoint = checkpoint_of(file, kBytes, 2, 2);
  const StoredTensor& tensor = checkpoint.at("w");
  EXPECT_EQ(tensor.shape, (std::vector<std::int64_t>{8, 2}));
  EXPECT_EQ(tensor.type, StoredType::ternary);
  EXPECT_EQ(checkpoint.weight_type(tensor), DType::s8);
  EXPECT_EQ(checkpoint.path_of("w"), file.path());
  for (Index begin = 0; begin < 16; ++begin) {
    for (Index n = 0; n <= 16 - begin; ++n) {
      Numbers to(static_cast<std::size_t>(n) + 1, 77);
      read_ternary(checkpoint, tensor, begin, n, to.data());
      Numbers expected(kNumbers.begin() + begin, kNumbers.begin() + begin + n);
      expected.push_back(77);
      ASSERT_EQ(to, expected) << begin << " " << n;
    }
  }
}

TEST(TernaryRowsTest, CountInTheScaleOfTheirRow) {
  const test::TemporaryFile file(".safetensors");
  const Checkpoint checkpoint = checkpoint_of(file, kBytes, 2, 2);
  std::vector<float> expected;
  for (std::size_t i = 0; i < kNumbers.size(); ++i) {
    expected.push_back(static_cast<float>(kNumbers[i]) * static_cast<float>(i / 2 + 1));
  }
  EXPECT_EQ(checkpoint.values(checkpoint.at("w")), expected);
  RowReader reader(checkpoint, kernels::kernels_at(Isa::baseline));
  const Rows rows =
      find_rows(checkpoint, {.tensor = "w", .rows = 3, .first_row = 4, .tensor_rows = 8}, 2);
  std::vector<float> part(5);
  reader.widen(rows, 1, 5, part.data());
  EXPECT_EQ(part, std::vector<float>(expected.begin() + 9, expected.begin() + 14));
}

TEST(TernaryRowsTest, TheCodeThatStandsForNothingIsNamed) {
  std::array bytes = kBytes;
  bytes[3] |= std::byte{0x30};  // row 2 + 2·2, column 1
  bytes[3] &= ~std::byte{0xC0};
  const test::TemporaryFile file(".safetensors");
  const Checkpoint checkpoint = checkpoint_of(file, bytes, 2, 2);
  Numbers to(16);
  read_ternary(checkpoint, checkpoint.at("w"), 0, 11, to.data());
  try {
    read_ternary(checkpoint, checkpoint.at("w"), 0, 16, to.data());
    FAIL() << "nothing thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::corrupt_file);
    EXPECT_EQ(std::string(error.what()),
              file.path().string() +
                  ": tensor \"w\" holds code 3 for row 5, column 1, expected 0, 1 "
                  "or 2, which stand for -1, 0 and 1");
  }
}

TEST(TernaryRowsTest, NoFileSaysThatItIsTernary) {
  EXPECT_EQ(stored_type_from_string(to_string(StoredType::ternary)), std::nullopt);
  EXPECT_EQ(bits_of(StoredType::ternary), 2);
  EXPECT_EQ(weight_dtype(StoredType::ternary), std::nullopt);
}

/// q, k and v of a fused weight (3·N, K), as ternary, as whole numbers of 8 bits and as floats.
class TernaryPanelsTest : public testing::TestWithParam<Isa> {
 protected:
  static constexpr Index kRows = 20, kCols = 67;  // panels span sources at every NR
  enum class As : std::uint8_t { ternary, bytes, floats };

  void SetUp() override {
    SKIP_UNLESS_SUPPORTED(GetParam());
    test::Random random{3};
    for (const char* name : {"q", "k", "v"}) {
      for (Index n = 0; n < kRows; ++n) {
        const float scale = std::abs(random.normal()) + 0.01F;
        scales_[name].push_back(scale);
        for (Index k = 0; k < kCols; ++k) {
          const float x = random.normal();
          const int t = x > 0.6F ? 1 : x < -0.6F ? -1 : 0;
          numbers_[name].push_back(static_cast<std::int8_t>(t));
          floats_[name].push_back(static_cast<float>(t) * scale);
        }
      }
      packed_[name] = packed(numbers_[name], kRows, kCols);
    }
  }

  std::vector<std::byte> pack(As as, Precision precision, bool of_part = false) {
    const test::TemporaryFile file(".safetensors");
    std::vector<TensorToWrite> tensors;
    for (const auto& [name, numbers] : numbers_) {
      if (as == As::ternary) {
        tensors.push_back({.name = name,
                           .type = StoredType::u8,
                           .shape = {kRows / kTernaryRows, kCols},
                           .data = packed_[name]});
      } else {
        tensors.push_back({.name = name,
                           .type = as == As::bytes ? StoredType::i8 : StoredType::f32,
                           .shape = {kRows, kCols},
                           .data = as == As::bytes ? std::as_bytes(std::span(numbers))
                                                   : std::as_bytes(std::span(floats_[name]))});
      }
    }
    write_safetensors(file.path(), tensors);
    auto checkpoint = std::make_shared<Checkpoint>(Checkpoint::open(file.path()));
    for (const auto& [name, scales] : scales_) {
      if (as == As::ternary) checkpoint->set_ternary(name, scales);
      if (as == As::bytes) checkpoint->set_scales(name, scales);
    }
    Program p;
    std::vector<Source> sources{{"q", kRows}, {"k", kRows}, {"v", kRows}};
    if (of_part) sources[1] = {.tensor = "k", .rows = 7, .first_row = 9, .tensor_rows = kRows};
    Index rows = 0;
    for (const Source& source : sources) rows += source.rows;
    p.add_parameter({.name = "qkv",
                     .kind = ParameterKind::matrix,
                     .rows = rows,
                     .cols = kCols,
                     .sources = sources,
                     .precision = precision});
    const PackedWeights weights(p, checkpoint, kernels::kernels_at(GetParam()));
    std::vector<std::byte> block(weights.packed_bytes());
    std::memcpy(block.data(), weights[0].panels, block.size());
    return block;
  }

  std::map<std::string, std::vector<float>> floats_, scales_;
  std::map<std::string, Numbers> numbers_;
  std::map<std::string, std::vector<std::byte>> packed_;
};

TEST_P(TernaryPanelsTest, AreThoseOfTheSameNumbersInBytes) {
  for (const bool of_part : {false, true}) {
    EXPECT_EQ(pack(As::ternary, Precision::s8, of_part), pack(As::bytes, Precision::s8, of_part));
  }
}

TEST_P(TernaryPanelsTest, FloatsAreTheNumbersTimesTheirScales) {
  for (const Precision precision : {Precision::f32, Precision::bf16}) {
    EXPECT_EQ(pack(As::ternary, precision, true), pack(As::floats, precision, true));
  }
}

INSTANTIATE_FOR_ALL_ISAS(TernaryPanelsTest);

}  // namespace
}  // namespace tessera
