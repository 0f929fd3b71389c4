// SPDX-License-Identifier: Apache-2.0
// Directories whose weights are whole numbers: what is read, and what is refused by its name.
#include "models/compressed_tensors.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <limits>

#include "models/quantization.hpp"
#include "tests/models/stored_case.hpp"

namespace tessera::test {
namespace {

using testing::HasSubstr;

const std::string kModule = "encoder.layer.0.output.dense";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  if (at != std::string::npos) text.replace(at, from.size(), to);
  return text;
}

/// Some weights as whole numbers.
class CompressedTensorsTest : public StoredCaseTest {
 protected:
  void SetUp() override {
    for (const auto& [name, tensor] : copy_.tensors) {
      if (name.ends_with(".dense.weight") || name.ends_with("word_embeddings.weight")) {
        make_whole(name);
      }
    }
    copy_.config["quantization_config"] = models::compressed_tensors_json({});
  }

  /// q = n·7 + k mod 251 − 125, scale = 2^-9·(1 + n mod 3); copy_ has their products.
  void make_whole(const std::string& name) {
    Tensor& tensor = copy_.tensors.at(name);
    const auto N = static_cast<std::size_t>(tensor.shape[0]),
               K = static_cast<std::size_t>(tensor.shape[1]);
    Stored q{StoredType::i8, tensor.shape, {}};
    std::vector<float> scales;
    for (std::size_t n = 0; n < N; ++n) {
      scales.push_back(static_cast<float>(1 + n % 3) / 512.0F);
      for (std::size_t k = 0; k < K; ++k) {
        const int number = static_cast<int>((n * 7 + k * 3) % 251) - 125;
        q.data.push_back(static_cast<std::byte>(number));
        tensor.data[n * K + k] = static_cast<float>(number) * scales.back();
      }
    }
    stored_[name] = std::move(q);
    set_scales(name, scales, {static_cast<std::int64_t>(N), 1});
  }
  void set_scales(const std::string& weight, const std::vector<float>& scales,
                  std::vector<std::int64_t> shape) {
    stored_[scale_of(weight)] = floats(scales, std::move(shape));
  }

  /// Of a quantization_config with `to` in place of `from`.
  std::string problem_with(const std::string& from, const std::string& to) {
    copy_.config["quantization_config"] = replaced(models::compressed_tensors_json({}), from, to);
    return problem();
  }

  const std::string weight_ = kModule + ".weight";
};

TEST_F(CompressedTensorsTest, AreTheFloatsThatTheyStandFor) {
  const models::Package package = open();
  EXPECT_THAT(package.stored_weights, HasSubstr("matrices as whole numbers of 8 bits"));
  const Results whole = compute(package, kSequences), floats = [&] {
    copy_.config.erase("quantization_config");
    return compute(copy_.open(), kSequences);
  }();
  ASSERT_EQ(whole.size(), floats.size());
  for (const auto& [name, rows] : floats) EXPECT_EQ(whole.at(name), rows) << name;
}

TEST_F(CompressedTensorsTest, ScalesMayBeVectorsOrOfHalfAsManyBits) {
  const Results expected = compute(open(), kSequences);
  stored_[scale_of(weight_)].shape = {stored_[weight_].shape[0]};
  Stored& half = stored_[scale_of("encoder.layer.0.intermediate.dense.weight")];
  std::vector<std::byte> bf16;  // the scales have three bits
  for (std::size_t i = 0; i < half.data.size(); i += 4) {
    bf16.insert(bf16.end(), {half.data[i + 2], half.data[i + 3]});
  }
  half = {StoredType::bf16, half.shape, bf16};
  EXPECT_EQ(compute(open(), kSequences), expected);
}

TEST_F(CompressedTensorsTest, OneScaleForATensorIsThatOfEveryRow) {
  const auto N = static_cast<std::size_t>(stored_[weight_].shape[0]);
  set_scales(weight_, std::vector<float>(N, 0.25F), {static_cast<std::int64_t>(N), 1});
  const Results expected = compute(open(), kSequences);
  set_scales(weight_, {0.25F}, {1});
  EXPECT_THAT(problem(), HasSubstr("has shape (1), expected"));
  copy_.config["quantization_config"] =
      replaced(models::compressed_tensors_json({}), "\"channel\"", "\"tensor\"");
  EXPECT_EQ(compute(open(), kSequences), expected);
}

TEST_F(CompressedTensorsTest, TheOlderNameOfTheKeyIsRead) {
  copy_.config["compression_config"] = copy_.config["quantization_config"];
  copy_.config.erase("quantization_config");
  EXPECT_NE(open().stored_weights, "");
}

TEST_F(CompressedTensorsTest, WhatIsFloatsInTheFileStaysSoInWholeNumbers) {
  const models::Package package = open();
  std::size_t kept = 0, whole = 0;
  for (const Parameter& p : package.program.parameters) {
    if (p.kind != ParameterKind::matrix) continue;
    const bool is_whole = !package.checkpoint->scales(p.sources.front().tensor).empty();
    EXPECT_EQ(p.keeps_floats, !is_whole) << p.name;
    ++(is_whole ? whole : kept);
  }
  EXPECT_GT(kept, 0U);  // query, key, value
  EXPECT_GT(whole, 0U);
}

TEST_F(CompressedTensorsTest, RefusesOtherSchemesByName) {
  const std::string numbers = R"("dynamic": false, "observer": "minmax", "num_bits": 8)";
  struct Bad {
    std::string from, to, message;
  };
  for (const Bad& bad : {
           Bad{"compressed-tensors", "gptq", "\"quant_method\" is \"gptq\""},
           Bad{"compressed-tensors", "bitsandbytes", "\"quant_method\" is \"bitsandbytes\""},
           Bad{"int-quantized", "pack-quantized", "\"format\" is \"pack-quantized\""},
           Bad{"int-quantized", "float-quantized", "\"format\" is \"float-quantized\""},
           Bad{"\"compressed\"", "\"frozen\"", "\"quantization_status\" is \"frozen\""},
           Bad{"\"num_bits\": 8", "\"num_bits\": 4", "\"num_bits\" is 4"},
           Bad{"\"type\": \"int\"", "\"type\": \"float\"", "\"type\" is \"float\""},
           Bad{"\"symmetric\": true", "\"symmetric\": false", "\"symmetric\" is false"},
           Bad{"\"group_size\": null", "\"group_size\": 128", "\"group_size\" is 128"},
           Bad{"\"block_structure\": null", "\"block_structure\": [128, 128]",
               "\"block_structure\" is [128,128]"},
           Bad{"\"strategy\": \"channel\"", "\"strategy\": \"group\"", "\"strategy\" is \"group\""},
           Bad{"\"actorder\": null", "\"actorder\": \"group\"", "\"actorder\" is \"group\""},
           Bad{"\"dynamic\": true", "\"dynamic\": false",
               "input_activations: \"dynamic\" is false"},
           Bad{"\"dynamic\": true", "\"dynamic\": \"local\"", "\"dynamic\" is \"local\""},
           Bad{"\"strategy\": \"token\"", "\"strategy\": \"tensor\"",
               "input_activations: \"strategy\" is \"tensor\""},
           Bad{"\"output_activations\": null", "\"output_activations\": {\"num_bits\": 8}",
               "\"output_activations\" is"},
           Bad{"\"kv_cache_scheme\": null", "\"kv_cache_scheme\": {\"num_bits\": 8}",
               "\"kv_cache_scheme\" is"},
           Bad{"\"ignore\"", "\"sparsity_config\": {\"format\": \"sparse-bitmask\"}, \"ignore\"",
               "\"sparsity_config\" is"},
           Bad{"\"ignore\"", "\"transform_config\": {\"config_groups\": {\"R1\": {}}}, \"ignore\"",
               "\"transform_config\" is"},
       }) {
    const std::string message = problem_with(bad.from, bad.to);
    EXPECT_THAT(message, HasSubstr("unsupported_model: config.json quantization_config"));
    EXPECT_THAT(message, HasSubstr(bad.message));
    EXPECT_THAT(message, HasSubstr("which this version does not compute, expected"));
  }
  EXPECT_THAT(problem_with("\"config_groups\"", "\"groups\""),
              HasSubstr("\"config_groups\" is absent, expected a group at least"));
  EXPECT_THAT(problem_with("\"num_bits\": 8", "\"num_bits\": \"8\""), HasSubstr("corrupt_file"));
  copy_.config["quantization_config"] = R"({"load_in_8bit": true})";
  EXPECT_THAT(problem(), HasSubstr("\"quant_method\" is absent"));
}

TEST_F(CompressedTensorsTest, OrdersOfCalibrationAloneAndActivationsInFloatsAreRead) {
  EXPECT_EQ(problem_with("\"actorder\": null", "\"actorder\": \"static\""), "");
  EXPECT_EQ(problem_with("\"actorder\": null", "\"actorder\": false"), "");
  EXPECT_EQ(problem_with("\"group_size\": null", "\"group_size\": -1"), "");
  EXPECT_EQ(problem_with("int-quantized", "naive-quantized"), "");
  EXPECT_EQ(problem_with("\"input_activations\"", "\"x\": 1, \"other\""), "");
}

TEST_F(CompressedTensorsTest, RefusesWholeNumbersThatNothingExplains) {
  copy_.config.erase("quantization_config");
  EXPECT_THAT(problem(), HasSubstr("is stored as I8, expected F32, F16 or BF16, or "
                                   "quantization_config in config.json and a weight_scale"));
}

TEST_F(CompressedTensorsTest, RefusesScalesThatDoNotFit) {
  const Stored scale = stored_[scale_of(weight_)];
  const std::int64_t N = stored_[weight_].shape[0];
  stored_.erase(scale_of(weight_));
  EXPECT_THAT(problem(), HasSubstr("is stored as I8 and there is no \"" + scale_of(weight_)));
  for (const std::vector<std::int64_t>& shape :
       std::vector<std::vector<std::int64_t>>{{1, N}, {N / 2, 2}, {N, 1, 1}}) {
    stored_[scale_of(weight_)] = {StoredType::f32, shape, scale.data};
    EXPECT_THAT(problem(), HasSubstr(fmt::format("expected ({}, 1): one for each row", N)));
  }
  set_scales(weight_, std::vector<float>(static_cast<std::size_t>(N - 1), 1.0F), {N - 1, 1});
  EXPECT_THAT(problem(), HasSubstr("corrupt_file"));
  stored_[scale_of(weight_)] = {StoredType::i32, {N, 1}, scale.data};
  EXPECT_THAT(problem(), HasSubstr("is stored as I32, expected F32, F16 or BF16"));
  constexpr float kInf = std::numeric_limits<float>::infinity();
  for (const float bad : {-1.0F, std::nanf(""), kInf, -kInf}) {
    std::vector<float> scales(static_cast<std::size_t>(N), 1.0F);
    scales[3] = bad;
    set_scales(weight_, scales, {N, 1});
    EXPECT_THAT(problem(), HasSubstr("for row 3, expected a positive number"));
  }
}

TEST_F(CompressedTensorsTest, AScaleOfZeroIsThatOfARowOfZeros) {
  const std::int64_t N = stored_[weight_].shape[0], K = stored_[weight_].shape[1];
  std::vector<float> scales(static_cast<std::size_t>(N), 1.0F);
  scales[2] = 0.0F;
  set_scales(weight_, scales, {N, 1});
  EXPECT_THAT(problem(), HasSubstr("holds 0 for row 2, which is not of zeros"));
  std::fill_n(stored_[weight_].data.begin() + 2 * K, K, std::byte{0});
  EXPECT_EQ(problem(), "");
}

TEST_F(CompressedTensorsTest, RefusesTensorsOfOtherSchemes) {
  const std::int64_t N = stored_[weight_].shape[0];
  const auto with = [&](const std::string& suffix, std::byte value) {
    stored_[kModule + suffix] = {
        StoredType::i8, {N, 1}, std::vector<std::byte>(static_cast<std::size_t>(N), value)};
    const std::string message = problem();
    stored_.erase(kModule + suffix);
    return message;
  };
  EXPECT_EQ(with(".weight_zero_point", std::byte{0}), "");
  EXPECT_THAT(with(".weight_zero_point", std::byte{3}), HasSubstr("zero points that are not 0"));
  for (const char* suffix : {".weight_packed", ".weight_g_idx", ".input_scale", ".input_zero_point",
                             ".weight_global_scale"}) {
    EXPECT_THAT(
        with(suffix, std::byte{0}),
        testing::AllOf(HasSubstr(suffix), HasSubstr("which this version does not compute")));
  }
  EXPECT_THAT(with("2.weight_scale", std::byte{1}), HasSubstr("which is not there, expected I8"));
  stored_[weight_].shape.push_back(1);
  EXPECT_THAT(problem(), HasSubstr("expected (N, K), a linear's or a table's"));
}

TEST_F(CompressedTensorsTest, FactorsOfColumnsBelongToTheNumbers) {
  copy_.config["quantization_config"] = models::compressed_tensors_json({}, models::kWithFactors);
  const std::string name = kModule + std::string(models::kInputFactors);
  const auto K = static_cast<std::size_t>(stored_[weight_].shape[1]);
  std::vector<float> factors(K, 1.0F);
  factors[3] = 0.125F;
  factors[K - 1] = 4.0F;
  const auto set = [&](const std::vector<float>& f, std::vector<std::int64_t> shape) {
    const auto bytes = std::as_bytes(std::span(f));
    stored_[name] = {StoredType::f32, std::move(shape), {bytes.begin(), bytes.end()}};
  };
  const auto columns = static_cast<std::int64_t>(K);
  set(factors, {columns});
  const models::Package package = open();
  EXPECT_THAT(package.stored_weights, HasSubstr("1 of them with factors for the columns of their"));
  Tensor& floats = copy_.tensors.at(weight_);
  for (std::size_t i = 0; i < floats.data.size(); ++i) floats.data[i] *= factors[i % K];
  const Checkpoint& checkpoint = *package.checkpoint;
  EXPECT_EQ(checkpoint.values(checkpoint.at(weight_)), floats.data);
  const Results whole = compute(package, kSequences), expected = [&] {
    const auto config = copy_.config["quantization_config"];
    copy_.config.erase("quantization_config");
    Results results = compute(copy_.open(), kSequences);
    copy_.config["quantization_config"] = config;
    return results;
  }();
  for (const auto& [output, rows] : expected) EXPECT_EQ(whole.at(output), rows) << output;

  set(factors, {columns, 1});
  EXPECT_THAT(problem(), HasSubstr("input_factors\" has shape"));
  set({factors.begin(), factors.end() - 1}, {columns - 1});
  EXPECT_THAT(problem(), HasSubstr("expected one for each column of \"" + weight_));
  for (const float bad : {0.0F, -1.0F, 3.0F, std::nanf(""), HUGE_VALF, 0x1p33F, 0x1p-149F}) {
    std::vector<float> wrong = factors;
    wrong[2] = bad;
    set(wrong, {columns});
    EXPECT_THAT(problem(), testing::AllOf(HasSubstr("for column 2"), HasSubstr("power of two")))
        << bad;
  }
  set(factors, {columns});
  stored_[name].type = StoredType::i32;
  EXPECT_THAT(problem(), HasSubstr("expected F32"));
  set(factors, {columns});
  stored_["embeddings.LayerNorm.input_factors"] = stored_[name];
  EXPECT_THAT(problem(), HasSubstr("is the input factors of"));
  stored_.erase("embeddings.LayerNorm.input_factors");
  // Of floats only where int8 quantises them when it loads them.
  const std::string query = "encoder.layer.0.attention.self.query";
  const std::int64_t of_query = stored_[query + ".weight"].shape[1];
  set(std::vector<float>(static_cast<std::size_t>(of_query), 0.5F), {of_query});
  stored_[query + ".input_factors"] = stored_[name];
  set(factors, {columns});
  EXPECT_THAT(problem(), HasSubstr("which is stored as F32, expected I8"));
  const models::Package at_load = open({{models::kAtLoad, query + ".weight"}});
  EXPECT_EQ(at_load.checkpoint->factors(query + ".weight").front(), 0.5F);
  EXPECT_EQ(at_load.checkpoint->values(at_load.checkpoint->at(query + ".weight")),
            copy_.tensors.at(query + ".weight").data);
  stored_.erase(query + ".input_factors");
  copy_.config["quantization_config"] = models::compressed_tensors_json({});
  EXPECT_THAT(problem(), HasSubstr("expected none, or \"tessera-int8\" for quant_method"));
}

TEST_F(CompressedTensorsTest, FactorsThatWereLostAreNoticedAtEveryPrecision) {
  const auto config_of = [](std::vector<std::string> modules) {
    return models::compressed_tensors_json({.with_factors = std::move(modules)},
                                           models::kWithFactors);
  };
  const std::string name = kModule + std::string(models::kInputFactors);
  const std::int64_t K = stored_[weight_].shape[1];
  stored_[name] = floats(std::vector<float>(static_cast<std::size_t>(K), 0.5F), {K});
  copy_.config["quantization_config"] = config_of({kModule});
  EXPECT_EQ(problem(), "");
  stored_.erase(name);
  EXPECT_THAT(problem(), HasSubstr("there is no tensor \"" + name + "\", expected it"));
  stored_[name] = floats(std::vector<float>(static_cast<std::size_t>(K), 0.5F), {K});
  copy_.config["quantization_config"] = config_of({"encoder.layer.0.intermediate.dense"});
  EXPECT_THAT(problem(), HasSubstr("encoder.layer.0.intermediate.dense.input_factors"));
  stored_["encoder.layer.0.intermediate.dense.input_factors"] =
      floats(std::vector<float>(
                 static_cast<std::size_t>(
                     copy_.tensors.at("encoder.layer.0.intermediate.dense.weight").shape[1]),
                 1.0F),
             {copy_.tensors.at("encoder.layer.0.intermediate.dense.weight").shape[1]});
  EXPECT_THAT(problem(), HasSubstr("does not name its module, expected both or none"));
  copy_.config["quantization_config"] =  // as written before modules were named
      models::compressed_tensors_json({}, models::kWithFactors);
  EXPECT_EQ(problem(), "");
  copy_.config["quantization_config"] =
      models::compressed_tensors_json({.with_factors = {kModule}});
  EXPECT_THAT(problem(), HasSubstr("input_factors"));
}

TEST_F(CompressedTensorsTest, FactorsOfATableAreRefused) {
  copy_.config["quantization_config"] = models::compressed_tensors_json({}, models::kWithFactors);
  const std::int64_t K = copy_.tensors.at("embeddings.word_embeddings.weight").shape[1];
  stored_["embeddings.word_embeddings.input_factors"] =
      floats(std::vector<float>(static_cast<std::size_t>(K), 0.5F), {K});
  EXPECT_THAT(problem(), HasSubstr("has input_factors and is read as a table"));
}

TEST_F(CompressedTensorsTest, ScalesOfWhich128StepsAreNoNumberAreRefused) {
  const auto N = static_cast<std::size_t>(stored_[weight_].shape[0]);
  std::vector<float> scales(N, 0.25F);
  scales[2] = 2.6e36F;
  set_scales(weight_, scales, {static_cast<std::int64_t>(N), 1});
  EXPECT_EQ(problem(), "");
  scales[2] = 2.7e36F;
  set_scales(weight_, scales, {static_cast<std::int64_t>(N), 1});
  EXPECT_THAT(problem(), HasSubstr("for row 2, expected a positive number up to 2.66e+36"));
}

TEST_F(CompressedTensorsTest, ModulesThatAreIgnoredAreFloats) {
  copy_.config["quantization_config"] =
      models::compressed_tensors_json({.ignore = {"re:.*query$", "pooler", kModule}});
  EXPECT_THAT(problem(), HasSubstr(weight_ + "\" is stored as I8, expected floats"));
  copy_.config["quantization_config"] =
      models::compressed_tensors_json({.ignore = {"encoder.layer.0.attention.self.query"}});
  EXPECT_EQ(problem(), "");
}

TEST_F(CompressedTensorsTest, RefusesADirectoryThatHasNone) {
  for (auto& [name, tensor] : stored_) {
    if (tensor.type == StoredType::i8) tensor = {StoredType::f32, tensor.shape, {}};
  }
  const CheckpointCopy plain("bert-model");
  TemporaryDirectory directory;
  plain.write(directory.path());
  directory.write("config.json", copy_.config_text());
  EXPECT_THAT(error_of([&] { models::open_package(directory.path()); }),
              HasSubstr("no weight of the"));
}

}  // namespace
}  // namespace tessera::test
