// SPDX-License-Identifier: Apache-2.0
#include "tessera/pipeline/file_ending.hpp"

#include <algorithm>
#include <filesystem>

namespace tessera {

std::string file_ending(std::string_view path) {
  std::string ending = std::filesystem::path(path).extension().string();
  if (ending.empty()) return ending;
  ending.erase(0, 1);
  std::transform(ending.begin(), ending.end(), ending.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return ending;
}

}  // namespace tessera
