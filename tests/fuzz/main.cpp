// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "runtime/base/error.hpp"
#include "runtime/base/log.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace tessera::fuzz {
namespace {

// Messages are shown to people: of bounded length, without control characters.
constexpr std::size_t kLongestMessage = 4096;

}  // namespace

void check_message(const Error& e) {
  const std::string_view said = e.what();
  const bool is_plain = std::none_of(said.begin(), said.end(), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7F;
  });
  const bool is_finding =
      e.code() == ErrorCode::internal ||
      (e.code() != ErrorCode::out_of_memory && said.find("expected") == std::string_view::npos) ||
      said.size() > kLongestMessage || !is_plain;
  if (!is_finding) return;
  fmt::print(stderr, "message ({}, {} bytes): {}\n", to_string(e.code()), said.size(),
             said.substr(0, kLongestMessage));
  std::abort();
}

void require(bool holds, const char* what) {
  if (holds) return;
  fmt::print(stderr, "does not hold: {}\n", what);
  std::abort();
}

}  // namespace tessera::fuzz

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  if (*argc != 3 || std::strcmp((*argv)[1], "--seeds") != 0) return 0;
  const std::filesystem::path folder = (*argv)[2];
  std::filesystem::create_directories(folder);
  for (const auto& [name, bytes] : tessera::fuzz::seeds()) {
    std::ofstream(folder / name, std::ios::binary)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  std::exit(EXIT_SUCCESS);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    tessera::fuzz::run({reinterpret_cast<const char*>(data), size});
  } catch (const tessera::Error& e) {
    tessera::fuzz::check_message(e);
  }
  return 0;
}
