// SPDX-License-Identifier: Apache-2.0
// tessera profile --against: where accuracy goes, and flags that say nothing then.
#include <gmock/gmock.h>
#include <simdjson.h>

#include "tests/tessera/cli/cli_test.hpp"

namespace tessera::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class ProfileAgainstTest : public CliTest {
 protected:
  CommandResult profile(const std::string& arguments) {
    return sh(
        "XDG_CACHE_HOME=\"$PWD\" \"$TESSERA\" profile model --rows 9 --no-measure --threads 1 " +
        arguments);
  }
};

TEST_F(ProfileAgainstTest, EveryStateAndOutputIsCompared) {
  const CommandResult result = profile("--precision bf16 --against fp32 --sequences 2");
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.err, "");
  EXPECT_THAT(result.out,
              HasSubstr("model (BertModel): 9 rows in 2 sequences, 1 thread\nbf16 at "));
  for (const char* value :
       {"\nembeddings.out (hidden_states.0)", "\nlayer.0.attention_norm", "\nlayer.0.out (",
        "\nlayer.1.out (last_hidden_state, hidden_states.2)", "(embedding)"}) {
    EXPECT_THAT(result.out, HasSubstr(value));
  }
  EXPECT_THAT(result.out, HasSubstr("\nfirst that differs: layer.0.attention_norm\n"));
  EXPECT_THAT(result.out, HasSubstr("\nlinear             8 bf16                   8 fp32\n"));
  EXPECT_THAT(result.out, Not(HasSubstr("meter")));
}

TEST_F(ProfileAgainstTest, JsonHasTheSameNumbersWhicheverSideIsWhich) {
  simdjson::dom::parser parsers[2];
  simdjson::dom::element sides[2];
  const char* const flags[2] = {"--precision bf16 --against fp32", "--against bf16"};
  for (int i = 0; i < 2; ++i) {
    const CommandResult result = profile(std::string(flags[i]) + " --json");
    ASSERT_EQ(result.status, 0) << result.err;
    sides[i] = parsers[i].parse(simdjson::padded_string(result.out));
  }
  EXPECT_EQ(std::string_view(sides[0]["precision"]), "bf16");
  EXPECT_EQ(std::string_view(sides[0]["against"]), "fp32");
  EXPECT_EQ(std::string_view(sides[1]["precision"]), "fp32");
  EXPECT_EQ(std::string_view(sides[1]["against"]), "bf16");
  const simdjson::dom::array values[2] = {sides[0]["values"], sides[1]["values"]};
  ASSERT_EQ(values[0].size(), values[1].size());
  ASSERT_GE(values[0].size(), 6U);
  for (std::size_t v = 0; v < values[0].size(); ++v) {
    const simdjson::dom::element one = values[0].at(v), other = values[1].at(v);
    EXPECT_EQ(std::string_view(one["value"]), std::string_view(other["value"]));
    for (const char* same : {"worst_one_minus_cos", "max_difference"}) {
      EXPECT_EQ(double(one[same]), double(other[same]));
      EXPECT_EQ(double(one[same]) == 0, v == 0);  // embeddings are not multiplied
    }
    // bf16 has eight bits: a state of two layers is not off by more than a few per cent.
    EXPECT_LT(double(one["max_difference_relative"]), 0.05);
  }
  std::size_t products = 0;
  for (const simdjson::dom::element op : simdjson::dom::array(sides[0]["ops"])) {
    if (std::string_view(op["kind"]) != "linear") continue;
    ++products;
    EXPECT_EQ(std::string_view(op["precision"]), "bf16");
    EXPECT_EQ(std::string_view(op["against"]), "fp32");
  }
  EXPECT_EQ(products, 8U);
}

TEST_F(ProfileAgainstTest, OtherOutputsAreComputedWhereTheyAreAskedFor) {
  const std::string flags = "--precision bf16 --against fp32 ";
  EXPECT_THAT(profile(flags).out, Not(HasSubstr("pooler_output")));
  const CommandResult both = profile(flags + "--output-name pooler_output,embedding -o both.txt");
  ASSERT_EQ(both.status, 0) << both.err;
  EXPECT_EQ(both.out, "");
  EXPECT_THAT(read_file(path("both.txt")), HasSubstr("(pooler_output)"));
  EXPECT_THAT(read_file(path("both.txt")), HasSubstr("(embedding)"));
  expect_failure(profile(flags + "--output-name nothing"), 1,
                 "no output \"nothing\", expected one of");
  expect_failure(profile(flags + "--output-name embedding,embedding"), 2,
                 "--output-name: got embedding twice");
  expect_failure(profile("--output-name embedding"), 2,
                 "--output-name: got it without --against, expected --against too");
}

TEST_F(ProfileAgainstTest, TwoSidesThatAreOneAreRefused) {
  expect_failure(profile("--precision bf16 --against bf16"), 2,
                 "--against: got bf16, expected another than --precision bf16");
  expect_failure(profile("--against fp32"), 2,
                 "--against: got fp32, expected another than --precision fp32, the default");
  expect_failure(profile("--precision fp32 --against auto"), 1,
                 "against: got fp32 and auto, which are both fp32 here, expected two precisions");
  expect_failure(profile("--precision bf16 --against fp8"), 2,
                 "--against: got 'fp8', expected one of fp32, bf16");
}

TEST_F(ProfileAgainstTest, FlagsThatSayNothingAreRefused) {
  for (const char* flags : {"--meter time", "--meter none", "--runs 3", "--plan plan.json",
                            "--batch-tokens 64", "--top-k 3"}) {
    const std::string flag(flags, std::string(flags).find(' '));
    expect_failure(profile(std::string("--against bf16 ") + flags), 2,
                   flag + ": got --against bf16, expected none: ");
  }
  expect_failure(profile("--against bf16 -o nowhere/a.txt"), 1, "nowhere/a.txt");
  expect_failure(profile("--against bf16 -o model/config.json"), 2, "is the input");
}

}  // namespace
}  // namespace tessera::test
