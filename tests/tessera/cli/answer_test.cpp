// SPDX-License-Identifier: Apache-2.0
// answer, and what classify says of entities and of labels that are asked for.
#include <gmock/gmock.h>

#include <regex>

#include "tests/tessera/cli/cli_test.hpp"

namespace tessera::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::MatchesRegex;

class AnswerTest : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    write_model(path("qa"),
                {.architecture = "BertForQuestionAnswering", .has_sentence_files = false});
    write_model(path("ner"), {.architecture = "BertForTokenClassification",
                              .labels = 3,
                              .has_sentence_files = false,
                              .label_names = {"O", "B-PER", "I-PER"}});
    write_model(path("nli"), {.architecture = "BertForSequenceClassification",
                              .labels = 3,
                              .has_sentence_files = false,
                              .label_names = {"contradiction", "neutral", "entailment"}});
  }
};

TEST_F(AnswerTest, JsonLinesTablesAndPairsSayTheSame) {
  file("q.jsonl", R"({"id": 7, "question": "hello", "context": "brew the tea, world."})"
                  "\n");
  file("q.csv", "id,context,question\n7,\"brew the tea, world.\",hello\n");
  file("q.txt", "hello\tbrew the tea, world.\n");
  const CommandResult json = tessera("answer qa q.jsonl --top-k 2 --format jsonl");
  ASSERT_EQ(json.status, 0) << json.err;
  EXPECT_THAT(json.out,
              MatchesRegex(R"(\{"id": 7, "answers": \[\{"answer": ".+", "begin": [0-9]+, )"
                           R"("end": [0-9]+, "score": .+\}, \{.+\}\]\}.)"));
  const std::string table = std::regex_replace(json.out, std::regex("\"id\": 7"), "\"id\": \"7\"");
  EXPECT_EQ(
      tessera("answer qa q.csv --column question --pair-column context --top-k 2 --format jsonl")
          .out,
      table);
  EXPECT_EQ(tessera("answer qa q.csv --top-k 2 --format jsonl").out, table) << "by their names";
  const std::string plain = tessera("answer qa q.txt --pairs --top-k 2 --format jsonl").out;
  EXPECT_EQ(plain, std::regex_replace(json.out, std::regex("\"id\": 7, "), ""));
  EXPECT_EQ(sh("echo 'brew the tea, world.' | \"$TESSERA\" answer qa --question hello --top-k 2 "
               "--format jsonl")
                .out,
            plain);
}

TEST_F(AnswerTest, TheTextIsThePlaceInTheContext) {
  const CommandResult result =
      sh("printf 'brew caf\\303\\251 tea\\n' | \"$TESSERA\" answer qa --question tea --top-k 30");
  ASSERT_EQ(result.status, 0) << result.err;
  const std::vector<std::string> lines = lines_of(result.out);
  ASSERT_EQ(lines.size(), 7U) << "the six spans of three words, and an empty line";
  const std::string context = "brew caf\u00E9 tea";
  double before = 1.0;
  for (std::size_t i = 0; i < 6; ++i) {
    std::smatch at;
    ASSERT_TRUE(std::regex_match(lines[i], at, std::regex("(\\S+)\t(\\d+)\t(\\d+)\t(.+)")))
        << lines[i];
    EXPECT_LE(std::stod(at[1]), before);
    before = std::stod(at[1]);
    const auto byte = [](int c) { return static_cast<std::size_t>(c > 8 ? c + 1 : c); };
    const std::size_t begin = byte(std::stoi(at[2])), end = byte(std::stoi(at[3]));
    EXPECT_EQ(at[4], context.substr(begin, end - begin));
  }
}

TEST_F(AnswerTest, ALongContextIsReadInWindows) {
  std::string context;
  for (int i = 0; i < 60; ++i) context += "a tea the cat ";
  file("c.txt", context + "\n");
  const CommandResult result = tessera(
      "answer qa c.txt --question hello --max-length 12 --stride 4 --null-answer --top-k 5");
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(lines_of(result.out).size(), 6U);
  EXPECT_EQ(result.err.find("cut"), std::string::npos) << result.err;
}

TEST_F(AnswerTest, SaysWhatItCannotAnswer) {
  file("none.jsonl", R"({"question": "hello"})"
                     "\n"
                     R"({"question": "", "context": "tea"})"
                     "\n"
                     R"({"question": "tea", "context": ""})"
                     "\n"
                     R"({"question": "hello", "context": "tea"})"
                     "\n");
  const CommandResult bad = tessera("answer qa none.jsonl");
  EXPECT_EQ(bad.status, 1);
  EXPECT_EQ(lines_of(bad.out).size(), 1U);
  EXPECT_THAT(bad.err, AllOf(HasSubstr("line 1: got no context, expected one beside the question"),
                             HasSubstr("line 2: got an empty question, expected a text"),
                             HasSubstr("line 3: got an empty context, expected a text"),
                             HasSubstr("3 of 4 lines gave no result")));
  file("c.txt", "tea tea tea tea tea tea tea\n");
  expect_bad_lines(tessera("answer qa c.txt --question hello --max-length 8 --stride 4"), 0,
                   "line 1: tokenizer: windows of 8 tokens have 4 for the second text, expected "
                   "room for more than the stride, 4 tokens");
  expect_failure(tessera("answer ner c.txt --question hello"), 1,
                 "ner: BertForTokenClassification answers no questions: got no start_logits and "
                 "end_logits among "
                 "last_hidden_state, ");
  expect_failure(tessera("answer qa c.txt --question hello --max-length 99"), 1,
                 "max length: got 99, expected");
  expect_failure(tessera("answer qa c.txt --question hello --top-k 0"), 2, "--top-k");
  expect_failure(tessera("answer qa c.txt --question ''"), 2,
                 "--question: got an empty text, expected a question");
}

TEST_F(AnswerTest, EntitiesAreTheTokensOfClassifyPutTogether) {
  file("t.txt", "hello brewb tea, the cat\n\nworld\n");
  const CommandResult tokens = tessera("classify ner t.txt");
  const CommandResult none = tessera("classify ner t.txt --entities none");
  ASSERT_EQ(none.status, 0) << none.err;
  std::string expected;
  for (const std::string& line : lines_of(tokens.out)) {
    if (line.find("\tO\t") == std::string::npos) expected += line + "\n";
  }
  EXPECT_EQ(none.out, expected);
  EXPECT_THAT(expected, HasSubstr("-PER"));
  const CommandResult simple = tessera("classify ner t.txt --entities simple --format jsonl");
  EXPECT_THAT(lines_of(simple.out)[0],
              MatchesRegex(R"(\{"entities": \[\{"label": "PER", "text": ".+", "begin": .+\}\]\})"));
  EXPECT_EQ(lines_of(simple.out).size(), 3U);
}

TEST_F(AnswerTest, EntitiesOfALongTextAreReadInWindowsWhereAStrideIsGiven) {
  std::string text;
  for (int i = 0; i < 40; ++i) text += "hello tea ";
  file("t.txt", text + "\n");
  const CommandResult cut = tessera("classify ner t.txt --entities first");
  EXPECT_THAT(cut.err, HasSubstr("1 of 1 texts were cut to 24 tokens"));
  const CommandResult windows = tessera("classify ner t.txt --entities first --stride 8");
  EXPECT_EQ(windows.status, 0);
  EXPECT_EQ(windows.err.find("cut"), std::string::npos) << windows.err;
  EXPECT_GT(lines_of(windows.out).size(), lines_of(cut.out).size());
  expect_bad_lines(tessera("classify ner t.txt --entities first --stride 22"), 0,
                   "windows of 24 tokens have 22 for the text");
}

TEST_F(AnswerTest, LabelsAreAskedForByTheirHypotheses) {
  file("t.txt", "hello tea\n");
  const CommandResult asked =
      tessera("classify nli t.txt --labels 'tea, cat' --hypothesis 'a {} .' --format jsonl");
  ASSERT_EQ(asked.status, 0) << asked.err;
  file("p.tsv", "hello tea\ta tea .\nhello tea\ta cat .\n");
  EXPECT_THAT(lines_of(tessera("classify nli p.tsv --pairs --format jsonl").out).size(), 2U);
  EXPECT_THAT(asked.out, MatchesRegex(R"(\{"labels": \[\{"label": ".+", "probability": .+\}, )"
                                      R"(\{"label": ".+", "probability": .+\}\]\}.)"));
  const std::string both =
      tessera("classify nli t.txt --labels tea,cat --hypothesis 'a {} .' --multi-label").out;
  EXPECT_THAT(both, MatchesRegex("(tea|cat)\t0\\.[0-9]+\t(tea|cat)\t0\\.[0-9]+\n"));
  EXPECT_THAT(tessera("classify nli t.txt --labels tea,cat --top-k 1").out,
              MatchesRegex("(tea|cat)\t0\\.[0-9]+\n"));
}

TEST_F(AnswerTest, SaysWhichFlagsDoNotGoTogether) {
  file("t.txt", "hello tea\n");
  expect_failure(tessera("classify ner t.txt --labels a,b"), 1,
                 "ner: BertForTokenClassification gives no labels that are asked for");
  expect_failure(tessera("classify nli t.txt --entities simple"), 1,
                 "BertForSequenceClassification finds no entities");
  expect_failure(tessera("classify nli t.txt --labels a,b --hypothesis 'no place'"), 1,
                 "hypothesis: got \"no place\", expected {} once");
  expect_failure(tessera("classify nli t.txt --labels ,"), 1, "labels: got none");
  expect_failure(tessera("classify nli t.txt --hypothesis 'a {}'"), 2, "--hypothesis");
  expect_failure(tessera("classify nli t.txt --multi-label"), 2, "--multi-label");
  expect_failure(tessera("classify ner t.txt --stride 4"), 2, "--stride");
  expect_failure(tessera("classify ner t.txt --entities none --stride 4"), 2, "--stride");
  expect_failure(tessera("classify ner t.txt --entities simple --top-k 2"), 2, "--top-k");
  expect_failure(tessera("classify nli t.txt --labels a --ids"), 2, "--labels");
  expect_failure(tessera("classify ner t.txt --entities simple --ids"), 2, "--entities");
}

}  // namespace
}  // namespace tessera::test
