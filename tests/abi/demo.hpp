// SPDX-License-Identifier: Apache-2.0
// The demo checkpoint through tessera.hpp. Tests here see the installed headers only.
#pragma once

#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <tessera/tessera.hpp>
#include <vector>

namespace tessera::test {

inline const std::string kDemo = TESSERA_SOURCE_DIR "/models/demo/text";
inline const std::string kSections = TESSERA_SOURCE_DIR "/models/demo/text-sections";
inline const std::vector<std::string_view> kTexts{
    "A tiny text editor", "vi for small screens", "Compiler for the C language", "x",
    "an encyclopedia of everything that was ever written about tea, and how to brew it"};

inline std::vector<std::byte> read_bytes(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::vector<char> bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const auto view = std::as_bytes(std::span(bytes));
  return {view.begin(), view.end()};
}

/// A directory that is gone after the test.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "tessera-abi-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }
  void write(const std::string& name, std::string_view content) const {
    std::ofstream(path_ / name, std::ios::binary) << content;
  }

 private:
  std::filesystem::path path_;
};

inline const Model& demo() {
  static const Model model(kDemo);
  return model;
}

}  // namespace tessera::test
