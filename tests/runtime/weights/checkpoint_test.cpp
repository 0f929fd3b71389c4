// SPDX-License-Identifier: Apache-2.0
// Checkpoint: which file a directory means, and whether an index and its shards agree.
#include <gmock/gmock.h>

#include "tests/runtime/weights/files.hpp"
#include "tests/support/torch_files.hpp"

namespace tessera {
namespace {

using test::file_of;
using test::message_of;
using testing::HasSubstr;

constexpr const char* kIndex = "model.safetensors.index.json";

class CheckpointTest : public testing::Test {
 protected:
  void write_shard(const std::string& file, const std::string& tensor, int bytes) {
    const std::string header = "{\"" + tensor + R"(":{"dtype":"U8","shape":[)" +
                               std::to_string(bytes) + R"(],"data_offsets":[0,)" +
                               std::to_string(bytes) + "]}}";
    test::write_text(folder_ / file, file_of(header, static_cast<std::size_t>(bytes)));
  }
  /// An F32 tensor of two elements.
  void write_torch_shard(const std::string& file, const std::string& tensor) {
    using namespace test;
    write_text(
        folder_ / file,
        torch_zip(p_dict({{tensor, p_tensor(p_storage("0", 2), 0, p_ints({2}), p_ints({1}))}}),
                  {bytes_of(1.0F) + bytes_of(2.0F)}));
  }
  void write_index(const std::string& weight_map, const char* name = kIndex) {
    test::write_text(folder_ / name,
                     R"({"metadata":{"total_size":5},"weight_map":)" + weight_map + "}");
  }
  std::string refusal(ErrorCode code) {
    const std::string message = message_of(code, [&] { Checkpoint::open(folder_.path()); });
    EXPECT_THAT(message, HasSubstr(folder_.path().string()));
    EXPECT_THAT(message, HasSubstr("expected"));
    return message;
  }
  test::TemporaryDirectory folder_;
};

TEST_F(CheckpointTest, ADirectoryWithOneFileIsThatFile) {
  write_shard("model.safetensors", "w", 2);
  const Checkpoint checkpoint = Checkpoint::open(folder_.path());
  ASSERT_EQ(checkpoint.tensors().size(), 1U);
  EXPECT_EQ(checkpoint.at("w").bytes, 2U);
  EXPECT_EQ(checkpoint.path(), folder_ / "model.safetensors");
}

TEST_F(CheckpointTest, AFileOfAnyNameCanBeGiven) {
  write_shard("other.safetensors", "w", 2);
  EXPECT_NE(Checkpoint::open(folder_ / "other.safetensors").find("w"), nullptr);
}

TEST_F(CheckpointTest, ShardsAreOneCheckpoint) {
  write_shard("model-00001-of-00002.safetensors", "b", 2);
  write_shard("model-00002-of-00002.safetensors", "a", 3);
  write_index(R"({"a":"model-00002-of-00002.safetensors","b":"model-00001-of-00002.safetensors"})");
  const Checkpoint opened = Checkpoint::open(folder_.path());
  const Checkpoint& checkpoint = opened;
  ASSERT_EQ(checkpoint.files().size(), 2U);
  ASSERT_EQ(checkpoint.tensors().size(), 2U);
  EXPECT_EQ(checkpoint.tensors()[0]->name, "a");
  EXPECT_EQ(checkpoint.at("a").bytes, 3U);
  EXPECT_EQ(checkpoint.at("b").bytes, 2U);
  EXPECT_EQ(checkpoint.find("c"), nullptr);
  EXPECT_THAT(message_of(ErrorCode::not_found, [&] { checkpoint.at("c"); }), HasSubstr("\"c\""));
}

TEST_F(CheckpointTest, TheSingleFileComesBeforeTheIndex) {
  write_shard("model.safetensors", "w", 2);
  write_index(R"({"a":"missing.safetensors"})");
  EXPECT_NE(Checkpoint::open(folder_.path()).find("w"), nullptr);
}

TEST_F(CheckpointTest, SourcesHaveTheOrderOfTransformers) {
  write_torch_shard("shard.bin", "d");
  write_index(R"({"d":"shard.bin"})", "pytorch_model.bin.index.json");
  EXPECT_NE(Checkpoint::open(folder_.path()).find("d"), nullptr);
  write_torch_shard("pytorch_model.bin", "c");
  EXPECT_NE(Checkpoint::open(folder_.path()).find("c"), nullptr);
  write_shard("shard.safetensors", "b", 2);
  write_index(R"({"b":"shard.safetensors"})");
  EXPECT_NE(Checkpoint::open(folder_.path()).find("b"), nullptr);
  write_shard("model.safetensors", "a", 2);
  EXPECT_NE(Checkpoint::open(folder_.path()).find("a"), nullptr);
}

TEST_F(CheckpointTest, ShardsOfPyTorchAreOneCheckpoint) {
  write_torch_shard("pytorch_model-00001-of-00002.bin", "b");
  write_torch_shard("pytorch_model-00002-of-00002.bin", "a");
  write_index(R"({"a":"pytorch_model-00002-of-00002.bin","b":"pytorch_model-00001-of-00002.bin"})",
              "pytorch_model.bin.index.json");
  const Checkpoint checkpoint = Checkpoint::open(folder_.path());
  EXPECT_EQ(checkpoint.files().size(), 2U);
  EXPECT_EQ(checkpoint.at("a").bytes, 8U);
  EXPECT_EQ(checkpoint.values(checkpoint.at("b")), (std::vector<float>{1.0F, 2.0F}));
  checkpoint.check_unchanged();
}

TEST_F(CheckpointTest, FilesOfBothKindsCanBeMerged) {
  write_shard("model.safetensors", "w", 2);
  for (const char* name : {"x.bin", "x.pt", "x.pth", "x.ckpt"}) {
    write_torch_shard(name, "w");
    Checkpoint checkpoint = Checkpoint::open(folder_.path());
    checkpoint.merge("2_Dense/", folder_ / name);
    EXPECT_EQ(checkpoint.at("w").bytes, 2U);
    EXPECT_EQ(checkpoint.at("2_Dense/w").bytes, 8U);
    EXPECT_EQ(checkpoint.path_of("2_Dense/w"), folder_ / name);
    EXPECT_EQ(checkpoint.path_of("w"), folder_ / "model.safetensors");
    EXPECT_EQ(checkpoint.path_of("none"), checkpoint.path());
  }
}

TEST_F(CheckpointTest, AVariantOrAStateDictOfAnotherNameIsTakenWhereItIsTheOnlyOne) {
  write_shard("model.fp16.safetensors", "w", 2);
  EXPECT_EQ(Checkpoint::open(folder_.path()).at("w").bytes, 2U);
  for (const char* name : {"pytorch_model.bf16.bin", "pytorch_model.pt", "model.pt"}) {
    write_torch_shard(name, "w");
    EXPECT_THAT(refusal(ErrorCode::not_found),
                HasSubstr(std::string("the directory has model.fp16.safetensors and ") + name +
                          ", expected model.safetensors, or one of these alone"));
    std::filesystem::rename(folder_ / "model.fp16.safetensors", folder_ / "aside");
    EXPECT_EQ(Checkpoint::open(folder_.path()).at("w").bytes, 8U);
    std::filesystem::rename(folder_ / "aside", folder_ / "model.fp16.safetensors");
    std::filesystem::remove(folder_ / name);
  }
  write_shard("model.safetensors", "w", 4);  // over any other
  EXPECT_EQ(Checkpoint::open(folder_.path()).path().filename(), "model.safetensors");
}

TEST_F(CheckpointTest, WhatIsThereInsteadOfWeightsIsNamedWithTheWayOut) {
  test::write_text(folder_ / "tf_model.h5", "x");
  std::filesystem::create_directories(folder_ / "onnx");
  test::write_text(folder_ / "onnx/model.onnx", "x");
  test::write_text(folder_ / "q4.gguf", "x");
  const std::string message = refusal(ErrorCode::not_found);
  EXPECT_THAT(message, HasSubstr("expected model.safetensors or pytorch_model.bin"));
  EXPECT_THAT(message, HasSubstr("tf_model.h5 is of TensorFlow: load it with from_tf=True"));
  EXPECT_THAT(message, HasSubstr("onnx/model.onnx is an ONNX model: take the weights of"));
  EXPECT_THAT(message, HasSubstr("q4.gguf is a GGUF file"));
}

TEST_F(CheckpointTest, AFileOfTheOtherKindIsNamed) {
  write_shard("pytorch_model.bin", "w", 2);
  EXPECT_THAT(
      refusal(ErrorCode::corrupt_file),
      testing::AllOf(HasSubstr("pytorch_model.bin: the file of"),
                     HasSubstr("it begins as a safetensors file: model.safetensors is the")));
  const auto says = [&](const std::string& text, const char* what) {
    for (const char* name : {"x.bin", "x.safetensors"}) {
      test::write_text(folder_ / name, text);
      EXPECT_THAT(message_of(ErrorCode::corrupt_file, [&] { Checkpoint::open(folder_ / name); }),
                  HasSubstr(what));
    }
  };
  says("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "a Git LFS pointer");
  says("<!DOCTYPE html>\n<html>", "a web page");
  says("<html lang=en>", "a web page");
  says("\x1F\x8B\x08 and what follows", "a gzip file");
  says("GGUF and what follows", "a GGUF file");
}

TEST_F(CheckpointTest, MovingKeepsTensorsWhereTheyAre) {
  write_shard("model.safetensors", "w", 2);
  Checkpoint checkpoint = Checkpoint::open(folder_.path());
  const StoredTensor* w = checkpoint.find("w");
  const Checkpoint moved = std::move(checkpoint);
  EXPECT_EQ(moved.find("w"), w);
}

TEST_F(CheckpointTest, WhatIsMissingIsNamed) {
  EXPECT_THAT(refusal(ErrorCode::not_found), HasSubstr("model.safetensors"));
  EXPECT_THAT(message_of(ErrorCode::not_found, [&] { Checkpoint::open(folder_ / "no"); }),
              HasSubstr("no such file"));
  write_index(R"({"a":"shard-1.safetensors"})");
  EXPECT_THAT(refusal(ErrorCode::not_found), HasSubstr("shard-1.safetensors"));
}

TEST_F(CheckpointTest, ATensorMustBeInTheShardNamed) {
  write_shard("1.safetensors", "a", 1);
  write_shard("2.safetensors", "b", 1);
  write_index(R"({"a":"2.safetensors","b":"2.safetensors"})");
  EXPECT_THAT(refusal(ErrorCode::corrupt_file),
              HasSubstr(R"(tensor "a" is not in shard "2.safetensors")"));
}

TEST_F(CheckpointTest, ATensorMayBeInOneShardOnly) {
  write_shard("1.safetensors", "a", 1);
  test::write_text(folder_ / "2.safetensors",
                   file_of(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                           R"("b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                           2));
  write_index(R"({"a":"1.safetensors","b":"2.safetensors"})");
  EXPECT_THAT(refusal(ErrorCode::corrupt_file), HasSubstr("two shards"));
}

TEST_F(CheckpointTest, AShardsOwnFaultsAreItsOwn) {
  test::write_text(folder_ / "1.safetensors", "short");
  write_index(R"({"a":"1.safetensors"})");
  EXPECT_THAT(refusal(ErrorCode::corrupt_file), HasSubstr("1.safetensors: the file has 5 bytes"));
}

TEST_F(CheckpointTest, AMalformedIndexIsRefused) {
  const auto message_for = [&](const std::string& index) {
    test::write_text(folder_ / kIndex, index);
    return refusal(ErrorCode::corrupt_file);
  };
  EXPECT_THAT(message_for(""), HasSubstr("malformed"));
  EXPECT_THAT(message_for("[]"), HasSubstr("malformed"));
  EXPECT_THAT(message_for("{}"), HasSubstr("weight_map is missing"));
  EXPECT_THAT(message_for(R"({"weight_map":[]})"), HasSubstr("weight_map is missing or no object"));
  EXPECT_THAT(message_for(R"({"weight_map":{}})"), HasSubstr("weight_map is empty"));
  EXPECT_THAT(message_for(R"({"weight_map":{"a":1}})"), HasSubstr("shard 1, expected"));
  EXPECT_THAT(message_for(R"({"weight_map":{"a":"x","a":"y"}})"), HasSubstr("twice"));
  for (const char* name : {"../x.safetensors", "/etc/passwd", "", ".", "..", R"(a\u0000b)"}) {
    EXPECT_THAT(message_for(std::string(R"({"weight_map":{"a":")") + name + "\"}}"),
                HasSubstr("expected a plain file name"));
  }
}

}  // namespace
}  // namespace tessera
