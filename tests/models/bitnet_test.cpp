// SPDX-License-Identifier: Apache-2.0
// Directories whose weights are -1, 0 and 1: what is read, and what is refused by its name.
#include "models/bitnet.hpp"

#include <gmock/gmock.h>

#include <limits>

#include "models/quantization.hpp"
#include "tests/models/stored_case.hpp"

namespace tessera::test {
namespace {

using testing::HasSubstr;

const std::string kModule = "encoder.layer.0.attention.output.dense";
const std::string kWords = "embeddings.word_embeddings.weight";
const std::string kConfig =
    R"({"quant_method": "bitnet", "linear_class": "bitlinear", "quantization_mode": "offline",)"
    R"( "modules_to_not_convert": ["pooler"], "weight_scale_strategy": "channel"})";

/// Some weights ternary.
class BitnetTest : public StoredCaseTest {
 protected:
  void SetUp() override {
    for (const auto& [name, tensor] : copy_.tensors) {
      const bool is_even = !tensor.shape.empty() && tensor.shape[0] % 4 == 0;
      if (name.find("encoder.layer.") == 0 && name.ends_with("dense.weight") && is_even) {
        make_ternary(name);
      }
    }
    copy_.config["quantization_config"] = kConfig;
  }

  /// t = (7 n + 3 k) mod 5 mod 3 - 1, divided by 8·(1 + n mod 3), or by `divisor`; copy_ has the floats.
  void make_ternary(const std::string& name, float divisor = 0.0F) {
    Tensor& tensor = copy_.tensors.at(name);
    const auto N = static_cast<std::size_t>(tensor.shape[0]),
               K = static_cast<std::size_t>(tensor.shape[1]), R = N / 4;
    Stored bytes{
        StoredType::u8, {tensor.shape[0] / 4, tensor.shape[1]}, std::vector<std::byte>(R * K)};
    std::vector<float> divisors;
    for (std::size_t n = 0; n < N; ++n) {
      divisors.push_back(divisor > 0.0F ? divisor : static_cast<float>(8 * (1 + n % 3)));
      for (std::size_t k = 0; k < K; ++k) {
        const std::size_t code = (7 * n + 3 * k) % 5 % 3;
        bytes.data[n % R * K + k] |= static_cast<std::byte>(code << 2 * (n / R));
        tensor.data[n * K + k] = (static_cast<float>(code) - 1.0F) * (1.0F / divisors.back());
      }
    }
    stored_[name] = std::move(bytes);
    stored_[scale_of(name)] = floats(divisors, {static_cast<std::int64_t>(N)});
  }
  void make_whole_words() {
    Tensor& words = copy_.tensors.at(kWords);
    Stored q{StoredType::i8, words.shape, {}};
    const auto K = static_cast<std::size_t>(words.shape[1]);
    std::vector<float> scales;
    for (std::size_t i = 0; i < words.data.size(); ++i) {
      if (i % K == 0) scales.push_back(static_cast<float>(1 + i / K % 3) / 512.0F);
      const int number = static_cast<int>(i * 7 % 251) - 125;
      q.data.push_back(static_cast<std::byte>(number));
      words.data[i] = static_cast<float>(number) * scales.back();
    }
    stored_[kWords] = q;
    stored_[scale_of(kWords)] = floats(scales, {words.shape[0], 1});
  }
  void set_config(const std::string& from, const std::string& to) {
    std::string text = kConfig;
    const std::size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    copy_.config["quantization_config"] = text.replace(at, from.size(), to);
  }

  std::string problem_with(const std::string& from, const std::string& to) {
    set_config(from, to);
    return problem();
  }
  /// What the floats that the numbers stand for give.
  Results of_floats() {
    CheckpointCopy plain = copy_;
    plain.config.erase("quantization_config");
    return compute(plain.open(), kSequences);
  }

  const std::string weight_ = kModule + ".weight";
};

TEST_F(BitnetTest, AreTheFloatsThatTheyStandFor) {
  const models::Package package = open();
  EXPECT_THAT(package.stored_weights, HasSubstr("matrices as -1, 0 and 1, four in a byte"));
  EXPECT_THAT(package.stored_weights, HasSubstr("(bitnet)"));
  const Results ternary = compute(package, kSequences), expected = of_floats();
  ASSERT_EQ(ternary.size(), expected.size());
  for (const auto& [name, rows] : expected) EXPECT_EQ(ternary.at(name), rows) << name;
}

TEST_F(BitnetTest, ATableMayBeTernaryToo) {
  make_ternary("embeddings.position_embeddings.weight");
  const Results ternary = compute(open(), kSequences), expected = of_floats();
  for (const auto& [name, rows] : expected) EXPECT_EQ(ternary.at(name), rows) << name;
}

TEST_F(BitnetTest, OneDivisorIsThatOfEveryRow) {
  for (const auto& [name, tensor] : std::map(stored_)) {
    if (tensor.type != StoredType::u8) continue;
    make_ternary(name, 20.0F);
    stored_[scale_of(name)] = floats({20.0F}, {1});
  }
  EXPECT_THAT(problem(), HasSubstr("has shape (1), expected (48): one for each row"));
  set_config(R"(, "weight_scale_strategy": "channel")", "");
  EXPECT_EQ(compute(open(), kSequences), of_floats());
  set_config(R"("channel")", R"("tensor")");
  stored_[scale_of(weight_)].shape = {};
  EXPECT_EQ(compute(open(), kSequences), of_floats());
  stored_[scale_of(weight_)] = floats(std::vector<float>(48, 20.0F), {48});
  EXPECT_THAT(problem(), HasSubstr("has shape (48), expected (1), or \"weight_scale_strategy\""));
}

TEST_F(BitnetTest, DivisorsMayBeOfHalfAsManyBits) {
  const Results expected = compute(open(), kSequences);
  Stored& half = stored_[scale_of(weight_)];
  std::vector<std::byte> bf16;  // the divisors have two bits
  for (std::size_t i = 0; i < half.data.size(); i += 4) {
    bf16.insert(bf16.end(), {half.data[i + 2], half.data[i + 3]});
  }
  half = {StoredType::bf16, {half.shape[0], 1}, bf16};
  EXPECT_EQ(compute(open(), kSequences), expected);
}

TEST_F(BitnetTest, WordsMayBeWholeNumbersThatTheirScaleMultiplies) {
  make_whole_words();
  EXPECT_THAT(problem(), HasSubstr("is stored as I8, expected \"word_embeddings\" in "
                                   "quantization_config"));
  set_config(R"("channel"})", R"("channel", "word_embeddings": {"num_bits": 8, "type": "int",)"
                              R"( "symmetric": true, "strategy": "channel"}})");
  const models::Package package = open();
  EXPECT_THAT(package.stored_weights, HasSubstr("words as whole numbers of 8 bits"));
  EXPECT_EQ(compute(package, kSequences), of_floats());
  EXPECT_THAT(problem_with(R"("channel"})", R"("channel", "word_embeddings": {"num_bits": 4}})"),
              HasSubstr("word_embeddings: \"num_bits\" is 4"));
}

TEST_F(BitnetTest, WhatIsFloatsInTheFileStaysSoInWholeNumbers) {
  const models::Package package = open();
  std::size_t kept = 0, ternary = 0;
  for (const Parameter& p : package.program.parameters) {
    if (p.kind != ParameterKind::matrix) continue;
    const bool is_ternary = !package.checkpoint->scales(p.sources.front().tensor).empty();
    EXPECT_EQ(p.keeps_floats, !is_ternary) << p.name;
    ++(is_ternary ? ternary : kept);
  }
  EXPECT_GT(kept, 0U);
  EXPECT_GT(ternary, 0U);
}

TEST_F(BitnetTest, RefusesOtherLinearsByName) {
  struct Bad {
    std::string from, to, message;
  };
  for (const Bad& bad : {
           Bad{R"("bitlinear")", R"("autobitlinear")",
               "\"linear_class\" is \"autobitlinear\", which this version does not compute, "
               "expected "
               "\"bitlinear\", whose weight_scale divides"},
           Bad{R"("offline")", R"("online")",
               "\"quantization_mode\" is \"online\", which this version does not compute, expected "
               "\"offline\": weights that are stored as -1, 0 and 1"},
           Bad{R"("channel")", R"("group")", "\"weight_scale_strategy\" is \"group\""},
           Bad{R"("channel")", R"("channel", "use_rms_norm": true)", "\"use_rms_norm\" is true"},
           Bad{R"("bitnet")", R"("bitnet2")", "\"quant_method\" is \"bitnet2\""},
       }) {
    const std::string message = problem_with(bad.from, bad.to);
    EXPECT_THAT(message, HasSubstr("unsupported_model: config.json quantization_config"));
    EXPECT_THAT(message, HasSubstr(bad.message));
    EXPECT_THAT(message, HasSubstr("expected"));
  }
}

TEST_F(BitnetTest, RefusesBytesThatNothingExplains) {
  copy_.config.erase("quantization_config");
  EXPECT_THAT(problem(), HasSubstr("is stored as U8, expected F32, F16 or BF16, or "
                                   "quantization_config in config.json and a weight_scale"));
}

TEST_F(BitnetTest, RefusesDivisorsThatDoNotFit) {
  const Stored scale = stored_[scale_of(weight_)];
  stored_.erase(scale_of(weight_));
  EXPECT_THAT(problem(), HasSubstr("is stored as U8 and there is no \"" + scale_of(weight_)));
  for (const std::vector<std::int64_t>& shape :
       std::vector<std::vector<std::int64_t>>{{1, 48}, {12, 4}, {48, 1, 1}}) {
    stored_[scale_of(weight_)] = {StoredType::f32, shape, scale.data};
    EXPECT_THAT(problem(), HasSubstr("expected (48): one for each row, four in a byte"));
  }
  stored_[scale_of(weight_)] = {StoredType::i32, {48}, scale.data};
  EXPECT_THAT(problem(), HasSubstr("is stored as I32, expected F32, F16 or BF16"));
  constexpr float kInf = std::numeric_limits<float>::infinity();
  for (const float bad : {0.0F, -0.0F, -1.0F, std::nanf(""), kInf, -kInf, 1e-40F}) {
    std::vector<float> divisors(48, 1.0F);
    divisors[3] = bad;
    stored_[scale_of(weight_)] = floats(divisors, {48});
    EXPECT_THAT(problem(), HasSubstr("at 3, expected a positive number, which divides")) << bad;
  }
}

TEST_F(BitnetTest, RefusesShapesThatDoNotFit) {
  Stored& weight = stored_[weight_];
  weight.shape.push_back(1);
  EXPECT_THAT(problem(), HasSubstr("is stored as U8 with shape (12, 48, 1), expected (N/4, K)"));
  weight = {StoredType::u8, {11, 48}, std::vector<std::byte>(11 * 48)};
  stored_[scale_of(weight_)] = floats(std::vector<float>(44, 1.0F), {44});
  EXPECT_THAT(problem(), HasSubstr("has shape (44,48), four rows in a byte, expected (48,48)"));
}

TEST_F(BitnetTest, RefusesRowsThatAreNoMultipleOfFour) {
  const std::string name = "encoder.layer.0.intermediate.dense.weight";  // (37,48)
  stored_[name] = {StoredType::u8, {10, 48}, std::vector<std::byte>(10 * 48)};
  stored_[scale_of(name)] = floats(std::vector<float>(40, 1.0F), {40});
  const std::string message = problem();
  EXPECT_THAT(message, HasSubstr("unsupported_model"));
  EXPECT_THAT(message, HasSubstr("has shape (40,48), four rows in a byte, expected (37,48)"));
  EXPECT_THAT(message, HasSubstr("which would have to be a multiple of 4"));
}

TEST_F(BitnetTest, TheCodeThatStandsForNothingIsFoundWhenItIsRead) {
  stored_[weight_].data[5] |= std::byte{0x0C};
  const models::Package package = open();
  EXPECT_THAT(error_of([&] { Model::create(package.program, package.checkpoint); }),
              HasSubstr("tensor \"" + weight_ + "\" holds code 3 for row 12, column 5, expected"));
}

TEST_F(BitnetTest, ModulesThatAreNotConvertedAreFloats) {
  for (const char* named : {"encoder.layer.0.attention", "encoder", "dense"}) {
    EXPECT_THAT(problem_with("pooler", named),
                HasSubstr("is stored as U8, expected floats: \"modules_to_not_convert\""));
  }
  EXPECT_EQ(problem_with("pooler", "encode"), "");
}

TEST_F(BitnetTest, RefusesScalesAndWholeNumbersOfOtherTensors) {
  stored_["pooler.dense.weight_scale"] = floats({1.0F}, {1});
  EXPECT_THAT(problem(),
              HasSubstr("is the scale of \"pooler.dense.weight\", which is stored as F32"));
  stored_.erase("pooler.dense.weight_scale");
  stored_["nothing.weight_scale"] = floats({1.0F}, {1});
  EXPECT_THAT(problem(), HasSubstr("which is not there, expected U8"));
  stored_.erase("nothing.weight_scale");
  stored_[weight_] = {StoredType::i8, {48, 48}, std::vector<std::byte>(48 * 48)};
  EXPECT_THAT(problem(), HasSubstr("are those of word_embeddings.weight alone"));
}

TEST_F(BitnetTest, RefusesADirectoryThatHasNone) {
  const CheckpointCopy plain("bert-model");
  const TemporaryDirectory directory;
  plain.write(directory.path());
  directory.write("config.json", copy_.config_text());
  EXPECT_THAT(error_of([&] { models::open_package(directory.path()); }),
              HasSubstr("no weight of the"));
}

}  // namespace
}  // namespace tessera::test
