// SPDX-License-Identifier: Apache-2.0
// What tokenizers 0.23.2 does under the same maps (normalizers.Precompiled).
#include "models/text/charsmap.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "models/text/unicode.hpp"
#include "runtime/base/error.hpp"
#include "tests/models/text/small_charsmap.hpp"

namespace tessera::text {
namespace {

struct Result {
  std::string text;
  std::vector<std::uint32_t> begins;
};

Result apply(const Charsmap& map, std::string_view text) {
  AlignedText aligned;
  aligned.assign(text, 0);
  map.apply(aligned);
  Result out;
  for (const AlignedChar& x : aligned.chars) {
    append_utf8(out.text, x.c);
    out.begins.push_back(x.begin);
    EXPECT_EQ(x.end, x.begin + 1);
  }
  return out;
}

using Begins = std::vector<std::uint32_t>;

// 64 characters for each of the text's and 1024; the check counts four bytes a character.
TEST(CharsmapTest, AReplacementThatGrowsItsTextTooMuchIsGivenUp) {
  const Charsmap map(small_charsmap({{'a', std::string(1088 * 4 + 4, 'x')}}), "map");
  EXPECT_EQ(apply(map, "b").text, "b");
  EXPECT_THROW(apply(map, "a"), Error);
}

TEST(CharsmapTest, ReplacesCharactersAndKeepsTheirPlaces) {
  const Charsmap map(small_charsmap({{'a', "b"}, {'\t', " "}, {'2', "two"}, {'-', ""}}), "map");
  EXPECT_EQ(apply(map, "xay").text, "xby");
  EXPECT_EQ(apply(map, "x2y").text, "xtwoy");
  EXPECT_EQ(apply(map, "x2y").begins, (Begins{0, 1, 1, 1, 2}));
  EXPECT_EQ(apply(map, "x-y").text, "xy");
  EXPECT_EQ(apply(map, "x-y").begins, (Begins{0, 2}));
  EXPECT_EQ(apply(map, "").text, "");
  EXPECT_EQ(apply(map, "xyz").begins, (Begins{0, 1, 2}));
}

// The reference forgets what it removed at the front, so that all places shift.
TEST(CharsmapTest, WhatIsRemovedAtTheFrontShiftsThePlaces) {
  const Charsmap map(small_charsmap({{'-', ""}}), "map");
  EXPECT_EQ(apply(map, "-xy").begins, (Begins{0, 1}));
}

TEST(CharsmapTest, AShortClusterIsReplacedWholeByItsShortestKey) {
  const Charsmap map(small_charsmap({{'a', "b"}, {'\r', " "}}), "map");
  EXPECT_EQ(apply(map, "a\u0301x").text, "bx");  // 3 bytes: the accent goes with the a
  EXPECT_EQ(apply(map, "a\u0301x").begins, (Begins{0, 2}));
  EXPECT_EQ(apply(map, "a\u0301\u0302x").text, "bx");                          // 5 bytes
  EXPECT_EQ(apply(map, "a\u0301\u0302\u0303x").text, "b\u0301\u0302\u0303x");  // 7 bytes
  EXPECT_EQ(apply(map, "a\u200D\u0301x").text, "b\u200D\u0301x");              // 6 bytes
  EXPECT_EQ(apply(map, "\r\nx").text, " x");                                   // one cluster
  EXPECT_EQ(apply(map, "\r\rx").text, "  x");
}

TEST(CharsmapTest, TruncatedMapsAreCorrupt) {
  const std::string whole = small_charsmap({{'a', "b"}});
  const std::size_t trie_end = 4 + 4 * 768;
  for (std::size_t n = 0; n < trie_end; n += n < 8 ? 1 : 97) {
    EXPECT_THROW(Charsmap(std::string_view(whole).substr(0, n), "map"), Error) << n;
  }
  EXPECT_NO_THROW(Charsmap(whole, "map"));
}

std::string error_of_map(const std::string& bytes) {
  try {
    const Charsmap map(bytes, "tokenizer.json: map");
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::corrupt_file);
    return e.what();
  }
  return "no error";
}

TEST(CharsmapTest, LyingMapsAreNamed) {
  EXPECT_EQ(error_of_map("abc"),
            "tokenizer.json: map has 3 bytes, expected 4 that say the size of the trie");
  EXPECT_EQ(error_of_map(std::string("\x08\0\0\0abcd", 8)),
            "tokenizer.json: map says that its trie has 8 bytes, expected a multiple of 4 from 4 "
            "to 4, the bytes that are there");
  EXPECT_NE(error_of_map(std::string(8, '\0')).find("has 0 bytes"), std::string::npos);
  EXPECT_NE(error_of_map(std::string("\x03\0\0\0abcd", 8)).find("has 3 bytes"), std::string::npos);
  std::string map = small_charsmap({{'a', "bcd"}});
  EXPECT_NE(error_of_map(map + "\xFF").find("not UTF-8"), std::string::npos);
  const std::size_t value = 4 + 4 * (512 + 'a');
  map[value] = 5;  // the replacements have 4 bytes
  EXPECT_EQ(error_of_map(map),
            "tokenizer.json: map has a replacement at byte 5, expected the beginning of a "
            "character in 4 bytes");
  map = small_charsmap({{'a', "\u00E9"}});
  map[value] = 1;
  EXPECT_NE(error_of_map(map).find("beginning of a character"), std::string::npos);
  map = small_charsmap({{'a', "b"}});
  map[4 + 4 * (256 + 'a') + 3] = '\x7F';  // an offset far outside
  EXPECT_NE(error_of_map(map).find("expected one of its 768 units"), std::string::npos);
}

TEST(CharsmapTest, MapsOfRandomBytesAreRefusedOrHarmless) {
  std::minstd_rand random(5);
  const std::string whole = small_charsmap({{'a', "b"}, {0xC3, "cd"}, {'\r', " "}});
  std::size_t accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string bytes = whole;
    for (auto n = 1 + random() % 4; n > 0; --n) bytes[random() % bytes.size()] = char(random());
    try {
      const Charsmap map(bytes, "map");
      for (const char* text : {"a\u00E9\r\nxyz", "\u00C3\u0301", "aaaa"}) {
        AlignedText aligned;
        aligned.assign(text, 0);
        map.apply(aligned);
      }
      ++accepted;
    } catch (const Error& e) {
      ASSERT_EQ(e.code(), ErrorCode::corrupt_file);
    }
  }
  EXPECT_GT(accepted, 0u);
}

}  // namespace
}  // namespace tessera::text
