// SPDX-License-Identifier: Apache-2.0
#include "runtime/weights/other_weights.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <vector>

#include "runtime/base/files.hpp"

namespace tessera {
namespace {

namespace fs = std::filesystem;

struct Other {
  const char* name;
  const char* meaning;  ///< what it is, and the way out
};

constexpr const char* kOnnx =
    "an ONNX model: take the weights of the directory that it was exported from";
constexpr const char* kOpenClip =
    "of OpenCLIP, with other names for its tensors: take the same model for transformers";

constexpr Other kOthers[] = {
    {"tf_model.h5", "of TensorFlow: load it with from_tf=True in transformers, and save it"},
    {"flax_model.msgpack", "of Flax: load it with from_flax=True in transformers, and save it"},
    {"model.onnx", kOnnx},
    {"onnx/model.onnx", kOnnx},
    {"open_clip_model.safetensors", kOpenClip},
    {"open_clip_pytorch_model.bin", kOpenClip},
    {"open_clip_config.json", kOpenClip},
    {"rust_model.ot", "of rust-bert: take the same model for transformers"},
    {"adapter_model.safetensors", "an adapter: merge it into the model that it was trained for"},
    {"adapter_model.bin", "an adapter: merge it into the model that it was trained for"},
};

/// The names of the files of a directory of the system that end so, sorted.
std::vector<std::string> files_that_end_in(const fs::path& directory, const char* ending) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
    if (at->path().extension() == ending) names.push_back(at->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

std::string other_weights(const fs::path& directory) {
  std::string text;
  const auto add = [&](const std::string& name, const char* meaning) {
    text += fmt::format("; {} is {}", name, meaning);
  };
  for (const Other& other : kOthers) {
    if (path_exists(directory / other.name)) add(other.name, other.meaning);
  }
  for (const char* folder : {"", "onnx/"}) {
    for (const std::string& name : files_that_end_in(directory / folder, ".onnx")) {
      if (name != "model.onnx") add(folder + name, kOnnx);
    }
  }
  for (const std::string& name : files_that_end_in(directory, ".gguf")) {
    add(name, "a GGUF file: take the same model for transformers");
  }
  return text;
}

}  // namespace tessera
