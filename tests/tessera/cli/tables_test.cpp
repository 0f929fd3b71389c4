// SPDX-License-Identifier: Apache-2.0
// Comma- and tab-separated values as inputs.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/tessera/cli/cli_test.hpp"

namespace tessera::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class TablesTest : public CliTest {
 protected:
  // The texts that were read, one a line.
  std::string texts(const std::string& arguments) {
    const CommandResult result = tessera("embed model --with-text " + arguments);
    EXPECT_EQ(result.status, 0) << result.err;
    std::string texts;
    for (const std::string& line : lines_of(result.out)) {
      const std::size_t begin = line.find("\"text\": ") + 8;
      texts += line.substr(begin, line.find(", \"embedding\"") - begin) + "\n";
    }
    return texts;
  }
};

TEST_F(TablesTest, ColumnsAreFoundByNameAndByNumber) {
  file("films.csv",
       "name,plot,year\r\none,\"tea, \"\"hot\"\"\",1999\r\ntwo,\"the\r\ncat\",2001\r\n");
  EXPECT_EQ(texts("films.csv --column plot"), "\"tea, \\\"hot\\\"\"\n\"the\\r\\ncat\"\n");
  EXPECT_EQ(texts("films.csv --column 2 --header"), texts("films.csv --column plot"));
  EXPECT_EQ(texts("films.csv --column 1"), "\"name\"\n\"one\"\n\"two\"\n");
  EXPECT_EQ(texts("films.csv --text-key name"), "\"one\"\n\"two\"\n");
  EXPECT_EQ(texts("--csv --column year < films.csv"), "\"1999\"\n\"2001\"\n");
  expect_failure(tessera("embed model films.csv --column story"), 1,
                 "films.csv: line 1: got no column \"story\", expected one of name, plot, year");
  file("odd.csv",
       "a,\x1B[2J,\xC3\xA9," + std::string(500, 'c') + "\n");  // shown, not done to a terminal
  expect_failure(
      tessera("embed model odd.csv --column story"), 1,
      "expected one of a, \"\\u001b[2J\", \xC3\xA9, \"" + std::string(120, 'c') + "\"...");
  expect_failure(tessera("embed model films.csv --column 4"), 1,
                 "got 3 columns, expected at least 4");
  expect_failure(tessera("embed model films.csv"), 1,
                 "got 3 columns and none that is called \"text\", expected --column NAME or N");
  file("in.txt", "tea\n");
  expect_failure(tessera("embed model in.txt --column 1"), 2, "--column: got no such input");
  expect_failure(tessera("embed model in.txt --header"), 2, "--header: got no such input");
}

TEST_F(TablesTest, TheColumnOfTextsMayNameItself) {
  file("in.csv", "id,text\n7,tea\n\n\"8\",hello\n");
  EXPECT_EQ(texts("in.csv"), "\"tea\"\n\"hello\"\n");
  EXPECT_THAT(tessera("embed model in.csv").out, StartsWith("{\"id\": \"7\", \"embedding\""));
  EXPECT_THAT(tessera("embed model in.csv --id-key text").out, StartsWith("{\"id\": \"tea\""));
  file("one.csv", "tea\n\"the cat\"\n");
  EXPECT_EQ(texts("one.csv"), "\"tea\"\n\"the cat\"\n");
}

TEST_F(TablesTest, LettersOfAnEndingCountWithoutTheirCase) {
  file("UP.CSV", "id,text\n7,tea\n");
  EXPECT_EQ(texts("UP.CSV"), "\"tea\"\n");
  file("up.JSONL", "{\"text\": \"tea\"}\n");
  EXPECT_EQ(texts("up.JSONL"), "\"tea\"\n");
}

TEST_F(TablesTest, WithoutTheFirstRowTheOthersMeanNothing) {
  file("in.csv", "id,te\"xt\n1,one\n2,two\n");
  for (const char* flags : {"--column 2", "--header --column 2", "--column id"}) {
    expect_failure(tessera(fmt::format("embed model in.csv {}", flags)), 1,
                   "in.csv: line 1: field 2: got a quote within");
  }
}

TEST_F(TablesTest, AColumnThatIsAskedForIsFoundOrRefused) {
  file("one.csv", "content\ntea\n");
  expect_failure(tessera("embed model one.csv --text-key body"), 1, "got no column \"body\"");
  std::string wide;  // found by a fuzzer: a message of 5 KB
  for (int i = 0; i < 30; ++i) wide += std::string(i == 0 ? 0 : 1, ',') + std::string(200, '\x11');
  file("wide.csv", wide + "\ntea\n");
  const CommandResult refused = tessera("embed model wide.csv --column story");
  expect_failure(refused, 1, "got no column \"story\", expected one of \"\\u0011");
  EXPECT_LT(refused.err.size(), 4096U);
  file("years.csv", "2019,2020\ntea,hello\n");
  EXPECT_EQ(texts("years.csv --header --column 2020"), "\"hello\"\n");
  EXPECT_EQ(texts("years.csv --header --column 1"), "\"tea\"\n");
}

TEST_F(TablesTest, AQuoteThatDoesNotEndSaysHowFarItWent) {
  file("in.csv", "text\n\"never closed\na\nb\n");
  const CommandResult result = tessera("embed model in.csv");
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, testing::AllOf(HasSubstr("line 2: field 1: got an opening quote and no "
                                                   "other up to line 4"),
                                         HasSubstr("--no-quotes")));
}

TEST_F(TablesTest, TokensReadsTablesByTheirNameToo) {
  file("in.csv", "text\ntea\n");
  EXPECT_EQ(tessera("tokens model --json in.csv").out,
            sh("echo '{\"text\": \"tea\"}' | \"$TESSERA\" tokens model --json").out);
}

TEST_F(TablesTest, TabsSeparateToo) {
  file("in.tsv", "n\ttext\n1\ttea, a\n2\t\"the\tcat\"\n");
  EXPECT_EQ(texts("in.tsv"), "\"tea, a\"\n\"the\\tcat\"\n");
  file("raw.tsv", "n\ttext\n1\t\"tea\" said\n");
  expect_bad_lines(tessera("embed model raw.tsv"), 0, "raw.tsv: line 2: field 2: got ' '");
  EXPECT_EQ(texts("raw.tsv --no-quotes"), "\"\\\"tea\\\" said\"\n");
}

TEST_F(TablesTest, BadRowsAreNamedAndTheOthersAreAnswered) {
  file("in.csv", "n,text\n1,tea\n2\n3,the \"cat\"\n4,\"a\nb\",5\n5,hello\n6,\"mat\n");
  const CommandResult result = tessera("embed model in.csv");
  expect_bad_lines(result, 2, "in.csv: line 3: got 1 field, expected 2 as in the first row");
  EXPECT_THAT(result.err, HasSubstr("in.csv: line 4: field 2: got a quote within"));
  EXPECT_THAT(result.err, HasSubstr("in.csv: line 5: got 3 fields, expected 2"));
  EXPECT_THAT(result.err,
              HasSubstr("in.csv: line 8: field 2: got an opening quote and no other up to line 8"));
  EXPECT_THAT(result.err, HasSubstr("4 of 6 lines gave no result"));
}

TEST_F(TablesTest, PairsAreTwoColumns) {
  write_model(
      path("reranker"),
      {.architecture = "BertForSequenceClassification", .labels = 1, .has_sentence_files = false});
  file("pairs.csv", "passage,query\n\"brew, tea\",tea\nmat,cat\n");
  file("pairs.jsonl",
       "{\"text\": \"tea\", \"pair\": \"brew, tea\"}\n{\"text\": \"cat\", \"pair\": \"mat\"}\n");
  const CommandResult table =
      tessera("classify reranker pairs.csv --column query --pair-column passage");
  EXPECT_EQ(table.status, 0) << table.err;
  EXPECT_EQ(table.out, tessera("classify reranker pairs.jsonl").out);
  file("named.csv", "pair,text\n\"brew, tea\",tea\nmat,cat\n");
  EXPECT_EQ(tessera("classify reranker named.csv").out, table.out);
}

}  // namespace
}  // namespace tessera::test
