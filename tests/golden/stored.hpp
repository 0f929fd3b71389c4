// SPDX-License-Identifier: Apache-2.0
//
// What the golden cases are stored in: safetensors of inputs and outputs, read into vectors.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "runtime/weights/safetensors.hpp"

namespace tessera::test {

inline const std::filesystem::path kGoldenData =
    std::filesystem::path(TESSERA_SOURCE_DIR) / "tests/golden/data";
inline const std::filesystem::path kShared = TESSERA_SHARED_DIR;

template <class T>
std::vector<T> elements_of(const StoredTensor& tensor) {
  std::vector<T> values(static_cast<std::size_t>(tensor.elements()));
  EXPECT_EQ(tensor.bytes, values.size() * sizeof(T)) << tensor.name;
  if (tensor.bytes == values.size() * sizeof(T)) {
    std::memcpy(values.data(), tensor.data, tensor.bytes);
  }
  return values;
}

/// Padded inputs [B,T] of one run; mask and types are empty where the run was called without.
struct StoredInputs {
  Index sequences = 0, tokens = 0;
  std::vector<std::int64_t> ids, mask, types;
};

/// `prefix` is what the names of this run start with ("0." in shared/checkpoints).
inline StoredInputs read_inputs(const SafetensorsFile& file, const std::string& prefix = "") {
  StoredInputs inputs;
  const auto read = [&](const char* name) {
    const StoredTensor* tensor = file.find(prefix + name);
    if (tensor == nullptr) return std::vector<std::int64_t>{};
    EXPECT_EQ(tensor->shape.size(), 2U);
    inputs.sequences = static_cast<Index>(tensor->shape.at(0));
    inputs.tokens = static_cast<Index>(tensor->shape.at(1));
    return elements_of<std::int64_t>(*tensor);
  };
  inputs.mask = read("attention_mask");
  inputs.types = read("token_type_ids");
  inputs.ids = read("input_ids");
  return inputs;
}

}  // namespace tessera::test
