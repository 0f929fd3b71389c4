// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cmath>
#include <cstring>

#include "tests/tessera/cli/cli_test.hpp"

namespace tessera::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

struct InputTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> values;
};

void write_inputs(const std::filesystem::path& path, const std::vector<InputTensor>& tensors) {
  std::vector<TensorToWrite> out;
  for (const InputTensor& tensor : tensors) {
    out.push_back({.name = tensor.name,
                   .type = StoredType::i64,
                   .shape = tensor.shape,
                   .data = std::as_bytes(std::span(tensor.values))});
  }
  write_safetensors(path, out);
}

std::vector<float> floats(const SafetensorsFile& file, const std::string& name) {
  const StoredTensor* tensor = file.find(name);
  if (tensor == nullptr) return {};
  std::vector<float> values(static_cast<std::size_t>(tensor->elements()));
  std::memcpy(values.data(), tensor->data, tensor->bytes);
  return values;
}

class RunTest : public CliTest {
 protected:
  CommandResult run(const std::vector<InputTensor>& inputs, const std::string& flags = "") {
    write_inputs(path("in.st"), inputs);
    return tessera("run model --input in.st --output out.st " + flags);
  }
  void expect_refusal(const std::vector<InputTensor>& inputs, const std::string& part) {
    expect_failure(run(inputs), 1, part);
    EXPECT_FALSE(std::filesystem::exists(path("out.st")));
    EXPECT_THAT(temporaries(), IsEmpty());
  }
};

const InputTensor kIds{"input_ids", {2, 4}, {2, 5, 6, 3, 2, 7, 3, 0}};
const InputTensor kMask{"attention_mask", {2, 4}, {1, 1, 1, 1, 1, 1, 1, 0}};

TEST_F(RunTest, WritesThePaddedShapesWithZerosWhereMasked) {
  ASSERT_EQ(run({kIds, kMask}, "--hidden-states").status, 0);
  const SafetensorsFile file = SafetensorsFile::open(path("out.st"));
  EXPECT_EQ(file.tensors().size(), 5U);  // last_hidden_state, pooler_output, hidden_states.0 … .2
  const std::vector<std::int64_t> padded{2, 4, 16}, pooled{2, 16};
  for (const char* name :
       {"last_hidden_state", "hidden_states.0", "hidden_states.1", "hidden_states.2"}) {
    ASSERT_NE(file.find(name), nullptr) << name;
    EXPECT_EQ(file.find(name)->shape, padded) << name;
    const auto values = floats(file, name);
    for (std::size_t i = 0; i < 16; ++i) {
      EXPECT_EQ(values[7 * 16 + i], 0.0f);
      EXPECT_NE(values[6 * 16 + i], 0.0f);
    }
  }
  EXPECT_EQ(floats(file, "last_hidden_state"), floats(file, "hidden_states.2"));
  ASSERT_NE(file.find("pooler_output"), nullptr);
  EXPECT_EQ(file.find("pooler_output")->shape, pooled);
}

TEST_F(RunTest, TheBudgetDoesNotChangeABit) {
  ASSERT_EQ(run({kIds, kMask}, "--hidden-states").status, 0);
  const std::string expected = read_file(path("out.st"));
  ASSERT_EQ(run({kIds, kMask}, "--hidden-states --batch-tokens 1 --threads 2").status, 0);
  EXPECT_EQ(read_file(path("out.st")), expected);
  // A missing mask is all ones, missing types are zeros, missing positions count.
  const InputTensor ones{"attention_mask", {2, 4}, std::vector<std::int64_t>(8, 1)};
  const InputTensor zeros{"token_type_ids", {2, 4}, std::vector<std::int64_t>(8, 0)};
  const InputTensor positions{"position_ids", {1, 4}, {0, 1, 2, 3}};
  ASSERT_EQ(run({kIds}).status, 0);
  const std::string bare = read_file(path("out.st"));
  ASSERT_EQ(run({kIds, ones, zeros, positions}).status, 0);
  EXPECT_EQ(read_file(path("out.st")), bare);
  const InputTensor reversed{"position_ids", {1, 4}, {3, 2, 1, 0}};
  ASSERT_EQ(run({kIds, reversed}).status, 0);
  EXPECT_NE(read_file(path("out.st")), bare);
}

TEST_F(RunTest, HeadsGiveLogitsAndStates) {
  std::filesystem::remove(path("model/modules.json"));  // it would choose the class without a head
  write_model(
      path("model"),
      {.architecture = "BertForSequenceClassification", .labels = 3, .has_sentence_files = false});
  ASSERT_EQ(run({kIds, kMask}).status, 0);
  const SafetensorsFile file = SafetensorsFile::open(path("out.st"));
  ASSERT_NE(file.find("logits"), nullptr);
  EXPECT_EQ(file.find("logits")->shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_NE(file.find("last_hidden_state"), nullptr);
  EXPECT_EQ(file.tensors().size(), 2U);
}

TEST_F(RunTest, ImagesAndBothTowersAreTheReferences) {
  const std::string golden = TESSERA_SOURCE_DIR "/tests/golden/data/";
  struct Case {
    const char* name;
    const char* run;
    const char* flags;
  };
  for (const Case& c :
       {Case{"vit-model", "", "--hidden-states --batch-tokens 1"},
        Case{"vit-model", "interp_wide.", "--interpolate-positions"}, Case{"deit-teacher", "", ""},
        Case{"dinov2-imgcls", "", "--hidden-states"},
        Case{"dinov3-vit-model", "", "--hidden-states"}, Case{"dinov3-vit-model", "ragged.", ""},
        Case{"swin-model", "", "--hidden-states --batch-tokens 1"},
        Case{"swin-model", "", "--hidden-states"}, Case{"swin-model", "ragged.", ""},
        Case{"swin-imgcls", "other_size.", ""}, Case{"swinv2-model", "other_size.", ""},
        Case{"efficientvit-msra-model", "", "--hidden-states --batch-tokens 1"},
        Case{"efficientvit-msra-imgcls", "", "--hidden-states"}, Case{"clip-full", "", ""},
        Case{"clip-full", "one_text_two_images.", ""}, Case{"siglip-full", "", ""},
        Case{"clip-vision-proj", "", ""}}) {
    const std::string folder = golden + c.name;
    const CommandResult result = tessera("run " + folder + " --input " + folder + "/inputs." +
                                         c.run + "safetensors --output out.st " + c.flags);
    ASSERT_EQ(result.status, 0) << c.name << c.run << result.err;
    const SafetensorsFile got = SafetensorsFile::open(path("out.st"));
    const SafetensorsFile expected =
        SafetensorsFile::open(folder + "/outputs." + c.run + "safetensors");
    const SafetensorsFile inputs =
        SafetensorsFile::open(folder + "/inputs." + c.run + "safetensors");
    const StoredTensor* const mask = inputs.find("attention_mask");
    std::size_t compared = 0;
    for (const StoredTensor& tensor : expected.tensors()) {
      const bool is_state = tensor.name.find("hidden_states.") != std::string::npos;
      if (is_state && std::string(c.flags).find("hidden") == std::string::npos) continue;
      const StoredTensor* const same = got.find(tensor.name);
      ASSERT_NE(same, nullptr) << c.name << ' ' << tensor.name;
      EXPECT_EQ(same->shape, tensor.shape) << c.name << ' ' << tensor.name;
      const std::vector<float> a = floats(got, tensor.name), b = floats(expected, tensor.name);
      const bool is_masked = mask != nullptr && tensor.shape.size() == 3 &&
                             tensor.name.starts_with("text_model_output");
      const std::size_t width = is_masked ? b.size() / (mask->bytes / 8) : 1;
      for (std::size_t i = 0; i < b.size(); ++i) {
        if (is_masked && mask->data[i / width * 8] == std::byte{0}) {
          ASSERT_EQ(a[i], 0.0F);
        } else {
          ASSERT_NEAR(a[i], b[i], 1e-4F) << tensor.name;
        }
      }
      ++compared;
    }
    EXPECT_GE(compared, 1U) << c.name;
  }
}

TEST_F(RunTest, WrongImagesAreNamed) {
  const std::string vit = TESSERA_SOURCE_DIR "/tests/golden/data/vit-model";
  const auto refuse = [&](const std::string& model, const std::vector<TensorToWrite>& tensors,
                          const std::string& part) {
    write_safetensors(path("in.st"), tensors);
    expect_failure(tessera("run " + model + " --input in.st --output out.st"), 1, part);
    EXPECT_FALSE(std::filesystem::exists(path("out.st")));
  };
  const std::vector<float> values(std::size_t{3} * 32 * 40, 0.5F);
  const auto pixels = [&](const std::string& name, const std::vector<std::int64_t>& shape,
                          StoredType type = StoredType::f32) {
    std::size_t bytes = type == StoredType::f32 ? 4 : 8;
    for (const std::int64_t extent : shape) bytes *= static_cast<std::size_t>(extent);
    return TensorToWrite{.name = name,
                         .type = type,
                         .shape = shape,
                         .data = std::as_bytes(std::span(values)).first(bytes)};
  };
  refuse(vit, {pixels("input_ids", {1, 4}, StoredType::i64)},
         "tensor \"input_ids\" is no input of ViTModel, expected pixel_values");
  refuse(vit, {pixels("pixel_values", {3, 32, 32})}, "expected (B,3,H,W)");
  refuse(vit, {pixels("pixel_values", {1, 1, 32, 32})}, "expected (B,3,H,W)");
  refuse(vit, {pixels("pixel_values", {0, 3, 32, 32})}, "expected (B,3,H,W)");
  refuse(vit, {pixels("pixel_values", {1, 3, 32, 16}, StoredType::i64)}, "type I64, expected F32");
  refuse(vit, {pixels("pixel_values", {1, 3, 32, 40})}, "in.st: ");
  refuse(vit, {pixels("pixel_values", {1, 3, 32, 32}), pixels("other", {1})},
         "tensor \"other\" is no input of ViTModel");
  refuse("model", {pixels("pixel_values", {1, 3, 32, 32})},
         "tensor \"pixel_values\" is no input of BertModel");
}

TEST_F(RunTest, WrongInputsAreNamed) {
  expect_refusal({kMask}, "in.st: got no tensor \"input_ids\"");
  expect_refusal({{"input_ids", {8}, kIds.values}}, "\"input_ids\" has shape (8), expected (B,T)");
  expect_refusal({{"input_ids", {2, 4}, {2, 5, 6, 3, 2, 20, 3, 0}}}, "is 20, expected 0 to 19");
  expect_refusal({{"input_ids", {2, 4}, {2, 5, 6, 3, 2, std::int64_t{1} << 40, 3, 0}}},
                 "expected 0 to 19");
  expect_refusal({{"input_ids", {0, 4}, {}}}, "(0,4)");
  expect_refusal({{"input_ids", {2, 0}, {}}}, "(2,0)");
  expect_refusal({{"input_ids", {1, 25}, std::vector<std::int64_t>(25, 5)}}, "expected at most 24");
  expect_refusal({kIds, {"attention_mask", {2, 3}, {1, 1, 1, 1, 1, 1}}},
                 "\"attention_mask\" has shape (2, 3)");
  expect_refusal({kIds, {"attention_mask", {2, 4}, {1, 2, 1, 1, 1, 1, 1, 0}}},
                 "attention_mask[1] is 2");
  expect_refusal({kIds, {"token_type_ids", {2, 4}, {0, 2, 0, 0, 0, 0, 0, 0}}},
                 "token_type_ids[1] is 2");
  expect_refusal({kIds, {"position_ids", {1, 4}, {0, 1, 2, 24}}},
                 "position_ids: got 24, expected 0 to 23");
  expect_refusal({kIds, {"pixel_values", {1}, {0}}}, "\"pixel_values\" is no input of BertModel");
  // Whatever a file claims, messages stay short.
  write_inputs(path("in.st"), {kIds, {std::string(5000, '4'), {1}, {0}}});
  const CommandResult named = tessera("run model --input in.st --output out.st");
  expect_failure(named, 1, "444\"... is no input of BertModel");
  EXPECT_LT(named.err.size(), 600U);
  const std::vector<std::int64_t> ones(1000, 1);
  expect_refusal({{"input_ids", ones, {0}}}, "1, 1, ... 1000 extents), expected (B,T)");
  file("in.st", "no tensors");
  expect_failure(tessera("run model --input in.st --output out.st"), 1, "in.st");
}

TEST_F(RunTest, OutputsAppearWholeOrNotAtAll) {
  file("out.st", "before");
  write_inputs(path("in.st"), {kIds, kMask});
  EXPECT_EQ(sh("ulimit -f 1; \"$TESSERA\" run model --input in.st --output out.st --hidden-states "
               "2> message")
                .status,
            1);
  EXPECT_EQ(read_file(path("out.st")), "before");
  EXPECT_THAT(temporaries(), IsEmpty());
  expect_failure(tessera("run model --input in.st --output nowhere/out.st"), 1,
                 "there is no directory");
  expect_failure(tessera("run model --input in.st --output model"), 1, "is no regular file");
}

// The reference's own numbers, where they are at hand.
class ReferenceCases : public CliTest, public testing::WithParamInterface<std::string> {};

TEST_P(ReferenceCases, AgreeWithinOneTenThousandth) {
  std::filesystem::path model =
      std::filesystem::path(TESSERA_SOURCE_DIR) / "tests/golden/data" / GetParam();
  if (!std::filesystem::exists(model))
    model = std::filesystem::path(TESSERA_SHARED_DIR) / "conformance" / GetParam();
  if (!std::filesystem::exists(model)) GTEST_SKIP() << "no reference data for " << GetParam();
  for (const char* run : {"", ".left_pad", ".single", ".seq1", ".max_len"}) {
    const auto inputs = model / fmt::format("inputs{}.safetensors", run);
    if (!std::filesystem::exists(inputs)) continue;
    const CommandResult result = tessera(fmt::format(
        "run '{}' --input '{}' --output out.st --hidden-states", model.string(), inputs.string()));
    ASSERT_EQ(result.status, 0) << result.err;
    const SafetensorsFile in = SafetensorsFile::open(inputs);
    const SafetensorsFile got = SafetensorsFile::open(path("out.st"));
    const SafetensorsFile expected =
        SafetensorsFile::open(model / fmt::format("outputs{}.safetensors", run));
    const StoredTensor* mask = in.find("attention_mask");
    for (const StoredTensor& tensor : expected.tensors()) {
      ASSERT_NE(got.find(tensor.name), nullptr) << tensor.name;
      ASSERT_EQ(got.find(tensor.name)->shape, tensor.shape) << tensor.name;
      const auto a = floats(got, tensor.name), b = floats(expected, tensor.name);
      const std::size_t tokens = mask == nullptr ? 0 : static_cast<std::size_t>(mask->elements());
      const bool is_padded =
          mask != nullptr && tensor.shape.size() >= 2 && tensor.name != "pooler_output" &&
          std::equal(mask->shape.begin(), mask->shape.end(), tensor.shape.begin());
      double largest = 0;
      for (std::size_t i = 0; i < a.size(); ++i) {
        if (is_padded) {
          std::int64_t attended = 0;
          std::memcpy(&attended, mask->data + i / (a.size() / tokens) * 8, 8);
          if (attended == 0) {
            ASSERT_EQ(a[i], 0.0f);
            continue;
          }
        }
        largest =
            std::max(largest, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
      }
      EXPECT_LT(largest, 1e-4) << tensor.name << run;  // README of the data, "Comparing"
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Some, ReferenceCases,
                         testing::Values("bert-model", "bert-mlm", "bert-seqcls", "bert-tokcls",
                                         "distilbert-model-sharded", "electra-discriminator",
                                         "mpnet-model", "roberta-model", "xlm-roberta-reranker",
                                         "albert-model"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace tessera::test
