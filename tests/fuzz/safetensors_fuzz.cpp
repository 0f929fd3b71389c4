// SPDX-License-Identifier: Apache-2.0
// Any bytes give tensors inside the file, or an Error. In the second form of an input the length in
// front of the header is right, so that mutations reach the header.
#include <cstdint>
#include <cstring>
#include <span>

#include "runtime/base/files.hpp"
#include "runtime/weights/safetensors.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace tessera::fuzz {
namespace {

constexpr std::size_t kLength = sizeof(std::uint64_t);

std::string with_length(std::string_view header, std::size_t buffer) {
  const auto n = static_cast<std::uint64_t>(header.size());
  std::string out(kLength, '\0');
  std::memcpy(out.data(), &n, kLength);
  return out + std::string(header) + std::string(buffer, 'd');
}

void read(std::string_view file) {
  const MemoryFiles files({{"model.safetensors", std::as_bytes(std::span(file))}});
  const SafetensorsFile opened = SafetensorsFile::open(files.directory() / "model.safetensors");
  const auto all = opened.file().bytes();
  for (const StoredTensor& tensor : opened.tensors()) {
    require(tensor.data >= all.data() && tensor.bytes <= all.size() &&
                static_cast<std::size_t>(tensor.data - all.data()) <= all.size() - tensor.bytes,
            "a tensor is inside the file");
    require(opened.find(tensor.name) == &tensor, "a tensor is found by its name");
  }
}

}  // namespace

void run(std::string_view input) {
  if (input.size() < 2) return;
  const auto buffer = static_cast<unsigned char>(input[1]);
  const std::string_view rest = input.substr(2);
  if (input[0] % 2 == 0) {
    read(rest);
  } else {
    read(with_length(rest, buffer));
  }
}

Seeds seeds() {
  Seeds out;
  add_files("data/malformed_safetensors", 400, std::string(2, '\0'), out);
  out.emplace_back("header",
                   "\x01\x18"
                   R"({"a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
      "b": {"dtype": "BF16", "shape": [4], "data_offsets": [16, 24]}, "__metadata__": {"k": "v"}})");
  out.emplace_back("six-bits",
                   "\x01\x03"
                   R"({"a": {"dtype": "F6_E2M3", "shape": [4],
      "data_offsets": [0, 3]}, "z": {"dtype": "F4", "shape": [0], "data_offsets": [3, 3]}})");
  return out;
}

}  // namespace tessera::fuzz
