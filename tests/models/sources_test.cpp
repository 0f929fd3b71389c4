// SPDX-License-Identifier: Apache-2.0
// docs/SOURCES.md, models: a test per row of the table, and what is there but cannot be read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "models/image/preprocessor.hpp"
#include "tests/models/checkpoint_copy.hpp"

namespace tessera::test {
namespace {

using models::Package;
using models::SimilarityMeasure;
using testing::AllOf;
using testing::HasSubstr;

/// tests/golden/data/bert-model (64 positions) with files beside it.
class SourcesTest : public testing::Test {
 protected:
  void SetUp() override {
    copy.write(directory.path());
    directory.write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\n");
  }
  Package open() const { return models::open_package(directory.path()); }
  std::string error() const {
    return error_of([&] { open(); });
  }

  CheckpointCopy copy{"bert-model"};
  TemporaryDirectory directory;
};

TEST_F(SourcesTest, TextsAreCutAtThePositionTableUnlessAFileSaysLess) {
  EXPECT_EQ(open().max_tokens, 64);
  EXPECT_EQ(open().max_tokens_from, "position table");
  directory.write("tokenizer_config.json",
                  R"({"model_max_length": 1000000000000000019884624838656})");
  EXPECT_EQ(open().max_tokens, 64);
  directory.write("tokenizer_config.json", R"({"model_max_length": 512})");
  EXPECT_EQ(open().max_tokens, 64);
  EXPECT_EQ(open().max_tokens_from, "position table");
  directory.write("tokenizer_config.json", R"({"model_max_length": 30})");
  EXPECT_EQ(open().max_tokens, 30);
  EXPECT_EQ(open().max_tokens_from, "model_max_length of tokenizer_config.json");
  directory.write("sentence_bert_config.json", R"({"max_seq_length": 35})");
  EXPECT_EQ(open().max_tokens, 35) << "it takes the place of model_max_length, larger or not";
  EXPECT_EQ(open().max_tokens_from, "max_seq_length of sentence_bert_config.json");
  directory.write("sentence_bert_config.json", R"({"max_seq_length": 512})");
  EXPECT_EQ(open().max_tokens, 64);
  directory.write("sentence_bert_config.json", R"({"max_seq_length": null})");
  EXPECT_EQ(open().max_tokens, 30);
}

TEST_F(SourcesTest, SimilarityIsThatOfTheSentenceConfig) {
  EXPECT_EQ(open().similarity_measure, std::nullopt);
  const auto measure = [&](const std::string& name) {
    directory.write("config_sentence_transformers.json", "{\"similarity_fn_name\": " + name + "}");
    return open().similarity_measure;
  };
  EXPECT_EQ(measure("null"), std::nullopt);
  EXPECT_EQ(measure("\"cosine\""), SimilarityMeasure::cosine);
  EXPECT_EQ(measure("\"dot\""), SimilarityMeasure::dot);
  EXPECT_EQ(measure("\"dot_product\""), SimilarityMeasure::dot);
  EXPECT_EQ(measure("\"euclidean\""), SimilarityMeasure::euclidean);
  EXPECT_EQ(measure("\"manhattan\""), SimilarityMeasure::manhattan);
  EXPECT_THAT(error_of([&] { measure("\"hamming\""); }),
              AllOf(HasSubstr("unsupported_model"), HasSubstr("hamming")));
}

TEST_F(SourcesTest, ADirectoryOfAnotherFormatIsNamedWithTheWayOut) {
  std::filesystem::remove(directory / "config.json");
  std::filesystem::remove(directory / "model.safetensors");
  EXPECT_THAT(error(), HasSubstr("not_found: config.json: no such file"));
  directory.write("onnx/model_quantized.onnx", "x");
  EXPECT_THAT(error(), AllOf(HasSubstr("not_found: config.json: no such file in "),
                             HasSubstr("onnx/model_quantized.onnx is an ONNX model: take the")));
  directory.write("open_clip_config.json", "{}");
  EXPECT_THAT(error(), HasSubstr("open_clip_config.json is of OpenCLIP"));
}

TEST_F(SourcesTest, CodeOfTheModelIsRefusedByName) {
  CheckpointCopy jina = copy;
  jina.config["auto_map"] =
      R"({"AutoConfig": "configuration_bert.JinaBertConfig", "AutoModel": "modeling_bert.JinaBertModel"})";
  jina.write(directory.path());
  EXPECT_THAT(error(), AllOf(HasSubstr("unsupported_model: config.json: \"auto_map\""),
                             HasSubstr("configuration_bert.JinaBertConfig")));
  jina.config["auto_map"] = R"({"AutoTokenizer": ["tokenization_x.X", null]})";
  jina.write(directory.path());
  EXPECT_EQ(error(), "") << "no code of the model";
  jina.config["auto_map"] = "null";
  jina.write(directory.path());
  EXPECT_EQ(error(), "");
}

TEST_F(SourcesTest, ACrossEncodersActivationIsOfTexts) {
  CheckpointCopy images("vit-imgcls");
  images.config["sentence_transformers"] =
      R"({"activation_fn": "torch.nn.modules.linear.Identity"})";
  EXPECT_EQ(images.open().score_activation, std::nullopt);
}

TEST_F(SourcesTest, TheScoreOfARerankerHasTheActivationThatConfigNames) {
  CheckpointCopy reranker("bert-seqcls");
  reranker.config["id2label"] = R"({"0": "L"})";
  for (const char* name : {"classifier.weight", "classifier.bias"}) {
    Tensor& tensor = reranker.tensors.at(name);
    tensor.data.resize(tensor.data.size() / static_cast<std::size_t>(tensor.shape[0]));
    tensor.shape[0] = 1;
  }
  const auto activation = [&] { return reranker.open().score_activation; };
  EXPECT_EQ(activation(), std::nullopt);
  const auto old_key = [&](const std::string& value) {
    reranker.config["sbert_ce_default_activation_function"] = value;
    return activation();
  };
  EXPECT_EQ(old_key("\"torch.nn.modules.linear.Identity\""), Activation::none);
  EXPECT_EQ(old_key("\"torch.nn.modules.activation.Tanh\""), Activation::tanh);
  EXPECT_EQ(old_key("null"), std::nullopt);
  EXPECT_EQ(old_key("\"my.own.Activation\""), std::nullopt) << "not loaded there either";
  EXPECT_THAT(error_of([&] { old_key("\"torch.nn.modules.activation.Softplus\""); }),
              HasSubstr("Softplus"));
  reranker.config["sentence_transformers"] =
      R"({"activation_fn": "torch.nn.modules.activation.Sigmoid", "version": "4.1.0"})";
  EXPECT_EQ(old_key("\"torch.nn.modules.linear.Identity\""), Activation::sigmoid)
      << "the newer key comes first";
  EXPECT_EQ(CheckpointCopy("bert-seqcls").open().score_activation, std::nullopt)
      << "of one label only";
}

TEST_F(SourcesTest, ClipOfSentenceTransformersIsAsProjected) {
  const std::string files =
      R"({"idx": 0, "name": "0", "path": "0_CLIPModel", "type": "sentence_transformers.models.CLIPModel"})";
  CheckpointCopy("clip-full").write(directory.path() / "0_CLIPModel");
  directory.write("modules.json", "[" + files + "]");
  const Package as_projected = open();
  EXPECT_EQ(as_projected.architecture, "CLIPModel");
  EXPECT_FALSE(as_projected.embedding_is_normalized);
  EXPECT_EQ(as_projected.embedding_description, "projection");
  EXPECT_EQ(as_projected.transformer_directory, directory.path() / "0_CLIPModel");
  const auto value = [](const Package& package, const char* name) {
    return package.program.outputs[static_cast<std::size_t>(package.program.find_output(name))]
        .value;
  };
  EXPECT_NE(value(as_projected, "embedding"), value(as_projected, "image_embeds"));
  directory.write(
      "modules.json",
      "[" + files +
          R"(, {"idx": 1, "name": "1", "path": "1_Normalize", "type": "sentence_transformers.models.Normalize"}])");
  EXPECT_TRUE(open().embedding_is_normalized);
  EXPECT_EQ(open().embedding_description, "projection, normalised");
  EXPECT_TRUE(CheckpointCopy("clip-full").open().embedding_is_normalized);
}

TEST_F(SourcesTest, AnImageProcessorInsideOfProcessorConfigWins) {
  const auto side = [&] {
    return image::read_preprocessor_config(directory.path(), "vit").size->height;
  };
  directory.write("preprocessor_config.json",
                  R"({"image_processor_type": "ViTImageProcessor", "size": 48})");
  EXPECT_EQ(side(), 48);
  directory.write("processor_config.json", R"({"processor_class": "ViTProcessor"})");
  EXPECT_EQ(side(), 48);
  directory.write(
      "processor_config.json",
      R"({"image_processor": {"image_processor_type": "ViTImageProcessor", "size": 32}})");
  EXPECT_EQ(side(), 32);
  std::filesystem::remove(directory.path() / "preprocessor_config.json");
  EXPECT_EQ(side(), 32);
}

TEST_F(SourcesTest, DefaultToSquareSaysWhatOneNumberMeans) {
  const auto read = [&](const std::string& type, const std::string& square) {
    directory.write("preprocessor_config.json",
                    "{\"image_processor_type\": \"" + type + "\", \"size\": 20, \"crop_size\": 16" +
                        (square.empty() ? "" : ", \"default_to_square\": " + square) + "}");
    return image::read_preprocessor_config(directory.path(), "clip");
  };
  EXPECT_EQ(read("CLIPImageProcessor", "").shortest_edge, 20);
  EXPECT_EQ(read("CLIPImageProcessor", "false").shortest_edge, 20);
  EXPECT_EQ(read("CLIPImageProcessor", "true").size->width, 20);
  EXPECT_EQ(read("CLIPImageProcessor", "true").shortest_edge, std::nullopt);
  EXPECT_EQ(read("DeiTImageProcessor", "").size->width, 20);
  EXPECT_EQ(read("DeiTImageProcessor", "false").shortest_edge, 20);
}

// "Cannot tell" is never "is not there".
TEST_F(SourcesTest, ALinkToNothingIsNotAnAbsentFile) {
  for (const char* name :
       {"modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"}) {
    const auto link = directory.path() / name;
    std::filesystem::create_symlink("../blobs/0123456789abcdef", link);
    EXPECT_THAT(error(), AllOf(HasSubstr("io_error"), HasSubstr(name),
                               HasSubstr("../blobs/0123456789abcdef")))
        << name;
    std::filesystem::remove(link);
    std::filesystem::create_symlink(link, link);  // to itself
    EXPECT_THAT(error(), AllOf(HasSubstr("io_error"), HasSubstr(name), HasSubstr("symbolic links")))
        << name;
    std::filesystem::remove(link);
  }
  for (const char* name : {"tokenizer_config.json", "tokenizer.json", "special_tokens_map.json",
                           "added_tokens.json"}) {
    const auto link = directory.path() / name;
    std::filesystem::create_symlink("nowhere", link);
    EXPECT_THAT(open().tokenizer_problem, AllOf(HasSubstr(name), HasSubstr("nowhere"))) << name;
    std::filesystem::remove(link);
  }
  EXPECT_EQ(error(), "");
}

TEST_F(SourcesTest, AFileThatMayNotBeReadIsNotAnAbsentFile) {
  if (::geteuid() == 0) GTEST_SKIP() << "root reads everything";
  directory.write("modules.json", "[]");
  ::chmod((directory.path() / "modules.json").c_str(), 0);
  EXPECT_THAT(error(), AllOf(HasSubstr("modules.json"), HasSubstr("Permission denied")));
}

TEST_F(SourcesTest, ADirectoryInPlaceOfAFileIsNoFile) {
  std::filesystem::create_directory(directory.path() / "modules.json");
  EXPECT_THAT(error(), AllOf(HasSubstr("modules.json"), HasSubstr("directory")));
}

TEST_F(SourcesTest, PointersAndPagesInPlaceOfAFileAreNamed) {
  const std::string pointer =
      "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 466062\n";
  for (const char* name : {"config.json", "modules.json", "sentence_bert_config.json"}) {
    const bool is_config = std::string(name) == "config.json";
    directory.write(name, pointer);
    EXPECT_THAT(error(), AllOf(HasSubstr("corrupt_file"), HasSubstr(name), HasSubstr("Git LFS")));
    directory.write(name, "\n<!DOCTYPE html><html>");
    EXPECT_THAT(error(), AllOf(HasSubstr(name), HasSubstr("web page")));
    if (is_config) {
      copy.write(directory.path());
    } else {
      std::filesystem::remove(directory.path() / name);
    }
  }
  directory.write("vocab.txt", pointer);
  EXPECT_THAT(open().tokenizer_problem, AllOf(HasSubstr("vocab.txt"), HasSubstr("Git LFS")));
  directory.write("model.safetensors", pointer);
  EXPECT_THAT(error(), HasSubstr("Git LFS"));
}

}  // namespace
}  // namespace tessera::test
