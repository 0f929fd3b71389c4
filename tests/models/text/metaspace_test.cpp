// SPDX-License-Identifier: Apache-2.0
// pre_tokenizers/metaspace.rs: basic, multiple_spaces, non_legacy_meta_space.
#include "models/text/metaspace.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "models/text/pre_tokenizer.hpp"
#include "models/text/unicode.hpp"

namespace tessera::text {
namespace {

struct Word {
  std::string text;
  std::uint32_t begin;  // in the original
  std::uint32_t end;
  bool operator==(const Word&) const = default;
};
void PrintTo(const Word& w, std::ostream* out) {
  *out << '"' << w.text << "\" " << w.begin << '-' << w.end;
}
using Words = std::vector<Word>;

Words split(const std::vector<SplitRule>& rules, std::string_view text, std::uint32_t first = 0) {
  PreTokenizer pre_tokenizer;
  pre_tokenizer.rules = rules;
  AlignedText aligned;
  aligned.assign(text, first);
  std::vector<AlignedChar> out;
  std::vector<WordRange> ranges = {{0, static_cast<std::uint32_t>(aligned.chars.size())}};
  EXPECT_TRUE(pre_tokenizer.rewrites());
  pre_tokenizer.rewrite(aligned.chars, ranges, out);
  Words words;
  for (const WordRange& r : ranges) {
    Word w{"", out[r.begin].begin, out[r.end - 1].end};
    for (std::uint32_t i = r.begin; i < r.end; ++i) append_utf8(w.text, out[i].c);
    words.push_back(w);
  }
  return words;
}

SplitRule metaspace(PrependScheme prepend, bool splits = true, char32_t replacement = 0x2581) {
  return {SplitAt::metaspace, SplitBehavior::merged_with_next, {replacement, prepend, splits}};
}
const SplitRule kWhitespaceSplit = {SplitAt::whitespace, SplitBehavior::removed};

TEST(MetaspaceTest, EverySpaceOpensAWord) {
  const auto always = metaspace(PrependScheme::always);
  EXPECT_EQ(split({always}, "Hey friend!"), (Words{{"▁Hey", 0, 3}, {"▁friend!", 3, 11}}));
  EXPECT_EQ(split({always}, "Hey   friend!"),
            (Words{{"▁Hey", 0, 3}, {"▁", 3, 4}, {"▁", 4, 5}, {"▁friend!", 5, 13}}));
  EXPECT_EQ(split({always}, " a▁b\tc "), (Words{{"▁a", 0, 2}, {"▁b\tc", 2, 6}, {"▁", 6, 7}}));
}

TEST(MetaspaceTest, TheSchemeSaysWhereOneIsPrepended) {
  EXPECT_EQ(split({metaspace(PrependScheme::always)}, "a", 5), (Words{{"▁a", 5, 6}}));
  EXPECT_EQ(split({metaspace(PrependScheme::first)}, "a b"), (Words{{"▁a", 0, 1}, {"▁b", 1, 3}}));
  EXPECT_EQ(split({metaspace(PrependScheme::first)}, "a b", 5), (Words{{"a", 5, 6}, {"▁b", 6, 8}}));
  EXPECT_EQ(split({metaspace(PrependScheme::never)}, "a b"), (Words{{"a", 0, 1}, {"▁b", 1, 3}}));
}

TEST(MetaspaceTest, BehindAWhitespaceSplitEveryWordTakesOne) {
  EXPECT_EQ(split({kWhitespaceSplit, metaspace(PrependScheme::always)}, " a \tb"),
            (Words{{"▁a", 1, 2}, {"▁b", 4, 5}}));
  EXPECT_EQ(split({kWhitespaceSplit, metaspace(PrependScheme::first)}, "a b"),
            (Words{{"▁a", 0, 1}, {"b", 2, 3}}));
  EXPECT_EQ(split({kWhitespaceSplit, metaspace(PrependScheme::first)}, " a b"),
            (Words{{"a", 1, 2}, {"b", 3, 4}}));
}

TEST(MetaspaceTest, WithoutSplittingTheTextIsOneWord) {
  EXPECT_EQ(split({metaspace(PrependScheme::always, false)}, "a b  c"), (Words{{"▁a▁b▁▁c", 0, 6}}));
}

TEST(MetaspaceTest, OtherCharactersAndOtherRulesBehindIt) {
  EXPECT_EQ(split({metaspace(PrependScheme::always, true, U'_')}, "a b"),
            (Words{{"_a", 0, 1}, {"_b", 1, 3}}));
  const SplitRule punctuation = {SplitAt::punctuation, SplitBehavior::isolated};
  EXPECT_EQ(split({metaspace(PrependScheme::always), punctuation}, "a, b"),
            (Words{{"▁a", 0, 1}, {",", 1, 2}, {"▁b", 2, 4}}));
  const auto twice =
      split({metaspace(PrependScheme::always), metaspace(PrependScheme::always)}, "a b");
  EXPECT_EQ(twice, (Words{{"▁a", 0, 1}, {"▁b", 1, 3}}));
}

}  // namespace
}  // namespace tessera::text
