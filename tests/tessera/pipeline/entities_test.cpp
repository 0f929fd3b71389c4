// SPDX-License-Identifier: Apache-2.0
// Entities of the groupings of the reference, by hand.
#include "tessera/pipeline/entities.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tessera/pipeline/similarity.hpp"
#include "tests/models/text/tokenizer_files.hpp"
#include "tests/support/temporary.hpp"

namespace tessera {
namespace {

const std::vector<std::string> kLabels{"O", "B-ENT", "I-ENT", "B-NAME", "I-NAME"};

struct Found {
  std::string text, label;
  double score;
};

class EntitiesTest : public testing::Test {
 protected:
  EntitiesTest() {
    directory.write("vocab.txt",
                    "[PAD]\n[UNK]\n[CLS]\n[SEP]\nmicro\n##soft\ncom\n##pany\nof\ncafe\n");
    directory.write("tokenizer_config.json", R"({"do_lower_case": true})");
    tokenizer.emplace(text::Tokenizer::from_directory(directory.path()));
  }

  /// `chosen`: the label and its probability of every token that is not special; the other labels
  /// share what is left.
  std::vector<Found> find(const std::string& text, EntityGrouping grouping,
                          const std::vector<std::pair<int, double>>& chosen) const {
    const text::Encoding encoding = tokenizer->encode(text);
    EXPECT_EQ(encoding.size(), chosen.size() + 2);
    std::vector<float> logits(encoding.size() * kLabels.size(), 0.0F);
    for (std::size_t t = 0; t < chosen.size(); ++t) {
      const auto [label, p] = chosen[t];
      const double other = (1.0 - p) / static_cast<double>(kLabels.size() - 1);
      for (std::size_t l = 0; l < kLabels.size(); ++l) {
        logits[(t + 1) * kLabels.size() + l] =
            static_cast<float>(std::log(static_cast<int>(l) == label ? p : other));
      }
    }
    const auto width = static_cast<Index>(kLabels.size());
    const EntityWindow window{encoding,
                              {.data = logits.data(),
                               .rows = static_cast<Index>(encoding.size()),
                               .cols = width,
                               .stride = width}};
    std::vector<Found> out;
    for (const Entity& e : EntityFinder(*tokenizer, kLabels, grouping)(text, {&window, 1})) {
      out.push_back({text.substr(e.begin, e.end - e.begin), e.label, e.score});
    }
    return out;
  }

  test::TemporaryDirectory directory;
  std::optional<text::Tokenizer> tokenizer;
};

void expect(const std::vector<Found>& got, const std::vector<Found>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].text, expected[i].text);
    EXPECT_EQ(got[i].label, expected[i].label);
    EXPECT_NEAR(got[i].score, expected[i].score, 1e-6);
  }
}

// micro|soft| com|pany| of: B-ENT I-NAME I-ENT I-ENT O, as in the reference's own example
const std::vector<std::pair<int, double>> kExample{
    {1, 0.9}, {4, 0.95}, {2, 0.7}, {2, 0.6}, {0, 0.99}};

TEST_F(EntitiesTest, NoneIsEveryTokenThatHasALabel) {
  expect(find("microsoft company of", EntityGrouping::none, kExample), {{"micro", "B-ENT", 0.9},
                                                                        {"soft", "I-NAME", 0.95},
                                                                        {"com", "I-ENT", 0.7},
                                                                        {"pany", "I-ENT", 0.6}});
}

TEST_F(EntitiesTest, SimpleGroupsNeighboursOfOneTag) {
  expect(find("microsoft company of", EntityGrouping::simple, kExample),
         {{"micro", "ENT", 0.9}, {"soft", "NAME", 0.95}, {"company", "ENT", 0.65}});
}

TEST_F(EntitiesTest, FirstGivesAWordTheLabelOfItsFirstToken) {
  expect(find("microsoft company of", EntityGrouping::first, kExample),
         {{"microsoft company", "ENT", (0.9 + 0.7) / 2}});
}

TEST_F(EntitiesTest, MaxGivesAWordTheLabelThatIsSurest) {
  expect(find("microsoft company of", EntityGrouping::max, kExample),
         {{"microsoft", "NAME", 0.95}, {"company", "ENT", 0.7}});
}

TEST_F(EntitiesTest, AverageGivesAWordTheMeanOfItsTokens) {
  // soft: 0.95 NAME and 0.0125 B-ENT; micro: 0.025 NAME
  expect(find("microsoft company of", EntityGrouping::average, kExample),
         {{"microsoft", "NAME", (0.95 + 0.025) / 2}, {"company", "ENT", 0.65}});
}

TEST_F(EntitiesTest, ABeginningTagBeginsAnew) {
  expect(find("com com of", EntityGrouping::simple, {{1, 0.9}, {1, 0.8}, {2, 0.7}}),
         {{"com", "ENT", 0.9}, {"com of", "ENT", 0.75}});
}

TEST_F(EntitiesTest, AnUnknownTokenBeginsAWord) {
  expect(find("com xyz", EntityGrouping::first, {{1, 0.9}, {4, 0.8}}),
         {{"com", "ENT", 0.9}, {"xyz", "NAME", 0.8}});
}

TEST_F(EntitiesTest, OfATextWithoutTokensThereAreNone) {
  for (const auto grouping : {EntityGrouping::none, EntityGrouping::first, EntityGrouping::max}) {
    EXPECT_TRUE(find(" ", grouping, {}).empty());
  }
}

TEST_F(EntitiesTest, OfWindowsThatOverlapTheLongestStays) {
  const auto windows = tokenizer->encode_windows("com of com", {}, 2, {.max_length = 5});
  ASSERT_EQ(windows.size(), 1U);  // of 3 tokens: all fit
  // Two windows by hand: "com of" and "of com".
  const text::Encoding a = tokenizer->encode("com of");
  text::Encoding b = tokenizer->encode("of com");
  for (auto& offsets : b.offsets) {
    if (offsets[1] != 0) offsets = {offsets[0] + 4, offsets[1] + 4};
  }
  const auto width = static_cast<Index>(kLabels.size());
  const auto logits_of = [&](int first, int second) {
    std::vector<float> logits(4 * kLabels.size(), 0.0F);
    logits[kLabels.size() + static_cast<std::size_t>(first)] = 9.0F;
    logits[2 * kLabels.size() + static_cast<std::size_t>(second)] = 9.0F;
    return logits;
  };
  const std::vector<float> first = logits_of(1, 2), second = logits_of(3, 0);
  const auto view = [&](const std::vector<float>& logits) {
    return TensorView<const float>{
        .data = logits.data(), .rows = 4, .cols = width, .stride = width};
  };
  const EntityWindow both[] = {{a, view(first)}, {b, view(second)}};
  const std::vector<Entity> found =
      EntityFinder(*tokenizer, kLabels, EntityGrouping::simple)("com of com", both);
  ASSERT_EQ(found.size(), 1U) << "\"com of\" of the first hides \"of\" of the second";
  EXPECT_EQ(found[0].label, "ENT");
  EXPECT_EQ(found[0].end, 6U);
  // Of equally long ones the one of the higher score: "of" of the second window.
  std::vector<float> weaker = logits_of(0, 1);
  for (float& logit : weaker) logit *= 0.5F;
  const EntityWindow equal[] = {{a, view(weaker)}, {b, view(second)}};
  const std::vector<Entity> of =
      EntityFinder(*tokenizer, kLabels, EntityGrouping::simple)("com of com", equal);
  ASSERT_EQ(of.size(), 1U);
  EXPECT_EQ(of[0].begin, 4U);
  EXPECT_EQ(of[0].end, 6U);
  EXPECT_NEAR(of[0].score, softmax(view(second).row(1))[3], 1e-12);
}

TEST(EntityWordsTest, WithoutMarksASpaceBeginsAWord) {
  // A byte-level vocabulary: letters, and the merges that make "ab".
  text::JsonSections sections;
  sections.model =
      R"({"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "\u0120": 3, "\u0120ab": 4},
                       "merges": ["a b", "\u0120 ab"]})";
  sections.normalizer = "null";
  sections.pre_tokenizer = R"({"type": "ByteLevel", "add_prefix_space": false})";
  sections.post_processor = "null";
  sections.added_tokens = "[]";
  const text::Tokenizer tokenizer = text::tokenizer_of(sections);
  EXPECT_FALSE(tokenizer.info().marks_continuations);
  const text::Encoding encoding = tokenizer.encode("abb ab");
  ASSERT_EQ(encoding.size(), 3U);  // ab b Ġab
  const std::vector<std::string> labels{"O", "X", "Y"};
  const std::vector<float> logits{0, 9, 0, 0, 0, 9, 0, 9, 0};
  const EntityWindow window{encoding, {.data = logits.data(), .rows = 3, .cols = 3, .stride = 3}};
  const auto found = EntityFinder(tokenizer, labels, EntityGrouping::first)("abb ab", {&window, 1});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].label, "X");
  EXPECT_EQ(found[0].begin, 0U);
  EXPECT_EQ(found[0].end, 6U);
}

}  // namespace
}  // namespace tessera
