// SPDX-License-Identifier: Apache-2.0
// Runs the real binary on a tiny model that is written for the test.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "runtime/weights/safetensors.hpp"
#include "tests/support/temporary.hpp"
#include "tests/tessera/tiny_directory.hpp"

namespace tessera::test {

struct CommandResult {
  int status = -1;  ///< exit status, or 128 + signal
  std::string out, err;
};

/// Runs `sh -c command` with TESSERA naming the binary, in `directory`.
CommandResult shell(const std::filesystem::path& directory, const std::string& command);

std::string read_file(const std::filesystem::path& path);
std::vector<std::string> lines_of(const std::string& text);
/// The numbers between blanks.
std::vector<float> numbers_of(const std::string& line);

/// A new directory for each test, with a model in "model", removed at the end.
class CliTest : public testing::Test {
 protected:
  void SetUp() override { write_model(path("model")); }

  /// `$TESSERA arguments`, in the test's directory.
  CommandResult tessera(const std::string& arguments) {
    return shell(directory_, "\"$TESSERA\" " + arguments);
  }
  CommandResult sh(const std::string& command) { return shell(directory_, command); }
  std::filesystem::path path(const std::string& name) const { return directory_ / name; }
  void file(const std::string& name, const std::string& content) {
    write_file(path(name), content);
  }
  /// Names in the test's directory that look like left-over temporary files.
  std::vector<std::string> temporaries() const;

  TemporaryDirectory temporary_;
  std::filesystem::path directory_ = temporary_.path();
};

/// Expects `status`, nothing on stdout, and `part` in a message on stderr of one line (two for
/// usage errors).
void expect_failure(const CommandResult& result, int status, const std::string& part);

/// Expects exit status 1, `results` lines on stdout, `part` on stderr, and there as the last word how
/// many lines gave no result.
void expect_bad_lines(const CommandResult& result, std::size_t results, const std::string& part);

}  // namespace tessera::test
