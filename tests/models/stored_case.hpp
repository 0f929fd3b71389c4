// SPDX-License-Identifier: Apache-2.0
// A golden case whose tensors are stored as a test says: every one can be changed before it is written.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "models/compressed_tensors.hpp"
#include "runtime/weights/safetensors.hpp"
#include "tests/models/checkpoint_copy.hpp"
#include "tests/support/temporary.hpp"

namespace tessera::test {

class StoredCaseTest : public testing::Test {
 protected:
  struct Stored {
    StoredType type = StoredType::f32;
    std::vector<std::int64_t> shape;
    std::vector<std::byte> data;
  };

  StoredCaseTest() {
    for (const auto& [name, tensor] : copy_.tensors)
      stored_[name] = floats(tensor.data, tensor.shape);
  }
  static Stored floats(const std::vector<float>& values, std::vector<std::int64_t> shape) {
    const auto bytes = std::as_bytes(std::span(values));
    return {StoredType::f32, std::move(shape), {bytes.begin(), bytes.end()}};
  }
  static std::string scale_of(const std::string& weight) {
    return weight.substr(0, weight.size() - models::kWeight.size()) + std::string(models::kScale);
  }

  models::Package open(const std::map<std::string, std::string, std::less<>>& metadata = {}) {
    const TemporaryDirectory directory;
    std::vector<TensorToWrite> tensors;
    for (const auto& [name, tensor] : stored_) {
      tensors.push_back(
          {.name = name, .type = tensor.type, .shape = tensor.shape, .data = tensor.data});
    }
    directory.write("config.json", copy_.config_text());
    write_safetensors(directory / "model.safetensors", tensors, metadata);
    return models::open_package(directory.path());
  }
  std::string problem() {
    return error_of([&] { open(); });
  }

  CheckpointCopy copy_{"bert-model"};  ///< as floats
  std::map<std::string, Stored> stored_;
};

inline const std::vector<std::vector<std::int32_t>> kSequences{{2, 5, 7, 3}, {2, 9, 3}};

}  // namespace tessera::test
