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

#include "runtime/program/image.hpp"
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

/// The same, of maps [B,C,h,w] as rows [B,h*w,C].
template <class T>
std::vector<T> rows_of(const StoredTensor& tensor) {
  std::vector<T> values = elements_of<T>(tensor);
  if (tensor.shape.size() != 4) return values;
  const auto C = static_cast<std::size_t>(tensor.shape[1]),
             cells = static_cast<std::size_t>(tensor.shape[2] * tensor.shape[3]);
  std::vector<T> rows(values.size());
  for (std::size_t e = 0; e < values.size(); ++e) {
    const std::size_t image = e / (C * cells), c = e / cells % C, cell = e % cells;
    rows[(image * cells + cell) * C + c] = values[e];
  }
  return rows;
}

/// Padded inputs [B,T] of one run, [B,choices,T] as [B·choices,T]; mask and types are empty where the run was called without.
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
    EXPECT_GE(tensor->shape.size(), 2U);  // (B,T), or (B,choices,T)
    inputs.tokens = static_cast<Index>(tensor->shape.back());
    inputs.sequences = static_cast<Index>(tensor->elements()) / inputs.tokens;
    return elements_of<std::int64_t>(*tensor);
  };
  inputs.mask = read("attention_mask");
  inputs.types = read("token_type_ids");
  inputs.ids = read("input_ids");
  return inputs;
}

/// pixel_values [B,C,H,W] of one run; empty where it has none.
struct StoredImages {
  Index count = 0, channels = 0, height = 0, width = 0;
  std::vector<float> values;

  /// One image each, valid as long as this object.
  std::vector<Image> view() const {
    std::vector<Image> images;
    for (Index i = 0; i < count; ++i) {
      images.push_back({.planes = values.data() + i * channels * height * width,
                        .height = height,
                        .width = width});
    }
    return images;
  }
};

inline StoredImages read_images(const SafetensorsFile& file, const std::string& prefix = "") {
  const StoredTensor* tensor = file.find(prefix + "pixel_values");
  if (tensor == nullptr) return {};
  EXPECT_EQ(tensor->shape.size(), 4U);
  return {.count = static_cast<Index>(tensor->shape.at(0)),
          .channels = static_cast<Index>(tensor->shape.at(1)),
          .height = static_cast<Index>(tensor->shape.at(2)),
          .width = static_cast<Index>(tensor->shape.at(3)),
          .values = elements_of<float>(*tensor)};
}

}  // namespace tessera::test
