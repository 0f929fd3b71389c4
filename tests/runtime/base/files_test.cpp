// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/files.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <array>
#include <memory>

#include "runtime/base/error.hpp"
#include "runtime/weights/mapped_file.hpp"
#include "tests/support/temporary.hpp"

namespace tessera {
namespace {

const std::array<std::byte, 3> kBytes{std::byte{1}, std::byte{2}, std::byte{3}};

TEST(FilesTest, FilesInMemoryAreADirectoryWhileTheyLive) {
  std::filesystem::path root;
  {
    const MemoryFiles files({{"config.json", kBytes}, {"1_Pooling/config.json", {}}});
    root = files.directory();
    EXPECT_TRUE(directory_exists(root));
    EXPECT_TRUE(directory_exists(root / ""));
    EXPECT_TRUE(directory_exists(root / "1_Pooling"));
    EXPECT_FALSE(directory_exists(root / "1_Pool"));
    EXPECT_TRUE(file_exists(root / "config.json"));
    EXPECT_TRUE(file_exists(root / "" / "config.json"));
    EXPECT_TRUE(path_exists(root / "1_Pooling/config.json"));
    EXPECT_FALSE(path_exists(root / "config"));
    EXPECT_FALSE(file_exists(root));
    EXPECT_EQ(find_in_memory(root / "config.json")->data(), kBytes.data());
    const MappedFile mapped = MappedFile::open(root / "config.json");
    EXPECT_EQ(mapped.bytes().data(), kBytes.data());
    const MemoryFiles others({{"other.json", kBytes}});
    EXPECT_FALSE(path_exists(others.directory() / "config.json"));
  }
  EXPECT_FALSE(path_exists(root));
  EXPECT_FALSE(find_in_memory(root / "config.json"));
}

TEST(FilesTest, RefusesNamesThatLeadElsewhere) {
  for (const char* name : {"", "/a", "../a", "a/../b", ".", "./a", "a//b", "a/"}) {
    EXPECT_THROW(MemoryFiles({{name, kBytes}}), Error) << name;
  }
}

std::string read(const std::filesystem::path& path) {
  std::string content;
  read_file(path, [&](std::size_t bytes) {
    content.resize(bytes);
    return content.data();
  });
  return content;
}

TEST(FilesTest, CannotTellIsNotAbsent) {
  const test::TemporaryDirectory directory;
  const std::filesystem::path root = directory.path();
  directory.write("file", "abc");
  EXPECT_EQ(read(root / "file"), "abc");
  EXPECT_FALSE(path_exists(root / "file" / "below"));
  EXPECT_FALSE(path_exists(root / "none"));
  std::filesystem::create_symlink("file", root / "link");
  EXPECT_TRUE(file_exists(root / "link"));
  std::filesystem::create_symlink("nowhere", root / "dangling");
  std::filesystem::create_symlink("circle", root / "circle");
  const std::string overlong(5000, 'x');
  for (const std::string& name : {std::string("dangling"), std::string("circle"), overlong}) {
    EXPECT_THROW(path_exists(root / name), Error) << name.substr(0, 20);
    EXPECT_THROW(file_exists(root / name), Error) << name.substr(0, 20);
    EXPECT_THROW(directory_exists(root / name), Error) << name.substr(0, 20);
    EXPECT_THROW(read(root / name), Error) << name.substr(0, 20);
  }
  EXPECT_THROW(read(root), Error);
  EXPECT_THROW(read("/dev/null"), Error);
}

// A file that is there is not absent because the process has no descriptor left for it.
TEST(FilesTest, NoDescriptorLeftIsSaidInTheSystemsWords) {
  const test::TemporaryDirectory directory;
  directory.write("file", "abc");
  struct rlimit limit {};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  struct rlimit none = limit;
  none.rlim_cur = 3;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  std::string message;
  try {
    read(directory.path() / "file");
  } catch (const Error& e) {
    message = e.what();
  }
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_NE(message.find("Too many open files"), std::string::npos) << message;
}

TEST(FilesTest, NamesWhatStandsInPlaceOfAFile) {
  EXPECT_NE(stand_in("version https://git-lfs.github.com/spec/v1").find("Git LFS"),
            std::string_view::npos);
  EXPECT_NE(stand_in(" \r\n<!DOCTYPE html>").find("web page"), std::string_view::npos);
  EXPECT_EQ(stand_in("{\"a\": \"<html>\"}"), "");
  EXPECT_EQ(stand_in(""), "");
}

}  // namespace
}  // namespace tessera
