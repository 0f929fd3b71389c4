// SPDX-License-Identifier: Apache-2.0
// The one writer of checkpoints for tests: f32 tensors by name, random ones the same in every run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runtime/weights/safetensors.hpp"
#include "tests/support/random.hpp"

namespace tessera::test {

/// An f32 tensor, row-major.
struct Tensor {
  std::vector<std::int64_t> shape;
  std::vector<float> data;

  float at(Index i, Index j) const {
    return data[static_cast<std::size_t>(i * static_cast<Index>(shape[1]) + j)];
  }
};

/// N(mean, scale²).
inline Tensor random_tensor(std::vector<std::int64_t> shape, std::uint64_t seed, float scale = 0.3F,
                            float mean = 0.0F) {
  std::size_t elements = 1;
  for (const std::int64_t extent : shape) elements *= static_cast<std::size_t>(extent);
  Tensor tensor{.shape = std::move(shape), .data = std::vector<float>(elements)};
  Random random{seed};
  for (float& value : tensor.data) value = mean + scale * random.normal();
  return tensor;
}

using Tensors = std::map<std::string, Tensor>;

/// Adds a random tensor. Its name is the seed; `variant` gives other values.
inline const Tensor& add_random(Tensors& tensors, const std::string& name,
                                std::vector<std::int64_t> shape, float scale = 0.3F,
                                float mean = 0.0F, std::uint64_t variant = 0) {
  const std::uint64_t seed = std::hash<std::string>{}(name) + variant;
  return tensors[name] = random_tensor(std::move(shape), seed, scale, mean);
}
/// "<name>.weight" (out, in) and "<name>.bias".
inline void add_random_linear(Tensors& tensors, const std::string& name, std::int64_t out,
                              std::int64_t in) {
  add_random(tensors, name + ".weight", {out, in});
  add_random(tensors, name + ".bias", {out}, 0.1F);
}
inline void add_random_norm(Tensors& tensors, const std::string& name, std::int64_t width) {
  add_random(tensors, name + ".weight", {width}, 0.1F, 1.0F);
  add_random(tensors, name + ".bias", {width}, 0.1F);
}

/// Writes a safetensors file, making the folders on the way.
inline void write_tensors(const std::filesystem::path& file, const Tensors& tensors) {
  std::vector<TensorToWrite> list;
  for (const auto& [name, tensor] : tensors) {
    list.push_back({.name = name,
                    .type = StoredType::f32,
                    .shape = tensor.shape,
                    .data = std::as_bytes(std::span(tensor.data))});
  }
  std::filesystem::create_directories(file.parent_path());
  write_safetensors(file, list);
}

}  // namespace tessera::test
