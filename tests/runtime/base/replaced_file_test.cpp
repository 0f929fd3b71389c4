// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/replaced_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "runtime/base/error.hpp"
#include "tests/support/temporary.hpp"

namespace tessera {
namespace {

namespace fs = std::filesystem;

std::string content(const fs::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::size_t files_in(const fs::path& directory) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(directory), {}));
}

TEST(ReplacedFileTest, KeepsTheModeAndFollowsALink) {
  const test::TemporaryDirectory directory;
  const fs::path target = directory.path() / "target", link = directory.path() / "link";
  std::ofstream(target) << "old";
  fs::permissions(target, fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink("target", link);
  replace_file(link, "new");
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_EQ(content(target), "new");
  EXPECT_EQ(fs::status(target).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(files_in(directory.path()), 2U);
}

TEST(ReplacedFileTest, WhatIsNoRegularFileStays) {
  const test::TemporaryDirectory directory;
  const fs::path pipe = directory.path() / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THROW(replace_file(pipe, "new"), Error);
  EXPECT_TRUE(fs::is_fifo(pipe));
  EXPECT_THROW(replace_file(directory.path(), "new"), Error);
  EXPECT_EQ(files_in(directory.path()), 1U);
}

TEST(ReplacedFileTest, WithoutCommitNothingHappened) {
  const test::TemporaryDirectory directory;
  const fs::path target = directory.path() / "target";
  std::ofstream(target) << "old";
  { ReplacedFile file(target); }
  EXPECT_EQ(content(target), "old");
  EXPECT_EQ(files_in(directory.path()), 1U);
}

}  // namespace
}  // namespace tessera
