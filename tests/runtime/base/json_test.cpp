// SPDX-License-Identifier: Apache-2.0
// JSON: what is refused and how it is named, what values are, depth, memory.
#include "runtime/base/json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "runtime/base/files.hpp"
#include "runtime/base/json_text.hpp"

namespace tessera::json {
namespace {

using testing::HasSubstr;

Fault fault_of(std::string text) {
  return Tree::parse(std::move(text)).fault();
}

template <class T>
T value_of(const char* text) {
  const Tree tree = Tree::parse(text);
  T value{};
  EXPECT_TRUE(tree.root().get(value)) << text;
  return value;
}

template <class T>
bool is_a(const char* text) {
  const Tree tree = Tree::parse(text);
  T value{};
  return tree.root().get(value);
}

TEST(JsonTextTest, WhatIsNoJsonIsRefused) {
  for (const char* text : {"[1,]",
                           "{\"a\":1,}",
                           "[1 2]",
                           "{'a':1}",
                           "[01]",
                           "[+1]",
                           "[.5]",
                           "[1.]",
                           "[1e]",
                           "[-]",
                           "[NaN]",
                           "[Infinity]",
                           "[nul]",
                           "[True]",
                           "[0x10]",
                           "// c\n1",
                           "[1]/**/",
                           "1 2",
                           "[1]]",
                           "{\"a\" 1}",
                           "{1:2}",
                           "{\"a\":1 \"b\":2}",
                           "[",
                           "{",
                           "\"a",
                           "[1e400]",
                           "\xEF\xBB\xBF[1]"}) {
    EXPECT_EQ(fault_of(text), Fault::syntax) << text;
  }
  EXPECT_EQ(fault_of(""), Fault::empty);
  EXPECT_EQ(fault_of(" \n"), Fault::empty);
}

TEST(JsonTextTest, ZeroBytesAreNoEnd) {
  EXPECT_EQ(fault_of(std::string("[1]\0[2]", 7)), Fault::syntax);
  EXPECT_EQ(fault_of(std::string("[1]\0", 4)), Fault::syntax);
  EXPECT_EQ(fault_of(std::string("[\"a\0b\"]", 7)), Fault::syntax);
  EXPECT_EQ(fault_of(std::string("\0", 1)), Fault::syntax);
}

TEST(JsonTextTest, StringsThatCannotBeUnescapedAreTold) {
  for (const char* text : {"[\"\t\"]", R"(["\x41"])", R"(["\u12"])", R"(["\uD800"])",
                           R"(["\uDC00"])", R"(["\uD800\u0041"])"}) {
    EXPECT_EQ(fault_of(text), Fault::string) << text;
  }
  const Tree tree = Tree::parse(R"(["\ud83d\ude00\n\u0041", "a\u0000b"])");
  std::string_view first, second;
  ASSERT_TRUE(tree.root().array()[0].get(first) && tree.root().array()[1].get(second));
  EXPECT_EQ(first, "\xF0\x9F\x98\x80\nA");
  EXPECT_EQ(second, std::string_view("a\0b", 3));
}

TEST(JsonTextTest, BytesThatAreNoUtf8AreTold) {
  for (const char* text : {"[\"\xFF\"]", "[\"\xC0\xAF\"]", "[\"\xED\xA0\x80\"]",
                           "[\"\xF4\x90\x80\x80\"]", "[\"\xE2\x82\"]", "\xFE"}) {
    EXPECT_EQ(fault_of(text), Fault::not_utf8) << text;
  }
  EXPECT_THAT(Tree::parse("[\"abc\xFF\"]").message(), HasSubstr("byte 5"));
}

TEST(JsonTextTest, NumbersHaveTheTypeThatHoldsThem) {
  EXPECT_EQ(value_of<std::int64_t>("-9223372036854775808"),
            std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(value_of<std::uint64_t>("18446744073709551615"),
            std::numeric_limits<std::uint64_t>::max());
  EXPECT_FALSE(is_a<std::int64_t>("9223372036854775808"));
  EXPECT_FALSE(is_a<std::uint64_t>("-1"));
  EXPECT_FALSE(is_a<std::int64_t>("1.0"));
  EXPECT_FALSE(is_a<std::int64_t>("1e3"));
  EXPECT_EQ(value_of<double>("7"), 7.0);
  EXPECT_EQ(value_of<double>("1000000000000000019884624838656"), 1000000000000000019884624838656.0);
  EXPECT_EQ(value_of<double>("0.1"), 0.1);
  EXPECT_EQ(value_of<double>("2.2250738585072011e-308"), 2.2250738585072011e-308);
  EXPECT_EQ(value_of<double>("1.7976931348623157e308"), std::numeric_limits<double>::max());
  EXPECT_FALSE(is_a<double>("\"1\""));
  EXPECT_FALSE(is_a<bool>("1"));
  EXPECT_TRUE(value_of<bool>("true"));
}

// Zeros of many forms (RapidJSON's own conversion gives "0e-30" any value), and the ends of the range.
TEST(JsonTextTest, NumbersAreTheNearestDoubles) {
  for (const char* zero : {"0e-30", "0.0e-25", "0E-308", "0.00000000000000000000000000000000000",
                           "0e30", "0e-2147483648", "1e-400", "0.1e-99999999999"}) {
    EXPECT_EQ(value_of<double>(zero), 0.0) << zero;
  }
  EXPECT_EQ(value_of<double>("-0e-40"), 0.0);
  EXPECT_EQ(value_of<double>(("0." + std::string(1000, '0') + "1e-2147483639").c_str()), 0.0);
  EXPECT_EQ(value_of<double>(("0." + std::string(400, '0') + "1e401").c_str()), 1.0);
  EXPECT_EQ(value_of<double>("4.9e-324"), std::numeric_limits<double>::denorm_min());
  EXPECT_EQ(value_of<double>("2.2250738585072011e-308"), 2.2250738585072011e-308);
  EXPECT_EQ(value_of<double>("9007199254740993.0"), 9007199254740992.0);  // a tie, to even
  EXPECT_EQ(value_of<double>("1.7976931348623157e308"), std::numeric_limits<double>::max());
  for (const char* large : {"1.7976931348623159e308", "17976931348623159e292", "1e309", "-1e309"}) {
    EXPECT_EQ(fault_of(large), Fault::syntax) << large;
    EXPECT_THAT(Tree::parse(large).message(), HasSubstr("Number too big")) << large;
  }
  EXPECT_EQ(value_of<std::int64_t>("-9223372036854775808"),
            std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(value_of<double>("-9223372036854775809"), -0x1p63);
}

TEST(JsonTextTest, TheLastOfEqualKeysCountsAndAllAreSeen) {
  const Tree tree = Tree::parse(R"({"a":1,"b":null,"a":2})");
  Object object;
  ASSERT_TRUE(tree.root().get(object));
  std::int64_t a = 0;
  EXPECT_TRUE(object.get("a", a));
  EXPECT_EQ(a, 2);
  EXPECT_TRUE(object.find("b")->is_null());
  EXPECT_FALSE(object.find("c"));
  std::vector<std::string> keys;
  for (const Member member : object) keys.emplace_back(member.key);
  EXPECT_THAT(keys, testing::ElementsAre("a", "b", "a"));
}

TEST(JsonTextTest, ValuesLiveAsLongAsACopyOfTheTree) {
  Value value;
  Tree copy;
  {
    const Tree tree = Tree::parse(R"(["some text that is longer than any short string", [1,2,3]])");
    copy = tree;
    value = tree.root();
  }
  EXPECT_EQ(minify(value), R"(["some text that is longer than any short string",[1,2,3]])");
  EXPECT_EQ(value.array().size(), 2U);
  EXPECT_EQ(value.array()[1].array().size(), 3U);
  EXPECT_EQ(value.object().size(), 0U);
}

TEST(JsonTextTest, DepthIsBounded) {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_TRUE(Tree::parse(nested(kMostNested)));
  const Tree tree = Tree::parse(nested(kMostNested + 1));
  EXPECT_EQ(tree.fault(), Fault::syntax);
  EXPECT_THAT(tree.message(), HasSubstr("deep"));
  EXPECT_EQ(fault_of(nested(10'000'000)), Fault::syntax);
  std::string objects;
  for (std::size_t i = 0; i <= kMostNested; ++i) objects += "{\"a\":";
  EXPECT_THAT(Tree::parse(objects).message(), HasSubstr("deep"));
}

// github.com/nst/JSONTestSuite: y_ must be taken, n_ refused. TESSERA_JSON_TEST_SUITE=.../test_parsing
TEST(JsonTextTest, JsonTestSuite) {
  const char* const folder = std::getenv("TESSERA_JSON_TEST_SUITE");
  if (folder == nullptr) GTEST_SKIP() << "TESSERA_JSON_TEST_SUITE names no folder";
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const Fault fault = fault_of(read_file(entry.path()));
    if (name.starts_with("y_") || name.starts_with("n_")) {
      EXPECT_EQ(fault == Fault::none, name.front() == 'y') << name;
    }
    ++files;
  }
  EXPECT_GT(files, 300);
}

TEST(JsonTextTest, WhatIsQuotedIsShortHoweverMuchOfItIsEscaped) {
  EXPECT_EQ(detail::in_quotes(std::string(120, 'x')), '"' + std::string(120, 'x') + '"');
  EXPECT_EQ(detail::in_quotes(std::string(121, 'x')), '"' + std::string(120, 'x') + "\"...");
  for (const char c : {'\x11', '"', '\x7F', '\xC3'}) {
    EXPECT_LE(detail::in_quotes(std::string(1000, c)).size(), 125U);
  }
  EXPECT_EQ(detail::in_quotes(std::string(3, '\x11')), R"("\u0011\u0011\u0011")");
  std::string umlauts = "x";  // no byte of a sequence without the others
  for (int i = 0; i < 100; ++i) umlauts += "\xC3\xA4";
  EXPECT_EQ(detail::in_quotes(umlauts), '"' + umlauts.substr(0, 119) + "\"...");
}

TEST(JsonTextTest, TheMessageSaysWhere) {
  EXPECT_THAT(Tree::parse("[1, x]").message(), HasSubstr("byte 4"));
  EXPECT_EQ(Tree::parse("[]").message(), "");
  EXPECT_TRUE(Tree().root().is_null());
}

}  // namespace
}  // namespace tessera::json
