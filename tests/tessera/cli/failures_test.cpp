// SPDX-License-Identifier: Apache-2.0
// Wrong command lines, missing files, full disks, closed pipes: a message, an exit status, nothing
// half-written.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/tessera/cli/cli_test.hpp"

namespace tessera::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class FailuresTest : public CliTest {};

TEST_F(FailuresTest, UsageErrorsHaveStatusTwo) {
  expect_failure(tessera(""), 2, "got no command, expected one of the commands embed");
  expect_failure(tessera("frobnicate"), 2, "got command 'frobnicate'");
  expect_failure(tessera("embed"), 2, "MODEL is required");
  expect_failure(tessera("embed model --threads 0"), 2,
                 "--threads: got '0', expected an integer from 1");
  expect_failure(tessera("embed model --threads -1"), 2, "--threads: got '-1'");
  expect_failure(tessera("embed model --threads two"), 2, "--threads: got 'two'");
  expect_failure(tessera("embed model --threads 99999999999999999999"), 2, "--threads: got");
  expect_failure(tessera("embed model --isa sse9"), 2,
                 "--isa: got 'sse9', expected one of baseline");
  expect_failure(tessera("embed model --batch-tokens 0"), 2, "--batch-tokens: got '0'");
  expect_failure(tessera("embed model --format xml"), 2,
                 "--format: got 'xml', expected one of jsonl, npy, npz, fvecs, text");
  expect_failure(tessera("embed model --max-length 0"), 2, "--max-length: got '0'");
  expect_failure(tessera("embed model --truncation some"), 2, "--truncation: got 'some'");
  expect_failure(tessera("embed model --nonsense"), 2, "--nonsense");
  expect_failure(tessera("tokens model --json --pairs --jsonl"), 2, "--jsonl");
  expect_failure(tessera("embed model --ids --jsonl"), 2, "--jsonl");
  expect_failure(tessera("run model --input x"), 2, "--output is required");
  expect_failure(tessera("search model x"), 2, "--index is required");
  expect_failure(tessera("embed model /dev/null --with-text --format npy"), 2, "--with-text");
}

TEST_F(FailuresTest, HelpAndVersionGoToStdout) {
  for (const char* arguments :
       {"--help", "embed --help", "classify -h", "tokens --help", "info --help", "search --help",
        "run --help", "plan --help", "profile --help", "--version", "help"}) {
    const CommandResult result = tessera(arguments);
    EXPECT_EQ(result.status, 0) << arguments;
    EXPECT_EQ(result.err, "") << arguments;
    EXPECT_GT(result.out.size(), 20U) << arguments;
  }
  EXPECT_THAT(tessera("--help").out, HasSubstr("Exit status"));
  EXPECT_EQ(tessera("help").out, tessera("--help").out);
  EXPECT_EQ(tessera("help embed").out, tessera("embed --help").out);
  EXPECT_NE(tessera("help embed").out, tessera("help classify").out);
  expect_failure(tessera("help frobnicate"), 2, "got command 'frobnicate'");
  expect_failure(tessera("help embed classify"), 2, "got 2 words, expected one command");
  EXPECT_THAT(tessera("--version").out, HasSubstr("instruction set:"));
}

TEST_F(FailuresTest, MissingFilesAreNamed) {
  expect_failure(tessera("embed nowhere /dev/null"), 1, "nowhere");
  expect_failure(tessera("embed model nowhere.txt"), 1,
                 "nowhere.txt: cannot open for reading: No such file");
  expect_failure(tessera("embed model model"), 1, "model: is a directory");
  expect_failure(tessera("embed model /dev/null -o nowhere/out"), 1, "nowhere/out");
  expect_failure(tessera("embed model /dev/null -o model"), 1, "Is a directory");
  expect_failure(tessera("run model --input nowhere.st --output out.st"), 1, "nowhere.st");
  expect_failure(tessera("search model --index nowhere.txt q"), 1, "nowhere.txt");
  expect_failure(tessera("tokens nowhere /dev/null"), 1, "nowhere");
  expect_failure(tessera("info nowhere"), 1, "nowhere");
  std::filesystem::remove(path("model/model.safetensors"));
  expect_failure(tessera("info model"), 1, "model.safetensors");
}

TEST_F(FailuresTest, UnknownModelTypesAreNamed) {
  std::filesystem::create_directories(path("other"));
  file("other/config.json", R"({"model_type": "llama", "architectures": ["LlamaModel"]})");
  expect_failure(tessera("info other"), 1, "\"llama\"");
  file("other/config.json", "{");
  expect_failure(tessera("info other"), 1, "config.json");
  expect_failure(tessera("info model --class GPT2Model"), 1, "GPT2Model");
}

TEST_F(FailuresTest, EnvironmentCannotNameAnUnknownInstructionSet) {
  expect_failure(sh("TESSERA_ISA=sse9 \"$TESSERA\" embed model /dev/null"), 1, "TESSERA_ISA");
}

TEST_F(FailuresTest, AFullDiskIsAnError) {
  file("in.txt", "hello\n");
  for (const char* command :
       {"embed model in.txt", "embed model in.txt --format npy", "tokens model in.txt",
        "info model", "--help", "search model --index in.txt hello -q"}) {
    const CommandResult result = tessera(std::string(command) + " > /dev/full");
    EXPECT_EQ(result.status, 1) << command;
    EXPECT_THAT(result.err, HasSubstr("stdout: cannot write: No space left on device")) << command;
  }
  expect_failure(tessera("embed model in.txt -o /dev/full"), 1,
                 "/dev/full: cannot write: No space left");
  expect_failure(tessera("run model --input in.txt --output /dev/full"), 1, "/dev/full");
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/full"));
}

TEST_F(FailuresTest, NothingIsHalfWritten) {
  file("in.txt", "hello\n");
  file("out.npy", "before");
  // The file may not grow over one block (512 bytes in sh): the second is refused.
  std::string text;
  for (int i = 0; i < 500; ++i) text += "tea\n";
  file("many.txt", text);
  const CommandResult refused =
      sh("ulimit -f 1; \"$TESSERA\" embed model many.txt --format npy -o out.npy 2> message");
  EXPECT_EQ(refused.status, 1);
  EXPECT_EQ(read_file(path("out.npy")), "before");
  EXPECT_THAT(temporaries(), IsEmpty());
  // An error after the first window has been written.
  std::string late;
  for (int i = 0; i < 5000; ++i) late += "tea\n";
  file("late.txt", late + "caf\xE9\n");
  expect_failure(tessera("embed model late.txt -o out.npy --format npy"), 1, "line 5001");
  EXPECT_EQ(read_file(path("out.npy")), "before");
  expect_failure(tessera("embed model late.txt -o new.jsonl"), 1, "line 5001");
  EXPECT_FALSE(std::filesystem::exists(path("new.jsonl")));
  EXPECT_THAT(temporaries(), IsEmpty());
}

TEST_F(FailuresTest, ASignalLeavesNoTemporaryFile) {
  const CommandResult result =
      sh("mkfifo pipe; \"$TESSERA\" embed model pipe -o out.jsonl & child=$!; exec 3> pipe; echo "
         "tea >&3; "
         "n=0; while ! ls out.jsonl.tmp* > /dev/null 2>&1 && [ $n -lt 200 ]; do n=$((n+1)); sleep "
         "0.05; done; "
         "ls | grep -c tmp; kill -TERM $child; wait $child; echo $?");
  EXPECT_EQ(result.out, "1\n143\n");
  EXPECT_THAT(temporaries(), IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(path("out.jsonl")));
}

TEST_F(FailuresTest, AClosedPipeEndsQuietly) {
  std::string text;
  for (int i = 0; i < 20000; ++i) text += "tea\n";
  file("in.txt", text);
  const CommandResult result =
      sh("{ \"$TESSERA\" embed model in.txt; echo $? > status; } | head -n 1");
  EXPECT_EQ(lines_of(result.out).size(), 1U);
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(read_file(path("status")), "141\n");
  // Nobody to say an error to: the status says it.
  sh("{ sleep 0.1; \"$TESSERA\" info nothing 2>&1; echo $? > status; } | true");
  EXPECT_EQ(read_file(path("status")), "1\n");
}

TEST_F(FailuresTest, ClosedStandardStreamsAreErrors) {
  file("in.txt", "hello\n");
  expect_failure(sh("\"$TESSERA\" embed model <&-"), 1, "stdin: cannot read");
  const CommandResult result = sh("\"$TESSERA\" embed model in.txt >&-");
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, HasSubstr("stdout: cannot write"));
}

TEST_F(FailuresTest, WorkGoesOnWhereNobodyReadsWhatIsSaid) {
  std::string longer = "hello";
  for (int i = 0; i < 100; ++i) longer += " hello";
  file("in.txt", "hello\n" + longer + "\nhello\n");
  file("films.txt", "tea\n" + longer + "\n");
  for (const std::string command :
       {"embed model in.txt --truncation none", "embed model in.txt",
        "search model --index films.txt --truncation none tea",
        "search model --save films.npy --index films.txt --truncation none tea",
        "rerank model --query tea films.txt", "tokens model in.txt --truncation none"}) {
    const CommandResult heard = tessera(command);
    for (const char* nobody : {"2>&-", "2>/dev/full"}) {
      const CommandResult unheard = tessera(command + " " + nobody);
      EXPECT_EQ(unheard.status, heard.status) << command << " " << nobody;
      EXPECT_EQ(unheard.out, heard.out) << command << " " << nobody;
      EXPECT_EQ(unheard.err, "");
    }
  }
}

TEST_F(FailuresTest, OutputFilesKeepLinksAndModes) {
  file("in.txt", "hello\n");
  file("target", "before");
  std::filesystem::permissions(
      path("target"), std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  std::filesystem::create_symlink("target", path("link"));
  ASSERT_EQ(tessera("embed model in.txt -o link").status, 0);
  EXPECT_TRUE(std::filesystem::is_symlink(path("link")));
  EXPECT_THAT(read_file(path("target")), HasSubstr("embedding"));
  EXPECT_EQ(sh("stat -c %a target").out, "600\n");
  EXPECT_EQ(sh("umask 027; \"$TESSERA\" embed model in.txt -o new && stat -c %a new").out, "640\n");
}

}  // namespace
}  // namespace tessera::test
