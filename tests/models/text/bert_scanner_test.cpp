// SPDX-License-Identifier: Apache-2.0
// The one-pass scanner gives what normaliser, pre-tokenizer and WordPiece give one after another.
#include "models/text/bert_scanner.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "models/text/unicode.hpp"

namespace tessera::text {
namespace {

WordPiece letters() {
  Vocabulary vocabulary;
  std::int32_t id = 0;
  vocabulary.add("[UNK]", id++);
  for (const char* prefix : {"", "##"}) {
    for (char c = 'a'; c <= 'z'; ++c) vocabulary.add(prefix + std::string(1, c), id++);
    for (char c = 'A'; c <= 'Z'; ++c) vocabulary.add(prefix + std::string(1, c), id++);
    for (const char* s :
         {"the", "ing", "\u00E9", "\u0301", "\u1100", "\u1161", "\u4E2D", "!", "."}) {
      vocabulary.add(prefix + std::string(s), id++);
    }
  }
  vocabulary.finish();
  return WordPiece(std::move(vocabulary), {});
}

std::string random_text(std::minstd_rand& random) {
  static constexpr char32_t kStarts[] = {
      0x20,   0x41,   0x61,   0x61,   0x61,   0x01,   0xC0,   0x300,  0x3A0,   0x600,   0x1100,
      0x2000, 0x3040, 0x3400, 0x4E00, 0x4E00, 0xAC00, 0xF900, 0xFB00, 0x1D160, 0x20000, 0x2F800};
  std::string text;
  for (auto n = random() % 20; n > 0; --n) {
    const char32_t start = kStarts[random() % std::size(kStarts)];
    for (auto k = random() % 4; k > 0; --k)
      append_utf8(text, start + static_cast<char32_t>(random() % 0x20));
    if (random() % 4 == 0) text += " the! ";
  }
  return text;
}

TEST(BertScannerTest, AgreesWithTheGeneralCodeOnRandomTexts) {
  const WordModel model{letters()};
  const PreTokenizer pre_tokenizer = PreTokenizer::bert();
  std::minstd_rand random(11);
  for (int round = 0; round < 4000; ++round) {
    BertNormalizer n;
    n.clean_text = random() % 4 != 0;
    n.handle_chinese_chars = random() % 4 != 0;
    n.lowercase = random() % 2 == 0;
    if (random() % 2 == 0) n.strip_accents = random() % 2 == 0;
    const std::string text = random_text(random);
    const std::size_t limit = random() % 2 == 0 ? kNoLimit : 1 + random() % 10;
    const auto first = static_cast<std::uint32_t>(random() % 100);

    WordScratch scratch;
    std::vector<SequenceToken> got;
    const bool got_all = BertScanner(n).scan(text, first, model, limit, scratch, got);
    AlignedText aligned;
    aligned.assign(text, first);
    Normalizer{{n}}.apply(aligned);
    std::vector<SequenceToken> expected;
    const WordRange all{0, static_cast<std::uint32_t>(aligned.chars.size())};
    const bool expected_all =
        append_text_tokens(aligned.chars, all, pre_tokenizer, model, limit, scratch, expected);

    ASSERT_EQ(got_all, expected_all) << text;
    ASSERT_EQ(got.size(), expected.size()) << text;
    for (std::size_t i = 0; i < got.size(); ++i) {
      ASSERT_EQ(got[i].id, expected[i].id) << text;
      ASSERT_EQ(got[i].begin, expected[i].begin) << text;
      ASSERT_EQ(got[i].end, expected[i].end) << text;
      ASSERT_EQ(got[i].opens_word, expected[i].opens_word) << text;
    }
  }
}

}  // namespace
}  // namespace tessera::text
