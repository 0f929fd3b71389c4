// SPDX-License-Identifier: Apache-2.0
// What a long job shows on a terminal.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/tessera/cli/cli_test.hpp"
#include "tests/tessera/cli/terminal.hpp"

namespace tessera::test {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

class TerminalTest : public CliTest {
 protected:
  static constexpr unsigned short kColumns = 22;

  void SetUp() override {
    CliTest::SetUp();
    if (terminal_.name().empty()) GTEST_SKIP() << "no pseudo-terminal";
  }
  // Of a job that takes a second.
  std::string shown(const std::string& environment) {
    const CommandResult result = sh(fmt::format(
        "(echo tea; sleep 0.7; echo tea) | {} \"$TESSERA\" embed model --precision fp32 2> {}",
        environment, terminal_.name()));
    EXPECT_EQ(result.status, 0);
    return terminal_.shown();
  }
  Terminal terminal_{kColumns};
};

TEST_F(TerminalTest, ALineIsDrawnWithinTheWidthAndRemoved) {
  const std::string text = shown("TERM=xterm");
  const std::size_t begin = text.find("\rembedding"), end = text.find("\x1b[K");
  ASSERT_NE(begin, std::string::npos) << text;
  ASSERT_NE(end, std::string::npos) << text;
  EXPECT_LT(end - begin - 1, kColumns);
  EXPECT_THAT(text, MatchesRegex("(.|\r|\n)*\r\x1b\\[Ktessera embed: 2 texts in [0-9.]+ s .*\r\n"));
}

TEST_F(TerminalTest, ADumbOneGetsPlainLines) {
  for (const char* environment : {"TERM=dumb", "env -u TERM"}) {
    const std::string text = shown(environment);
    EXPECT_THAT(text, Not(HasSubstr("\x1b")));
    EXPECT_THAT(text, MatchesRegex("tessera embed: 2 texts in [0-9.]+ s .*\r\n")) << environment;
  }
}

}  // namespace
}  // namespace tessera::test
