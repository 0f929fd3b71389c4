// SPDX-License-Identifier: Apache-2.0
// Where results go: never over what is read, in the format that the name says, and on from where an
// interrupted job stopped.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "kernels/isa.hpp"
#include "tests/tessera/cli/cli_test.hpp"

namespace tessera::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

class OutputsTest : public CliTest {};

TEST_F(OutputsTest, AnInputIsNeverTheOutput) {
  file("in.txt", "tea\n");
  std::filesystem::create_symlink("in.txt", path("link.txt"));
  std::filesystem::create_hard_link(path("in.txt"), path("hard.txt"));
  for (const char* command : {"embed model in.txt -o in.txt", "embed model link.txt -o in.txt",
                              "embed model in.txt -o link.txt", "embed model in.txt -o hard.txt",
                              "embed model in.txt -o ./model/../in.txt",
                              "embed model -o in.txt < in.txt", "embed model in.txt >> in.txt",
                              "tokens model in.txt -o in.txt", "classify model in.txt -o in.txt"}) {
    expect_failure(tessera(command), 2, "expected another file");
    EXPECT_EQ(read_file(path("in.txt")), "tea\n") << command;
  }
  expect_failure(tessera("embed model in.txt -o link.txt"), 2,
                 "-o link.txt: is the input in.txt, expected another file");
  expect_failure(tessera("run model --input in.txt --output in.txt"), 2, "is the input in.txt");
  expect_failure(tessera("similar model --image in.txt --text tea -o in.txt"), 2,
                 "is the input in.txt");
  EXPECT_EQ(read_file(path("in.txt")), "tea\n");
  expect_failure(tessera("embed model in.txt -o model/1_Pooling/config.json"), 2,
                 "model/1_Pooling/config.json");
  file("model/colbert_linear.pt", "kept");
  expect_failure(tessera("embed model in.txt -o model/colbert_linear.pt"), 2,
                 "expected another file");
  EXPECT_EQ(read_file(path("model/colbert_linear.pt")), "kept");
  std::filesystem::remove(path("model/colbert_linear.pt"));
  const std::string config = read_file(path("model/config.json"));
  for (const char* command : {"embed model in.txt -o", "plan model --save", "profile model -o",
                              "report model -o", "search model --index in.txt tea --save-index"}) {
    expect_failure(tessera(fmt::format("{} model/config.json", command)), 2, "model/config.json");
    EXPECT_EQ(read_file(path("model/config.json")), config) << command;
  }
  ASSERT_EQ(tessera("plan model --save plan.json --no-measure").status, 0);
  expect_failure(tessera("plan model --diff plan.json --save plan.json"), 2,
                 "is the input plan.json");
  const std::string plan = read_file(path("plan.json"));
  write_model(
      path("labels"),
      {.architecture = "BertForSequenceClassification", .labels = 2, .has_sentence_files = false});
  for (const char* command :
       {"embed model in.txt --plan plan.json -o plan.json",
        "embed model in.txt --plan plan.json -o vectors.npy --paths plan.json",
        "classify labels in.txt --plan plan.json -o plan.json",
        "search model --index in.txt tea --plan plan.json --save-index plan.json"}) {
    expect_failure(tessera(command), 2, "is the input plan.json");
    EXPECT_EQ(read_file(path("plan.json")), plan) << command;
  }
  // The same of a model by its name.
  std::filesystem::create_directories(path("hub/models--org--tiny/snapshots"));
  std::filesystem::create_directory_symlink(path("model"),
                                            path("hub/models--org--tiny/snapshots/abc"));
  expect_failure(sh("HF_HUB_CACHE=hub \"$TESSERA\" embed org/tiny in.txt -o model/config.json"), 2,
                 "config.json");
  EXPECT_EQ(read_file(path("model/config.json")), config);
  // Devices are no files, and one's own files may lie beside the model's.
  EXPECT_EQ(tessera("embed model /dev/null -o /dev/null").status, 0);
  EXPECT_EQ(tessera("embed model in.txt -o model/vectors.npy").status, 0);
  EXPECT_EQ(tessera("embed model in.txt -o model/vectors.npy").status, 0);
}

TEST_F(OutputsTest, TheNameSaysTheFormat) {
  file("in.txt", "tea\n");
  for (const auto& [name, begin] : std::vector<std::pair<std::string, std::string>>{
           {"out.npy", "\x93NUMPY"}, {"out.jsonl", "{\"embedding\""}, {"out.other", "{\"emb"}}) {
    ASSERT_EQ(tessera("embed model in.txt -o " + name).status, 0) << name;
    EXPECT_THAT(read_file(path(name)), StartsWith(begin));
  }
  ASSERT_EQ(tessera("embed model in.txt -o OUT.NPY").status, 0);
  EXPECT_THAT(read_file(path("OUT.NPY")), StartsWith("\x93NUMPY"));
  const std::string text = tessera("embed model in.txt --format text").out;
  ASSERT_EQ(tessera("embed model in.txt -o out.txt").status, 0);
  EXPECT_EQ(read_file(path("out.txt")), text);
  for (const char* name : {"out.tsv", "out.csv"}) {
    expect_failure(tessera(fmt::format("embed model in.txt -o {}", name)), 2, "the name says ");
  }
  ASSERT_EQ(tessera("embed model in.txt -o named.npy --format text").status, 0);
  EXPECT_EQ(read_file(path("named.npy")), text) << "what is said wins";
  write_model(
      path("labels"),
      {.architecture = "BertForSequenceClassification", .labels = 2, .has_sentence_files = false});
  ASSERT_EQ(tessera("classify labels in.txt -o labels.jsonl").status, 0);
  EXPECT_THAT(read_file(path("labels.jsonl")), StartsWith("{\"labels\""));
  ASSERT_EQ(tessera("classify labels in.txt -o labels.tsv").status, 0);
  EXPECT_THAT(read_file(path("labels.tsv")), StartsWith("label"));
  expect_failure(tessera("classify labels in.txt -o labels.npy"), 2,
                 "-o labels.npy: the name says npy, expected one of text, jsonl");
}

TEST_F(OutputsTest, StatsAreSaidOnlyWhereTheyAreAskedFor) {
  file("in.txt", "tea\nhello\n");
  EXPECT_EQ(tessera("embed model in.txt").err, "");
  EXPECT_THAT(tessera("embed model in.txt --stats").err, StartsWith("tessera embed: 2 texts in "));
}

TEST_F(OutputsTest, MemoryIsCappedAndPackedWeightsAreKept) {
  file("in.txt", "tea\nthe cat sat\n");
  const std::string expected = tessera("embed model in.txt").out;
  EXPECT_EQ(tessera("embed model in.txt --memory-cap 1G").out, expected);
  expect_failure(tessera("embed model in.txt --memory-cap 1K"), 1, "1024");
  for (const char* bad : {"0", "-1", "2T", "x", "1.5G", "99999999999999999999", "99999999999G"}) {
    expect_failure(tessera(fmt::format("embed model in.txt --memory-cap {}", bad)), 2,
                   "--memory-cap: got '");
  }
  EXPECT_EQ(tessera("tokens model in.txt --memory-cap 1G").status, 2)
      << "only where it has an effect";
  std::filesystem::create_directories(path("cache"));
  EXPECT_EQ(tessera("embed model in.txt --packed-cache cache").out, expected);
  EXPECT_FALSE(std::filesystem::is_empty(path("cache")));
  EXPECT_EQ(tessera("embed model in.txt --packed-cache cache").out, expected);
}

class ResumeTest : public CliTest {
 protected:
  static constexpr int kLines = 30000;

  void SetUp() override {
    CliTest::SetUp();
    std::string text;
    for (int i = 0; i < kLines; ++i) {
      text += i % 1000 == 13 ? "{}\n"
                             : fmt::format("{{\"text\": \"{}\"}}\n",
                                           i % 3 == 0 ? "the cat sat on the mat" : "tea");
    }
    file("in.jsonl", text);
  }
  // Ends the job by SIGKILL behind its first windows; again if it was quicker. The shell that looks comes
  // first where others have the CPUs (nice).
  void interrupt(const std::string& output) {
    for (int attempt = 0; attempt < 10; ++attempt) {
      std::filesystem::remove(path(output));
      sh(
          fmt::format("nice -n 19 \"$TESSERA\" embed model in.jsonl -o {0} --resume --threads 1 "
                      "--batch-tokens 1 & "
                      "child=$!; n=0; while ! grep -q '\"read\": [1-9]' {0}.partial.json && "
                      "[ $n -lt 2000 ]; do n=$((n+1)); sleep 0.01; done; kill -KILL $child; wait",
                      output));
      if (!std::filesystem::exists(path(output))) break;
    }
    ASSERT_FALSE(std::filesystem::exists(path(output)));
    ASSERT_TRUE(std::filesystem::exists(path(output + ".partial.json")));
  }
};

TEST_F(ResumeTest, AnInterruptedJobGoesOnToTheSameBytes) {
  for (const char* output : {"out.npy", "out.jsonl"}) {
    ASSERT_EQ(tessera(fmt::format("embed model in.jsonl -o whole-{}", output)).status, 1);
    interrupt(output);
    // What a process leaves that is killed while it says how far it is, and a file of somebody else.
    file(fmt::format("{}.partial.json.tmpAbC123", output), "{");
    const std::string mine = fmt::format("{}.partial.json.tmp-saved", output);  // no mkstemp() does
    file(mine, "{");
    // What came behind the last window that counts.
    sh(fmt::format("printf 'half a row' >> {}.partial", output));
    const CommandResult result =
        tessera(fmt::format("embed model in.jsonl -o {} --resume", output));
    EXPECT_EQ(result.status, 1);
    EXPECT_THAT(result.err, HasSubstr("tessera embed: goes on behind "));
    EXPECT_THAT(result.err, HasSubstr("30 of 30000 lines gave no result"));
    EXPECT_TRUE(read_file(path(output)) == read_file(path(fmt::format("whole-{}", output))));
    EXPECT_FALSE(std::filesystem::exists(path(fmt::format("{}.partial", output))));
    EXPECT_FALSE(std::filesystem::exists(path(fmt::format("{}.partial.json", output))));
    EXPECT_TRUE(std::filesystem::remove(path(mine)));
  }
  EXPECT_THAT(temporaries(), IsEmpty());
}

TEST_F(ResumeTest, AJobGoesOnBehindTheBorderOfTwoInputs) {
  std::string rows = "text\n";
  for (int i = 0; i < kLines; ++i) rows += i % 2 == 0 ? "tea\n" : "the cat\n";
  file("a.txt", "hello\nworld\n");
  file("b.csv", rows);
  const std::string command = "embed model a.txt b.csv -o out.npy --threads 1 --batch-tokens 1";
  ASSERT_EQ(tessera(command).status, 0);
  std::filesystem::rename(path("out.npy"), path("whole.npy"));
  sh("nice -n 19 \"$TESSERA\" " + command +
     " --resume & child=$!; n=0; while ! grep -q '\"read\": [1-9]' out.npy.partial.json && "
     "[ $n -lt 2000 ]; do n=$((n+1)); sleep 0.01; done; kill -KILL $child; wait");
  if (std::filesystem::exists(path("out.npy"))) GTEST_SKIP() << "it was quicker";
  const CommandResult result = tessera(command + " --resume");
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.err, HasSubstr("goes on behind "));
  EXPECT_TRUE(read_file(path("out.npy")) == read_file(path("whole.npy")));
}

TEST_F(ResumeTest, TwoJobsDoNotWriteOneFile) {
  const CommandResult result = sh(
      "\"$TESSERA\" embed model in.jsonl -o out.npy --resume --threads 1 --batch-tokens 1 "
      "2>/dev/null & "
      "child=$!; n=0; while ! [ -e out.npy.partial.json ] && [ $n -lt 2000 ]; do n=$((n+1)); "
      "sleep 0.01; done; kill -STOP $child; \"$TESSERA\" embed model in.jsonl -o out.npy --resume; "
      "status=$?; kill -KILL $child; kill -CONT $child; exit $status");
  EXPECT_EQ(result.status, 1) << result.err;
  EXPECT_THAT(result.err, HasSubstr("out.npy.partial"));
}

TEST_F(ResumeTest, AStateWithoutItsFileIsOfNoJob) {
  file("few.txt", "tea\nhello\n");
  ASSERT_EQ(tessera("embed model few.txt -o whole.npy").status, 0);
  file("few.npy.partial.json",
       "{\"job\": {}, \"read\": 2, \"failed\": 0, \"cut\": 0, \"bytes\": 256, "
       "\"checksum\": 1}");
  EXPECT_EQ(tessera("embed model few.txt -o few.npy --resume").status, 0);
  EXPECT_TRUE(read_file(path("few.npy")) == read_file(path("whole.npy")));
}

TEST_F(ResumeTest, AFileOfTheUserIsNoStateOfAJob) {
  const std::string mine = "{\"text\": \"tea\"}\n";
  for (const char* name : {"out.npy.partial.json", "out.npy.partial"}) {
    file(name, mine);
    expect_failure(tessera(fmt::format("embed model {} -o out.npy --resume", name)), 2,
                   fmt::format("--resume {0}: is the input {0}", name));
    EXPECT_EQ(read_file(path(name)), mine);
    EXPECT_NE(tessera("embed model in.jsonl -o out.npy --resume").status, 0);
    EXPECT_EQ(read_file(path(name)), mine) << "no input, and not ours";
    std::filesystem::remove(path(name));
    std::filesystem::remove(path("out.npy.partial"));
  }
}

TEST_F(ResumeTest, BytesThatChangedAreFound) {
  interrupt("out.npy");
  std::string bytes = read_file(path("out.npy.partial"));
  bytes[200] = static_cast<char>(bytes[200] ^ 1);
  file("out.npy.partial", bytes);
  expect_failure(tessera("embed model in.jsonl -o out.npy --resume"), 1,
                 "out.npy.partial: got other bytes than those that were written");
}

TEST_F(ResumeTest, WhatWasCutBeforeCountsToo) {
  const CommandResult whole = tessera("embed model in.jsonl -o whole.npy --max-length 4");
  EXPECT_THAT(whole.err, HasSubstr("tessera embed: 9990 of 29970 texts were cut"));
  const std::string command =
      "\"$TESSERA\" embed model in.jsonl -o out.npy --resume --max-length 4 --threads 1 "
      "--batch-tokens 1";
  sh(command +
     " & child=$!; n=0; while ! grep -q '\"read\": [1-9]' out.npy.partial.json && "
     "[ $n -lt 2000 ]; do n=$((n+1)); sleep 0.01; done; kill -KILL $child; wait");
  if (std::filesystem::exists(path("out.npy"))) GTEST_SKIP() << "it was quicker";
  const CommandResult rest = sh(command);
  EXPECT_THAT(rest.err, HasSubstr("goes on behind "));
  EXPECT_THAT(rest.err, HasSubstr("tessera embed: 9990 of 29970 texts were cut"));
}

TEST_F(ResumeTest, AnotherJobIsRefused) {
  interrupt("out.npy");
  const std::string command = "embed model in.jsonl -o out.npy --resume";
  expect_failure(tessera(command + " --max-length 8"), 1,
                 "of another job: --max-length: got 8, expected nothing");
  expect_failure(tessera(command + " --format text"), 1, "format: got text, expected npy");
  if (default_isa().isa != Isa::baseline)
    expect_failure(tessera(command + " --isa baseline"), 1, "instruction set: got baseline");
  expect_failure(tessera("embed model in.jsonl in.jsonl -o out.npy --resume"), 1, "input 2: got");
  sh("touch model/config.json");
  expect_failure(tessera(command), 1, "model's config.json: got ");
  file("out.npy.partial.json", "{}");
  expect_failure(tessera(command), 1, "expected the state of a job");
  std::filesystem::remove(path("out.npy.partial.json"));
  expect_failure(tessera(command), 1, "expected none by ");
  std::filesystem::remove(path("out.npy.partial"));
  EXPECT_THAT(tessera(command).err, HasSubstr("30 of 30000 lines"));
}

TEST_F(ResumeTest, OnlyFilesCanBeResumed) {
  expect_failure(tessera("embed model in.jsonl --resume"), 2, "got no -o FILE");
  expect_failure(tessera("embed model in.jsonl -o out.npy --resume --allow-onednn"), 2,
                 "--allow-onednn");
  expect_failure(tessera("embed model --resume -o out.npy < in.jsonl"), 2, "got standard input");
  expect_failure(tessera("embed model in.jsonl --resume -o /dev/null"), 1, "is no regular file");
}

}  // namespace
}  // namespace tessera::test
