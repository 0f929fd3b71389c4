// SPDX-License-Identifier: Apache-2.0
//
// What a directory may look like, and what is refused: names, shapes, config keys, classes.
#include "models/package.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/registry.hpp"
#include "tests/models/checkpoint_copy.hpp"

namespace tessera::test {
namespace {

using models::Package;
using models::Task;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

const std::vector<std::vector<std::int32_t>> kSequences{{5, 9, 7, 2}, {11, 3}};
constexpr const char* kDense = "encoder.layer.0.output.dense.weight";

std::string open_error(const CheckpointCopy& copy, const std::string& architecture = "") {
  return error_of([&] { copy.open({.architecture = architecture}); });
}

TEST(PackageTest, SaysWhatTheDirectoryIs) {
  const Package package = CheckpointCopy("bert-seqcls").open();
  EXPECT_EQ(package.model_type, "bert");
  EXPECT_EQ(package.architecture, "BertForSequenceClassification");
  EXPECT_EQ(package.task, Task::sequence_classification);
  EXPECT_EQ(package.layers, 2);
  EXPECT_EQ(package.hidden, 32);
  EXPECT_EQ(package.heads, 2);
  EXPECT_EQ(package.intermediate, 64);
  EXPECT_EQ(package.max_tokens, 40);
  EXPECT_THAT(package.labels, testing::ElementsAre("L0", "L1", "L2"));
  EXPECT_FALSE(package.tokenizer.has_value());
  EXPECT_THAT(package.tokenizer_problem, HasSubstr("no tokenizer"));
  EXPECT_EQ(package.embedding_description, "mean pooling");
  EXPECT_FALSE(package.embedding_from_files);
  for (const char* output : {"last_hidden_state", "hidden_states.0", "hidden_states.2",
                             "pooler_output", "logits", "embedding"}) {
    EXPECT_NE(package.program.find_output(output), kNone) << output;
  }
}

TEST(PackageTest, EveryNamingOfTheSameTensorsGivesTheSameResult) {
  const CheckpointCopy plain("bert-model");
  const Results expected = compute(plain.open(), kSequences);

  CheckpointCopy prefixed = plain;
  prefixed.replace_prefix("", "bert.");
  EXPECT_EQ(compute(prefixed.open(), kSequences), expected);

  CheckpointCopy old = plain;
  Tensors renamed;
  for (auto& [name, tensor] : old.tensors) {
    std::string to = name;
    if (to.ends_with("LayerNorm.weight")) to.replace(to.size() - 6, 6, "gamma");
    if (to.ends_with("LayerNorm.bias")) to.replace(to.size() - 4, 4, "beta");
    renamed[to] = tensor;
  }
  old.tensors = renamed;
  EXPECT_EQ(compute(old.open(), kSequences), expected);

  CheckpointCopy extra = plain;
  extra.add("cls.predictions.bias", {3});
  extra.add("something.else", {2, 2});
  EXPECT_EQ(compute(extra.open(), kSequences), expected);
}

TEST(PackageTest, AMissingTensorIsNamedWithItsShape) {
  CheckpointCopy copy("bert-model");
  copy.tensors.erase(kDense);
  EXPECT_THAT(
      open_error(copy),
      AllOf(StartsWith("not_found: bert: no tensor \"encoder.layer.0.output.dense.weight\""),
            HasSubstr("expected it with shape (48,37) from config.json hidden_size=48, "
                      "intermediate_size=37")));
}

TEST(PackageTest, AMisshapenTensorIsNamedWithBothShapes) {
  CheckpointCopy copy("bert-model");
  copy.config["intermediate_size"] = "38";
  EXPECT_EQ(open_error(copy),
            "corrupt_file: bert: tensor \"encoder.layer.0.intermediate.dense.weight\" has shape "
            "(37,48), expected (38,48) from config.json intermediate_size=38, hidden_size=48");
  copy.config["intermediate_size"] = "37";
  copy.add("embeddings.word_embeddings.weight", {211});
  EXPECT_THAT(open_error(copy), HasSubstr("has shape (211), expected (211,48)"));
}

TEST(PackageTest, AMissingHeadIsAnErrorAndAMissingPoolerOnlyWhereItIsNeeded) {
  CheckpointCopy copy("bert-model");
  EXPECT_THAT(open_error(copy, "BertForMaskedLM"),
              HasSubstr("no tensor \"cls.predictions.transform.dense.weight\""));
  copy.tensors.erase("pooler.dense.weight");
  copy.tensors.erase("pooler.dense.bias");
  EXPECT_EQ(copy.open().program.find_output("pooler_output"), kNone);
  copy.add("classifier.weight", {2, 48});
  copy.add("classifier.bias", {2});
  EXPECT_THAT(open_error(copy, "BertForSequenceClassification"),
              HasSubstr("no tensor \"pooler.dense.weight\""));
  copy.add("pooler.dense.bias", {48});
  EXPECT_THAT(open_error(copy), HasSubstr("no tensor \"pooler.dense.weight\""));
}

TEST(PackageTest, AnIntegerTensorIsNoWeight) {
  const TemporaryDirectory directory;
  CheckpointCopy copy("bert-model");
  copy.write(directory.path());
  std::vector<TensorToWrite> list;
  const std::vector<std::int64_t> numbers(48);
  for (const auto& [name, tensor] : copy.tensors) {
    const bool integer = name == "pooler.dense.bias";
    list.push_back({.name = name,
                    .type = integer ? StoredType::i64 : StoredType::f32,
                    .shape = tensor.shape,
                    .data = integer ? std::as_bytes(std::span(numbers))
                                    : std::as_bytes(std::span(tensor.data))});
  }
  write_safetensors(directory.path() / "model.safetensors", list);
  EXPECT_EQ(error_of([&] { models::open_package(directory.path()); }),
            "unsupported_model: bert: tensor \"pooler.dense.bias\" is stored as I64, expected F32, "
            "F16 or BF16");
}

TEST(PackageTest, KeysThatChangeTheResultAreRefusedByName) {
  struct Bad {
    const char *key, *value, *golden;
  };
  for (const Bad& bad : {
           Bad{"position_embedding_type", "\"relative_key\"", "bert-model"},
           Bad{"position_embedding_type", "\"alibi\"", "electra-model"},
           Bad{"is_decoder", "true", "bert-model"},
           Bad{"add_cross_attention", "true", "roberta-model"},
           Bad{"is_encoder_decoder", "true", "albert-model"},
           Bad{"pruned_heads", "{\"0\": [1]}", "distilbert-model-sharded"},
           Bad{"hidden_act", "\"gelu_10\"", "bert-model"},
           Bad{"activation", "\"mish\"", "distilbert-model-sharded"},
           Bad{"model_type", "\"gpt2\"", "bert-model"},
           Bad{"architectures", "[\"BertLMHeadModel\"]", "bert-model"},
           Bad{"feed_forward_type", "\"swiglu\"", "jina-bert-v2"},
           Bad{"layer_types", "[\"chunked_attention\"]", "modernbert-v5-layer-types"},
           Bad{"classifier_pooling", "\"max\"", "modernbert-seqcls-cls"},
           Bad{"prenorm", "true", "nomic-embed-v1.5"},
           Bad{"rotary_scaling_factor", "2.0", "nomic-embed-v1.5"},
           Bad{"moe_normalize_expert_weights", "true", "nomic-embed-v2-moe"},
           Bad{"logn_attention_scale", "true", "gte-new-model"},
           Bad{"attn_logit_softcapping", "50.0", "embeddinggemma"},
           Bad{"clf_pooling", "\"last\"", "eurobert-seqcls-late"},
       }) {
    CheckpointCopy copy(bad.golden);
    copy.config[bad.key] = bad.value;
    EXPECT_THAT(open_error(copy),
                StartsWith("unsupported_model: config.json: \"" + std::string(bad.key) + "\" is "))
        << bad.golden;
  }
}

TEST(PackageTest, OtherMethodsOfQuantizingAreRefusedByName) {
  for (const auto& [value, got] : {std::pair{"{\"bits\": 4}", "absent"},
                                   {"{\"quant_method\": \"gptq\", \"bits\": 4}", "\"gptq\""},
                                   {"{\"quant_method\": \"bitsandbytes\"}", "\"bitsandbytes\""}}) {
    CheckpointCopy copy("mpnet-model");
    copy.config["quantization_config"] = value;
    EXPECT_THAT(open_error(copy), StartsWith(fmt::format(
                                      "unsupported_model: config.json quantization_config: "
                                      "\"quant_method\" is {}, which this version does not compute",
                                      got)));
  }
}

TEST(PackageTest, ScalingsOfPositionsThatAreNotComputedAreNamed) {
  for (const char* kind : {"su", "proportional", "mrope"}) {
    CheckpointCopy copy("qwen3-seqcls");
    copy.config["rope_scaling"] = fmt::format(R"({{"rope_type": "{}", "factor": 4.0}})", kind);
    EXPECT_THAT(open_error(copy),
                AllOf(StartsWith("unsupported_model: config.json rope_scaling: \"rope_type\" is "),
                      HasSubstr(kind),
                      HasSubstr("one of default, linear, dynamic, yarn, longrope, llama3")));
  }
  CheckpointCopy newer("modernbert-model-v5config");
  newer.config["rope_parameters"] = R"({"rope_theta": 9.0, "type": "su"})";
  EXPECT_THAT(open_error(newer),
              StartsWith("unsupported_model: config.json rope_parameters: \"type\" is \"su\""));
  CheckpointCopy copy("gte-new-model");
  copy.config["rope_scaling"] = R"({"type": "dynamic", "factor": 2.0})";
  EXPECT_THAT(open_error(copy), HasSubstr("expected ntk"));
  CheckpointCopy both("qwen3-embedding-v5config");
  both.config["rope_scaling"] = R"({"type": "linear", "factor": 2.0})";
  EXPECT_THAT(open_error(both), StartsWith("unsupported_model: config.json: \"rope_scaling\" is "));
  CheckpointCopy older("modernbert-model");  // eager and fused attention of the reference differ
  older.config["rope_scaling"] = R"({"type": "linear", "factor": 2.0})";
  EXPECT_THAT(open_error(older),
              StartsWith("unsupported_model: config.json rope_scaling: \"type\" is \"linear\""));
}

TEST(PackageTest, ScalingsOfPositionsThatLackWhatTheyNeedAreCorrupt) {
  struct Bad {
    const char *scaling, *key, *expected;
  };
  for (
      const Bad& bad : {
          Bad{R"("type": "linear", "factor": 0)", "factor", "a number above 0"},
          Bad{R"("type": "dynamic")", "factor", "a number above 0"},
          Bad{R"("type": "linear")", "factor", "a number above 0"},
          Bad{R"("type": "yarn", "factor": "4")", "factor", "number"},
          Bad{R"("type": "yarn", "factor": 4, "beta_fast": 1)", "beta_fast", "beta_slow=1"},
          Bad{R"("type": "yarn", "factor": 4, "attention_factor": 0)", "attention_factor",
              "a number above 0"},
          Bad{R"("type": "yarn", "original_max_position_embeddings": 1)",
              "original_max_position_embeddings", "from 2"},
          Bad{R"("type": "longrope", "long_factor": [1, 2])", "short_factor", "7 numbers above 0"},
          Bad{R"("type": "longrope", "short_factor": [1, 1, 1, 1, 1, 1, 1], "long_factor": [1, 2])",
              "long_factor", "7 numbers above 0"},
          Bad{R"("type": "longrope", "short_factor": [1, 1, 1, 0, 1, 1, 1])", "short_factor",
              "7 numbers above 0"},
          Bad{R"("type": "longrope", "short_factor": "1")", "short_factor", "an array of numbers"},
          Bad{R"("type": "llama3", "factor": 8, "low_freq_factor": 1)", "high_freq_factor",
              "a number above 0"},
          Bad{R"("type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4)",
              "high_freq_factor", "more than low_freq_factor=4"},
      }) {
    CheckpointCopy copy("qwen3-seqcls");
    copy.config["rope_scaling"] = fmt::format("{{{}}}", bad.scaling);
    EXPECT_THAT(open_error(copy),
                AllOf(StartsWith(fmt::format("corrupt_file: config.json rope_scaling: \"{}\" is ",
                                             bad.key)),
                      HasSubstr(bad.expected)))
        << bad.scaling;
  }
}

TEST(PackageTest, ScalingsThatContradictTheModelOrThemselvesAreRefused) {
  struct Bad {
    const char *scaling, *key;
  };
  for (const Bad& bad : {Bad{R"("rope_type": "linear", "type": "yarn", "factor": 2)", "type"},
                         Bad{R"("type": "linear", "factor": 2, "rope_theta": 77)", "rope_theta"},
                         Bad{R"("type": "linear", "factor": 2, "partial_rotary_factor": 0.5)",
                             "partial_rotary_factor"}}) {
    CheckpointCopy copy("qwen3-seqcls");
    copy.config["rope_scaling"] = fmt::format("{{{}}}", bad.scaling);
    EXPECT_THAT(
        open_error(copy),
        StartsWith(fmt::format("unsupported_model: config.json rope_scaling: \"{}\" is ", bad.key)))
        << bad.scaling;
  }
  CheckpointCopy same("qwen3-seqcls");
  same.config["rope_scaling"] =
      R"({"type": "linear", "rope_type": "linear", "factor": 2, "partial_rotary_factor": 1.0})";
  EXPECT_EQ(open_error(same), "");
}

TEST(PackageTest, LayerTypesOfModernBertAreThoseOfThePeriodWhereBothAreSaid) {
  CheckpointCopy copy("modernbert-model");  // layers 0 and 3 of 5 are global
  copy.config["layer_types"] =
      R"(["full_attention", "sliding_attention", "sliding_attention", "full_attention", "sliding_attention"])";
  EXPECT_NO_THROW(copy.open());
  copy.config["layer_types"] =
      R"(["full_attention", "sliding_attention", "full_attention", "full_attention", "sliding_attention"])";
  EXPECT_THAT(open_error(copy),
              AllOf(StartsWith("corrupt_file: config.json: \"layer_types\" is "),
                    HasSubstr("sliding_attention in layer 2, as global_attn_every_n_layers=3")));
  CheckpointCopy newer("modernbert-v5-layer-types");  // whose version goes by layer_types alone
  newer.config["global_attn_every_n_layers"] = "3";
  EXPECT_NO_THROW(newer.open());
}

TEST(PackageTest, HeadsThatAreTooLargeAreRefusedBeforeAnythingIsMadeOfThem) {
  for (const char* golden : {"gte-new-model", "nomic-bert-model"}) {
    CheckpointCopy copy(golden);
    copy.config["hidden_size"] = "2000000000";
    copy.config["num_attention_heads"] = "1";
    copy.config.erase("head_dim");
    EXPECT_THAT(open_error(copy), HasSubstr("of 2000000000 columns, expected at most 256"));
  }
}

TEST(PackageTest, DistancesThatAreTooManyAreRefusedBeforeTheyAreListed) {
  CheckpointCopy copy("deberta-v3-model");
  copy.config["max_position_embeddings"] = "2000000000";
  copy.config["max_relative_positions"] = "-1";
  EXPECT_THAT(open_error(copy), AllOf(HasSubstr("\"max_position_embeddings\" is 2000000000"),
                                      HasSubstr("expected at most 65536")));
}

TEST(PackageTest, CodeBesideADirectoryIsKnownByItsClass) {
  CheckpointCopy copy("jina-bert-v2");
  EXPECT_EQ(copy.open().model_type, "jina_bert");
  copy.config["auto_map"] = R"({"AutoModel": "someone/else--modeling.OtherModel"})";
  EXPECT_THAT(open_error(copy), AllOf(StartsWith("unsupported_model: config.json: \"auto_map\""),
                                      HasSubstr("never run")));
  CheckpointCopy plain("bert-model");  // transformers' own class, which never has such code
  plain.config["auto_map"] = R"({"AutoModel": "someone/else--modeling.BertModel"})";
  EXPECT_THAT(open_error(plain), HasSubstr("never run"));
}

TEST(PackageTest, KeysThatContradictThemselvesAreCorrupt) {
  struct Bad {
    const char *key, *value, *golden;
  };
  for (const Bad& bad : {
           Bad{"num_attention_heads", "5", "bert-model"},
           Bad{"num_key_value_heads", "3", "qwen3-embedding-v5config"},
           Bad{"layer_types", "[\"full_attention\"]", "modernbert-v5-layer-types"},
           Bad{"moe_top_k", "0", "nomic-embed-v2-moe"},
           Bad{"moe_top_k", "5", "nomic-embed-v2-moe"},
           Bad{"num_experts", "-1", "nomic-embed-v2-moe"},
           Bad{"local_attention", "-1", "modernbert-model"},
           Bad{"global_attn_every_n_layers", "0", "modernbert-model"},
           Bad{"sliding_window", "0", "embeddinggemma"},
           Bad{"num_key_value_heads", "2", "embeddinggemma"},
           Bad{"num_key_value_heads", "0", "eurobert-mlm"},
           Bad{"rope_theta", "0", "qwen3-seqcls"},
           Bad{"partial_rotary_factor", "0.1", "qwen3-embedding-v5config"},
           Bad{"head_dim", "70000", "qwen3-embedding-v5config"},
           Bad{"query_pre_attn_scalar", "0", "embeddinggemma"},
           Bad{"n_heads", "5", "distilbert-model-sharded"},
           Bad{"num_attention_heads", "0", "bert-model"},
           Bad{"hidden_size", "\"48\"", "bert-model"},
           Bad{"hidden_size", "-1", "bert-model"},
           Bad{"num_hidden_layers", "1000000000", "bert-model"},
           Bad{"layer_norm_eps", "-1e-5", "bert-model"},
           Bad{"vocab_size", "0", "bert-model"},
           Bad{"pad_token_id", "null", "roberta-model"},
           Bad{"max_position_embeddings", "2", "roberta-model"},
           Bad{"relative_attention_num_buckets", "20", "mpnet-model"},
           Bad{"num_labels", "2000000000", "bert-tokcls"},
           Bad{"id2label", "{\"0\": \"a\", \"2\": \"b\"}", "bert-seqcls"},
           Bad{"id2label", "{\"zero\": \"a\"}", "bert-seqcls"},
           Bad{"num_hidden_groups", "0", "albert-model"},
           Bad{"inner_group_num", "1000000", "albert-model"},
           Bad{"architectures", "7", "bert-model"},
           Bad{"model_type", "7", "bert-model"},
       }) {
    CheckpointCopy copy(bad.golden);
    copy.config[bad.key] = bad.value;
    EXPECT_THAT(open_error(copy),
                StartsWith("corrupt_file: config.json: \"" + std::string(bad.key) + "\" is "))
        << bad.golden << " " << bad.value;
  }
}

TEST(PackageTest, ModelTypeMayBeMissingAndClassesMayBeMissing) {
  CheckpointCopy copy("bert-model");
  copy.config.erase("model_type");
  EXPECT_EQ(copy.open().model_type, "bert");
  copy.config.erase("architectures");
  EXPECT_THAT(open_error(copy), StartsWith("corrupt_file: config.json: \"model_type\" is absent"));
  copy.config["model_type"] = "\"bert\"";
  EXPECT_EQ(copy.open().architecture, "BertModel");
}

TEST(PackageTest, AClassOfAnotherModelTypeIsRefused) {
  EXPECT_THAT(open_error(CheckpointCopy("bert-model"), "RobertaModel"),
              AllOf(StartsWith("unsupported_model: "), HasSubstr("RobertaModel"),
                    HasSubstr("BertForTokenClassification")));
}

TEST(PackageTest, MissingFilesAreNamed) {
  const TemporaryDirectory directory;
  const auto open = [&](const char* name) {
    return error_of([&] { models::open_package(directory.path() / name); });
  };
  EXPECT_THAT(open("nowhere"), AllOf(StartsWith("not_found: "), HasSubstr("no such directory")));
  directory.write("file", "x");
  EXPECT_THAT(open("file"), AllOf(StartsWith("not_found: "), HasSubstr("not a directory")));
  EXPECT_THAT(open(""), StartsWith("not_found: config.json: no such file"));
  directory.write("config.json", "{\"model_type\": \"bert\"");
  EXPECT_THAT(open(""), StartsWith("corrupt_file: config.json: "));
  directory.write("config.json", "{\"model_type\": \"bert\"}");
  EXPECT_THAT(open(""), AllOf(StartsWith("not_found: "), HasSubstr("model.safetensors")));
  directory.write("model.safetensors", "short");
  EXPECT_THAT(open(""), StartsWith("corrupt_file: "));
}

TEST(PackageTest, LongestSequenceFollowsThePositionRule) {
  EXPECT_EQ(CheckpointCopy("roberta-model").open().max_tokens, 512);
  EXPECT_EQ(CheckpointCopy("mpnet-model").open().max_tokens, 200);
  CheckpointCopy copy("mpnet-model");
  copy.config["pad_token_id"] = "7";  // MPNet does not look at it
  EXPECT_EQ(copy.open().max_tokens, 200);
  copy = CheckpointCopy("roberta-model");
  copy.config["pad_token_id"] = "7";
  const Package package = copy.open();
  EXPECT_EQ(package.max_tokens, 506);
  EXPECT_EQ(package.program.tokens()->position_pad, 7);
}

TEST(PackageTest, DistilBertTakesTheCommonSpellings) {
  CheckpointCopy copy("distilbert-model-sharded");
  const Results expected = compute(copy.open(), kSequences);
  for (const auto& [from, to] :
       {std::pair{"dim", "hidden_size"}, std::pair{"n_layers", "num_hidden_layers"},
        std::pair{"n_heads", "num_attention_heads"}}) {
    copy.config[to] = copy.config[from];
    copy.config.erase(from);
  }
  EXPECT_EQ(compute(copy.open(), kSequences), expected);
}

TEST(PackageTest, AModelWithoutLayersIsItsEmbeddings) {
  CheckpointCopy copy("bert-model");
  copy.config["num_hidden_layers"] = "0";
  const Results results = compute(copy.open(), kSequences);
  EXPECT_EQ(results.at("last_hidden_state"), results.at("hidden_states.0"));
}

TEST(PackageTest, SupportedArchitecturesNamesEveryClass) {
  const std::string text = models::supported_architectures();
  EXPECT_THAT(text, HasSubstr("bert: BertModel, BertForMaskedLM"));
  for (const models::Family& family : models::families()) {
    for (const models::ModelClass& c : family.classes) {
      EXPECT_THAT(text, HasSubstr(family.name_of(c)));
    }
  }
}

}  // namespace
}  // namespace tessera::test
