// SPDX-License-Identifier: Apache-2.0
// Reading a mapped file without touching it: where a file was cut, an Error in place of SIGBUS.
#include "runtime/weights/mapped_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <vector>

#include "runtime/base/error.hpp"
#include "runtime/base/files.hpp"
#include "tests/support/temporary.hpp"

namespace tessera {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(MappedFileTest, ReadGivesTheBytesOfAnyPart) {
  const test::TemporaryDirectory folder;
  folder.write("file", "0123456789");
  const MappedFile file = MappedFile::open(folder / "file");
  std::vector<std::byte> part(4);
  file.read(file.bytes().subspan(3, 4), part.data());
  EXPECT_EQ(text_of(part), "3456");
  file.read(file.bytes().subspan(10), nullptr);  // nothing
  const std::array<std::byte, 4> elsewhere{std::byte{'a'}, std::byte{'b'}, std::byte{'c'},
                                           std::byte{'d'}};
  file.read(elsewhere, part.data());
  EXPECT_EQ(text_of(part), "abcd");
}

TEST(MappedFileTest, AFileThatWasCutIsAnErrorWhereItIsRead) {
  const test::TemporaryDirectory folder;
  folder.write("file", std::string(20000, 'x'));
  const MappedFile file = MappedFile::open(folder / "file");
  fs::resize_file(folder / "file", 10000);
  std::vector<std::byte> part(6000);
  file.read(file.bytes().first(6000), part.data());
  try {
    file.read(file.bytes().subspan(6000, 6000), part.data());
    FAIL() << "expected an error";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::corrupt_file);
    EXPECT_THAT(e.what(), HasSubstr((folder / "file").string()));
    EXPECT_THAT(e.what(), HasSubstr("10000"));
  }
  EXPECT_THROW(file.check_unchanged(), Error);
}

TEST(MappedFileTest, FilesInMemoryAreCopied) {
  const std::string content = "abcdef";
  const MemoryFiles files({{"file", std::as_bytes(std::span(content))}});
  const MappedFile file = MappedFile::open(files.directory() / "file");
  std::vector<std::byte> part(3);
  file.read(file.bytes().last(3), part.data());
  EXPECT_EQ(text_of(part), "def");
}

}  // namespace
}  // namespace tessera
