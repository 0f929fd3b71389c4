// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <vector>

#include "tests/runtime/weights/files.hpp"

namespace tessera {
namespace {

using test::message_of;
using testing::ElementsAre;
using testing::HasSubstr;

class SafetensorsWriteTest : public testing::Test {
 protected:
  std::vector<std::string> names_in_folder() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
      names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  std::string refusal(const TensorToWrite& tensor) {
    return message_of(ErrorCode::invalid_argument,
                      [&] { write_safetensors(path_, std::span(&tensor, 1)); });
  }
  test::TemporaryDirectory folder_;
  std::filesystem::path path_ = folder_ / "x.safetensors";
  std::array<std::byte, 12> bytes_{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
};

TEST_F(SafetensorsWriteTest, WhatIsWrittenIsRead) {
  const std::string odd_name = "quote \" backslash \\ tab \t unit \x1f \xCE\xB1 \xF0\x9F\x98\x80";
  const std::vector<TensorToWrite> tensors{
      {.name = "z", .type = StoredType::u8, .shape = {3}, .data = std::span(bytes_).first(3)},
      {.name = odd_name, .type = StoredType::f32, .shape = {3, 1}, .data = bytes_},
      {.name = "scalar", .type = StoredType::bf16, .shape = {}, .data = std::span(bytes_).first(2)},
      {.name = "empty", .type = StoredType::f32, .shape = {2, 0}, .data = {}},
  };
  write_safetensors(path_, tensors, {{"format", "pt"}, {"note", "line\nbreak"}});

  const SafetensorsFile file = SafetensorsFile::open(path_);
  ASSERT_EQ(file.tensors().size(), tensors.size());
  for (const TensorToWrite& tensor : tensors) {
    const StoredTensor* read = file.find(tensor.name);
    ASSERT_NE(read, nullptr) << tensor.name;
    EXPECT_EQ(read->type, tensor.type);
    EXPECT_EQ(read->shape, tensor.shape);
    ASSERT_EQ(read->bytes, tensor.data.size());
    EXPECT_TRUE(std::equal(tensor.data.begin(), tensor.data.end(), read->data));
    const auto address = reinterpret_cast<std::uintptr_t>(read->data);
    EXPECT_EQ(address % static_cast<std::uintptr_t>(bits_of(tensor.type) / 8), 0U) << tensor.name;
  }
  EXPECT_EQ(file.metadata().at("note"), "line\nbreak");
  EXPECT_EQ(file.metadata().size(), 2U);
  EXPECT_THAT(names_in_folder(), ElementsAre("x.safetensors"));
}

TEST_F(SafetensorsWriteTest, TheBytesAreThoseOfTheReferenceImplementation) {
  // safetensors.serialize({"test": i32 (2, 2)}): the vector of the reference's test_serialization.
  const std::array<std::byte, 16> zeros{};
  const TensorToWrite tensor{
      .name = "test", .type = StoredType::i32, .shape = {2, 2}, .data = zeros};
  write_safetensors(path_, std::span(&tensor, 1));
  const std::string header = R"({"test":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]}})";
  EXPECT_EQ(test::read_text(path_), std::string("@\0\0\0\0\0\0\0", 8) + header +
                                        std::string(64 - header.size(), ' ') +
                                        std::string(16, '\0'));
}

TEST_F(SafetensorsWriteTest, NoTensorsMakeAValidFile) {
  write_safetensors(path_, {});
  EXPECT_TRUE(SafetensorsFile::open(path_).tensors().empty());
}

TEST_F(SafetensorsWriteTest, ReplacingAFileKeepsTheOldMappingReadable) {
  TensorToWrite tensor{
      .name = "a", .type = StoredType::u8, .shape = {1}, .data = std::span(bytes_).first(1)};
  write_safetensors(path_, std::span(&tensor, 1));
  const SafetensorsFile old_file = SafetensorsFile::open(path_);
  tensor.data = std::span(bytes_).subspan(1, 1);
  write_safetensors(path_, std::span(&tensor, 1));
  EXPECT_EQ(std::to_integer<int>(*old_file.find("a")->data), 1);
  EXPECT_EQ(std::to_integer<int>(*SafetensorsFile::open(path_).find("a")->data), 2);
}

TEST_F(SafetensorsWriteTest, ContradictionsAreRefusedBeforeAnythingIsWritten) {
  const TensorToWrite good{.name = "a", .type = StoredType::f32, .shape = {3}, .data = bytes_};
  TensorToWrite bad = good;
  bad.shape = {4};
  EXPECT_THAT(refusal(bad), HasSubstr(R"(tensor "a" has 12 bytes of data, expected 128 bits)"));
  bad.shape = {-1};
  EXPECT_THAT(refusal(bad), HasSubstr("(-1)"));
  bad.shape = {std::int64_t{1} << 62, 4};
  EXPECT_THAT(refusal(bad), HasSubstr("2^63"));
  bad = good;
  bad.name = "__metadata__";
  EXPECT_THAT(refusal(bad), HasSubstr("reserves"));
  bad.name = "\xFF";
  EXPECT_THAT(refusal(bad), HasSubstr("not UTF-8"));
  const std::vector<TensorToWrite> twice{good, good};
  EXPECT_THAT(message_of(ErrorCode::invalid_argument, [&] { write_safetensors(path_, twice); }),
              HasSubstr("two tensors are named \"a\""));
  EXPECT_THAT(message_of(ErrorCode::invalid_argument,
                         [&] {
                           write_safetensors(path_, {}, {{"k", "\xC0\x80"}});
                         }),
              HasSubstr("metadata \"k\""));
  EXPECT_TRUE(names_in_folder().empty());
}

TEST_F(SafetensorsWriteTest, AFolderThatDoesNotExistIsNamed) {
  const auto path = folder_ / "no" / "x.safetensors";
  const std::string message = message_of(ErrorCode::io_error, [&] { write_safetensors(path, {}); });
  EXPECT_THAT(message, HasSubstr(path.string()));
  EXPECT_THAT(message, HasSubstr("No such file or directory"));
}

TEST_F(SafetensorsWriteTest, ATargetThatIsADirectoryStaysAndNothingIsLeft) {
  std::filesystem::create_directory(path_);
  test::write_text(path_ / "inside", "x");
  message_of(ErrorCode::io_error, [&] { write_safetensors(path_, {}); });
  EXPECT_THAT(names_in_folder(), ElementsAre("x.safetensors"));
  EXPECT_TRUE(std::filesystem::exists(path_ / "inside"));
}

/// Lets no file of this process grow beyond `bytes`: what a full disk looks like to a writer.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : old_handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &old_limit_);
    const rlimit limit{bytes, old_limit_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old_limit_);
    std::signal(SIGXFSZ, old_handler_);
  }

 private:
  rlimit old_limit_{};
  void (*old_handler_)(int);
};

TEST_F(SafetensorsWriteTest, AnInterruptedWriteLeavesTheOldFileAndNothingElse) {
  const TensorToWrite small{
      .name = "a", .type = StoredType::u8, .shape = {1}, .data = std::span(bytes_).first(1)};
  write_safetensors(path_, std::span(&small, 1));
  const std::string before = test::read_text(path_);

  const std::vector<std::byte> many(100'000);
  const TensorToWrite large{.name = "a", .type = StoredType::u8, .shape = {100'000}, .data = many};
  std::string message;
  {
    const FileSizeLimit limit(50'000);  // the first write() is short, the second fails
    message =
        message_of(ErrorCode::io_error, [&] { write_safetensors(path_, std::span(&large, 1)); });
  }
  EXPECT_THAT(message, HasSubstr(path_.string() + ": cannot write: File too large"));
  EXPECT_EQ(test::read_text(path_), before);
  EXPECT_THAT(names_in_folder(), ElementsAre("x.safetensors"));
}

}  // namespace
}  // namespace tessera
