// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "tests/tessera/cli/cli_test.hpp"

namespace tessera::test {

CommandResult shell(const std::filesystem::path& directory, const std::string& command) {
  const auto out = directory / ".stdout", err = directory / ".stderr";
  const std::string wrapped =
      fmt::format("cd '{}' && export TESSERA='{}' && {{ {} ; }} > .stdout 2> .stderr",
                  directory.string(), TESSERA_CLI, command);
  const int raw = std::system(wrapped.c_str());
  CommandResult result;
  result.status = WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
  result.out = read_file(out);
  result.err = read_file(err);
  std::filesystem::remove(out);
  std::filesystem::remove(err);
  return result;
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::vector<float> numbers_of(const std::string& line) {
  std::vector<float> numbers;
  std::istringstream stream(line);
  for (float number = 0; stream >> number;) numbers.push_back(number);
  return numbers;
}

std::vector<std::string> CliTest::temporaries() const {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
    const std::string name = entry.path().filename().string();
    if (name.find("tmp") != std::string::npos) names.push_back(name);
  }
  return names;
}

void expect_failure(const CommandResult& result, int status, const std::string& part) {
  EXPECT_EQ(result.status, status) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_NE(result.err.find(part), std::string::npos) << result.err;
  EXPECT_EQ(result.err.compare(0, 7, "tessera"), 0) << result.err;
  EXPECT_EQ(lines_of(result.err).size(), status == 2 ? 2U : 1U) << result.err;
}

void expect_bad_lines(const CommandResult& result, std::size_t results, const std::string& part) {
  EXPECT_EQ(result.status, 1) << result.err;
  EXPECT_EQ(lines_of(result.out).size(), results) << result.out;
  EXPECT_NE(result.err.find(part), std::string::npos) << result.err;
  const auto said = lines_of(result.err);
  ASSERT_GE(said.size(), 2U) << result.err;
  EXPECT_NE(said.back().find(" lines gave no result, expected all"), std::string::npos);
}

}  // namespace tessera::test
