// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "tests/tessera/cli/cli_test.hpp"

namespace tessera::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

using ReportCommandTest = CliTest;

TEST_F(ReportCommandTest, WritesOnePageAndItsPlots) {
  const CommandResult result =
      tessera("report model --rows 16 --threads 1 --runs 2 -o page.html --plots pictures/all");
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.out, IsEmpty());
  const std::string page = read_file(path("page.html"));
  EXPECT_THAT(page, HasSubstr("<h1>model (BertModel)</h1>"));
  EXPECT_THAT(page, HasSubstr("time measured by"));
  EXPECT_THAT(page, HasSubstr("</html>"));
  for (const char* name : {"roofline", "layer_bytes", "crossover", "arena"}) {
    const std::string plot = read_file(path(std::string("pictures/all/") + name + ".svg"));
    EXPECT_THAT(plot, HasSubstr("</svg>")) << name;
    EXPECT_THAT(plot, Not(HasSubstr("var("))) << name;
  }
  EXPECT_THAT(temporaries(), IsEmpty());
}

TEST_F(ReportCommandTest, HasARoofForEachPrecisionThatIsMultiplied) {
  const auto roofs = [&](const std::string& flags) {
    const CommandResult result =
        tessera("report model --rows 16 --threads 1 --no-time --isa avx2 -o page.html " + flags);
    EXPECT_EQ(result.status, 0) << result.err;
    const std::string page = read_file(path("page.html"));
    std::string found;
    for (const char* name : {"fp32", "bf16", "int8"}) {
      if (page.find(std::string(name) + " peak ") != page.npos) found += std::string(name) + ' ';
    }
    return found;
  };
  EXPECT_EQ(roofs(""), "fp32 ");
  EXPECT_EQ(roofs("--precision bf16"), "fp32 bf16 ");
  EXPECT_EQ(roofs("--precision int8"), "fp32 int8 ");
}

TEST_F(ReportCommandTest, APathThatCannotBeWrittenIsSaidBeforeAnythingRuns) {
  expect_failure(tessera("report model -o none/page.html"), 1, "none/page.html");
  file("taken", "");
  expect_failure(tessera("report model -o page.html --plots taken/plots"), 1, "taken/plots");
  EXPECT_THAT(temporaries(), IsEmpty());
}

TEST_F(ReportCommandTest, BadSizesAreUsageErrors) {
  expect_failure(tessera("report model --rows 0"), 2, "--rows");
  expect_failure(tessera("report model --rows 2 --sequences 3"), 2, "--sequences");
  expect_failure(tessera("report model --no-time --runs 3"), 2, "--runs: got --no-time");
  expect_failure(tessera("report model --as query"), 2, "--as: ");
}

}  // namespace
}  // namespace tessera::test
