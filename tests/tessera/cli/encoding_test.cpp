// SPDX-License-Identifier: Apache-2.0
// Files that are not UTF-8.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/tessera/cli/cli_test.hpp"

namespace tessera::test {
namespace {

using testing::HasSubstr;

class EncodingTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    file("utf-8.txt", "caf\xC3\xA9\nthe cat\n");
    expected_ = tessera("embed model utf-8.txt").out;
  }
  std::string expected_;
};

TEST_F(EncodingTest, OtherEncodingsAreReadAsAskedFor) {
  using namespace std::string_literals;
  file("latin.txt", "caf\xE9\nthe cat\n");
  file("le.txt", "c\0a\0f\0\xE9\0\n\0t\0h\0e\0 \0c\0a\0t\0\r\0\n\0"s);
  file("be.txt", "\0c\0a\0f\0\xE9\0\n\0t\0h\0e\0 \0c\0a\0t"s);
  file("le-mark.txt", "\xFF\xFE" + read_file(path("le.txt")));
  file("be-mark.txt", "\xFE\xFF" + read_file(path("be.txt")));
  for (const char* arguments :
       {"latin.txt --encoding latin-1", "latin.txt --encoding cp1252", "le.txt --encoding utf-16le",
        "be.txt --encoding utf-16be", "le.txt --encoding utf-16", "le-mark.txt --encoding utf-16",
        "le-mark.txt --encoding utf-16le", "be-mark.txt --encoding utf-16",
        "--encoding latin-1 < latin.txt", "utf-8.txt --encoding utf-8-replace"}) {
    const CommandResult result = tessera(fmt::format("embed model {}", arguments));
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(result.out, expected_) << arguments;
  }
  file("quote.txt", "\x93tea\x94\n");
  EXPECT_THAT(tessera("embed model quote.txt --with-text --encoding cp1252").out,
              HasSubstr("\xE2\x80\x9Ctea\xE2\x80\x9D"));
  expect_failure(tessera("embed model quote.txt --encoding ebcdic"), 2, "--encoding: got 'ebcdic'");
}

TEST_F(EncodingTest, Utf16IsNamed) {
  using namespace std::string_literals;
  file("le.txt", "\xFF\xFEt\0\n\0"s);
  expect_failure(tessera("embed model le.txt"), 1,
                 "le.txt: begins with FF FE, the byte-order mark of UTF-16 (little-endian), "
                 "expected UTF-8 (--encoding utf-16 reads it)");
  file("be.txt", "\xFE\xFF\0t\0\n"s);
  expect_failure(tessera("embed model be.txt"), 1, "be.txt: begins with FE FF");
  file("bare.txt", "t\0e\0a\0\n\0"s);
  expect_failure(tessera("embed model bare.txt"), 1,
                 "has a NUL byte at offset 1, as UTF-16 has beside every letter, expected UTF-8 "
                 "(--encoding utf-16le reads it)");
  expect_failure(tessera("tokens model bare.txt"), 1, "bare.txt: has a NUL byte");
}

TEST_F(EncodingTest, Utf32IsNamedWhateverEncodingIsSaid) {
  using namespace std::string_literals;
  const std::string little = "t\0\0\0e\0\0\0a\0\0\0\n\0\0\0"s, big = "\0\0\0t\0\0\0e\0\0\0\n"s;
  file("le-mark.txt", "\xFF\xFE\0\0"s + little);
  file("le.txt", little);
  file("be.txt", big);
  file("be-mark.txt", "\0\0\xFE\xFF"s + big);
  for (const char* name : {"le-mark.txt", "le.txt", "be-mark.txt", "be.txt"}) {
    for (const char* encoding : {"", "--encoding utf-16", "--encoding utf-16le"}) {
      const CommandResult result = tessera(fmt::format("embed model {} {}", name, encoding));
      expect_failure(result, 1, "UTF-32");
      EXPECT_THAT(result.err, HasSubstr("iconv -f UTF-32 -t UTF-8"));
    }
  }
}

TEST_F(EncodingTest, AByteThatIsNotUtf8IsNamed) {
  file("latin.txt", "tea\nthe caf\xE9 x\n");
  const CommandResult embed = tessera("embed model latin.txt");
  EXPECT_EQ(embed.status, 1);
  EXPECT_EQ(lines_of(embed.out).size(), 1U) << "what came before is answered";
  EXPECT_THAT(embed.err, HasSubstr("latin.txt: line 2: at byte 7: got 0xE9, expected UTF-8 "
                                   "(--encoding "));
  file("in.jsonl", "{\"text\": \"caf\xE9\"}\n");
  expect_failure(tessera("embed model in.jsonl"), 1, "in.jsonl: line 1: at byte 13: got 0xE9");
  file("in.csv", "text,n\ncaf\xE9,1\n");
  expect_failure(tessera("embed model in.csv"), 1, "in.csv: line 2: at byte 3: got 0xE9");
}

TEST_F(EncodingTest, WhatAnEncodingCannotBeIsNamed) {
  using namespace std::string_literals;
  file("hole.txt", "tea\n\x81\n");
  expect_failure(tessera("embed model hole.txt --encoding cp1252"), 1,
                 "hole.txt: line 2: at byte 4 of the file: got 0x81, expected cp1252");
  file("odd.txt", "t\0e\0a\0\n"s);
  expect_failure(tessera("embed model odd.txt --encoding utf-16le"), 1,
                 "at byte 6 of the file: got 0x0A and the end, expected utf-16le");
}

}  // namespace
}  // namespace tessera::test
