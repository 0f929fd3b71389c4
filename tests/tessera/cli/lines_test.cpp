// SPDX-License-Identifier: Apache-2.0
// Lines of texts: when they are answered, which are none, which are bad, what they are called.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/tessera/cli/cli_test.hpp"

namespace tessera::test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class LinesTest : public CliTest {
 protected:
  // Writes the first line, waits for its answer, writes the second, waits again.
  CommandResult converse(const std::string& command, const std::string& first,
                         const std::string& second) {
    return sh(fmt::format(
        "mkfifo in out; timeout 20 \"$TESSERA\" {} < in > out & exec 3> in 4< out; "
        "printf '{}\\n' >&3; read -r a <&4 && echo \"$a\" | cut -c1-4; "
        "printf '{}\\n' >&3; read -r a <&4 && echo \"$a\" | cut -c1-4; exec 3>&- 4<&-; wait; "
        "rm in out",
        command, first, second));
  }
};

TEST_F(LinesTest, APauseOfTheWriterIsAnswered) {
  EXPECT_EQ(lines_of(converse("embed model --format text", "hello", "tea").out).size(), 2U);
  EXPECT_EQ(lines_of(converse("embed model", "hello", "tea").out).size(), 2U);
  EXPECT_EQ(
      lines_of(
          converse("embed model --jsonl", "{\"text\": \"tea\"}\\n\\n", "{\"text\": \"a\"}").out)
          .size(),
      2U)
      << "a blank line is nothing to wait behind";
  EXPECT_EQ(lines_of(converse("embed model --csv", "hello", "tea").out).size(), 2U);
  EXPECT_EQ(
      lines_of(
          converse("tokens model --json --jsonl", "{\"text\": \"tea\"}", "{\"text\": \"a\"}").out)
          .size(),
      2U);
}

TEST_F(LinesTest, APauseOfTheWriterIsAnsweredWithLabelsToo) {
  write_model(
      path("labels"),
      {.architecture = "BertForSequenceClassification", .labels = 2, .has_sentence_files = false});
  EXPECT_EQ(lines_of(converse("classify labels", "hello", "tea").out).size(), 2U);
}

TEST_F(LinesTest, APointerOfGitInPlaceOfTextsIsNamed) {
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4\n";
  for (const char* name : {"in.txt", "in.jsonl", "in.csv"}) {
    file(name, pointer);
    expect_failure(tessera(fmt::format("embed model {}", name)), 1,
                   fmt::format("{}: got a Git LFS pointer", name));
  }
}

TEST_F(LinesTest, LinesMayEndInACarriageReturnAlone) {
  file("lf.txt", "tea\nthe cat\nhello\n");
  const CommandResult lf = tessera("embed model lf.txt");
  for (const char* content : {"tea\rthe cat\rhello\r", "tea\rthe cat\rhello"}) {
    file("cr.txt", content);
    EXPECT_EQ(tessera("embed model cr.txt").out, lf.out);
    EXPECT_EQ(tessera("embed model < cr.txt").out, lf.out);
  }
  file("cr.csv", "n,text\r1,tea\r2,\"the cat\"\r3,hello\r");
  EXPECT_EQ(tessera("embed model cr.csv").out, lf.out);
  file("cr.jsonl", "{\"text\": \"tea\"}\r{\"text\": \"the cat\"}\r{\"text\": \"hello\"}\r");
  EXPECT_EQ(tessera("embed model cr.jsonl").out, lf.out);
  file("bad.jsonl", "{\"text\": \"tea\"}\r{\"text\": 7}\r");
  expect_bad_lines(tessera("embed model bad.jsonl"), 1, "bad.jsonl: line 2: ");
  // One within a line of a file that has LF is a character of it.
  file("mixed.txt", "tea\rthe cat\nhello\n");
  EXPECT_EQ(lines_of(tessera("embed model mixed.txt").out).size(), 2U);
}

TEST_F(LinesTest, WhatCameBeforeAnotherEncodingIsAnswered) {
  file("in.txt", "tea\nthe cat\n\xFF\nhello\n");
  const std::string two = sh("printf 'tea\nthe cat\n' | \"$TESSERA\" embed model").out;
  const CommandResult embed = tessera("embed model in.txt");
  EXPECT_EQ(embed.status, 1);
  EXPECT_EQ(embed.out, two);
  EXPECT_THAT(embed.err, HasSubstr("in.txt: line 3: at byte 0: got 0xFF"));
  file("start.txt", "tea\nthe cat\n");
  EXPECT_EQ(tessera("tokens model in.txt").out,
            sh("\"$TESSERA\" tokens model start.txt | sed s/start/in/").out);
}

TEST_F(LinesTest, KeysOfOtherFormatsMayBeAnything) {
  file("in.jsonl", "{\"text\": \"tea\", \"ids\": [\"u\"], \"type_ids\": 7}\n");
  EXPECT_EQ(tessera("embed model in.jsonl").out, sh("echo tea | \"$TESSERA\" embed model").out);
  file("ids.jsonl", "{\"ids\": [2, 7, 3], \"text\": 7, \"pair\": []}\n");
  EXPECT_EQ(tessera("embed model ids.jsonl --ids").status, 0);
}

TEST_F(LinesTest, AQueryThatGivesNoAnswerIsNamedAndTheOthersAreAnswered) {
  file("notes.txt", "hello world\nbrew tea\n");
  std::string many;
  for (int i = 0; i < 40; ++i) many += "tea ";
  const CommandResult result =
      sh("printf 'tea\n" + many +
         "\nhello\n' | \"$TESSERA\" search model --index notes.txt -q --truncation none");
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.out, testing::AllOf(HasSubstr("query: tea\n"), HasSubstr("query: hello\n")));
  EXPECT_THAT(result.err, testing::AllOf(HasSubstr("line 2: the text has 42 tokens"),
                                         HasSubstr("1 of 3 queries gave no answer")));
}

TEST_F(LinesTest, ALineInPiecesIsOneLine) {
  const CommandResult pieces =
      sh("(printf 'the c'; sleep 0.2; printf 'at\\ntea'; sleep 0.2) | \"$TESSERA\" embed model");
  EXPECT_EQ(pieces.out, sh("printf 'the cat\\ntea\\n' | \"$TESSERA\" embed model").out);
}

TEST_F(LinesTest, BlankLinesBetweenJsonLinesAreNone) {
  file("dense.jsonl", "{\"text\": \"tea\"}\n{\"text\": \"a\"}\n");
  file("blank.jsonl", "\n{\"text\": \"tea\"}\n \t\n\r\n{\"text\": \"a\"}\n\n");
  const CommandResult result = tessera("embed model blank.jsonl");
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.out, tessera("embed model dense.jsonl").out);
  EXPECT_EQ(tessera("tokens model --json blank.jsonl").out,
            tessera("tokens model --json dense.jsonl").out);
  file("bad.jsonl", "\n\n{}\n");
  expect_bad_lines(tessera("embed model bad.jsonl"), 0, "line 3: got no \"text\"");
}

TEST_F(LinesTest, ABadLineIsNamedAndTheOthersAreAnswered) {
  const std::string good = sh("printf 'tea\\nthe cat\\n' | \"$TESSERA\" embed model").out;
  for (const auto& [line, message] : std::vector<std::pair<std::string, std::string>>{
           {"{\"text\": 3}", "\"text\" is a number, expected a string"},
           {"{\"text\": \"a", "not valid JSON"},
           {"[1]", "got an array, expected a JSON object"},
           {"{}", "got no \"text\""},
           {"{\"text\": \"a\", \"pair\": []}", "\"pair\" is an array"},
           {"{\"text\": \"a\"} x", "not valid JSON"}}) {
    file("in.jsonl", "{\"text\": \"tea\"}\n" + line + "\n{\"text\": \"the cat\"}\n");
    const CommandResult result = tessera("embed model in.jsonl");
    expect_bad_lines(result, 2, "tessera embed: in.jsonl: line 2: " + message);
    EXPECT_EQ(result.out, good);
    EXPECT_THAT(result.err, HasSubstr("1 of 3 lines gave no result, expected all"));
    const auto answers = lines_of(tessera("tokens model --json in.jsonl").out);
    ASSERT_EQ(answers.size(), 3U);
    EXPECT_THAT(answers[1], StartsWith("{\"error\": \"in.jsonl: line 2: "));
  }
  // Written whole, without the row.
  EXPECT_EQ(tessera("embed model in.jsonl -o out.npy").status, 1);
  EXPECT_THAT(read_file(path("out.npy")), HasSubstr("'shape': (2, 16)"));
}

TEST_F(LinesTest, BadLinesInEveryWindowAreCounted) {
  std::string text;
  for (int i = 0; i < 500; ++i) text += i % 100 == 7 ? "x\n" : "2 7 3\n";
  file("ids.txt", text);
  const CommandResult result = tessera("embed model ids.txt --ids");
  expect_bad_lines(result, 495, "ids.txt: line 408: token id 0: got \"x\"");
  EXPECT_THAT(result.err, HasSubstr("5 of 500 lines gave no result"));
}

TEST_F(LinesTest, KeysOfJsonAreChosenAndIdsPassedOn) {
  file("in.jsonl", "{\"id\": 7, \"key\": {\"a\": [1.50]}, \"body\": \"tea\"}\n");
  const std::string ids = tessera("embed model in.jsonl --text-key body").out;
  EXPECT_THAT(ids, StartsWith("{\"id\": 7, \"embedding\": ["));
  EXPECT_THAT(tessera("embed model in.jsonl --text-key body --id-key key").out,
              StartsWith("{\"id\": {\"a\": [1.50]}, \"embedding\": ["));
  EXPECT_EQ(tessera("embed model in.jsonl --text-key body --format text").out,
            sh("echo tea | \"$TESSERA\" embed model --format text").out);
  expect_bad_lines(tessera("embed model in.jsonl"), 0, "got no \"text\"");
  expect_bad_lines(tessera("embed model in.jsonl --text-key body --id-key other"), 0,
                   "got no \"other\", expected one (--id-key)");
  write_model(
      path("labels"),
      {.architecture = "BertForSequenceClassification", .labels = 2, .has_sentence_files = false});
  EXPECT_THAT(tessera("classify labels in.jsonl --text-key body --format jsonl").out,
              StartsWith("{\"id\": 7, \"labels\": ["));
  EXPECT_THAT(sh("echo '{\"id\": \"a\", \"ids\": [2, 7, 3]}' | \"$TESSERA\" embed model --ids").out,
              StartsWith("{\"id\": \"a\", \"embedding\": ["));
  file("in.txt", "tea\n");
  expect_failure(tessera("embed model in.txt --text-key body"), 2, "--text-key: got no such input");
  expect_failure(tessera("embed model in.txt --id-key id"), 2, "--id-key: got no such input");
  for (const char* other : {"embed model in.jsonl -o a.npy", "embed model in.jsonl --format text",
                            "search model --index in.jsonl tea"}) {
    expect_failure(tessera(std::string(other) + " --id-key key"), 2, "--id-key: got --format ");
  }
}

TEST_F(LinesTest, SeveralFilesComeOneAfterAnother) {
  file("a.txt", "tea\nthe cat");
  file("b.jsonl", "{\"text\": \"hello\"}\n{\"text\": 1}\n");
  file("c.csv", "text,n\nmat,1\n");
  const CommandResult result = sh("echo world | \"$TESSERA\" embed model a.txt b.jsonl - c.csv");
  expect_bad_lines(result, 5, "b.jsonl: line 2: \"text\" is a number");
  EXPECT_EQ(result.out,
            sh("printf 'tea\\nthe cat\\nhello\\nworld\\nmat\\n' | \"$TESSERA\" embed model").out);
  EXPECT_THAT(result.err, HasSubstr("1 of 6 lines"));
  EXPECT_EQ(tessera("embed model a.txt a.txt").out,
            sh("cat a.txt - a.txt < /dev/null | sed 's/cattea/cat\\ntea/' | "
               "\"$TESSERA\" embed model")
                .out);
  expect_failure(tessera("embed model - -"), 2, "got '-' twice");
  expect_failure(tessera("embed model a.txt nowhere.txt"), 1, "nowhere.txt: cannot open");
  expect_failure(tessera("embed model a.txt model"), 1, "model: is a directory");
}

TEST_F(LinesTest, ADocumentOfJsonIsNotLinesOfIt) {
  for (const char* content : {"[{\"text\": \"tea\"}]\n", "[\n {\"text\": \"tea\"}\n]\n",
                              "\n [{\"text\": \"tea\"},\n{\"text\": \"a\"}]"}) {
    file("in.json", content);
    expect_failure(tessera("embed model in.json"), 1,
                   "got a JSON array, expected one JSON object a line; `jq -c '.[]' in.json`");
    expect_failure(sh("\"$TESSERA\" embed model --jsonl < in.json"), 1, "got a JSON array");
  }
  file("in.json", "{\n  \"text\": \"tea\"\n}\n");
  expect_failure(tessera("embed model in.json"), 1,
                 "got a JSON object over several lines, expected one JSON object a line");
  file("in.json", "{\"text\": \"tea\"}\n");
  EXPECT_EQ(tessera("embed model in.json").out, sh("echo tea | \"$TESSERA\" embed model").out);
}

}  // namespace
}  // namespace tessera::test
