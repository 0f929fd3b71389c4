// SPDX-License-Identifier: Apache-2.0
// A checkpoint directory of any BERT size with random ternary weights (transformers' "bitnet"): linears of
// layers are -1, 0 and 1, four in a byte, words are whole numbers of 8 bits, the rest is F32.
#pragma once

#include <cstring>

#include "bench/support/random_checkpoint.hpp"

namespace tessera::bench {

inline constexpr BertSize kTernaryBertBase{"BERT-base-ternary", 12, 768, 12, 3072};

class RandomTernary {
 public:
  /// weight_scale divides: weights of 0.02, as those of write_random().
  void add_linear(const std::string& name, Index N, Index K) {
    std::vector<std::byte>& packed = add(name + ".weight", StoredType::u8, {N / 4, K}, N / 4 * K);
    for (std::byte& byte : packed) {
      unsigned bits = 0;
      for (unsigned j = 0; j < 4; ++j) bits |= next() % 3 << (2 * j);
      byte = static_cast<std::byte>(bits);
    }
    add_floats(name + ".weight_scale", {1}, 50.0F, 0.0F);
    add_floats(name + ".bias", {N}, 0.0F, 0.07F);
  }
  void add_words(const std::string& name, Index V, Index H) {
    std::vector<std::byte>& numbers = add(name + ".weight", StoredType::i8, {V, H}, V * H);
    for (std::byte& q : numbers) q = static_cast<std::byte>(next() % 255 - 127);
    add_floats(name + ".weight_scale", {V, 1}, 0.035F / 127, 0.0F);
  }
  void add_norm(const std::string& name, Index H) {
    add_floats(name + ".weight", {H}, 1.0F, 0.07F);
    add_floats(name + ".bias", {H}, 0.0F, 0.07F);
  }
  /// Uniform in mean ± width/2.
  void add_floats(const std::string& name, std::vector<std::int64_t> shape, float mean,
                  float width) {
    Index n = 1;
    for (const std::int64_t extent : shape) n *= extent;
    std::vector<std::byte>& bytes = add(name, StoredType::f32, std::move(shape), 4 * n);
    for (Index i = 0; i < n; ++i) {
      const float value = (static_cast<float>(next()) / 16777216.0F - 0.5F) * width + mean;
      std::memcpy(bytes.data() + 4 * i, &value, 4);
    }
  }
  void write(const std::filesystem::path& file) {
    for (std::size_t i = 0; i < tensors_.size(); ++i) tensors_[i].data = data_[i];
    write_safetensors(file, tensors_);
  }

 private:
  std::vector<std::byte>& add(const std::string& name, StoredType type,
                              std::vector<std::int64_t> shape, Index bytes) {
    tensors_.push_back({.name = name, .type = type, .shape = std::move(shape), .data = {}});
    return data_.emplace_back(static_cast<std::size_t>(bytes));
  }
  /// 24 bits.
  unsigned next() noexcept {
    state_ = state_ * 1664525U + 1013904223U;
    return state_ >> 8;
  }
  std::vector<TensorToWrite> tensors_;
  std::vector<std::vector<std::byte>> data_;
  unsigned state_ = 12345;
};

/// A BertModel without pooler.
inline void write_random_ternary_bert(const std::filesystem::path& directory,
                                      const BertSize& size) {
  RandomTernary weights;
  const Index H = size.hidden, I = size.intermediate;
  weights.add_words("embeddings.word_embeddings", size.vocab, H);
  weights.add_floats("embeddings.position_embeddings.weight", {size.positions, H}, 0.0F, 0.07F);
  weights.add_floats("embeddings.token_type_embeddings.weight", {2, H}, 0.0F, 0.07F);
  weights.add_norm("embeddings.LayerNorm", H);
  for (Index i = 0; i < size.layers; ++i) {
    const std::string layer = fmt::format("encoder.layer.{}.", i);
    for (const char* part : {"query", "key", "value"})
      weights.add_linear(layer + "attention.self." + part, H, H);
    weights.add_linear(layer + "attention.output.dense", H, H);
    weights.add_norm(layer + "attention.output.LayerNorm", H);
    weights.add_linear(layer + "intermediate.dense", I, H);
    weights.add_linear(layer + "output.dense", H, I);
    weights.add_norm(layer + "output.LayerNorm", H);
  }
  weights.write(directory / "model.safetensors");
  std::ofstream(directory / "config.json") << fmt::format(
      R"({{"architectures": ["BertModel"], "model_type": "bert", "vocab_size": {}, "hidden_size": {},
 "num_hidden_layers": {}, "num_attention_heads": {}, "intermediate_size": {},
 "max_position_embeddings": {}, "type_vocab_size": 2, "hidden_act": "gelu",
 "layer_norm_eps": 1e-12, "pad_token_id": 0,
 "quantization_config": {{"quant_method": "bitnet", "linear_class": "bitlinear",
  "quantization_mode": "offline",
  "word_embeddings": {{"num_bits": 8, "type": "int", "symmetric": true, "strategy": "channel"}}}}}})",
      size.vocab, H, size.layers, size.heads, I, size.positions);
}

}  // namespace tessera::bench
