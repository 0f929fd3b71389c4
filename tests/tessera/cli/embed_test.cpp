// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cmath>
#include <cstring>

#include "tests/tessera/cli/cli_test.hpp"

namespace tessera::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::size_t kWidth = 16;

class EmbedTest : public CliTest {
 protected:
  // Texts of mixed lengths, one per line.
  static std::string mixed_texts(int count) {
    const char* words[] = {"hello", "world", "tea", "brew", "the", "cat", "sat", "on", "mat"};
    std::string text;
    for (int i = 0; i < count; ++i) {
      for (int j = 0; j <= i * 7 % 11; ++j)
        text += std::string(j == 0 ? "" : " ") + words[(i + j) % 9];
      text += '\n';
    }
    return text;
  }
};

TEST_F(EmbedTest, GivesAUnitVectorPerLineAndKeepsTheOrder) {
  file("in.txt", "hello world\nthe cat sat on the mat\ntea\n");
  const CommandResult all = tessera("embed model in.txt --format text");
  ASSERT_EQ(all.status, 0) << all.err;
  EXPECT_EQ(all.err, "");
  const auto rows = lines_of(all.out);
  ASSERT_EQ(rows.size(), 3U);
  for (const std::string& row : rows) {
    const auto values = numbers_of(row);
    ASSERT_EQ(values.size(), kWidth);
    double sum = 0;
    for (const float value : values) sum += std::pow(static_cast<double>(value), 2);
    EXPECT_NEAR(sum, 1.0, 1e-5);  // 16 roundings of values near 1/4
  }
  for (std::size_t i = 0; i < 3; ++i) {
    const std::string line = lines_of(read_file(path("in.txt")))[i];
    const CommandResult one = sh("echo '" + line + "' | \"$TESSERA\" embed model --format text");
    EXPECT_EQ(one.out, rows[i] + "\n") << "alone, a text gives the same bits: " << line;
  }
}

TEST_F(EmbedTest, BatchesAndThreadsDoNotChangeABit) {
  file("in.txt", mixed_texts(300));
  const std::string expected = tessera("embed model in.txt").out;
  ASSERT_EQ(lines_of(expected).size(), 300U);
  for (const char* flags : {"--threads 1", "--threads 2", "--threads 3", "--batch-tokens 1",
                            "--batch-tokens 17 --threads 2", "--batch-tokens 100000"}) {
    EXPECT_EQ(tessera(fmt::format("embed model in.txt {}", flags)).out, expected) << flags;
  }
}

TEST_F(EmbedTest, RowBlocksChangeNoBit) {
  file("in.txt", mixed_texts(300));
  const std::string expected = tessera("embed model in.txt --row-blocks off").out;
  ASSERT_EQ(lines_of(expected).size(), 300U);
  for (const char* flags : {"--row-blocks 7 --threads 1", "--row-blocks 100 --threads 2",
                            "--row-blocks least --threads 1", "--row-blocks least --threads 2"}) {
    const CommandResult result = tessera(std::string("embed model in.txt ") + flags);
    EXPECT_EQ(result.status, 0) << flags << " " << result.err;
    EXPECT_EQ(result.out, expected) << flags;
  }
  for (const char* value : {"0", "-3", "many", "2147483648"}) {
    const CommandResult result = tessera(std::string("embed model in.txt --row-blocks ") + value);
    EXPECT_EQ(result.status, 2) << value;
    EXPECT_THAT(result.err,
                HasSubstr(fmt::format("--row-blocks: got '{}', expected an integer from "
                                      "1 to 2147483647, off or least",
                                      value)));
  }
}

TEST_F(EmbedTest, WindowsOfALargeFileStayInOrder) {
  std::string text;
  for (int i = 0; i < 9000; ++i) text += i % 2 == 0 ? "tea\n" : "the cat sat\n";
  file("in.txt", text);
  const auto rows = lines_of(tessera("embed model in.txt --format text").out);
  ASSERT_EQ(rows.size(), 9000U);
  EXPECT_NE(rows[0], rows[1]);
  for (std::size_t i = 2; i < rows.size(); ++i) ASSERT_EQ(rows[i], rows[i - 2]) << i;
}

TEST_F(EmbedTest, JsonLinesReadTextAndPairAndCarryTheText) {
  file("in.jsonl",
       "{\"text\": \"hello\", \"id\": 3}\n{\"text\": \"hello\", \"pair\": \"wor\\\"ld\"}\n");
  const CommandResult result = tessera("embed model in.jsonl --with-text");
  ASSERT_EQ(result.status, 0) << result.err;
  const auto rows = lines_of(result.out);
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_THAT(rows[0], HasSubstr("{\"id\": 3, \"text\": \"hello\", \"embedding\": ["));
  EXPECT_NE(rows[0], rows[1]);
}

TEST_F(EmbedTest, NpyHasTheShapeAndTheSameNumbers) {
  file("in.txt", mixed_texts(70));
  const auto rows = lines_of(tessera("embed model in.txt --format text").out);
  for (const std::string& how : {std::string("embed model in.txt --format npy -o out.npy"),
                                 std::string("embed model in.txt --format npy > out.npy"),
                                 std::string("embed model in.txt --format npy | cat > out.npy")}) {
    ASSERT_EQ(tessera(how).status, 0) << how;
    const std::string bytes = read_file(path("out.npy"));
    ASSERT_EQ(bytes.size(), 128 + 70 * kWidth * 4) << how;
    EXPECT_EQ(bytes.substr(0, 10), std::string("\x93NUMPY\x01\x00\x76\x00", 10));
    EXPECT_THAT(bytes.substr(10, 118),
                HasSubstr("{'descr': '<f4', 'fortran_order': False, 'shape': (70, 16), }"));
    EXPECT_EQ(bytes[127], '\n');
    for (std::size_t i = 0; i < 70; ++i) {
      const auto values = numbers_of(rows[i]);
      EXPECT_EQ(std::memcmp(values.data(), bytes.data() + 128 + i * kWidth * 4, kWidth * 4), 0)
          << how;
    }
    std::filesystem::remove(path("out.npy"));
  }
}

TEST_F(EmbedTest, EmptyInputIsAnEmptyResult) {
  EXPECT_EQ(tessera("embed model /dev/null").out, "");
  EXPECT_EQ(tessera("embed model /dev/null").status, 0);
  ASSERT_EQ(tessera("embed model /dev/null --format npy -o out.npy").status, 0);
  EXPECT_THAT(read_file(path("out.npy")), HasSubstr("'shape': (0, 16)"));
  const CommandResult blank = sh("printf '\\n' | \"$TESSERA\" embed model --format text");
  EXPECT_EQ(blank.status, 0);
  EXPECT_EQ(lines_of(blank.out).size(), 1U) << "an empty line is an empty text";
}

TEST_F(EmbedTest, LineEndsAndByteOrderMarkAreNotText) {
  const std::string expected = sh("printf 'hello\\nworld\\n' | \"$TESSERA\" embed model").out;
  EXPECT_EQ(sh("printf 'hello\\nworld' | \"$TESSERA\" embed model").out, expected);
  EXPECT_EQ(sh("printf 'hello\\r\\nworld\\r\\n' | \"$TESSERA\" embed model").out, expected);
  EXPECT_EQ(sh("printf '\\357\\273\\277hello\\nworld\\n' | \"$TESSERA\" embed model -").out,
            expected);
}

TEST_F(EmbedTest, InvalidUtf8IsReplacedAsTheReferenceDoesIfAskedFor) {
  const std::string replaced = "\"$TESSERA\" embed model --encoding utf-8-replace";
  const std::string raw = sh("printf 'caf\\351 tea\\n' | " + replaced).out;
  EXPECT_EQ(raw, sh("printf 'caf\\357\\277\\275 tea\\n' | \"$TESSERA\" embed model").out);
  const CommandResult json =
      sh("printf '{\"text\": \"caf\\351 tea\"}\\n' | " + replaced + " --jsonl --with-text");
  ASSERT_EQ(json.status, 0) << json.err;
  EXPECT_THAT(json.out, HasSubstr("\"caf\xEF\xBF\xBD tea\""));
  const CommandResult surrogate =
      sh("printf '%s\\n' '{\"text\": \"caf\\ud800 tea\"}' | \"$TESSERA\" embed model --jsonl "
         "--with-text");
  EXPECT_EQ(surrogate.out, json.out);
}

TEST_F(EmbedTest, IdsNeedNoTokenizer) {
  write_model(path("bare"), {.has_tokenizer = false});
  // [CLS] hello world [SEP] of vocab.txt
  const std::string expected = sh("echo 'hello world' | \"$TESSERA\" embed model").out;
  for (const char* line : {"2 5 6 3", "2,5,6,3", " 2, 5, 6, 3 ", "{\"ids\": [2, 5, 6, 3]}",
                           "{\"ids\": [2, 5, 6, 3], \"type_ids\": [0, 0, 0, 0]}"}) {
    EXPECT_EQ(sh(fmt::format("echo '{}' | \"$TESSERA\" embed bare --ids", line)).out, expected)
        << line;
  }
  expect_failure(sh("echo hello | \"$TESSERA\" embed bare"), 1, "--ids");
}

TEST_F(EmbedTest, WrongIdsAreNamed) {
  expect_bad_lines(sh("printf '2 3\\n2 20\\n' | \"$TESSERA\" embed model --ids"), 1,
                   "line 2: token id 1 is 20, expected 0 to 19");
  expect_bad_lines(sh("echo '2 -1' | \"$TESSERA\" embed model --ids"), 0, "token id 1 is -1");
  expect_bad_lines(sh("echo '2 x3' | \"$TESSERA\" embed model --ids"), 0, "token id 1: got \"x3\"");
  expect_bad_lines(sh("echo '2 99999999999' | \"$TESSERA\" embed model --ids"), 0,
                   "32-bit integer");
  expect_bad_lines(sh("echo '' | \"$TESSERA\" embed model --ids"), 0, "line 1: got no token ids");
  expect_bad_lines(sh("echo '{\"ids\": [2], \"type_ids\": [2]}' | \"$TESSERA\" embed model --ids"),
                   0, "type id 0 is 2, expected 0 to 1");
  expect_bad_lines(sh("echo '{\"ids\": [2], \"type_ids\": []}' | \"$TESSERA\" embed model --ids"),
                   0, "got 0 \"type_ids\", expected 1");
  expect_bad_lines(sh("echo '{\"ids\": [2.5]}' | \"$TESSERA\" embed model --ids"), 0,
                   "\"ids\"[0] is a number");
  expect_bad_lines(sh("seq 1 25 | sed 's/.*/5/' | tr '\\n' ' ' | \"$TESSERA\" embed model --ids"),
                   0, "got 25 tokens, expected at most 24");
  expect_failure(tessera("embed model /dev/null --ids --max-length 3"), 2, "--max-length");
}

TEST_F(EmbedTest, LongTextsAreCutAtTheLimitOfTheFilesOrThePositionTable) {
  std::string text;
  for (int i = 0; i < 40; ++i) text += "tea ";
  file("long.txt", "hello\n" + text + "\n");
  EXPECT_EQ(tessera("embed model long.txt").status, 0);
  expect_bad_lines(tessera("embed model long.txt --truncation none"), 1,
                   "long.txt: line 2: the text has 42 tokens, expected at most 24");
  write_model(path("unlimited"), {.model_max_length = 0});
  EXPECT_EQ(tessera("embed unlimited long.txt").out, tessera("embed model long.txt").out)
      << "at the position table";
  EXPECT_EQ(tessera("embed unlimited long.txt --truncation longest_first").out,
            tessera("embed model long.txt").out);
  EXPECT_EQ(tessera("embed unlimited long.txt --max-length 8").out,
            tessera("embed model long.txt --max-length 8").out);
  expect_failure(tessera("embed model long.txt --max-length 25"), 1, "got 25, expected 3 to 24");
}

TEST_F(EmbedTest, PromptsComeBeforeTheText) {
  write_file(path("model/config_sentence_transformers.json"),
             R"({"prompts": {"query": "the cat "}})");
  const std::string expected = sh("echo 'the cat sat' | \"$TESSERA\" embed model").out;
  EXPECT_EQ(sh("echo sat | \"$TESSERA\" embed model --prompt-name query").out, expected);
  EXPECT_EQ(sh("echo sat | \"$TESSERA\" embed model --prompt 'the cat '").out, expected);
  expect_failure(tessera("embed model /dev/null --prompt-name passage"), 1,
                 "got \"passage\", expected one of query");
  EXPECT_EQ(tessera("embed model /dev/null --prompt-name query --prompt x").status, 2);
}

TEST_F(EmbedTest, AModelWithAHeadIsEmbeddedWithoutIt) {
  write_model(
      path("classifier"),
      {.architecture = "BertForSequenceClassification", .labels = 3, .has_sentence_files = false});
  const CommandResult result = sh("echo tea | \"$TESSERA\" embed classifier");
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(sh("echo tea | \"$TESSERA\" embed classifier --class BertModel").out, result.out);
}

}  // namespace
}  // namespace tessera::test
