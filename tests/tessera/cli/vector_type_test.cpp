// SPDX-License-Identifier: Apache-2.0
// Small vectors against the formulas of vector_type.hpp, in double; .npy and .fvecs byte by byte.
#include "tessera/pipeline/vector_type.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "runtime/base/half.hpp"
#include "tessera/pipeline/embedding_writer.hpp"
#include "tests/tessera/cli/cli_test.hpp"

namespace tessera::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<double> narrowed(const std::vector<float>& row, VectorType type,
                             const Ranges& ranges = {}) {
  const Index elements = elements_of(type, std::ssize(row));
  std::vector<std::byte> bytes(static_cast<std::size_t>(elements * element_bytes(type)));
  narrow_row(row, type, ranges, bytes);
  std::vector<double> values;
  for (Index i = 0; i < elements; ++i) values.push_back(element(bytes, type, i));
  return values;
}

std::vector<float> random_row(std::size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> row(n);
  for (float& x : row) x = normal(random);
  return row;
}

TEST(VectorTypeTest, FloatsStayAndHalvesAreTheNearest) {
  const std::vector<float> row = random_row(40, 1);
  const std::vector<double> same = narrowed(row, VectorType::f32);
  const std::vector<double> halves = narrowed(row, VectorType::f16);
  for (std::size_t i = 0; i < row.size(); ++i) {
    EXPECT_EQ(same[i], static_cast<double>(row[i]));
    EXPECT_EQ(halves[i], static_cast<double>(float_of_half(half_of(row[i]))));
  }
}

TEST(VectorTypeTest, IntegersCountStepsOfTheRange) {
  constexpr std::size_t kWidth = 64;
  const std::vector<float> rows = random_row(50 * kWidth, 2);
  const Ranges ranges = ranges_of(rows, kWidth);
  for (std::size_t r = 0; r < 50; ++r) {
    const std::vector<float> row(rows.begin() + static_cast<std::ptrdiff_t>(r * kWidth),
                                 rows.begin() + static_cast<std::ptrdiff_t>((r + 1) * kWidth));
    const std::vector<double> is = narrowed(row, VectorType::int8, ranges);
    const std::vector<double> us = narrowed(row, VectorType::uint8, ranges);
    for (std::size_t i = 0; i < kWidth; ++i) {
      const double low = static_cast<double>(ranges.low[i]),
                   high = static_cast<double>(ranges.high[i]);
      const double steps = (static_cast<double>(row[i]) - low) / (high - low) * 255.0;
      // Whole numbers of steps may fall to either side in float.
      EXPECT_LE(us[i], std::min(255.0, steps + 1e-4));
      EXPECT_GE(us[i], steps - 1.0001);
      EXPECT_LE(std::abs(is[i] - (steps - 128.0)), 1.0001);
      EXPECT_GE(is[i], -128.0);
      EXPECT_LE(is[i], 127.0);
    }
  }
}

TEST(VectorTypeTest, TheFractionGoesTowardsZero) {
  const Ranges ranges{.low = {0, 0, 0, 0, 0}, .high = {255, 255, 255, 255, 255}};
  const std::vector<float> row{0.9F, 127.5F, 129.5F, 254.9F, 255.0F};
  EXPECT_THAT(narrowed(row, VectorType::uint8, ranges), ElementsAre(0, 127, 129, 254, 255));
  EXPECT_THAT(narrowed(row, VectorType::int8, ranges), ElementsAre(-127, 0, 1, 126, 127));
}

TEST(VectorTypeTest, OutsideOfTheRangesIsTheNearestEnd) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  const Ranges ranges{.low = {-1, -1, -1, -1, 2, 2}, .high = {1, 1, 1, 1, 2, 2}};
  const std::vector<float> row{-1.5F, 1.5F, infinity, nan, 2.0F, 3.0F};
  EXPECT_THAT(narrowed(row, VectorType::uint8, ranges), ElementsAre(0, 255, 255, 0, 0, 255));
  EXPECT_THAT(narrowed(row, VectorType::int8, ranges),
              ElementsAre(-128, 127, 127, -128, -128, 127));
}

TEST(VectorTypeTest, BitsSayWhatIsAboveZero) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> row{1.0F, -1.0F, 0.0F, 1e-40F, -0.0F, nan,  -5.0F, 2.0F,
                               0.0F, 1.0F,  1.0F, 1.0F,   1.0F,  1.0F, 1.0F,  1.0F};
  EXPECT_THAT(narrowed(row, VectorType::ubinary), ElementsAre(0b10010001, 0b01111111));
  EXPECT_THAT(narrowed(row, VectorType::binary), ElementsAre(0b10010001 - 128, 0b01111111 - 128));
}

TEST(VectorTypeTest, RangesThatAreNoneAreNamed) {
  EXPECT_EQ(problem_of({.low = {0, 1}, .high = {0, 2}}), "");
  EXPECT_THAT(problem_of({.low = {0, 3}, .high = {0, 2}}), HasSubstr("column 1 goes from 3 to 2"));
  EXPECT_THAT(problem_of({.low = {0, 3}, .high = {0, std::nanf("")}}), HasSubstr("column 1"));
  EXPECT_THAT(problem_of({.low = {-3e38F}, .high = {3e38F}}), HasSubstr("a finite difference"));
}

class VectorsCliTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    file("texts.txt", "hello world\nthe cat\n\nhello cat world\n");
    ASSERT_EQ(tessera("embed model texts.txt -o f32.npy").status, 0);
    floats_ = read_npy(path("f32.npy"));
    ASSERT_EQ(floats_.rows, 4U);
  }
  std::span<const float> row(std::size_t r) const {
    const auto width = static_cast<std::size_t>(floats_.width);
    return {floats_.values.get() + r * width, width};
  }
  /// Rows of bytes as they should be.
  std::string bytes(VectorType type, const Ranges& ranges = {}) const {
    const Index elements = elements_of(type, floats_.width);
    std::string all;
    std::vector<std::byte> one(static_cast<std::size_t>(elements * element_bytes(type)));
    for (std::size_t r = 0; r < floats_.rows; ++r) {
      narrow_row(row(r), type, ranges, one);
      all.append(reinterpret_cast<const char*>(one.data()), one.size());
    }
    return all;
  }
  Ranges ranges() const {
    return ranges_of({floats_.values.get(), floats_.rows * static_cast<std::size_t>(floats_.width)},
                     floats_.width);
  }
  NpyMatrix floats_;
};

TEST_F(VectorsCliTest, NpyFilesHoldWhatIsAskedFor) {
  const Ranges found = ranges();
  for (const VectorType type : kVectorTypes) {
    const std::string name = to_string(type);
    const std::string calibration = needs_ranges(type) ? " --calibrate f32.npy" : "";
    const CommandResult result =
        tessera("embed model texts.txt --vector-type " + name + calibration + " -o x.npy");
    ASSERT_EQ(result.status, 0) << name << result.err;
    const std::string header = npy_header(4, elements_of(type, floats_.width), type);
    EXPECT_THAT(header, HasSubstr(npy_descr(type)));
    EXPECT_TRUE(read_file(path("x.npy")) == header + bytes(type, found)) << name;
    // The same through a pipe, where the header comes last to be known.
    ASSERT_EQ(sh("\"$TESSERA\" embed model texts.txt --format npy --vector-type " + name +
                 calibration + " | cat > y.npy")
                  .status,
              0);
    EXPECT_TRUE(read_file(path("x.npy")) == read_file(path("y.npy"))) << name;
  }
}

TEST_F(VectorsCliTest, RangesFromAFileAreThoseOfTheVectors) {
  const Ranges found = ranges();
  std::string file_of_ranges = npy_header(2, floats_.width);
  for (const std::vector<float>* each : {&found.low, &found.high}) {
    file_of_ranges.append(reinterpret_cast<const char*>(each->data()), each->size() * 4);
  }
  file("ranges.npy", file_of_ranges);
  const std::string ask = "embed model texts.txt --vector-type int8 ";
  const CommandResult given = tessera(ask + "--ranges ranges.npy --format text");
  ASSERT_EQ(given.status, 0) << given.err;
  EXPECT_EQ(given.out, tessera(ask + "--calibrate f32.npy --format text").out);
  EXPECT_EQ(std::count(given.out.begin(), given.out.end(), '.'), 0);
}

TEST_F(VectorsCliTest, FvecsBeginEachRowWithItsWidth) {
  ASSERT_EQ(tessera("embed model texts.txt -o x.fvecs").status, 0);
  std::string expected;
  const auto width = static_cast<std::int32_t>(floats_.width);
  for (std::size_t r = 0; r < 4; ++r) {
    expected.append(reinterpret_cast<const char*>(&width), 4);
    expected.append(reinterpret_cast<const char*>(row(r).data()), row(r).size_bytes());
  }
  EXPECT_TRUE(read_file(path("x.fvecs")) == expected);
}

TEST_F(VectorsCliTest, Base64IsTheBytes) {
  const CommandResult result = tessera("embed model texts.txt --vector-type ubinary --base64");
  ASSERT_EQ(result.status, 0) << result.err;
  file("line.b64", lines_of(result.out)[1].substr(std::string("{\"embedding\": \"").size()));
  const CommandResult decoded = sh("tr -d '\"}' < line.b64 | base64 -d");
  ASSERT_EQ(decoded.status, 0);
  const auto bytes_of_row = static_cast<std::size_t>(floats_.width / 8);
  EXPECT_TRUE(decoded.out == bytes(VectorType::ubinary).substr(bytes_of_row, bytes_of_row));
}

TEST_F(VectorsCliTest, DimsAreTheFirstColumns) {
  const CommandResult cut = tessera("embed model texts.txt --dims 3 --format text");
  ASSERT_EQ(cut.status, 0) << cut.err;
  for (std::size_t r = 0; r < 4; ++r) {
    const std::vector<float> three = numbers_of(lines_of(cut.out)[r]);
    ASSERT_EQ(three.size(), 3U);
    const float norm = std::hypot(row(r)[0], row(r)[1], row(r)[2]);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(three[i], row(r)[i] / norm, 1e-6F);
  }
  EXPECT_THAT(tessera("info model --dims 3").out, HasSubstr("the first 3 of"));
}

TEST_F(VectorsCliTest, AJobGoesOnWithTheSameRangesOnly) {
  const std::string ask =
      "embed model texts.txt --resume --vector-type int8 --calibrate c.npy -o x.npy ";
  ASSERT_EQ(sh("cp f32.npy c.npy").status, 0);
  ASSERT_EQ(tessera(ask).status, 0);
  EXPECT_TRUE(read_file(path("x.npy")) ==
              npy_header(4, floats_.width, VectorType::int8) + bytes(VectorType::int8, ranges()));
}

TEST_F(VectorsCliTest, BadAsksAreNamed) {
  const auto refused = [&](const std::string& flags, const std::string& part) {
    expect_failure(tessera("embed model texts.txt " + flags), 2, part);
  };
  refused("--vector-type int4", "got 'int4', expected one of f32, f16, int8");
  refused("--vector-type int8", "expected --ranges FILE or --calibrate FILE");
  refused("--vector-type f16 --ranges f32.npy", "--ranges: got --vector-type f16, expected int8");
  refused("--vector-type int8 --ranges f32.npy", "--ranges: f32.npy has 4 rows, expected 2");
  refused("--vector-type int8 --ranges a --calibrate b", "exclude");
  refused("--vector-type int8 --calibrate f32.npy --dims 3",
          "--calibrate: f32.npy has " + std::to_string(floats_.width) + " columns, expected 3");
  refused("--vector-type binary --dims 3", "3 columns, expected a multiple of 8");
  refused("--vector-type f16 -o x.fvecs", "got f16 with --format fvecs, expected f32");
  refused("--base64 --format text", "--base64: got --format text, expected jsonl");
  refused("--dims 0", "--dims");
  refused("--dims 3 --output-name pooler_output", "--dims: got 3 where pooler_output is computed");
  std::vector<float> with_nan(static_cast<std::size_t>(2 * floats_.width), 0.5F);
  with_nan.back() = std::nanf("");
  file("nan.npy",
       npy_header(2, floats_.width) + std::string(reinterpret_cast<const char*>(with_nan.data()),
                                                  with_nan.size() * sizeof(float)));
  refused("--vector-type int8 --calibrate nan.npy", "nan.npy has nan in row 1, column ");
  refused("--vector-type int8 --calibrate f32.npy -o f32.npy", "f32.npy");
  expect_failure(tessera("embed model texts.txt --dims 100000"), 1,
                 ": dims: got 100000, expected 1 to " + std::to_string(floats_.width));
  expect_failure(tessera("embed model texts.txt --vector-type int8 --calibrate nowhere"), 1,
                 "nowhere");
}

TEST_F(VectorsCliTest, BitsThatAreAllTheSameAreAWarning) {
  // Dense with a bias that makes every number positive.
  write_model(path("positive"));
  file("positive/modules.json", R"([
      {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
      {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
      {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"}])");
  std::filesystem::create_directories(path("positive/2_Dense"));
  file("positive/2_Dense/config.json",
       R"({"in_features": 16, "out_features": 8, "bias": true,
           "activation_function": "torch.nn.modules.linear.Identity"})");
  Tensors tensors;
  add_random_linear(tensors, "linear", 8, kTinyHidden);
  for (float& bias : tensors.at("linear.bias").data) bias = 100.0F;
  write_tensors(path("positive/2_Dense/model.safetensors"), tensors);
  const CommandResult warned = tessera("embed positive texts.txt --vector-type ubinary");
  EXPECT_EQ(warned.status, 0);
  EXPECT_THAT(warned.err, HasSubstr("every number of these vectors is above 0"));
  EXPECT_THAT(tessera("embed model texts.txt --vector-type ubinary").err,
              testing::Not(HasSubstr("tell nothing")));
}

}  // namespace
}  // namespace tessera::test
