// SPDX-License-Identifier: Apache-2.0
// What the tool says about the precision on stderr, to whom, and how often.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tessera/pipeline/precision.hpp"
#include "tests/tessera/cli/rated_test.hpp"
#include "tests/tessera/cli/terminal.hpp"
#include "tests/tessera/image_directory.hpp"

namespace tessera::test {
namespace {

using testing::HasSubstr;
using testing::Not;

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size())
    ++found;
  return found;
}

constexpr const char* kAdvice = "--precision auto would be ";

class AdviceTest : public RatedTest {
 protected:
  void SetUp() override {
    RatedTest::SetUp();
    if (terminal_.name().empty()) GTEST_SKIP() << "no pseudo-terminal";
    file("in.txt", "a tiny text editor\nvi for small screens\n");
    embed_ = "embed " + demo_ + " in.txt --threads 1";
  }
  /// What a command shows on the terminal that its stderr is.
  std::string shown(const std::string& arguments, const std::string& stdout_to = "") {
    const CommandResult result =
        rated(arguments + fmt::format(" 2> {} {}", terminal_.name(), stdout_to));
    std::string text = terminal_.shown();
    EXPECT_EQ(result.status, 0) << text;
    return text;
  }
  double seconds(const char* precision) {
    return double(json(fmt::format("plan {} --rows 128 --threads 1 --precision {}", demo_,
                                   precision))["totals"]["seconds"]);
  }

  Terminal terminal_;
  std::string embed_;
};

TEST_F(AdviceTest, ATerminalIsToldOnceHowMuchFasterAutoIs) {
  rate(2);
  const double gain = seconds("fp32") / seconds("bf16");
  ASSERT_GT(gain, kWorthIt);
  EXPECT_EQ(shown(embed_), fmt::format("tessera: --precision auto would be {:.2f} x as fast "
                                       "(predicted for 128 rows; --precision fp32 silences this)"
                                       "\r\n",
                                       gain));
  EXPECT_EQ(json("plan " + demo_ + " --precision auto")["precision"].get_string().value(), "bf16")
      << "auto keeps the word";
}

TEST_F(AdviceTest, EveryCommandThatComputesSaysItOnce) {
  rate(2);
  const std::string models = TESSERA_SOURCE_DIR "/models/demo/";
  std::filesystem::create_directories(path("glyphs"));
  std::filesystem::copy_file(image_file("grey.jpg"), path("glyphs/a.jpg"));
  for (const std::string& command :
       {"classify " + models + "text-sections in.txt", "embed " + models + "vision glyphs",
        "search " + demo_ + " --index in.txt vi",
        "profile " + demo_ + " --rows 9 --runs 1 --meter time",
        "report " + demo_ + " --rows 9 --bytes none --no-time"}) {
    EXPECT_EQ(count(shown(command), kAdvice), 1U) << command;
  }
  EXPECT_EQ(count(shown("search " + demo_ + " --index in.txt vi -q"), kAdvice), 0U);
}

TEST_F(AdviceTest, NobodyElseIsTold) {
  rate(2);
  const auto expect_silence = [&](const std::string& text) {
    EXPECT_THAT(text, Not(HasSubstr(kAdvice)));
  };
  EXPECT_EQ(rated(embed_).err, "") << "a file";
  expect_silence(shown(embed_, "| cat"));
  for (const char* precision : {"fp32", "bf16", "auto"})
    expect_silence(shown(embed_ + " --precision " + precision));
  ASSERT_EQ(rated("plan " + demo_ + " --threads 1 --save plan.json").status, 0);
  expect_silence(shown(embed_ + " --plan plan.json"));
  expect_silence(shown("plan " + demo_));
  expect_silence(shown("info " + demo_));
  expect_silence(shown("embed model in.txt"));  // F32: auto would be fp32
}

TEST_F(AdviceTest, LittleIsNotWorthALine) {
  rate(0.5);
  EXPECT_EQ(shown(embed_), "");
  // The products are worth it, the whole with its exponentials is not.
  rate(1.01 * kWorthIt, 1e7);
  EXPECT_LT(seconds("fp32") / seconds("bf16"), kWorthIt);
  EXPECT_EQ(shown(embed_), "");
}

TEST_F(AdviceTest, NothingIsMeasuredForIt) {
  const CommandResult result = unrated(embed_ + " 2> " + terminal_.name());
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(terminal_.shown(), "");
  EXPECT_FALSE(std::filesystem::exists(path("cache")));
}

TEST_F(AdviceTest, RatesAreReadOnceWhateverIsSaid) {
  const auto damaged = [&](Precision precision) {
    const std::filesystem::path rates =
        rates_cache_file(path("cache/tessera"), machine(), resolve_isa({}, precision));
    std::filesystem::create_directories(rates.parent_path());
    write_file(rates, "no rates");
    return rates.filename().string();
  };
  const std::string fp32 = damaged(Precision::f32), bf16 = damaged(Precision::bf16);
  for (const auto& [command, own] : {std::pair{embed_, fp32},
                                     {embed_ + " --precision bf16", bf16},
                                     {embed_ + " --precision auto", bf16},
                                     {"info " + demo_, fp32},
                                     {"plan " + demo_ + " --no-measure", fp32}}) {
    unrated(command + " 2> " + terminal_.name());
    const std::string text = terminal_.shown();
    EXPECT_EQ(count(text, own), 1U) << command;
    EXPECT_LE(count(text, fp32), 1U) << command;
    EXPECT_LE(count(text, bf16), 1U) << command;
  }
}

TEST_F(AdviceTest, AnOutputThatIsMissingIsTheOnlyMessage) {
  rate(2);
  rated(embed_ + " --output-name nothing 2> " + terminal_.name());
  const std::string text = terminal_.shown();
  EXPECT_THAT(text, HasSubstr("output: got \"nothing\", expected one of "));
  EXPECT_THAT(text, Not(HasSubstr(kAdvice)));
}

constexpr const char* kWarning =
    "tessera: warning: precision bf16 is asked for and the slower one: bf16 multiplies 0.50 x as "
    "fast as fp32 here\n";

TEST_F(AdviceTest, Bf16ThatIsSlowerRunsAndIsWarnedOfOnce) {
  rate(0.5);
  const CommandResult result = rated(embed_ + " --precision bf16");
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.err, kWarning);
  EXPECT_NE(result.out, rated(embed_).out) << "it is bf16 that ran";
  EXPECT_EQ(rated(embed_).err, "");
  EXPECT_EQ(rated(embed_ + " --precision auto").err, "");
  rate(1.01);
  const CommandResult faster = rated(embed_ + " --precision bf16");
  EXPECT_EQ(faster.err, "");
  EXPECT_EQ(faster.out, result.out);
  EXPECT_EQ(unrated(embed_ + " --precision bf16").err, "") << "nobody knows";
}

TEST_F(AdviceTest, EveryCommandThatComputesWarnsOnce) {
  rate(0.5);
  copy_image_model("clip-full", path("clip"), R"({"size": 24, "crop_size": 24})");
  std::filesystem::create_directories(path("photos"));
  std::filesystem::copy_file(image_file("grey.jpg"), path("photos/a.jpg"));
  for (const std::string& command :
       {std::string("similar clip --image photos --ids --text '0 5 6 1'"),  // two encoders
        std::string("embed model in.txt"), std::string("search model --index in.txt vi -q"),
        std::string("profile model --rows 9 --runs 1"), std::string("report model --rows 9")}) {
    const CommandResult result = rated(command + " --precision bf16");
    EXPECT_EQ(result.status, 0) << command << result.err;
    EXPECT_EQ(result.err, kWarning) << command;
  }
}

}  // namespace
}  // namespace tessera::test
