// SPDX-License-Identifier: Apache-2.0
// A checkpoint directory of any BERT size with random weights: speed does not depend on their
// values.
#pragma once

#include <fmt/format.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include "runtime/error.hpp"
#include "runtime/weights/safetensors.hpp"

namespace tessera::bench {

struct BertSize {
  const char* name;
  Index layers, hidden, heads, intermediate;
  Index vocab = 30522, positions = 512;
};

inline constexpr BertSize kBertBase{"BERT-base", 12, 768, 12, 3072};
inline constexpr BertSize kMiniLmL6{"MiniLM-L6-384", 6, 384, 12, 1536};

/// A directory that is removed at the end of the scope.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "tessera-bench-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) {
      throw Error(ErrorCode::io_error, fmt::format("{}: cannot create a directory", name));
    }
    path_ = name;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

/// Writes config.json and model.safetensors (F32) of a BertModel with pooler.
inline void write_random_bert(const std::filesystem::path& directory, const BertSize& size) {
  struct Tensor {
    std::string name;
    Index rows, cols;  // cols = 0: a vector
  };
  std::vector<Tensor> list;
  const Index H = size.hidden, I = size.intermediate;
  const auto linear = [&](const std::string& name, Index N, Index K) {
    list.push_back({name + ".weight", N, K});
    list.push_back({name + ".bias", N, 0});
  };
  const auto norm = [&](const std::string& name) {
    list.push_back({name + ".weight", H, 0});
    list.push_back({name + ".bias", H, 0});
  };
  list.push_back({"embeddings.word_embeddings.weight", size.vocab, H});
  list.push_back({"embeddings.position_embeddings.weight", size.positions, H});
  list.push_back({"embeddings.token_type_embeddings.weight", 2, H});
  norm("embeddings.LayerNorm");
  for (Index i = 0; i < size.layers; ++i) {
    const std::string layer = fmt::format("encoder.layer.{}.", i);
    for (const char* part : {"query", "key", "value"})
      linear(layer + "attention.self." + part, H, H);
    linear(layer + "attention.output.dense", H, H);
    norm(layer + "attention.output.LayerNorm");
    linear(layer + "intermediate.dense", I, H);
    linear(layer + "output.dense", H, I);
    norm(layer + "output.LayerNorm");
  }
  linear("pooler.dense", H, H);

  std::vector<std::vector<float>> data;
  std::vector<TensorToWrite> tensors;
  std::uint32_t state = 12345;
  for (const Tensor& tensor : list) {
    std::vector<float>& values = data.emplace_back(
        static_cast<std::size_t>(tensor.rows * (tensor.cols == 0 ? 1 : tensor.cols)));
    const bool gamma = tensor.name.ends_with("LayerNorm.weight");
    for (float& value : values) {
      state = state * 1664525U + 1013904223U;  // uniform in ±0.035: standard deviation 0.02
      value = (static_cast<float>(state >> 8) / 16777216.0F - 0.5F) * 0.07F + (gamma ? 1.0F : 0.0F);
    }
    std::vector<std::int64_t> shape{tensor.rows};
    if (tensor.cols > 0) shape.push_back(tensor.cols);
    tensors.push_back(
        {.name = tensor.name, .type = StoredType::f32, .shape = std::move(shape), .data = {}});
  }
  for (std::size_t i = 0; i < tensors.size(); ++i)
    tensors[i].data = std::as_bytes(std::span(data[i]));
  write_safetensors(directory / "model.safetensors", tensors);
  std::ofstream(directory / "config.json") << fmt::format(
      R"({{"architectures": ["BertModel"], "model_type": "bert", "hidden_size": {}, "num_hidden_layers": {},
 "num_attention_heads": {}, "intermediate_size": {}, "vocab_size": {}, "max_position_embeddings": {}}})",
      H, size.layers, size.heads, I, size.vocab, size.positions);
}

}  // namespace tessera::bench
