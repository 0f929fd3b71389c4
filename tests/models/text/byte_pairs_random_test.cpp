// SPDX-License-Identifier: Apache-2.0
// BPE against its definition, word for word, on random lists of merges: what makes words cheap
// (whole words, bounds, few symbols, buckets) changes nothing.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "models/text/byte_pairs.hpp"

namespace tessera::text {
namespace {

using Tokens = std::vector<std::string>;

class RandomModel {
 public:
  RandomModel(std::uint32_t seed, BytePairsConfig config) : random_(seed) {
    for (const char c : std::string("abcdefg")) add(std::string(1, c));
    if (!config.unk_token.empty()) add(config.unk_token);
    const std::size_t count = 5 + random_() % 60;
    // Parts are short, so that some tokens are made in several ways and many pairs never are.
    while (merges_.size() < count) {
      const std::string left = known_[random_() % known_.size()];
      const std::string right = known_[random_() % known_.size()];
      if (left.size() + right.size() > 12 || left.front() == '[' || right.front() == '[') continue;
      if (random_() % 3 != 0 && left.back() > right.front()) continue;
      merges_.emplace_back(left, right);
      add(left + right);
    }
    Vocabulary vocabulary;
    for (const std::string& token : known_) {
      vocabulary.add(token, static_cast<std::int32_t>(vocabulary.size()));
    }
    vocabulary.finish();
    model_.emplace(std::move(vocabulary), merges_, std::move(config), "merges");
  }

  std::string word(std::size_t length) {
    std::string out;
    while (out.size() < length) out.push_back(static_cast<char>('a' + random_() % 7));
    return out;
  }

  Tokens tokens_of(const std::string& word) const {
    BytePairs::Scratch scratch;
    model_->tokenize(word, scratch);
    Tokens out;
    std::uint32_t end = 0;
    for (const WordToken& t : scratch.tokens) {
      EXPECT_EQ(t.begin, end);
      EXPECT_EQ(word.substr(t.begin, t.end - t.begin), model_->vocabulary().token(t.id));
      out.emplace_back(model_->vocabulary().token(t.id).value());
      end = t.end;
    }
    EXPECT_EQ(end, word.size());
    return out;
  }

  /// As a process that has tokenized much: whole words are known.
  void warm_up() const {
    BytePairs::Scratch scratch;
    const std::string word(1024, 'a');
    for (std::size_t size = 0; size <= kWholeWordsAfter; size += word.size()) {
      model_->tokenize(word, scratch);
    }
  }

  Tokens defined(const std::string& word) const {
    std::map<std::pair<std::string, std::string>, std::size_t> ranks;
    for (std::size_t i = 0; i < merges_.size(); ++i) ranks[merges_[i]] = i;
    Tokens symbols;
    for (const char c : word) symbols.emplace_back(1, c);
    for (;;) {
      std::size_t best = merges_.size();
      std::size_t place = 0;
      for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
        const auto at = ranks.find({symbols[i], symbols[i + 1]});
        if (at == ranks.end() || at->second >= best) continue;
        best = at->second;
        place = i;
      }
      if (best == merges_.size()) return symbols;
      symbols[place] += symbols[place + 1];
      symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(place) + 1);
    }
  }

 private:
  void add(const std::string& token) {
    if (std::find(known_.begin(), known_.end(), token) == known_.end()) known_.push_back(token);
  }

  std::mt19937 random_;
  Tokens known_;
  std::vector<BytePairs::Merge> merges_;
  std::optional<BytePairs> model_;
};

void compare(const BytePairsConfig& config, bool is_warm) {
  for (std::uint32_t seed = 0; seed < 60; ++seed) {
    RandomModel model(seed, config);
    if (is_warm) model.warm_up();
    for (const std::size_t length :
         {1U, 2U, 3U, 4U, 5U, 7U, 12U, 31U, 32U, 33U, 34U, 70U, 200U, 600U}) {
      for (int again = 0; again < 4; ++again) {
        const std::string word = model.word(length);
        ASSERT_EQ(model.tokens_of(word), model.defined(word)) << seed << ": " << word;
      }
    }
    const std::string same(500, static_cast<char>('a' + seed % 7));
    ASSERT_EQ(model.tokens_of(same), model.defined(same)) << seed;
  }
}

TEST(BytePairsRandomTest, BytesMergeAsDefined) {
  compare({}, false);
  compare({}, true);
}

TEST(BytePairsRandomTest, CharactersMergeAsDefined) {
  BytePairsConfig config;
  config.byte_level = false;
  config.unk_token = "[UNK]";
  compare(config, false);
  compare(config, true);
}

TEST(BytePairsRandomTest, IsTheSameForThreadsOfWhichOneFindsTheWholeWords) {
  const RandomModel model(7, {});
  const Tokens expected = model.defined("abcdefgabcdefg");
  std::vector<std::thread> threads;
  std::atomic<int> different{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (std::size_t size = 0; size < 2 * kWholeWordsAfter / 4; size += 14) {
        if (model.tokens_of("abcdefgabcdefg") != expected) ++different;
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(different, 0);
}

}  // namespace
}  // namespace tessera::text
