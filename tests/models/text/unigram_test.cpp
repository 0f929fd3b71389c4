// SPDX-License-Identifier: Apache-2.0
#include "models/text/unigram.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "runtime/base/error.hpp"

namespace tessera::text {
namespace {

struct Piece {
  std::int32_t id;
  std::string text;
  bool operator==(const Piece&) const = default;
};
void PrintTo(const Piece& p, std::ostream* out) {
  *out << p.id << " \"" << p.text << '"';
}

std::vector<Piece> split(const Unigram& model, const std::string& word) {
  Unigram::Scratch scratch;
  model.tokenize(word, scratch);
  std::vector<Piece> out;
  for (const WordToken& t : scratch.tokens) {
    out.push_back({t.id, word.substr(t.begin, t.end - t.begin)});
  }
  return out;
}

// The example of the reference's documentation (models/unigram/model.rs).
TEST(UnigramTest, SplitsAsTheReferencesExample) {
  const Unigram model({{"<unk>", 0},
                       {"a", 0},
                       {"b", 0},
                       {"c", 0},
                       {"d", 0},
                       {"cd", 1},
                       {"ab", 2},
                       {"abc", 5},
                       {"abcd", 10}},
                      0, false);
  EXPECT_EQ(split(model, "abcdacdxx"),
            (std::vector<Piece>{{8, "abcd"}, {1, "a"}, {5, "cd"}, {0, "xx"}}));
}

TEST(UnigramTest, OfEqualSumsTheFirstFoundCounts) {
  const Unigram model({{"<unk>", 0}, {"a", -1}, {"b", -1}, {"ab", -2}, {"ba", -2}, {"aba", -3}}, 0,
                      false);
  // From the left, and shorter pieces first: "ab" is offered before a + b, "aba" before all others.
  EXPECT_EQ(split(model, "ab"), (std::vector<Piece>{{3, "ab"}}));
  EXPECT_EQ(split(model, "aba"), (std::vector<Piece>{{5, "aba"}}));
  EXPECT_EQ(split(model, "abab"), (std::vector<Piece>{{3, "ab"}, {3, "ab"}}));
}

TEST(UnigramTest, TheUnknownCostsTenMoreThanTheWorstPiece) {
  const auto split_at = [](double score) {
    return split(Unigram({{"<unk>", 0}, {"a", -1}, {"xa", score}}, 0, false), "xa");
  };
  // x is unknown and costs min − 10; x + a then costs min − 11, less than xa alone would.
  EXPECT_EQ(split_at(-11), (std::vector<Piece>{{2, "xa"}}));
  const Unigram other({{"<unk>", 0}, {"a", 9.5}, {"xa", 0}}, 0, false);
  EXPECT_EQ(split(other, "xa"), (std::vector<Piece>{{2, "xa"}}));  // −10 + 9.5 < 0
  const Unigram worse({{"<unk>", 0}, {"a", 10.5}, {"xa", 0}}, 0, false);
  EXPECT_EQ(split(worse, "xa"), (std::vector<Piece>{{0, "x"}, {1, "a"}}));
}

TEST(UnigramTest, ARunOfUnknownsIsOneToken) {
  const Unigram model({{"<unk>", 0}, {"a", -1}}, 0, false);
  EXPECT_EQ(split(model, "xyazé"), (std::vector<Piece>{{0, "xy"}, {1, "a"}, {0, "zé"}}));
  // "<unk>" written out is the unknown piece itself, and joins its neighbours.
  EXPECT_EQ(split(model, "a<unk>"), (std::vector<Piece>{{1, "a"}, {0, "<unk>"}}));
  EXPECT_EQ(split(model, "x<unk>y"), (std::vector<Piece>{{0, "x<unk>y"}}));
}

std::vector<ScoredPiece> with_bytes(int first, int last) {
  std::vector<ScoredPiece> pieces = {{"<unk>", 0}, {"a", -1}};
  for (int b = first; b <= last; ++b) {
    const char* hex = "0123456789ABCDEF";
    pieces.push_back({std::string("<0x") + hex[b / 16] + hex[b % 16] + ">", -2});
  }
  return pieces;
}

TEST(UnigramTest, UnknownsAreBytesWhereEveryByteHasAPiece) {
  const Unigram model(with_bytes(0, 255), 0, true);
  EXPECT_EQ(split(model, "aéb"),
            (std::vector<Piece>{{1, "a"}, {2 + 0xC3, "éb"}, {2 + 0xA9, "éb"}, {2 + 'b', "éb"}}));
  const Unigram some(with_bytes(0, 0xA0), 0, true);  // without those of é
  EXPECT_EQ(split(some, "aéb"), (std::vector<Piece>{{1, "a"}, {0, "éb"}}));
  EXPECT_EQ(split(some, "bab"), (std::vector<Piece>{{2 + 'b', "b"}, {1, "a"}, {2 + 'b', "b"}}));
  const Unigram off(with_bytes(0, 255), 0, false);
  EXPECT_EQ(split(off, "aéb"), (std::vector<Piece>{{1, "a"}, {0, "éb"}}));
}

TEST(UnigramTest, OfEqualPiecesTheLastCounts) {
  const Unigram model({{"<unk>", 0}, {"ab", -1}, {"a", -1}, {"b", -1}, {"ab", -5}, {"", 3}}, 0,
                      false);
  EXPECT_EQ(split(model, "ab"), (std::vector<Piece>{{2, "a"}, {3, "b"}}));
  EXPECT_EQ(model.vocabulary().id("ab"), 4);
}

TEST(UnigramTest, WithoutUnkIdOnlyPiecesCanBeSplit) {
  const Unigram model({{"ab", -1}, {"b", -1}, {"c", -1}}, std::nullopt, false);
  EXPECT_EQ(split(model, "cbb"), (std::vector<Piece>{{2, "c"}, {1, "b"}, {1, "b"}}));
  for (const char* word : {"x", "cx", "ab"}) {  // of "ab" the reference needs an a alone, too
    try {
      split(model, word);
      ADD_FAILURE() << word;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::invalid_argument);
      for (const char* part : {"tokenizer", "none of the 3 pieces", "expected", "unk_id"}) {
        EXPECT_NE(std::string_view(e.what()).find(part), std::string_view::npos) << e.what();
      }
    }
  }
}

// The best sum over all splits, by trying them all.
double best_sum(const std::map<std::string, double>& scores, const std::string& word, double unk) {
  if (word.empty()) return 0;
  double best = -1e300;
  for (std::size_t n = 1; n <= word.size(); ++n) {
    const auto at = scores.find(word.substr(0, n));
    const bool is_piece = at != scores.end();
    if (!is_piece && n > 1) continue;
    best = std::max(best, (is_piece ? at->second : unk) + best_sum(scores, word.substr(n), unk));
  }
  return best;
}

TEST(UnigramTest, NoOtherSplitHasALargerSum) {
  std::minstd_rand random(3);
  const auto random_text = [&](unsigned longest) {
    std::string s(1 + random() % longest, 'a');
    for (char& c : s) c = static_cast<char>('a' + random() % 3);
    return s;
  };
  for (int round = 0; round < 200; ++round) {
    std::map<std::string, double> scores;
    for (int i = 0; i < 8; ++i) scores[random_text(4)] = -0.125 * double(random() % 64);
    std::vector<ScoredPiece> pieces = {{"<unk>", 0}};
    double unk = 0;
    for (const auto& [piece, score] : scores) {
      pieces.push_back({piece, score});
      unk = std::min(unk, score);
    }
    unk -= 10;
    const std::string word = random_text(9);
    double sum = 0;
    std::string whole;
    for (const Piece& p : split(Unigram(pieces, 0, false), word)) {
      const double characters = double(p.text.size());
      sum += p.id == 0 ? unk * characters : scores.at(p.text);
      whole += p.text;
    }
    EXPECT_EQ(whole, word);
    EXPECT_EQ(sum, best_sum(scores, word, unk)) << word;
  }
}

// A megabyte in one word: every position looks as far as the longest piece, not further.
TEST(UnigramTest, AWordOfAMegabyteTakesLinearTime) {
  const Unigram model({{"<unk>", 0}, {"a", -1}, {"aaaa", -2}}, 0, false);
  const std::string word(std::size_t{1} << 20, 'a');
  Unigram::Scratch scratch;
  model.tokenize(word, scratch);
  EXPECT_EQ(scratch.tokens.size(), word.size() / 4);
  model.tokenize(std::string(std::size_t{1} << 20, 'x'), scratch);
  EXPECT_EQ(scratch.tokens.size(), 1u);
}

}  // namespace
}  // namespace tessera::text
