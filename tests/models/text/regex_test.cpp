// SPDX-License-Identifier: Apache-2.0
// Matches as the published tokenizers 0.23.2 (Oniguruma) finds them, and patterns that are refused or
// that do not come to an end.
#include "models/text/regex.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "runtime/base/error.hpp"

namespace tessera::text {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Strings = std::vector<std::string>;

Strings matches_of(const Regex& regex, std::string_view text) {
  RegexSearch search(regex);
  search.start(text);
  Strings out;
  while (const auto m = search.next()) {
    if (m->begin < m->end) out.emplace_back(text.substr(m->begin, m->end - m->begin));
  }
  return out;
}

struct Case {
  std::string_view pattern;
  std::string_view text;
  Strings matches;  // that are not empty
};

// Made by the reference, each as a Split with the behaviour "Removed", inverted.
const Case kCases[] = {
    // clang-format off
    {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", "I'll pay  $12.50\n\n now\u00A0 ok ", {"I", "'ll", " pay", " ", " $", "12", ".", "50", "\n\n", " now", "\u00A0", " ok", " "}},
    {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+", "I'LL pay 1234567!!\r\n  we'\u017F  it ", {"I", "'LL", " pay", " ", "123", "456", "7", "!!\r\n", " ", " we", "'\u017F", " ", " it", " "}},
    {"'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}++|\\p{N}{1,3}+| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*+|\\s++$|\\s*[\\r\\n]|\\s+(?!\\S)|\\s", "you'Re 12345 a\n b  ", {"you", "'Re", " ", "12345", " a", "\n", " b", "  "}},
    {"[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+", "HelloWorld's URLs//\n \u4E2D\u6587 e\u0301", {"Hello", "World's", " URLs", "//\n", " \u4E2D\u6587", " e\u0301"}},
    {" ?[^(\\s|[.,!?\u2026\u3002\uFF0C\u3001\u0964\u06D4\u060C])]+", "ab (c|d), e\u3002f", {"ab", "c", "d", " e", "f"}},
    {"[\\p{L}\\p{M}&&[^\\p{Han}]]+", "ab\u4E2D\u6587e\u0301x", {"ab", "e\u0301x"}},
    {"\\d{1,3}(?=(?:\\d{3})*\\b)", "1234567 12a", {"1", "234", "567"}},
    {"\\p{N}{1,3}+", "12345 6", {"12345", "6"}},
    {"a{2}?", "aaaaa", {"aa", "aa"}},
    {"a{2,3}?", "aaaaa", {"aa", "aa"}},
    {"a{,2}b", "aaab b", {"aab", "b"}},
    {"a**b", "aab", {"aab"}},
    {"a{1,2}{2}", "aaaaa", {"aaaa"}},
    {"a++a|b", "aab", {"b"}},
    {"a?+b", "ab", {"ab"}},
    {"^a", "a\nab\na", {"a", "a", "a"}},
    {"a$", "a\nba", {"a", "a"}},
    {"\\s\\Z", "a \n", {" ", "\n"}},
    {"\\s\\z", "a \n", {"\n"}},
    {"a.b", "a\nb axb", {"axb"}},
    {"(?m)a.b", "a\nb axb", {"a\nb", "axb"}},
    {"(?m:a.)b.", "a\nb\n", {}},
    {"a(?i)b|c", "aB aC c b", {"aB", "aC"}},
    {"(?i:k)", "kK\u212A", {"k", "K", "\u212A"}},
    {"(?i)[a-c]+", "aBCd", {"aBC"}},
    {"(?i)\\p{Lu}+", "abAB", {"AB"}},
    {"(?-i)a", "aA", {"a"}},
    {"(?x) a  b # c\n |d", "ab d", {"ab", "d"}},
    {"\\h+", "af g9\t", {"af", "9"}},
    {"\\H+", "af g9", {" g"}},
    {"\\v", "\013\n", {"\013"}},
    {"\\R", "\r\n\n\u2028x", {"\r\n", "\n", "\u2028"}},
    {"\\N+", "ab\ncd", {"ab", "cd"}},
    {"\\O+", "ab\ncd", {"ab\ncd"}},
    {"\\s+", "a\u180Eb\u00A0\u2028\xC2\x85" "c\u200Bd", {"\u00A0\u2028\xC2\x85"}},
    {"\\w+", "a\u00BD_e\u0301\u203F\u24B6-b", {"a\u00BD_e\u0301\u203F\u24B6", "b"}},
    {"[\\w]+", "a\u00BD_e\u0301", {"a", "_e\u0301"}},
    {"\\W+", "a-\u00BD b", {"-", " "}},
    {"\\bfoo\\b", "foo \u00E9foo foo_ (foo)", {"foo", "foo"}},
    {"\\B", "ab c", {}},
    {"[^\\S\\r\\n]+", "a \t\n \r", {" \t", " "}},
    {"[\\S\\n]+", "ab \n c", {"ab", "\n", "c"}},
    {"[^\\W_]+", "a_b c", {"a", "b", "c"}},
    {"[^\\P{L}a]+", "abc1", {"bc"}},
    {"[[:punct:]]+", "a$!_ b", {"$!_"}},
    {"\\p{Punct}+", "a$!_ b", {"!_"}},
    {"[[:^alpha:]]+", "a1 b", {"1 "}},
    {"[[:upper:]]", "aA\u2160", {"A", "\u2160"}},
    {"[[:alnum:]]+", "a1-\u0661", {"a1", "\u0661"}},
    {"[[:xdigit:]]+", "fFgG9", {"fF", "9"}},
    {"[]a]+", "a]b", {"a]"}},
    {"[^a-]", "-ba", {"b"}},
    {"[--a]", "-./Z", {"-", ".", "/", "Z"}},
    {"[a\\]b]+", "a]bc", {"a]b"}},
    {"[a[^b]]+", "abc", {"a", "c"}},
    {"[a-c&&[^b]]+", "abc", {"a", "c"}},
    {"[[a-c]&&[b-d]]", "abcd", {"b", "c"}},
    {"[\\x{e9}\\u00e8]", "\u00E9\u00E8e", {"\u00E9", "\u00E8"}},
    {"\\x41\\x{42}\\u0043\\104", "ABCD", {"ABCD"}},
    {"\\t\\n\\r\\f\\a\\e", "\t\n\r\014\007\033", {"\t\n\r\014\007\033"}},
    {"\\_\\-\\\u00E9", "_-\u00E9", {"_-\u00E9"}},
    {"\\pL", "pLa", {"pL"}},
    {"\\Q", "Qa", {"Q"}},
    {"a{", "a{", {"a{"}},
    {"a{x}", "a{x}", {"a{x}"}},
    {"}", "}", {"}"}},
    {"(a)\\1", "aab", {"aa"}},
    {"(?<n>a)b\\k<n>", "abab a", {"aba"}},
    {"(?<=a|bc)d", "ad bcd cd", {"d", "d"}},
    {"(?<!a)d", "ad d", {"d"}},
    {"(?>a+)b", "aab", {"aab"}},
    {"(?#c)a", "ba", {"a"}},
    {"(?:a|b)+c", "abac", {"abac"}},
    {"(?=\\d)", "ab12", {}},
    {"", "ab", {}},
    {"x*", "axxb", {"xx"}},
    {"a|", "ba", {"a"}},
    {"\\p{^L}+", "a1b", {"1"}},
    {"\\P{L}+", "a1b", {"1"}},
    {"\\p{Lowercase_Letter}+", "aA", {"a"}},
    {"\\p{lowercase letter}", "aA", {"a"}},
    {"\\p{Greek}+", "a\u03B1\u03B2", {"\u03B1\u03B2"}},
    {"\\p{hiragana}+", "\u3042\u30A2", {"\u3042"}},
    {"\\p{Cn}", "\u0378a", {"\u0378"}},
    {"\\p{C}", "a\001\u200B\U0002EBF0", {"\001", "\u200B"}},
    {"\\p{Alphabetic}+", "a\u0345\u2160\u0363-", {"a\u0345\u2160\u0363"}},
    {"\\p{L}+", "\U0002EBF0\U00010D4A1", {"\U0002EBF0\U00010D4A"}},
    {"\\p{N}+", "\U00010D40\U0001D2C0a", {"\U00010D40\U0001D2C0"}},
    {"\\p{Han}+", "\U00031350\U0002B739a", {"\U00031350\U0002B739"}},
    {"\\p{S}", "\U0001F6DCa", {"\U0001F6DC"}},
    // clang-format on
};

TEST(RegexTest, MatchesAsTheReferenceDoes) {
  for (const Case& c : kCases) {
    EXPECT_EQ(matches_of(Regex(c.pattern, "test"), c.text), c.matches) << c.pattern;
  }
}

TEST(RegexTest, AnEmptyMatchCountsWhereNoMatchEnds) {
  const Regex regex("x*", "test");
  RegexSearch search(regex);
  std::vector<std::pair<std::size_t, std::size_t>> found;
  search.start("axx\u00E9");
  while (const auto m = search.next()) found.emplace_back(m->begin, m->end);
  EXPECT_THAT(found, ElementsAre(std::pair(0U, 0U), std::pair(1U, 3U), std::pair(5U, 5U)));
  search.start("");
  ASSERT_TRUE(search.next().has_value());
  EXPECT_FALSE(search.next().has_value());
}

TEST(RegexTest, ALiteralIsNoPattern) {
  EXPECT_EQ(matches_of(Regex::literal("a.\u00E9[", "test"), "axa.\u00E9["), (Strings{"a.\u00E9["}));
}

std::string in_quotes(std::string_view text) {
  std::string out(1, '"');
  out.append(text);
  return out.append(1, '"');
}

Error error_of_pattern(std::string_view pattern) {
  try {
    const Regex regex(pattern, "tokenizer.json: here");
  } catch (const Error& e) {
    return e;
  }
  ADD_FAILURE() << "expected an error of " << pattern;
  return Error(ErrorCode::internal, "");
}

TEST(RegexTest, WhatIsNoPatternIsCorrupt) {
  for (const std::string_view pattern :
       {"(",       ")",     "a)",      "[a",    "[]",     "*a",    "+",        "{2}",
        "a|*",     "\\",    "[a-\\d]", "[z-a]", "(?s)a",  "(?i",   "(?P<n>a)", "[[:foo:]]",
        "\\x{zz}", "\\p{L", "(?<n",    "(?#",   "(a)\\2", "\\k<m>"}) {
    const Error e = error_of_pattern(pattern);
    EXPECT_TRUE(e.code() == ErrorCode::corrupt_file || pattern == "(?P<n>a)") << pattern;
    EXPECT_THAT(e.what(), HasSubstr("tokenizer.json: here is")) << pattern;
    EXPECT_THAT(e.what(), HasSubstr(in_quotes(pattern))) << pattern;
    EXPECT_THAT(e.what(), HasSubstr("expected")) << pattern;
  }
}

TEST(RegexTest, WhatPcre2CannotExpressIsRefusedByName) {
  for (const std::string_view pattern :
       {"\\X", "\\K", "\\G", "(?~a)", "(?<=a+)b", "\\p{Nothing}", "\\xE9", "\\cA", "(?i:ss)",
        "(?i)\u00DF", "(?i)[\\p{Lu}]", "(?(1)a)", "(*FAIL)", "\\g<1>"}) {
    const Error e = error_of_pattern(pattern);
    EXPECT_EQ(e.code(), ErrorCode::unsupported_model) << pattern << ": " << e.what();
    EXPECT_THAT(e.what(), HasSubstr(in_quotes(pattern))) << pattern;
  }
}

// Patterns of a file that nobody wrote by hand: small ones that become large, long ones without end.
TEST(RegexTest, WhatIsMadeOfAPatternIsLimited) {
  const auto refusal = [](const std::string& pattern) {
    const Error e = error_of_pattern(pattern);
    EXPECT_EQ(e.code(), ErrorCode::unsupported_model) << pattern.substr(0, 20);
    return std::string(e.what());
  };
  std::string repeats = "a", words, open;
  for (int i = 0; i < 200'000; ++i) repeats += '*';
  for (int i = 0; i < 20'000; ++i) words += "\\b";
  for (int i = 0; i < 100'000; ++i) open += "[[:";
  EXPECT_THAT(refusal(repeats), HasSubstr("one quantifier upon another too often"));
  EXPECT_THAT(refusal(words), HasSubstr("more than 1 MiB"));
  EXPECT_THAT(error_of_pattern(open).what(), HasSubstr("expected"));
  // What PCRE2 finds too large is no fault of the file.
  std::string alternatives = "\\ba\\b";
  for (int i = 0; i < 40; ++i) alternatives += "|\\ba\\b";
  EXPECT_THAT(refusal(alternatives), HasSubstr("too large"));
}

TEST(RegexTest, NestingIsLimited) {
  EXPECT_EQ(error_of_pattern(std::string(100000, '(')).code(), ErrorCode::corrupt_file);
  EXPECT_EQ(error_of_pattern(std::string(100000, '[')).code(), ErrorCode::unsupported_model);
  EXPECT_EQ(error_of_pattern(std::string(2000, '(') + std::string(2000, ')')).code(),
            ErrorCode::corrupt_file);
}

Error error_of_search(const Regex& regex, const std::string& text) {
  try {
    matches_of(regex, text);
  } catch (const Error& e) {
    return e;
  }
  ADD_FAILURE() << "expected an error";
  return Error(ErrorCode::internal, "");
}

TEST(RegexTest, EndlessBacktrackingIsAnErrorThatShowsThePattern) {
  const std::string pattern = "(?:a|a|aa)+$";
  const Error e = error_of_search(Regex(pattern, "test"), std::string(60, 'a') + "b");
  EXPECT_EQ(e.code(), ErrorCode::invalid_argument);
  EXPECT_THAT(e.what(), HasSubstr(in_quotes(pattern) + " was given up at byte 0 of a text of 61"));
  EXPECT_THAT(e.what(), HasSubstr("expected"));
}

TEST(RegexTest, ASearchThatLooksAtTheRestOfTheTextFromEveryPlaceRunsOutOfTime) {
  RegexLimits limits;
  limits.time = limits.time_per_mib = std::chrono::milliseconds{20};
  const Regex misses("a[a-c]*x|b[a-c]*y", "test", limits);
  std::string text(400000, 'a');
  for (std::size_t i = 0; i < text.size(); i += 2) text[i] = 'b';
  EXPECT_EQ(error_of_search(misses, text).code(), ErrorCode::invalid_argument);
  const Regex hits("[ab](?=[a-c]*+$)", "test", limits);
  EXPECT_EQ(error_of_search(hits, text).code(), ErrorCode::invalid_argument);
}

// Found by tests/fuzz: each place stays below the steps that one may take, all places together took
// minutes.
TEST(RegexTest, PlacesThatEachTakeLongRunOutOfTimeTogether) {
  RegexLimits limits;
  limits.time = std::chrono::milliseconds(100);
  const std::string pattern = "(?:a|a){18}b";  // 2^18 ways at every place
  const Error of_one =
      error_of_search(Regex(pattern, "test", limits), std::string(1000, 'a') + "cb");
  EXPECT_THAT(of_one.what(), HasSubstr("after 100 ms"));
  RegexSearch search(Regex(pattern, "test", limits));
  const std::string word = std::string(40, 'a') + "cb";
  EXPECT_THROW(
      {
        for (int i = 0; i < 1000; ++i) {
          search.start(word);
          search.next();
        }
      },
      Error);
}

TEST(RegexTest, AMatchMayBeAsLongAsTheText) {
  const std::string text(1 << 20, 'a');
  EXPECT_EQ(matches_of(Regex("(?:a|bc)+", "test"), text), Strings{text});
  EXPECT_EQ(matches_of(Regex("(?:[a-c][a-c])+", "test"), text), Strings{text});
}

// Quadratic, these would take hours.
TEST(RegexTest, LongTextsTakeLinearTime) {
  const Regex words(R"('s| ?\p{L}+| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)", "test");
  std::string text;
  while (text.size() < (std::size_t{4} << 20)) text += "          x.\n";
  EXPECT_EQ(matches_of(words, text).size(), 3 * (text.size() / 13));
  EXPECT_EQ(matches_of(words, std::string(std::size_t{4} << 20, ' ')).size(), 1U);
  EXPECT_EQ(matches_of(words, std::string(std::size_t{4} << 20, '7')).size(), 0U);
}

}  // namespace
}  // namespace tessera::text
