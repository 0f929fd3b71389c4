// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/host_memory.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <span>

namespace tessera {
namespace {

class HostMemoryTest : public testing::Test {
 protected:
  void SetUp() override {
    page_ = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    char name[] = "/tmp/tessera-host-memory-XXXXXX";
    file_ = mkstemp(name);
    ASSERT_GE(file_, 0);
    unlink(name);
    ASSERT_EQ(ftruncate(file_, static_cast<off_t>(3 * page_)), 0);
    void* const memory = mmap(nullptr, 3 * page_, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
    ASSERT_NE(memory, MAP_FAILED);
    bytes_ = {static_cast<std::byte*>(memory), 3 * page_};
  }
  void TearDown() override {
    munmap(bytes_.data(), bytes_.size());
    close(file_);
  }

  std::size_t page_ = 0;
  int file_ = -1;
  std::span<std::byte> bytes_;
};

TEST_F(HostMemoryTest, WhatIsThereIsMappedAndReadable) {
  errno = EDOM;
  EXPECT_TRUE(is_mapped(bytes_));
  EXPECT_TRUE(is_readable(bytes_));
  EXPECT_TRUE(is_readable(bytes_.subspan(1, 1)));
  EXPECT_TRUE(is_readable({}));
  EXPECT_EQ(errno, EDOM);
}

TEST_F(HostMemoryTest, APageThatWasUnmappedIsFoundWhereverItLies) {
  for (std::size_t lost = 0; lost < 3; ++lost) {
    munmap(&bytes_[lost * page_], page_);
    EXPECT_FALSE(is_mapped(bytes_));
    EXPECT_FALSE(is_readable(bytes_));
    for (std::size_t at = lost + 1; at < 3; ++at) {
      EXPECT_TRUE(is_readable(bytes_.subspan(at * page_, page_)));
    }
    EXPECT_FALSE(is_readable(bytes_.subspan(lost * page_ + page_ - 1, 1)));
  }
}

TEST_F(HostMemoryTest, AProtectedPageIsMappedAndNotReadable) {
  ASSERT_EQ(mprotect(&bytes_[page_], page_, PROT_NONE), 0);
  EXPECT_TRUE(is_mapped(bytes_));
  EXPECT_FALSE(is_readable(bytes_));
  EXPECT_TRUE(is_readable(bytes_.first(page_)));
  EXPECT_FALSE(is_readable(bytes_.first(page_ + 1)));
}

TEST_F(HostMemoryTest, WhatAFileLostIsNotReadable) {
  ASSERT_EQ(ftruncate(file_, static_cast<off_t>(page_)), 0);
  EXPECT_TRUE(is_mapped(bytes_));
  EXPECT_TRUE(is_readable(bytes_.first(page_)));
  EXPECT_FALSE(is_readable(bytes_.last(1)));
}

}  // namespace
}  // namespace tessera
