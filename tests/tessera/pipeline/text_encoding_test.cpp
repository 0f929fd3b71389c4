// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/text_encoding.hpp"

#include <gmock/gmock.h>

#include "models/text/unicode.hpp"
#include "runtime/base/error.hpp"
#include "runtime/base/utf8.hpp"

namespace tessera::test {
namespace {

using namespace std::string_literals;

TEST(TextEncodingTest, NamesReadBackTheSame) {
  for (const TextEncoding encoding : kTextEncodings) {
    EXPECT_EQ(encoding_from_string(to_string(encoding)), encoding);
  }
  EXPECT_EQ(encoding_from_string("latin-2"), std::nullopt);
}

TEST(TextEncodingTest, FirstInvalidByteIsFound) {
  EXPECT_TRUE(is_utf8(""));
  EXPECT_TRUE(is_utf8("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x8D\xB5"));
  EXPECT_TRUE(is_utf8("\xF4\x8F\xBF\xBF"));
  for (const std::string& bad :
       {"\x80"s, "\xC1\xBF"s, "\xE0\x9F\xBF"s, "\xED\xA0\x80"s, "\xF0\x8F\xBF\xBF"s,
        "\xF4\x90\x80\x80"s, "\xF5\x80\x80\x80"s, "\xC3"s, "\xE2\x82"s, "\xE2\x82z"s, "\xFF"s}) {
    EXPECT_EQ(utf8_prefix("ab\xC3\xA9" + bad), 4U);
    EXPECT_FALSE(is_utf8(bad));
  }
}

TEST(TextEncodingTest, Utf16ShowsByItsMarkOrItsZeros) {
  EXPECT_EQ(other_encoding("\xFF\xFEx")->likely, TextEncoding::utf16);
  EXPECT_EQ(other_encoding("\xFE\xFFx")->likely, TextEncoding::utf16);
  EXPECT_EQ(other_encoding("x\0"s)->likely, TextEncoding::utf16le);
  // "12" and two Chinese characters, and what is no text at all
  EXPECT_EQ(other_encoding("1\0002\0\x2D\x4E\x87\x65"s)->likely, TextEncoding::utf16le);
  EXPECT_EQ(other_encoding(std::string(600, 'x') + "\0\0\0\1"s)->likely, std::nullopt);
  EXPECT_EQ(other_encoding("\1\0\0\0\2\0\0\0"s)->likely, std::nullopt);
  EXPECT_EQ(other_encoding("\0x"s)->likely, TextEncoding::utf16be);
  EXPECT_FALSE(other_encoding("\xEF\xBB\xBFx").has_value());
  EXPECT_FALSE(other_encoding(std::string(1024, 'x') + '\0').has_value());
}

TEST(TextEncodingTest, BytesMayComeOneByOne) {
  // "a", U+00E9, U+1F375 (a pair of surrogates)
  const std::string bytes = "\xFE\xFF\0a\0\xE9\xD8\x3C\xDF\x75"s;
  TextDecoder decoder(TextEncoding::utf16);
  std::string text;
  for (const char byte : bytes) decoder.append(std::string(1, byte), text);
  decoder.finish();
  EXPECT_EQ(text, "a\xC3\xA9\xF0\x9F\x8D\xB5");
}

TEST(TextEncodingTest, LongBlocksAreWhole) {
  TextDecoder decoder(TextEncoding::latin1);
  std::string text;
  decoder.append(std::string(100000, '\xE9'), text);
  EXPECT_EQ(text.size(), 200000U);
  EXPECT_TRUE(is_utf8(text));
}

TEST(TextEncodingTest, HalfACharacterAtTheEndIsAnError) {
  TextDecoder decoder(TextEncoding::utf16le);
  std::string text;
  decoder.append("a\0b"s, text);
  EXPECT_EQ(text, "a");
  EXPECT_THROW(decoder.finish(), Error);
  TextDecoder strict(TextEncoding::cp1252);
  EXPECT_THROW(strict.append("a\x81", text), Error);
  EXPECT_EQ(text, "aa") << "what comes before it is there";
}

}  // namespace
}  // namespace tessera::test
