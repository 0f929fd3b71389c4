// SPDX-License-Identifier: Apache-2.0
#include "models/text/base64.hpp"

#include <gtest/gtest.h>

#include <string>

namespace tessera::text {
namespace {

// RFC 4648, section 10.
TEST(Base64Test, DecodesTheExamplesOfTheStandard) {
  EXPECT_EQ(decode_base64(""), "");
  EXPECT_EQ(decode_base64("Zg=="), "f");
  EXPECT_EQ(decode_base64("Zm8="), "fo");
  EXPECT_EQ(decode_base64("Zm9v"), "foo");
  EXPECT_EQ(decode_base64("Zm9vYmFy"), "foobar");
  EXPECT_EQ(decode_base64("+/+/"), "\xFB\xFF\xBF");
}

TEST(Base64Test, EncodesWhatItDecodes) {
  EXPECT_EQ(encode_base64(""), "");
  EXPECT_EQ(encode_base64("f"), "Zg==");
  EXPECT_EQ(encode_base64("fo"), "Zm8=");
  EXPECT_EQ(encode_base64("foobar"), "Zm9vYmFy");
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(decode_base64(encode_base64(bytes)), bytes);
    bytes.push_back(static_cast<char>(i * 37));
  }
}

TEST(Base64Test, AnythingElseIsNone) {
  for (const char* text : {"Z", "Zg", "Zg=", "Z===", "====", "=Zg=", "Zg==Zg==", "Zm9-", "Zm 9v",
                           "Zh==", "Zm9=", "Zm9v\n", "Zm9\xC3"}) {
    EXPECT_EQ(decode_base64(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace tessera::text
