// SPDX-License-Identifier: Apache-2.0
#include "runtime/weights/safetensors.hpp"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "tests/runtime/weights/files.hpp"

namespace tessera {
namespace {

using test::file_of;
using test::message_of;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(StoredTypeTest, EveryTypeIsFoundByItsName) {
  for (int i = 0; i <= static_cast<int>(StoredType::f4); ++i) {
    const auto type = static_cast<StoredType>(i);
    EXPECT_EQ(stored_type_from_string(to_string(type)), type);
  }
  EXPECT_EQ(stored_type_from_string("F31"), std::nullopt);
  EXPECT_EQ(stored_type_from_string(""), std::nullopt);
}

TEST(StoredTypeTest, OnlyFloatsOfTwoOrFourBytesAreWeights) {
  EXPECT_EQ(weight_dtype(StoredType::f32), DType::f32);
  EXPECT_EQ(weight_dtype(StoredType::f16), DType::f16);
  EXPECT_EQ(weight_dtype(StoredType::bf16), DType::bf16);
  EXPECT_EQ(weight_dtype(StoredType::f64), std::nullopt);
  EXPECT_EQ(weight_dtype(StoredType::i8), std::nullopt);
  EXPECT_EQ(weight_dtype(StoredType::f8_e4m3), std::nullopt);
}

class SafetensorsFileTest : public testing::Test {
 protected:
  SafetensorsFile open(std::string_view header, std::size_t buffer_bytes) {
    test::write_text(path_, file_of(header, buffer_bytes));
    return SafetensorsFile::open(path_);
  }
  test::TemporaryDirectory folder_;
  std::filesystem::path path_ = folder_ / "x.safetensors";
};

TEST_F(SafetensorsFileTest, GivesNamesShapesTypesAndBytes) {
  const SafetensorsFile file =
      open(R"({"b":{"dtype":"F32","shape":[1,2],"data_offsets":[3,11]},)"
           R"("__metadata__":{"format":"pt"},)"
           R"("a \"x\"":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},)"
           R"("empty":{"dtype":"F16","shape":[4,0],"data_offsets":[11,11]},)"
           R"("scalar":{"dtype":"I64","shape":[],"data_offsets":[11,19]}})",
           19);
  ASSERT_EQ(file.tensors().size(), 4U);
  EXPECT_EQ(file.path(), path_);
  EXPECT_EQ(file.metadata().at("format"), "pt");

  const StoredTensor* b = file.find("b");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(b->type, StoredType::f32);
  EXPECT_THAT(b->shape, ElementsAre(1, 2));
  EXPECT_EQ(b->elements(), 2);
  ASSERT_EQ(b->bytes, 8U);
  EXPECT_EQ(std::to_integer<int>(b->data[0]), 3);  // behind the three bytes of the other tensor
  EXPECT_EQ(std::to_integer<int>(b->data[7]), 10);

  const StoredTensor* a = file.find("a \"x\"");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->data + 3, b->data);
  EXPECT_EQ(file.find("empty")->bytes, 0U);
  EXPECT_EQ(file.find("scalar")->elements(), 1);
  EXPECT_THAT(file.find("scalar")->shape, IsEmpty());
  EXPECT_EQ(file.find("c"), nullptr);
  EXPECT_EQ(file.find(""), nullptr);
}

TEST_F(SafetensorsFileTest, MovingKeepsTensorsWhereTheyAre) {
  SafetensorsFile file = open(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", 2);
  const StoredTensor* a = file.find("a");
  const SafetensorsFile moved = std::move(file);
  EXPECT_EQ(moved.find("a"), a);
  EXPECT_EQ(std::to_integer<int>(a->data[1]), 1);
}

TEST_F(SafetensorsFileTest, AFileWithoutTensorsIsValid) {
  EXPECT_THAT(open("{}", 0).tensors(), IsEmpty());
  EXPECT_THAT(open(R"({"__metadata__":{}}   )", 0).metadata(), IsEmpty());
}

TEST_F(SafetensorsFileTest, PackedTypesTakeTheirBits) {
  const SafetensorsFile file =
      open(R"({"four":{"dtype":"F4","shape":[2,3],"data_offsets":[0,3]},)"
           R"("six":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[3,6]}})",
           6);
  EXPECT_EQ(file.find("four")->bytes, 3U);
  EXPECT_EQ(file.find("six")->bytes, 3U);
}

TEST_F(SafetensorsFileTest, MessagesNameFileTensorGotAndExpected) {
  const std::string message = message_of(ErrorCode::corrupt_file, [&] {
    open(R"({"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,20]}})", 20);
  });
  EXPECT_EQ(
      message,
      path_.string() + R"(: tensor "w": data_offsets give 20 bytes, expected 24 from F32 (2, 3))");
}

TEST_F(SafetensorsFileTest, WhatIsNoReadableFileIsNamed) {
  EXPECT_THAT(message_of(ErrorCode::not_found, [&] { SafetensorsFile::open(folder_ / "no"); }),
              HasSubstr("No such file"));
  EXPECT_THAT(
      message_of(ErrorCode::invalid_argument, [&] { SafetensorsFile::open(folder_.path()); }),
      HasSubstr("got a directory, expected a regular file"));
  const auto fifo = folder_ / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_THAT(message_of(ErrorCode::invalid_argument, [&] { SafetensorsFile::open(fifo); }),
              HasSubstr("special file"));
}

TEST(MappedFileTest, AnEmptyFileHasNoBytes) {
  const test::TemporaryDirectory folder;
  test::write_text(folder / "empty", "");
  MappedFile file = MappedFile::open(folder / "empty");
  EXPECT_TRUE(file.bytes().empty());
  test::write_text(folder / "full", "abc");
  file = MappedFile::open(folder / "full");
  ASSERT_EQ(file.bytes().size(), 3U);
  EXPECT_EQ(std::to_integer<char>(file.bytes()[2]), 'c');
}

TEST(SharedCheckpointsTest, EveryValidFileOpens) {
  const std::filesystem::path shared = TESSERA_SHARED_DIR;
  if (!std::filesystem::exists(shared / "conformance")) GTEST_SKIP() << "no shared/ folder";
  int opened = 0;
  for (const char* name : {"conformance", "checkpoints"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(shared / name)) {
      if (entry.path().extension() != ".safetensors") continue;
      EXPECT_NO_THROW(SafetensorsFile::open(entry.path())) << entry.path();
      ++opened;
    }
  }
  EXPECT_GT(opened, 0);
  const Checkpoint sharded = Checkpoint::open(shared / "conformance/distilbert-model-sharded");
  EXPECT_GT(sharded.files().size(), 1U);
  EXPECT_GT(sharded.tensors().size(), sharded.files().size());
}

}  // namespace
}  // namespace tessera
