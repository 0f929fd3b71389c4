// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/files.hpp"

#include <gtest/gtest.h>

#include <array>
#include <memory>

#include "runtime/base/error.hpp"
#include "runtime/weights/mapped_file.hpp"

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

}  // namespace
}  // namespace tessera
