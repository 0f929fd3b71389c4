// SPDX-License-Identifier: Apache-2.0
// Reading a mapped file without touching it: where a file was cut, an Error in place of SIGBUS.
#include "runtime/weights/mapped_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/mman.h>

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

TEST(MappedFileTest, FileBytesAreCopiesOfAFileOrOfMemory) {
  const test::TemporaryDirectory folder;
  folder.write("file", "0123456789");
  const MappedFile file = MappedFile::open(folder / "file");
  EXPECT_EQ(text_of(FileBytes(file).copy(3, 4)), "3456");
  EXPECT_TRUE(FileBytes(file).copy(10, 0).empty());
  EXPECT_EQ(text_of(FileBytes(file.bytes().first(5)).copy(1, 2)), "12");
  fs::resize_file(folder / "file", 5);
  EXPECT_EQ(text_of(FileBytes(file).copy(3, 2)), "34");
  EXPECT_THROW(FileBytes(file).copy(3, 4), Error);
}

TEST(MappedFileTest, MemoryThatIsFreedOrWrittenToIsAnError) {
  const std::size_t bytes = std::size_t{1} << 20;
  void* const memory =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto* const text = static_cast<std::byte*>(memory) + 13;  // of no alignment
  const MemoryFiles files({{"file", std::span(text, bytes - 13)}});
  const MappedFile file = MappedFile::open(files.directory() / "file");
  file.check_unchanged();
  for (const std::size_t at : {std::size_t{0}, std::size_t{63}, bytes - 14}) {
    text[at] = std::byte{1};
    EXPECT_THROW(file.check_unchanged(), Error) << at;
    text[at] = std::byte{0};
    file.check_unchanged();
  }
  ASSERT_EQ(::munmap(static_cast<std::byte*>(memory) + bytes / 2, bytes / 2), 0);
  try {
    file.check_unchanged();
    ADD_FAILURE() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::invalid_argument);
    EXPECT_THAT(e.what(), HasSubstr("the memory of this file was freed"));
    EXPECT_THAT(e.what(), HasSubstr("1048563 bytes"));
  }
  ::munmap(memory, bytes / 2);
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
