// SPDX-License-Identifier: Apache-2.0
#include "models/hub_cache.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/models/checkpoint_copy.hpp"

namespace tessera::test {
namespace {

using models::find_model;
using testing::AllOf;
using testing::HasSubstr;

/// A cache with one model in it, as huggingface_hub writes it: files are links into blobs/.
class HubCacheTest : public testing::Test {
 protected:
  void SetUp() override {
    ::setenv("HF_HUB_CACHE", cache().c_str(), 1);
    std::filesystem::create_directories(folder() / "blobs");
    std::filesystem::create_directories(snapshot("c0ffee"));
    CheckpointCopy("bert-model").write(folder() / "blobs");
    for (const char* name : {"config.json", "model.safetensors"}) {
      std::filesystem::create_symlink(std::filesystem::path("../../blobs") / name,
                                      snapshot("c0ffee") / name);
    }
    directory.write(folder() / "refs" / "main", "c0ffee\n");
  }
  void TearDown() override { ::unsetenv("HF_HUB_CACHE"); }
  std::filesystem::path cache() const { return directory.path() / "hub"; }
  std::filesystem::path folder() const { return cache() / "models--org--tiny"; }
  std::filesystem::path snapshot(const std::string& commit) const {
    return folder() / "snapshots" / commit;
  }
  std::string error(const std::filesystem::path& model) const {
    return error_of([&] { find_model(model); });
  }

  TemporaryDirectory directory;
};

TEST_F(HubCacheTest, ANameIsFoundInTheCache) {
  EXPECT_EQ(find_model("org/tiny"), snapshot("c0ffee"));
  EXPECT_EQ(find_model(folder()), snapshot("c0ffee"));
  EXPECT_EQ(find_model(snapshot("c0ffee")), snapshot("c0ffee"));
  const models::Package package = models::open_package("org/tiny");
  EXPECT_EQ(package.architecture, "BertModel");
  EXPECT_EQ(package.directory, snapshot("c0ffee"));
}

TEST_F(HubCacheTest, MainSaysWhichSnapshot) {
  std::filesystem::create_directories(snapshot("deadbeef"));
  EXPECT_EQ(find_model("org/tiny"), snapshot("c0ffee"));
  directory.write(folder() / "refs" / "main", "deadbeef");
  EXPECT_EQ(find_model("org/tiny"), snapshot("deadbeef"));
  for (const char* bad : {"gone", "", "..", "../../..", "c0ffee/."}) {
    directory.write(folder() / "refs" / "main", bad);
    EXPECT_THAT(error("org/tiny"), AllOf(HasSubstr("corrupt_file"), HasSubstr("refs/main"))) << bad;
  }
  std::filesystem::remove(folder() / "refs" / "main");
  EXPECT_THAT(error("org/tiny"), AllOf(HasSubstr("c0ffee, deadbeef"), HasSubstr("no refs/main")));
  std::filesystem::remove_all(snapshot("deadbeef"));
  std::filesystem::create_symlink(snapshot("circle"), snapshot("circle"));
  EXPECT_THAT(error("org/tiny"), AllOf(HasSubstr("io_error"), HasSubstr("circle")));
  std::filesystem::remove(snapshot("circle"));
  EXPECT_EQ(find_model("org/tiny"), snapshot("c0ffee")) << "the only one";
}

TEST_F(HubCacheTest, WhatIsNowhereSaysWhereItWasLookedFor) {
  EXPECT_THAT(error("org/other"), AllOf(HasSubstr("not_found: org/other: no such directory"),
                                        HasSubstr((cache() / "models--org--other").string()),
                                        HasSubstr("nothing is downloaded")));
  for (const char* path : {"./org/tiny", "/org/tiny", "a/b/c", "org/..", "sp ace"}) {
    EXPECT_THAT(error(path), testing::Not(HasSubstr("downloaded"))) << path;
  }
}

TEST_F(HubCacheTest, TheCacheIsWhereHuggingFaceHasIt) {
  ::unsetenv("HF_HUB_CACHE");
  ::setenv("HUGGINGFACE_HUB_CACHE", cache().c_str(), 1);
  EXPECT_EQ(find_model("org/tiny"), snapshot("c0ffee"));
  ::unsetenv("HUGGINGFACE_HUB_CACHE");
  ::setenv("HF_HOME", directory.path().c_str(), 1);
  EXPECT_EQ(find_model("org/tiny"), snapshot("c0ffee"));
  ::unsetenv("HF_HOME");
  EXPECT_THAT(error("org/tiny"), HasSubstr("huggingface/hub/models--org--tiny"));
}

TEST_F(HubCacheTest, ABlobThatIsGoneIsNotAnAbsentFile) {
  std::filesystem::remove(folder() / "blobs" / "config.json");
  EXPECT_THAT(error_of([&] { models::open_package("org/tiny"); }),
              AllOf(HasSubstr("config.json"), HasSubstr("blobs/config.json")));
}

}  // namespace
}  // namespace tessera::test
