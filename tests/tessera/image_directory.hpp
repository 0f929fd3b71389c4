// SPDX-License-Identifier: Apache-2.0
// Tiny models of images out of tests/golden/data, with the preprocessor_config.json that published
// directories have.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

namespace tessera::test {

/// Copies the checkpoint `name` to `directory` and writes its preprocessor settings (JSON).
inline void copy_image_model(const std::string& name, const std::filesystem::path& directory,
                             const std::string& preprocessor) {
  std::filesystem::create_directories(directory);
  const auto from = std::filesystem::path(TESSERA_SOURCE_DIR) / "tests/golden/data" / name;
  for (const char* file : {"config.json", "model.safetensors"}) {
    std::filesystem::copy_file(from / file, directory / file);
  }
  std::ofstream(directory / "preprocessor_config.json") << preprocessor;
}

/// A file of tests/data/images/decode.
inline std::filesystem::path image_file(const std::string& name) {
  return std::filesystem::path(TESSERA_SOURCE_DIR) / "tests/data/images/decode" / name;
}

}  // namespace tessera::test
