// SPDX-License-Identifier: Apache-2.0
// What the fuzzers share. A fuzzer is one file that says what to do with an input and where to begin;
// main.cpp gives both to libFuzzer. An Error is an answer, if its message has its four parts; any
// other exception, a report of a sanitizer, and an input that takes long are findings.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/base/error.hpp"

namespace tessera::fuzz {

/// Files by their names.
using Seeds = std::vector<std::pair<std::string, std::string>>;

/// Tries one input; may throw an Error.
void run(std::string_view input);

/// What the fuzzer begins with; `NAME --seeds DIR` writes them.
Seeds seeds();

/// Ends the process, as a finding, unless `holds`.
void require(bool holds, const char* what);

/// Ends the process, as a finding, unless the message of `e` is one that people may be shown. Of what
/// run() throws main.cpp asks this.
void check_message(const Error& e);

/// A committed file, by its path in the repository.
inline std::string read_committed(const std::filesystem::path& path) {
  std::ifstream in(std::filesystem::path(TESSERA_SOURCE_DIR) / path, std::ios::binary);
  require(in.good(), path.c_str());
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// Appends the committed files of a folder below tests/ that have at most `most` bytes, each with
/// `prefix` before it.
inline void add_files(const std::string& folder, std::size_t most, std::string_view prefix,
                      Seeds& out) {
  namespace fs = std::filesystem;
  for (const auto& entry :
       fs::directory_iterator(fs::path(TESSERA_SOURCE_DIR) / "tests" / folder)) {
    if (!entry.is_regular_file() || entry.file_size() > most) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    out.emplace_back(entry.path().filename().string(), std::string(prefix) + bytes);
  }
}

}  // namespace tessera::fuzz
