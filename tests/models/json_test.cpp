// SPDX-License-Identifier: Apache-2.0
#include "models/json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/models/checkpoint_copy.hpp"

namespace tessera::json {
namespace {

using test::error_of;
using testing::StartsWith;

Document parse(const char* text) {
  return Document::parse(text, "x.json", "an object");
}

std::int64_t integer_of(Value value) {
  std::int64_t integer = 0;
  EXPECT_TRUE(value.get(integer));
  return integer;
}

TEST(JsonTest, IntegersBeyondSixtyFourBitsAreDoubles) {
  const Document document = parse(
      R"({"max": 1000000000000000019884624838656, "list": [-99999999999999999999, 7],
          "text": "\"99999999999999999999", "long": 1.00000000000000000000000,
          "last": 9223372036854775807})");
  const Node& root = document.root();
  EXPECT_EQ(as_number(*find(root, "max")), 1e30);
  const auto list = as_array(*find(root, "list"));
  EXPECT_EQ(as_number(item(root, 0, list[0])), -1e20);
  EXPECT_EQ(integer_of(list[1]), 7);
  EXPECT_EQ(as_string(*find(root, "text")), "\"99999999999999999999");
  EXPECT_EQ(as_number(*find(root, "long")), 1.0);
  // Nothing is lost in a file whose integers all fit.
  const Document whole = parse(R"({"a": 9223372036854775807})");
  EXPECT_EQ(integer_of(find(whole.root(), "a")->value), INT64_MAX);
}

TEST(JsonTest, OtherNumbersThatAreNoneAreRefused) {
  for (const char* text : {"{\"a\": 1e400}", "{\"a\": 01}", "{\"a\": 99999999999999999999x}"}) {
    EXPECT_THAT(error_of([&] { parse(text); }), StartsWith("corrupt_file: x.json: not valid JSON"))
        << text;
  }
}

TEST(JsonTest, ComplaintsSayWhereWhatGotAndExpected) {
  const Document document = parse(R"({"a": {"b": [true, "x"]}, "n": null, "t": 1, "t": 2})");
  const Node& root = document.root();
  const Node b = require(*find(root, "a"), "b", "an array");
  EXPECT_EQ(b.where, "x.json: a.b");
  const Node second = item(b, 1, as_array(b)[1]);
  EXPECT_EQ(error_of([&] { as_bool(second); }),
            "corrupt_file: x.json: a.b[1] is a string, expected a boolean");
  EXPECT_EQ(error_of([&] { as_array(root); }),
            "corrupt_file: x.json: the file is an object, expected an array");
  EXPECT_EQ(error_of([&] { require(root, "n", "a name"); }),
            "corrupt_file: x.json: n is missing, expected a name");
  EXPECT_EQ(error_of([&] { unsupported(b, "nothing"); }),
            "unsupported_model: x.json: a.b is [true,\"x\"], which this version does not compute, "
            "expected nothing");
  EXPECT_EQ(as_id(*find(root, "t")), 2);  // the last of two
}

}  // namespace
}  // namespace tessera::json
