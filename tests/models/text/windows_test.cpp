// SPDX-License-Identifier: Apache-2.0
// Texts that are too long, as windows that overlap.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "models/text/tokenizer.hpp"
#include "runtime/base/error.hpp"
#include "tests/support/temporary.hpp"

namespace tessera::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Ids = std::vector<std::int32_t>;

/// "a" to "j" are tokens 4 to 13, "##a" to "##j" 14 to 23.
class WindowsTest : public testing::Test {
 protected:
  WindowsTest() {
    std::string words = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n";
    for (const char* prefix : {"", "##"}) {
      for (char c = 'a'; c <= 'j'; ++c) words += prefix + std::string(1, c) + "\n";
    }
    directory.write("vocab.txt", words);
    tokenizer.emplace(Tokenizer::from_directory(directory.path()));
  }
  static EncodeOptions limit(std::size_t tokens, Side side = Side::right) {
    EncodeOptions options;
    options.max_length = tokens;
    options.truncation_side = side;
    return options;
  }

  test::TemporaryDirectory directory;
  std::optional<Tokenizer> tokenizer;
};

TEST_F(WindowsTest, EachHasTheFirstTextAndTheEndOfTheOneBefore) {
  const std::vector<Encoding> windows =
      tokenizer->encode_windows("j i", "a b c d e f g h", 2, limit(10));
  ASSERT_EQ(windows.size(), 2U);  // 10 − 3 special − 2 = 5 of the second
  EXPECT_THAT(windows[0].ids, ElementsAre(2, 13, 12, 3, 4, 5, 6, 7, 8, 3));
  EXPECT_THAT(windows[1].ids, ElementsAre(2, 13, 12, 3, 7, 8, 9, 10, 11, 3));
  EXPECT_THAT(windows[0].type_ids, ElementsAre(0, 0, 0, 0, 1, 1, 1, 1, 1, 1));
  EXPECT_THAT(windows[1].last_text, ElementsAre(4, 9));
  EXPECT_THAT(windows[1].offsets[4], ElementsAre(6, 7));
  EXPECT_FALSE(windows[0].is_cut);
}

TEST_F(WindowsTest, TheLastOneIsAsShortAsWhatIsLeft) {
  const std::vector<Encoding> windows = tokenizer->encode_windows("a b c d e f g", {}, 1, limit(6));
  ASSERT_EQ(windows.size(), 2U);  // 4 and 4 of 7
  EXPECT_THAT(windows[0].ids, ElementsAre(2, 4, 5, 6, 7, 3));
  EXPECT_THAT(windows[1].ids, ElementsAre(2, 7, 8, 9, 10, 3));
  EXPECT_THAT(tokenizer->encode_windows("a b c d e f g h", {}, 1, limit(6))[2].ids,
              ElementsAre(2, 10, 11, 3));
}

TEST_F(WindowsTest, FromTheLeftTheFirstOneIsTheEnd) {
  const std::vector<Encoding> windows =
      tokenizer->encode_windows("a b c d e f g h", {}, 1, limit(6, Side::left));
  ASSERT_EQ(windows.size(), 3U);
  EXPECT_THAT(windows[0].ids, ElementsAre(2, 8, 9, 10, 11, 3));
  EXPECT_THAT(windows[1].ids, ElementsAre(2, 5, 6, 7, 8, 3));
  EXPECT_THAT(windows[2].ids, ElementsAre(2, 4, 5, 3));
}

TEST_F(WindowsTest, WhatFitsIsOneWindowWhateverTheStride) {
  EXPECT_EQ(tokenizer->encode_windows("a", "b c", 100, limit(6)).size(), 1U);
  EXPECT_EQ(tokenizer->encode_windows("a", "b c", 100, limit(6))[0].ids,
            tokenizer->encode_pair("a", "b c").ids);
  EXPECT_EQ(tokenizer->encode_windows("a b c", {}, 0)[0].ids, tokenizer->encode("a b c").ids)
      << "without a limit";
  EXPECT_THAT(tokenizer->encode_windows("a", "", 0, limit(6))[0].last_text, ElementsAre(3, 3));
}

TEST_F(WindowsTest, WordsBeginWhereTheyDoOrTheWindowDoes) {
  const std::vector<Encoding> windows = tokenizer->encode_windows("j", "abc de", 0, limit(6));
  ASSERT_EQ(windows.size(), 3U);
  EXPECT_THAT(windows[0].ids, ElementsAre(2, 13, 3, 4, 15, 3));
  EXPECT_THAT(windows[0].opens_word, ElementsAre(0, 0, 0, 1, 0, 0));
  EXPECT_THAT(windows[1].ids, ElementsAre(2, 13, 3, 16, 7, 3)) << "c, which goes on, and d";
  EXPECT_THAT(windows[1].opens_word, ElementsAre(0, 0, 0, 1, 1, 0));
}

TEST_F(WindowsTest, TogetherTheyAreTheWholeText) {
  std::string text;
  for (int i = 0; i < 97; ++i) text += std::string(1, static_cast<char>('a' + i % 10)) + " ";
  Ids all = tokenizer->encode(text).ids;
  for (const Side side : {Side::right, Side::left}) {
    for (std::size_t room = 1; room < 100; room += 7) {
      for (std::size_t stride = 0; stride < room; stride += 3) {
        std::vector<int> seen(97, 0);
        for (const Encoding& window :
             tokenizer->encode_windows(text, {}, stride, limit(room + 2, side))) {
          ASSERT_LE(window.size(), room + 2);
          for (std::size_t t = 1; t + 1 < window.size(); ++t) {
            const std::size_t at = window.offsets[t][0] / 2;
            EXPECT_EQ(window.ids[t], all[at + 1]);
            ++seen[at];
          }
        }
        EXPECT_GE(*std::min_element(seen.begin(), seen.end()), 1) << room << " " << stride;
      }
    }
  }
}

TEST_F(WindowsTest, AStrideThatLeavesNoRoomIsRefused) {
  const auto message = [&](std::string_view first, std::size_t stride, std::size_t most) {
    try {
      tokenizer->encode_windows(first, "a b c d e f g h", stride, limit(most));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(message("j", 4, 8),
            "tokenizer: windows of 8 tokens have 4 for the second text, "
            "expected room for more than the stride, 4 tokens");
  EXPECT_THAT(message("j i h g f", 0, 8), HasSubstr("have 0 for the second text"));
  EXPECT_EQ(message("j", 3, 8), "");
}

}  // namespace
}  // namespace tessera::text
