// SPDX-License-Identifier: Apache-2.0
// The demo checkpoint through tessera.hpp. Tests here see the installed headers only.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <tessera/tessera.hpp>
#include <vector>

#include "tests/support/temporary.hpp"

/// That a call of the C ABI gives `status`, and what the last error says.
#define EXPECT_REFUSED(call, status, matcher)   \
  do {                                          \
    EXPECT_EQ((call), (status));                \
    EXPECT_THAT(tessera_last_error(), matcher); \
  } while (false)

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

inline const Model& demo() {
  static const Model model(kDemo);
  return model;
}

}  // namespace tessera::test
