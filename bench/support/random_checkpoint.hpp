// SPDX-License-Identifier: Apache-2.0
// A checkpoint directory of any BERT or ModernBERT size with random weights: speed does not depend on
// their values. Those of images are in random_vision.hpp.
#pragma once

#include <fmt/format.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runtime/base/error.hpp"
#include "runtime/weights/safetensors.hpp"

namespace tessera::bench {

struct BertSize {
  const char* name;
  Index layers, hidden, heads, intermediate;
  Index vocab = 30522, positions = 512;
  bool is_splade = false;  ///< a masked language model with SpladePooling
};

inline constexpr BertSize kBertBase{"BERT-base", 12, 768, 12, 3072};
inline constexpr BertSize kSpladeBase{"SPLADE-base", 12, 768, 12, 3072, 30522, 512, true};
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

/// A tensor of the checkpoint and how its values are drawn.
struct RandomTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  float mean = 0.0F;
};

/// Writes config.json and model.safetensors (F32): uniform in mean ± 0.035, standard deviation
/// 0.02.
inline void write_random(const std::filesystem::path& directory,
                         const std::vector<RandomTensor>& list, const std::string& config) {
  std::vector<std::vector<float>> data;
  std::vector<TensorToWrite> tensors;
  std::uint32_t state = 12345;
  for (const RandomTensor& tensor : list) {
    std::size_t elements = 1;
    for (const std::int64_t size : tensor.shape) elements *= static_cast<std::size_t>(size);
    std::vector<float>& values = data.emplace_back(elements);
    for (float& value : values) {
      state = state * 1664525U + 1013904223U;
      value = (static_cast<float>(state >> 8) / 16777216.0F - 0.5F) * 0.07F + tensor.mean;
    }
    tensors.push_back(
        {.name = tensor.name, .type = StoredType::f32, .shape = tensor.shape, .data = {}});
  }
  for (std::size_t i = 0; i < tensors.size(); ++i)
    tensors[i].data = std::as_bytes(std::span(data[i]));
  write_safetensors(directory / "model.safetensors", tensors);
  std::ofstream(directory / "config.json") << config;
}

/// The tensors of a linear (N,K), and of a layer norm.
inline void add_linear(std::vector<RandomTensor>& list, const std::string& name, Index N, Index K) {
  list.push_back({name + ".weight", {N, K}});
  list.push_back({name + ".bias", {N}});
}
inline void add_norm(std::vector<RandomTensor>& list, const std::string& name, Index H) {
  list.push_back({name + ".weight", {H}, 1.0F});
  list.push_back({name + ".bias", {H}});
}

inline void add_bert_layers(std::vector<RandomTensor>& list, const BertSize& size,
                            std::initializer_list<const char*> projections) {
  const Index H = size.hidden, I = size.intermediate;
  for (Index i = 0; i < size.layers; ++i) {
    const std::string layer = fmt::format("encoder.layer.{}.", i);
    for (const char* part : projections) add_linear(list, layer + "attention.self." + part, H, H);
    add_linear(list, layer + "attention.output.dense", H, H);
    add_norm(list, layer + "attention.output.LayerNorm", H);
    add_linear(list, layer + "intermediate.dense", I, H);
    add_linear(list, layer + "output.dense", H, I);
    add_norm(list, layer + "output.LayerNorm", H);
  }
}

inline void write_splade_modules(const std::filesystem::path& directory) {
  std::filesystem::create_directories(directory / "1_SpladePooling");
  std::ofstream(directory / "modules.json")
      << R"([{"type": "sentence_transformers.sparse_encoder.models.MLMTransformer", "path": ""},
 {"type": "sentence_transformers.sparse_encoder.models.SpladePooling", "path": "1_SpladePooling"}])";
  std::ofstream(directory / "1_SpladePooling" / "config.json") << R"({"pooling_strategy": "max"})";
}

/// A BertModel with pooler, or, of SPLADE, with a masked language model's head.
inline void write_random_bert(const std::filesystem::path& directory, const BertSize& size) {
  std::vector<RandomTensor> list;
  const Index H = size.hidden, I = size.intermediate;
  list.push_back({"embeddings.word_embeddings.weight", {size.vocab, H}});
  list.push_back({"embeddings.position_embeddings.weight", {size.positions, H}});
  list.push_back({"embeddings.token_type_embeddings.weight", {2, H}});
  add_norm(list, "embeddings.LayerNorm", H);
  add_bert_layers(list, size, {"query", "key", "value"});
  if (size.is_splade) {
    add_linear(list, "cls.predictions.transform.dense", H, H);
    add_norm(list, "cls.predictions.transform.LayerNorm", H);
    list.push_back({"cls.predictions.bias", {size.vocab}});
    write_splade_modules(directory);
  } else {
    add_linear(list, "pooler.dense", H, H);
  }
  write_random(
      directory, list,
      fmt::format(
          R"({{"architectures": ["{}"], "model_type": "bert", "hidden_size": {}, "num_hidden_layers": {},
 "num_attention_heads": {}, "intermediate_size": {}, "vocab_size": {}, "max_position_embeddings": {}}})",
          size.is_splade ? "BertForMaskedLM" : "BertModel", H, size.layers, size.heads, I,
          size.vocab, size.positions));
}

/// ModernBERT: `window` 128 as published, or as wide as every text (the same model with full masks).
struct ModernBertSize {
  const char* name;
  Index layers, hidden, heads, intermediate, window;
  Index vocab = 50368, positions = 16384;
};

inline constexpr ModernBertSize kModernBase{"ModernBERT-base", 22, 768, 12, 1152, 128};
inline constexpr ModernBertSize kModernFull{"ModernBERT-base-full", 22, 768, 12, 1152, 65536};

inline void write_random_modernbert(const std::filesystem::path& directory,
                                    const ModernBertSize& size) {
  std::vector<RandomTensor> list;
  const Index H = size.hidden, I = size.intermediate;
  const auto norm = [&](const std::string& name) { list.push_back({name + ".weight", {H}, 1.0F}); };
  list.push_back({"embeddings.tok_embeddings.weight", {size.vocab, H}});
  norm("embeddings.norm");
  norm("final_norm");
  for (Index i = 0; i < size.layers; ++i) {
    const std::string layer = fmt::format("layers.{}.", i);
    if (i > 0) norm(layer + "attn_norm");
    norm(layer + "mlp_norm");
    list.push_back({layer + "attn.Wqkv.weight", {3 * H, H}});
    list.push_back({layer + "attn.Wo.weight", {H, H}});
    list.push_back({layer + "mlp.Wi.weight", {2 * I, H}});
    list.push_back({layer + "mlp.Wo.weight", {H, I}});
  }
  write_random(
      directory, list,
      fmt::format(
          R"({{"architectures": ["ModernBertModel"], "model_type": "modernbert", "hidden_size": {}, "num_hidden_layers": {},
 "num_attention_heads": {}, "intermediate_size": {}, "vocab_size": {}, "max_position_embeddings": {}, "local_attention": {}}})",
          H, size.layers, size.heads, I, size.vocab, size.positions, size.window));
}

/// nomic-embed-text-v2-moe: every second layer has experts. The published vocabulary is 250,048.
struct NomicMoeSize {
  const char* name;
  Index layers, hidden, heads, intermediate, experts, top;
  Index vocab = 30522;
};

inline constexpr NomicMoeSize kNomicMoe{"Nomic-MoE", 12, 768, 12, 3072, 8, 2};

inline void write_random_nomic_moe(const std::filesystem::path& directory,
                                   const NomicMoeSize& size) {
  std::vector<RandomTensor> list;
  const Index H = size.hidden, I = size.intermediate;
  list.push_back({"embeddings.word_embeddings.weight", {size.vocab, H}});
  list.push_back({"embeddings.token_type_embeddings.weight", {1, H}});
  add_norm(list, "emb_ln", H);
  for (Index i = 0; i < size.layers; ++i) {
    const std::string layer = fmt::format("encoder.layers.{}.", i);
    add_linear(list, layer + "attn.Wqkv", 3 * H, H);
    add_linear(list, layer + "attn.out_proj", H, H);
    add_norm(list, layer + "norm1", H);
    if (i % 2 == 1) {
      list.push_back({layer + "mlp.experts.bias", {H}});
      for (const char* part : {"w1", "w2"})
        list.push_back({layer + "mlp.experts.mlp." + part, {size.experts * I, H}});
      list.push_back({layer + "mlp.router.layer.weight", {size.experts, H}});
    } else {
      add_linear(list, layer + "mlp.fc1", I, H);
      add_linear(list, layer + "mlp.fc2", H, I);
    }
    add_norm(list, layer + "norm2", H);
  }
  write_random(
      directory, list,
      fmt::format(
          R"({{"architectures": ["NomicBertModel"], "model_type": "nomic_bert", "n_embd": {}, "n_layer": {},
 "n_head": {}, "n_inner": {}, "vocab_size": {}, "n_positions": 2048, "type_vocab_size": 1,
 "activation_function": "gelu", "rotary_emb_fraction": 1.0, "prenorm": false, "qkv_proj_bias": true,
 "moe_every_n_layers": 2, "num_experts": {}, "moe_top_k": {}, "moe_normalize_expert_weights": false}})",
          H, size.layers, size.heads, I, size.vocab, size.experts, size.top));
}

/// deberta-v3-base; the published vocabulary is 128,100.
inline constexpr BertSize kDebertaBase{"DeBERTa-v3-base", 12, 768, 12, 3072};

inline void write_random_deberta(const std::filesystem::path& directory, const BertSize& size) {
  std::vector<RandomTensor> list;
  const Index H = size.hidden, I = size.intermediate;
  list.push_back({"embeddings.word_embeddings.weight", {size.vocab, H}});
  add_norm(list, "embeddings.LayerNorm", H);
  list.push_back({"encoder.rel_embeddings.weight", {512, H}});
  add_norm(list, "encoder.LayerNorm", H);
  add_bert_layers(list, size, {"query_proj", "key_proj", "value_proj"});
  write_random(
      directory, list,
      fmt::format(
          R"({{"architectures": ["DebertaV2Model"], "model_type": "deberta-v2", "hidden_size": {}, "num_hidden_layers": {},
 "num_attention_heads": {}, "intermediate_size": {}, "vocab_size": {}, "max_position_embeddings": {},
 "type_vocab_size": 0, "relative_attention": true, "position_biased_input": false, "pos_att_type": "p2c|c2p",
 "position_buckets": 256, "max_relative_positions": -1, "norm_rel_ebd": "layer_norm", "share_att_key": true,
 "layer_norm_eps": 1e-7}})",
          H, size.layers, size.heads, I, size.vocab, size.positions));
}

}  // namespace tessera::bench
