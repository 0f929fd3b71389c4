// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/error.hpp"

#include <gtest/gtest.h>

#include <string>

namespace tessera {
namespace {

TEST(ErrorTest, ControlCharactersAreSpelled) {
  const std::string message = std::string("a") + '\0' + "\x1B[2J\x7F\r" + "\xC3\xA9\n\tz";
  EXPECT_STREQ(Error(ErrorCode::corrupt_file, message).what(),
               "a\\x00\\x1B[2J\\x7F\\x0D\xC3\xA9\n\tz");
}

}  // namespace
}  // namespace tessera
