// SPDX-License-Identifier: Apache-2.0
// tessera quantize, and what other commands say of the directory that it writes.
#include <gmock/gmock.h>

#include <csignal>

#include "tests/models/text/json_sections.hpp"
#include "tests/tessera/cli/cli_test.hpp"
#include "tests/tessera/image_directory.hpp"

namespace tessera::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class QuantizeCliTest : public CliTest {};

TEST_F(QuantizeCliTest, WritesADirectoryThatComputesTheSameAtInt8) {
  const CommandResult made = tessera("quantize model --out small");
  ASSERT_EQ(made.status, 0) << made.err;
  EXPECT_EQ(lines_of(made.out)[0],
            "small: 12 weights as whole numbers of 8 bits, a scale for each row");
  EXPECT_THAT(made.out, HasSubstr("floats, as they were: pooler.dense\n"));
  file("texts.txt", "hello world\nthe cat sat on the mat\n");
  const CommandResult floats = tessera("embed model texts.txt --precision int8"),
                      whole = tessera("embed small texts.txt --precision int8");
  ASSERT_EQ(whole.status, 0) << whole.err;
  EXPECT_EQ(whole.out, floats.out);
  const CommandResult info = tessera("info small");
  EXPECT_THAT(info.out,
              HasSubstr("whole numbers of 8 bits, a scale for each row (compressed-tensors)"));
  EXPECT_THAT(info.out, HasSubstr("I8 (12 tensors)"));
  EXPECT_THAT(info.out, HasSubstr("fp32 (default)"));
  EXPECT_EQ(tessera("embed small texts.txt").status, 0);
  EXPECT_EQ(tessera("embed small texts.txt --precision bf16").status, 0);
}

TEST_F(QuantizeCliTest, CalibratesWithTextsAndSaysWhatTheyShowed) {
  file("texts.txt", "hello world\nthe cat sat on the mat\n");
  const CommandResult made =
      tessera("quantize model --out small --calibrate texts.txt --min-cosine 0.99999");
  ASSERT_EQ(made.status, 0) << made.err;
  EXPECT_THAT(made.out, HasSubstr("worst cosine of 2 rows of 2 texts with fp32: 0."));
  EXPECT_THAT(made.out, HasSubstr("floats for that cosine: encoder.layer."));
  EXPECT_THAT(tessera("info small").out, HasSubstr("whole numbers of 8 bits"));
  EXPECT_EQ(tessera("embed small texts.txt --precision int8").status, 0);
  file("none.txt", "");
  expect_failure(tessera("quantize model --out other --calibrate none.txt"), 1, "got no line");
  expect_failure(tessera("quantize model --out other --min-cosine 0.9"), 2,
                 "--min-cosine: got no --calibrate");
  expect_failure(tessera("quantize model --out other --calibrate texts.txt --min-cosine 1.5"), 2,
                 "--min-cosine: got 1.5");
  expect_failure(tessera("quantize model --out other --calibrate texts.txt --min-cosine nan"), 2,
                 "--min-cosine: got nan");
}

TEST_F(QuantizeCliTest, BothTowersAreCalibratedAndWhatWasCutIsSaid) {
  copy_image_model("siglip-full", path("siglip"), R"({"size": {"height": 24, "width": 24}})");
  write_file(path("siglip/tokenizer.json"), text::JsonSections{}.text());
  fs::create_directories(path("photos"));
  fs::copy_file(image_file("grey.jpg"), path("photos/a.jpg"));
  std::string many = "hello";
  for (int i = 0; i < 20; ++i) many += " world";
  file("texts.txt", many + "\nhello world\n");
  const CommandResult made =
      tessera("quantize siglip --out small --calibrate texts.txt --calibrate photos");
  ASSERT_EQ(made.status, 0) << made.err;
  EXPECT_THAT(made.out, HasSubstr("\ntext tower: worst cosine of 2 rows of 2 texts with fp32: "));
  EXPECT_THAT(made.out,
              HasSubstr("\ntext tower: 1 of 2 texts cut to 16 tokens (position table)\n"));
  EXPECT_THAT(made.out, HasSubstr("\nimage tower: worst cosine of 1 row of 1 image with fp32: "));
  const CommandResult texts_alone = tessera("quantize siglip --out texts --calibrate texts.txt");
  EXPECT_THAT(texts_alone.out, HasSubstr("\ntext tower: worst"));
  EXPECT_THAT(texts_alone.out, testing::Not(HasSubstr("image tower")));
}

TEST_F(QuantizeCliTest, WordsAndClippingWhereTheyAreAskedFor) {
  file("texts.txt", "hello world\nthe cat sat on the mat\n");
  const CommandResult made =
      tessera("quantize model --out small --word-embeddings --clip --calibrate texts.txt");
  ASSERT_EQ(made.status, 0) << made.err;
  EXPECT_EQ(lines_of(made.out)[0],
            "small: 13 weights as whole numbers of 8 bits, a scale for each row");
  EXPECT_THAT(made.out, HasSubstr("of these tables of words: embeddings.word_embeddings.weight\n"));
  EXPECT_THAT(tessera("info small").out, HasSubstr("; words as whole numbers of 8 bits"));
  EXPECT_THAT(
      tessera("quantize model --out kept --word-embeddings --keep embeddings.word_embeddings").out,
      HasSubstr("tables of words: as they were, kept or read by something else as floats\n"));
  EXPECT_EQ(tessera("embed small texts.txt --precision int8").status, 0);
  EXPECT_EQ(tessera("embed small texts.txt").status, 0);
}

TEST_F(QuantizeCliTest, ASignalLeavesNothing) {
  std::string texts;
  for (int i = 0; i < 40000; ++i) texts += "the cat sat on the mat\n";
  file("texts.txt", texts);
  // Copied when the new directory is there: time to be stopped in.
  sh("truncate -s 200M model/notes.bin");
  // `kill` when `condition` holds.
  const auto stopped = [&](const std::string& flags, const std::string& condition,
                           const std::string& kill) {
    return sh("\"$TESSERA\" quantize model --out small " + flags + " & child=$!; n=0; while ! " +
              condition +
              " && [ $n -lt 2000 ]; do n=$((n+1)); "
              "sleep 0.01; done; " +
              kill + "; wait $child");
  };
  const auto expect_nothing = [&](const CommandResult& result) {
    EXPECT_EQ(result.status, 128 + SIGTERM) << result.err;
    EXPECT_THAT(result.err, testing::Not(HasSubstr("tessera")));
    EXPECT_THAT(temporaries(), testing::IsEmpty());
  };
  const std::string writes = "ls -d small.tmp-* >/dev/null 2>&1", once = "kill -TERM $child";
  expect_nothing(stopped("--calibrate texts.txt", "[ $n -gt 10 ]", once));
  expect_nothing(stopped("", writes, once));
  expect_nothing(stopped("", writes, once + "; sleep 0.02; " + once));  // timeout(1) does so
  EXPECT_FALSE(fs::exists(path("small")));
  fs::create_directories(path("small"));
  file("small/config.json", "{}");
  expect_nothing(stopped("--force", writes, once));
  EXPECT_EQ(read_file(path("small/config.json")), "{}") << "what was there stays";
  // While it waits for texts.
  sh("mkfifo pipe; (sleep 20 && touch ended) > pipe 2>/dev/null & echo $! > sleeper");
  expect_nothing(stopped("--force --calibrate pipe", "[ $n -gt 20 ]", once));
  EXPECT_FALSE(fs::exists(path("ended"))) << "it did not wait for the end of the texts";
  sh("kill $(cat sleeper)");
}

TEST_F(QuantizeCliTest, PipesAreReadOnceAndByAllThatReadTexts) {
  copy_image_model("siglip-full", path("siglip"), R"({"size": {"height": 24, "width": 24}})");
  write_file(path("siglip/tokenizer.json"), text::JsonSections{}.text());
  std::string texts;
  for (int i = 0; i < 3000; ++i) texts += i % 2 == 0 ? "hello world\n" : "world\n";
  file("texts.txt", texts);
  const CommandResult of_file = tessera("quantize siglip --out a --calibrate texts.txt"),
                      of_pipe =
                          sh("cat texts.txt | \"$TESSERA\" quantize siglip --out b "
                             "--calibrate /dev/stdin");
  ASSERT_EQ(of_pipe.status, 0) << of_pipe.err;
  EXPECT_THAT(of_pipe.out, HasSubstr("of 3000 texts"));
  EXPECT_EQ(of_pipe.out.substr(1), of_file.out.substr(1));
}

TEST_F(QuantizeCliTest, SaysWhatItRefuses) {
  expect_failure(tessera("quantize model"), 2, "--out");
  ASSERT_EQ(tessera("quantize model --out small --keep encoder.layer.0 pooler").status, 1);
  ASSERT_EQ(tessera("quantize model --out small --keep encoder.layer.0").status, 0);
  expect_failure(tessera("quantize model --out small"), 1, "is there, with files");
  EXPECT_EQ(tessera("quantize model --out small --force").status, 0);
  expect_failure(tessera("quantize small --out smaller"), 1, "expected weights of floats");
  EXPECT_TRUE(temporaries().empty());
}

}  // namespace
}  // namespace tessera::test
