// SPDX-License-Identifier: Apache-2.0
// Files for the tests of weights/: safetensors files from a header's text.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "runtime/base/error.hpp"
#include "runtime/weights/checkpoint.hpp"
#include "runtime/weights/safetensors.hpp"
#include "tests/support/temporary.hpp"

namespace tessera::test {

/// Writes a new file in place of what is there (ext4 flushes a file that is cut and rewritten).
inline void write_text(const std::filesystem::path& path, std::string_view text) {
  std::filesystem::remove(path);
  std::ofstream out(path, std::ios::binary);
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
  ASSERT_TRUE(out.flush()) << path;
}

inline std::string read_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// The bytes of a safetensors file: the header's length, the header, a buffer of 0, 1, 2, …
inline std::string file_of(std::string_view header, std::size_t buffer_bytes) {
  const auto length = static_cast<std::uint64_t>(header.size());
  std::string result(sizeof length, '\0');
  std::memcpy(result.data(), &length, sizeof length);
  result += header;
  for (std::size_t i = 0; i < buffer_bytes; ++i) result += static_cast<char>(i);
  return result;
}

/// The message of the Error that `body` throws, after checking its code; fails if there is none.
template <class Body>
std::string message_of(ErrorCode code, Body&& body) {
  try {
    body();
  } catch (const Error& e) {
    EXPECT_EQ(to_string(e.code()), std::string(to_string(code))) << e.what();
    return e.what();
  }
  ADD_FAILURE() << "no Error was thrown, expected " << to_string(code);
  return {};
}

}  // namespace tessera::test
