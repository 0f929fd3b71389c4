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

TEST(FilesTest, CannotTellIsNotAbsent) {
  const test::TemporaryDirectory directory;
  const std::filesystem::path root = directory.path();
  directory.write("file", "abc");
  EXPECT_EQ(read_file(root / "file"), "abc");
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
    EXPECT_THROW(read_file(root / name), Error) << name.substr(0, 20);
  }
  const auto message = [](const std::filesystem::path& path) {
    try {
      path_exists(path);
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  EXPECT_NE(message(root / "dangling").find("dangling: a link to nowhere, which does not exist"),
            std::string::npos);
  // A folder on the way that leads nowhere is no absent folder either.
  EXPECT_EQ(message(root / "dangling" / "a" / "b"), message(root / "dangling"));
  EXPECT_EQ(message(root / "none" / "a"), "");
  EXPECT_NE(message(root / "circle").find("cannot tell what this is: Too many levels"),
            std::string::npos);
  EXPECT_THROW(read_file(root), Error);
  EXPECT_THROW(read_file("/dev/null"), Error);
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
    read_file(directory.path() / "file");
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
