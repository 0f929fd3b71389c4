// SPDX-License-Identifier: Apache-2.0
#include "runtime/weights/looks_like.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "runtime/base/files.hpp"

namespace tessera {
namespace {

using namespace std::string_view_literals;

struct Signature {
  std::string_view begin;
  const char* meaning;
};

constexpr Signature kSignatures[] = {
    {"GGUF"sv, "a GGUF file"},
    {"\x89HDF\r\n"sv, "an HDF5 file, perhaps TensorFlow's tf_model.h5"},
    {"PK\x03\x04"sv, "a zip archive, perhaps of PyTorch: pytorch_model.bin is the name for that"},
    {"\x80\x02\x8A\x0A\x6C\xFC\x9C\x46"sv,
     "a checkpoint of PyTorch: pytorch_model.bin is the name for that"},
    {"\x1F\x8B"sv, "a gzip file: unpack it"},
};

/// A header's length of at most 100 MB, then the header.
bool is_safetensors(std::string_view head) {
  if (head.size() < 9 || head[8] != '{') return false;
  std::uint64_t length = 0;
  std::memcpy(&length, head.data(), sizeof length);
  return length <= 100'000'000;
}

}  // namespace

std::string looks_like(std::span<const std::byte> file) {
  const std::string_view head(reinterpret_cast<const char*>(file.data()),
                              std::min<std::size_t>(file.size(), 64));
  if (const std::string_view got = stand_in(head); !got.empty()) {
    return std::string(" (this is ").append(got) + ")";
  }
  for (const Signature& known : kSignatures) {
    if (head.starts_with(known.begin)) return std::string(" (this is ") + known.meaning + ")";
  }
  if (is_safetensors(head)) {
    return " (it begins as a safetensors file: model.safetensors is the name for that)";
  }
  return head.starts_with("<") ? " (this looks like a web page)" : "";
}

}  // namespace tessera
