// SPDX-License-Identifier: Apache-2.0
// Answers against their definition: every span, sorted.
#include "tessera/pipeline/answer_spans.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

#include "models/text/python_text.hpp"

namespace tessera {
namespace {

constexpr std::int32_t kCls = 2;

/// One character a token, and a blank between words of `lengths`; [CLS] q [SEP] context [SEP].
struct Window {
  text::Encoding encoding;
  std::vector<float> start, end;

  Window(std::uint32_t first, const std::vector<std::uint8_t>& opens, std::mt19937& random) {
    const auto count = static_cast<std::uint32_t>(opens.size());
    encoding.ids.assign(count + 4, 5);
    encoding.ids[0] = kCls;
    encoding.offsets.assign(count + 4, {0, 0});
    encoding.opens_word.assign(count + 4, 0);
    encoding.last_text = {3, 3 + count};
    for (std::uint32_t i = 0; i < count; ++i) {
      encoding.offsets[3 + i] = {first + i, first + i + 1};
      encoding.opens_word[3 + i] = opens[i];
    }
    std::normal_distribution<float> normal(0, 2);
    for (std::uint32_t i = 0; i < count + 4; ++i) {
      start.push_back(normal(random));
      end.push_back(normal(random));
    }
  }
  AnswerWindow view() const {
    const auto rows = static_cast<Index>(start.size());
    return {encoding,
            {.data = start.data(), .rows = rows, .cols = 1, .stride = 1},
            {.data = end.data(), .rows = rows, .cols = 1, .stride = 1}};
  }
};

std::vector<double> softmax_of(const std::vector<float>& logits, const Window& window) {
  std::vector<double> p(logits.size(), 0.0);
  double sum = 0.0;
  for (std::size_t t = 0; t < p.size(); ++t) {
    const bool counts =
        t == 0 || (t >= window.encoding.last_text[0] && t < window.encoding.last_text[1]);
    if (counts) sum += p[t] = std::exp(static_cast<double>(logits[t]));
  }
  for (double& each : p) each /= sum;
  return p;
}

std::vector<Answer> defined(const std::string& context, const std::vector<Window>& windows,
                            const AnswerOptions& options) {
  std::vector<Answer> all;
  double none = 2.0;
  for (const Window& window : windows) {
    const std::vector<double> p = softmax_of(window.start, window),
                              q = softmax_of(window.end, window);
    none = std::min(none, p[0] * q[0]);
    struct Pair {
      std::size_t i, j;
    };
    std::vector<Pair> pairs;
    const auto [begin, end] = window.encoding.last_text;
    for (std::size_t i = begin; i < end; ++i) {
      for (std::size_t j = i; j < end && j - i + 1 <= options.max_tokens; ++j)
        pairs.push_back({i, j});
    }
    std::stable_sort(pairs.begin(), pairs.end(), [&](const Pair& a, const Pair& b) {
      return p[a.i] * q[a.j] > p[b.i] * q[b.j];
    });
    if (pairs.size() > 2 * options.count + 10) pairs.resize(2 * options.count + 10);
    for (auto [i, j] : pairs) {
      const double score = p[i] * q[j];
      while (window.encoding.opens_word[i] == 0) --i;
      while (j + 1 < end && window.encoding.opens_word[j + 1] == 0) ++j;
      const std::uint32_t from = window.encoding.offsets[i][0], to = window.encoding.offsets[j][1];
      const std::string text = context.substr(from, to - from);
      const auto same = std::find_if(all.begin(), all.end(), [&](const Answer& a) {
        return text::lower_case(a.text) == text::lower_case(text);
      });
      if (same == all.end()) {
        all.push_back({from, to, text, score});
      } else {
        same->score += score;
      }
    }
  }
  if (options.may_be_none) all.push_back({0, 0, "", none});
  std::stable_sort(all.begin(), all.end(),
                   [](const Answer& a, const Answer& b) { return a.score > b.score; });
  if (all.size() > options.count) all.resize(options.count);
  return all;
}

std::vector<Answer> found(const std::string& context, const std::vector<Window>& windows,
                          const AnswerOptions& options) {
  std::vector<AnswerWindow> views;
  for (const Window& window : windows) views.push_back(window.view());
  return find_answers(context, views, kCls, options);
}

TEST(AnswerSpansTest, AreTheBestOfAllSpans) {
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    const auto length = static_cast<std::uint32_t>(1 + random() % 40);
    std::string context;
    std::vector<std::uint8_t> opens;
    for (std::uint32_t i = 0; i < length; ++i) {
      context.push_back("aAb"[random() % 3]);  // so that answers meet each other
      opens.push_back(i == 0 || random() % 2 == 0 ? 1 : 0);
    }
    std::vector<Window> windows;
    const std::uint32_t half = length / 2;
    windows.emplace_back(0, opens, random);
    if (round % 3 != 0 && half > 0) {
      std::vector<std::uint8_t> rest(opens.begin() + half, opens.end());
      rest[0] = 1;
      windows.emplace_back(half, rest, random);
    }
    const AnswerOptions options{.count = 1 + random() % 30,
                                .max_tokens = 1 + random() % 20,
                                .may_be_none = random() % 2 == 0};
    const std::vector<Answer> expected = defined(context, windows, options),
                              got = found(context, windows, options);
    ASSERT_EQ(got.size(), expected.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      EXPECT_NEAR(got[i].score, expected[i].score, 1e-12);
      EXPECT_EQ(got[i].text, expected[i].text);
      EXPECT_EQ(got[i].begin, expected[i].begin);
      EXPECT_EQ(got[i].end, expected[i].end);
    }
  }
}

TEST(AnswerSpansTest, AContextWithoutTokensHasNone) {
  std::mt19937 random(1);
  const std::vector<Window> windows{Window(0, {}, random)};
  const std::vector<Answer> empty = found(" ", windows, {});
  ASSERT_EQ(empty.size(), 1U) << "as the reference says it: an empty one";
  EXPECT_EQ(empty[0].text, "");
  EXPECT_EQ(empty[0].score, 0.0);
  const std::vector<Answer> none = found(" ", windows, {.may_be_none = true});
  ASSERT_EQ(none.size(), 1U);
  EXPECT_EQ(none[0].text, "");
  EXPECT_DOUBLE_EQ(none[0].score, 1.0);
}

TEST(AnswerSpansTest, WithoutAClassTokenNothingSpeaksForNone) {
  std::mt19937 random(1);
  Window window(0, {1, 1}, random);
  window.encoding.ids[0] = 7;
  const std::vector<Answer> answers = found("ab", {window}, {.count = 9, .may_be_none = true});
  ASSERT_EQ(answers.size(), 4U);
  EXPECT_EQ(answers.back().text, "");
  EXPECT_EQ(answers.back().score, 0.0);
  double sum = 0.0;  // of the three spans a, b, ab; b … a is none
  for (const Answer& answer : answers) sum += answer.score;
  EXPECT_LT(sum, 1.0);
  EXPECT_GT(sum, 0.0);
}

TEST(AnswerSpansTest, ExtremeLogitsAreNoNumbersToFear) {
  std::mt19937 random(1);
  Window window(0, {1, 1, 1}, random);
  window.start[3] = window.end[3] = 1e30F;
  window.start[4] = -1e30F;
  const std::vector<Answer> answers = found("abc", {window}, {.count = 3});
  ASSERT_EQ(answers.size(), 1U) << "the others have the probability 0";
  EXPECT_EQ(answers[0].text, "a");
  EXPECT_EQ(answers[0].score, 1.0);
}

}  // namespace
}  // namespace tessera
