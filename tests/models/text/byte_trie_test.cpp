// SPDX-License-Identifier: Apache-2.0
#include "models/text/byte_trie.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace tessera::text {
namespace {

using Matches = std::vector<std::pair<std::size_t, std::int32_t>>;

Matches matches(const ByteTrie& trie, std::string_view text) {
  Matches out;
  trie.for_each_prefix(text,
                       [&](std::size_t n, std::int32_t value) { out.emplace_back(n, value); });
  return out;
}

ByteTrie trie_of(const std::map<std::string, std::int32_t>& values) {
  std::vector<ByteTrie::Key> keys;
  for (const auto& [bytes, value] : values) keys.push_back({bytes, value});
  return ByteTrie(keys);
}

TEST(ByteTrieTest, FindsEveryKeyThatATextBeginsWithShortestFirst) {
  const ByteTrie trie = trie_of({{"a", 3}, {"ab", 0}, {"abcd", 7}, {"b", 5}});
  EXPECT_EQ(matches(trie, "abcde"), (Matches{{1, 3}, {2, 0}, {4, 7}}));
  EXPECT_EQ(matches(trie, "abc"), (Matches{{1, 3}, {2, 0}}));
  EXPECT_EQ(matches(trie, "b"), (Matches{{1, 5}}));
  EXPECT_EQ(matches(trie, "ca"), Matches{});
  EXPECT_EQ(matches(trie, ""), Matches{});
}

TEST(ByteTrieTest, WithoutKeysNothingIsFound) {
  EXPECT_EQ(matches(ByteTrie(), "a"), Matches{});
  EXPECT_EQ(matches(trie_of({}), "a"), Matches{});
  EXPECT_EQ(matches(trie_of({}), std::string(1, '\0')), Matches{});
}

TEST(ByteTrieTest, ZeroBytesAndHighBytesAreBytesLikeOthers) {
  const std::string zero(1, '\0');
  const ByteTrie trie = trie_of({{zero, 1}, {zero + zero, 2}, {"\xFF\xFE", 3}, {"\xFF", 4}});
  EXPECT_EQ(matches(trie, zero + zero + zero), (Matches{{1, 1}, {2, 2}}));
  EXPECT_EQ(matches(trie, "\xFF\xFE"), (Matches{{1, 4}, {2, 3}}));
  EXPECT_EQ(matches(trie, "a" + zero), Matches{});
}

// Against a map, with few letters (deep and narrow) and with all bytes (wide).
TEST(ByteTrieTest, AgreesWithAMapOnRandomKeys) {
  std::minstd_rand random(11);
  for (const unsigned letters : {2U, 5U, 256U}) {
    const auto random_text = [&](unsigned longest) {
      std::string s(1 + random() % longest, 'x');
      for (char& c : s) c = static_cast<char>(random() % letters);
      return s;
    };
    std::map<std::string, std::int32_t> values;
    for (std::int32_t i = 0; i < 20000; ++i) values[random_text(9)] = i;
    const ByteTrie trie = trie_of(values);
    for (int round = 0; round < 20000; ++round) {
      const std::string text = random_text(14);
      Matches expected;
      for (std::size_t n = 1; n <= text.size(); ++n) {
        const auto at = values.find(text.substr(0, n));
        if (at != values.end()) expected.emplace_back(n, at->second);
      }
      ASSERT_EQ(matches(trie, text), expected);
    }
    EXPECT_LT(trie.memory_bytes(), 200000 * 8U * 2);
  }
}

}  // namespace
}  // namespace tessera::text
