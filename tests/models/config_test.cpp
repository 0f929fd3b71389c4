// SPDX-License-Identifier: Apache-2.0
#include "models/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/base/error.hpp"
#include "tests/models/checkpoint_copy.hpp"

namespace tessera::models {
namespace {

using test::error_of;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

Config config(std::string_view json) {
  return Config::parse(json, "config.json");
}

TEST(ConfigTest, AbsentAndNullGiveTheFallback) {
  const Config c = config(R"({"a": null})");
  EXPECT_EQ(c.integer("a", 7), 7);
  EXPECT_EQ(c.integer("b", 8), 8);
  EXPECT_EQ(c.string("a", "x"), "x");
  EXPECT_TRUE(c.boolean("b", true));
  EXPECT_TRUE(c.is_null("a"));
  EXPECT_FALSE(c.is_null("b"));
  EXPECT_FALSE(c.has("a"));
}

TEST(ConfigTest, ReadsEveryType) {
  const Config c = config(
      R"({"i": 12, "f": 1e-5, "t": true, "s": "é", "l": ["a", "b"], "m": {"0": "x", "1": 2}})");
  EXPECT_EQ(c.integer("i", 0), 12);
  EXPECT_EQ(c.number("f", 0.0, 0.0), 1e-5);
  EXPECT_EQ(c.number("i", 0.0, 0.0), 12.0);
  EXPECT_TRUE(c.boolean("t", false));
  EXPECT_EQ(c.string("s", ""), "é");
  EXPECT_THAT(c.strings("l"), testing::ElementsAre("a", "b"));
  EXPECT_THAT(c.strings("s"), testing::ElementsAre("é"));
  EXPECT_THAT(c.string_map("m"),
              testing::ElementsAre(testing::Pair("0", "x"), testing::Pair("1", "2")));
  EXPECT_EQ(c.size_of("m"), 2U);
}

TEST(ConfigTest, TheLastOfTwoEqualKeysCounts) {
  EXPECT_EQ(config(R"({"a": 1, "a": 2})").integer("a", 0), 2);
}

TEST(ConfigTest, AWrongTypeNamesFileKeyGotAndExpected) {
  const Config c = config(R"({"a": "ten", "b": 1.5, "c": -1, "d": 1, "e": [1]})");
  EXPECT_EQ(error_of([&] { c.integer("a", 0); }),
            "corrupt_file: config.json: \"a\" is \"ten\", expected a whole number from 0 to "
            "2147483647");
  EXPECT_THAT(error_of([&] { c.integer("b", 0); }), HasSubstr("\"b\" is 1.5"));
  EXPECT_THAT(error_of([&] { c.integer("c", 0); }), HasSubstr("\"c\" is -1"));
  EXPECT_THAT(error_of([&] { c.boolean("d", false); }), HasSubstr("expected true or false"));
  EXPECT_THAT(error_of([&] { c.string("d", ""); }), HasSubstr("expected a string"));
  EXPECT_THAT(error_of([&] { c.number("a", 0, 0); }), HasSubstr("expected a number"));
  EXPECT_THAT(error_of([&] { c.number("c", 0, 0); }), HasSubstr("at least 0"));
  EXPECT_THAT(error_of([&] { c.strings("e"); }), HasSubstr("an array of strings"));
  EXPECT_THAT(error_of([&] { c.string_map("d"); }), HasSubstr("an object of strings"));
}

TEST(ConfigTest, AnAliasWinsAndIsTheNameInErrors) {
  const Config c = config(R"({"dim": 3, "hidden_size": 4})");
  const Dim dim = c.dim(c.spelled("dim", "hidden_size"), 0);
  EXPECT_EQ(dim.size, 4);
  EXPECT_EQ(dim.key, "hidden_size");
  EXPECT_EQ(c.dim(c.spelled("dim", "other"), 0).size, 3);
}

TEST(ConfigTest, ActivationsByTheNamesOfTheReference) {
  const Config c = config(R"({"a": "gelu_fast", "b": "swish", "c": "xielu"})");
  EXPECT_EQ(c.activation("a", ""), Activation::gelu_tanh);
  EXPECT_EQ(c.activation("b", ""), Activation::silu);
  EXPECT_EQ(c.activation("absent", "gelu"), Activation::gelu_erf);
  EXPECT_THAT(error_of([&] { c.activation("c", ""); }),
              AllOf(StartsWith("unsupported_model: config.json: \"c\" is \"xielu\""),
                    HasSubstr("gelu_new")));
}

TEST(ConfigTest, MalformedJsonIsCorrupt) {
  for (const char* text :
       {"", "{", "[1]", "{\"a\": }", "{\"a\": 1,}", "nonsense", "{\"a\": \"\xff\"}"}) {
    EXPECT_THAT(error_of([&] { config(text); }), StartsWith("corrupt_file: config.json: ")) << text;
  }
  const std::string deep(100000, '[');
  EXPECT_THAT(error_of([&] { config("{\"a\":" + deep); }), StartsWith("corrupt_file: "));
}

TEST(ConfigTest, AMissingFileIsNotFoundAndADirectoryIsNotRead) {
  const test::TemporaryDirectory directory;
  EXPECT_THAT(error_of([&] { Config::read(directory.path() / "config.json", "config.json"); }),
              StartsWith("not_found: config.json: no such file in "));
  EXPECT_THAT(error_of([&] { Config::read(directory.path(), "config.json"); }),
              testing::HasSubstr("cannot be read: it is a directory"));
}

TEST(ConfigTest, AListNamesItsElements) {
  const test::TemporaryDirectory directory;
  directory.write("m.json", R"([{"a": 1}, {"a": "x"}])");
  const auto list = Config::read_list(directory.path() / "m.json", "m.json");
  ASSERT_EQ(list.size(), 2U);
  EXPECT_EQ(list[0].integer("a", 0), 1);
  EXPECT_THAT(error_of([&] { list[1].integer("a", 0); }), HasSubstr("m.json[1]: \"a\""));
  directory.write("o.json", R"({"a": 1})");
  EXPECT_THAT(error_of([&] { Config::read_list(directory.path() / "o.json", "o.json"); }),
              StartsWith("corrupt_file: o.json: "));
  directory.write("n.json", R"([1])");
  EXPECT_THAT(error_of([&] { Config::read_list(directory.path() / "n.json", "n.json"); }),
              StartsWith("corrupt_file: n.json: "));
}

}  // namespace
}  // namespace tessera::models
