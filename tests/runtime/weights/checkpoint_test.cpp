// SPDX-License-Identifier: Apache-2.0
// Checkpoint: which file a directory means, and whether an index and its shards agree.
#include <gmock/gmock.h>

#include "tests/runtime/weights/files.hpp"

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
  void write_index(const std::string& weight_map) {
    test::write_text(folder_ / kIndex,
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
