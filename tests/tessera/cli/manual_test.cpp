// SPDX-License-Identifier: Apache-2.0
// What `tessera manual` makes has the names that --help has, and does in the programs that read it what
// they are to do.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "tests/tessera/cli/cli_test.hpp"

namespace tessera::test {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

using Names = std::set<std::string>;

// "-o,--output", "--measure,--no-measure{false}": the flags of the table, without what is in braces.
Names flags_of_help(const std::string& help) {
  Names names;
  for (const std::string& line : lines_of(help)) {
    if (!line.starts_with("  -")) continue;
    std::istringstream words(line.substr(2, line.find(' ', 2) - 2));
    for (std::string name; std::getline(words, name, ',');) {
      names.insert(name.substr(0, name.find('{')));
    }
  }
  return names;
}

class ManualTest : public CliTest {
 protected:
  std::string made(const std::string& form) {
    const CommandResult result = tessera("manual " + form);
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_THAT(result.err, IsEmpty());
    return result.out;
  }
  // The commands of `tessera --help`.
  std::vector<std::string> commands() {
    std::vector<std::string> names;
    bool is_below = false;
    for (const std::string& line : lines_of(tessera("--help").out)) {
      if (is_below && !line.starts_with("  ")) break;
      if (is_below) names.push_back(line.substr(2, line.find(' ', 2) - 2));
      if (line.starts_with("Subcommands:")) is_below = true;
    }
    EXPECT_GE(names.size(), 10U);
    return names;
  }
  Names flags(const std::string& command) {
    return flags_of_help(tessera(command + " --help").out);
  }
  // What a bash offers, whose words are these, the cursor in the last.
  std::vector<std::string> offered(const std::vector<std::string>& words) {
    file("completion.bash", made("bash"));
    std::string quoted;
    for (const std::string& word : words) quoted += " '" + word + "'";
    const CommandResult result = sh(fmt::format(
        "bash -c '. ./completion.bash; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _tessera; "
        "for word in \"${{COMPREPLY[@]}}\"; do echo \"$word\"; done' bash{}",
        quoted));
    EXPECT_EQ(result.status, 0);
    EXPECT_THAT(result.err, IsEmpty());
    std::vector<std::string> all = lines_of(result.out);
    std::sort(all.begin(), all.end());
    return all;
  }
  bool has(const std::string& program) { return sh("command -v " + program).status == 0; }
};

TEST_F(ManualTest, HelpDoesNotShowTheCommandOfTheBuild) {
  EXPECT_THAT(commands(), Not(Contains("manual")));
  expect_failure(tessera("manua"), 2, "expected one of the commands embed, ");
  EXPECT_THAT(tessera("manua").err, Not(HasSubstr("manual")));
  expect_failure(tessera("manual klingon"), 2,
                 "got 'klingon', expected one of man, bash, zsh, fish");
}

TEST_F(ManualTest, ThePageHasEveryCommandAndEveryFlagAndNoOther) {
  std::map<std::string, Names> sections;  // flags by command
  std::string command;
  bool is_name = false;
  for (const std::string& line : lines_of(made("man"))) {
    if (line.starts_with(".SH ")) command.clear();
    if (line.starts_with(".SS tessera ")) command = line.substr(12);
    if (is_name && !command.empty()) {
      std::string plain = line;
      for (const char* markup : {"\\fB", "\\fI", "\\fR", "\\"}) {
        for (std::size_t at = 0; (at = plain.find(markup, at)) != std::string::npos;) {
          plain.erase(at, std::string(markup).size());
        }
      }
      std::istringstream words(plain);
      for (std::string word; words >> word;) {
        if (word.starts_with('-')) sections[command].insert(word.substr(0, word.find(',')));
      }
    }
    is_name = line == ".TP";
  }
  ASSERT_EQ(sections.size(), commands().size());
  for (const std::string& name : commands()) {
    Names expected = flags(name);
    EXPECT_EQ(expected.erase("-h") + expected.erase("--help"), 2U);  // said once, for the tool
    EXPECT_EQ(sections[name], expected) << name;
  }
}

TEST_F(ManualTest, ReadersOfThePageHaveNothingToSay) {
  if (!has("groff")) GTEST_SKIP() << "groff is not installed";
  file("tessera.1", made("man"));
  const CommandResult result = sh("groff -man -Tutf8 -ww -rLL=200n tessera.1");
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.err, IsEmpty());
  EXPECT_THAT(result.out, HasSubstr("echo 'Hello there' | tessera embed model --format text"));
  EXPECT_THAT(result.out, HasSubstr("TESSERA_ISA lowers the instruction set."));
}

TEST_F(ManualTest, BashOffersTheNamesOfHelp) {
  std::vector<std::string> expected = commands();
  for (const char* other : {"help", "-h", "--help", "--version"}) expected.emplace_back(other);
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(offered({"tessera", ""}), expected);
  for (const std::string& command : commands()) {
    const std::vector<std::string> all = offered({"tessera", command, "-"});
    EXPECT_EQ(Names(all.begin(), all.end()), flags(command)) << command;
  }
  EXPECT_THAT(offered({"tessera", "help", "rer"}), ElementsAre("rerank"));
  EXPECT_THAT(offered({"tessera", "sea"}), ElementsAre("search"));
}

TEST_F(ManualTest, BashOffersWhatAValueMayBe) {
  file("notes.txt", "a\n");
  file("nothing here", "");
  using List = std::vector<std::string>;
  const std::map<List, List> cases{
      {{"embed", "--format", ""}, {"fvecs", "jsonl", "npy", "npz", "text"}},
      {{"embed", "--format", "=", "np"}, {"npy", "npz"}},
      {{"embed", "--format", "="}, {"fvecs", "jsonl", "npy", "npz", "text"}},
      {{"embed", "--truncation", "only"}, {"only_first", "only_second"}},
      {{"embed", "mo"}, {"model"}},  // a model is a directory
      {{"embed", "no"}, {}},
      {{"embed", "model", "no"}, {"notes.txt", "nothing here"}},
      {{"embed", "--threads", "2", "--normalize", "model", "no"}, {"notes.txt", "nothing here"}},
      {{"embed", "-o", "no"}, {"notes.txt", "nothing here"}},
      {{"embed", "--threads", "no"}, {}},
      {{"embed", "--packed-cache", ""}, {"model"}},
      {{"search", "model", "no"}, {}},  // a query
      {{"search", "model", "a query", "--index", "not"}, {"notes.txt", "nothing here"}},
      {{"similar", "--image", "a.png", "not"}, {"notes.txt", "nothing here"}},
      {{"embed", "model", "--", "--f"}, {}},
      {{"quantize", "model", "--out", "m"}, {"model"}},
      {{"klingon", "m"}, {}},
  };
  for (const auto& [words, expected] : cases) {
    List all{"tessera"};
    all.insert(all.end(), words.begin(), words.end());
    EXPECT_EQ(offered(all), expected) << ::testing::PrintToString(words);
  }
}

TEST_F(ManualTest, ZshReadsItsCompletion) {
  if (!has("zsh")) GTEST_SKIP() << "zsh is not installed";
  file("_tessera", made("zsh"));
  const CommandResult result = sh(
      "zsh -n _tessera && HOME=. zsh -f -c 'fpath=($PWD $fpath); autoload -U compinit; compinit -u "
      "-D; "
      "echo $_comps[tessera]'");
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.out, "_tessera\n");
}

TEST_F(ManualTest, FishOffersTheNamesOfHelp) {
  if (!has("fish")) GTEST_SKIP() << "fish is not installed";
  file("tessera.fish", made("fish"));
  const auto offers = [&](const std::string& line) {
    const CommandResult result =
        sh("HOME=. fish --no-config -c 'source tessera.fish; complete -C \"" + line + "\"'");
    EXPECT_EQ(result.status, 0) << result.err;
    std::vector<std::string> names;
    for (const std::string& each : lines_of(result.out))
      names.push_back(each.substr(0, each.find('\t')));
    return names;
  };
  for (const std::string& command : commands()) {
    Names names = flags(command), got;
    for (const std::string& name : offers("tessera " + command + " --")) got.insert(name);
    std::erase_if(names, [](const std::string& name) { return !name.starts_with("--"); });
    EXPECT_EQ(got, names) << command;
  }
  EXPECT_THAT(offers("tessera embed --format np"), ElementsAre("npy", "npz"));
  EXPECT_THAT(offers("tessera info mo"), ElementsAre("model/"));
}

}  // namespace
}  // namespace tessera::test
