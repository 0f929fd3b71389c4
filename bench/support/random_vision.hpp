// SPDX-License-Identifier: Apache-2.0
// Likewise (random_checkpoint.hpp) of image encoders: ViT, DINOv2, DINOv3, Swin, EfficientViT.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "bench/support/random_checkpoint.hpp"

namespace tessera::bench {

enum class VitKind : std::uint8_t {
  vit,
  dinov2,  ///< LayerScale, and positions of 518 x 518 pixels
  dinov3,  ///< LayerScale, 4 registers, heads that turn by the place of their patch
};

struct VitSize {
  const char* name;
  Index layers, hidden, heads, patch;
  Index image = 224;  ///< that is computed
  VitKind kind = VitKind::vit;
  Index native() const { return kind == VitKind::dinov2 ? 518 : image; }
  Index special() const { return kind == VitKind::dinov3 ? 5 : 1; }
  Index tokens() const { return special() + (image / patch) * (image / patch); }
};

inline constexpr VitSize kVitBase{"ViT-B16", 12, 768, 12, 16};
inline constexpr VitSize kVitLarge{"ViT-L16", 24, 1024, 16, 16};
inline constexpr VitSize kDinoSmall{"DINOv2-S14", 12, 384, 6, 14, 224, VitKind::dinov2};
inline constexpr VitSize kDino3Small{"DINOv3-S16", 12, 384, 6, 16, 224, VitKind::dinov3};

inline void write_random_dinov3(const std::filesystem::path& directory, const VitSize& size) {
  std::vector<RandomTensor> list;
  const Index H = size.hidden, I = 4 * H, P = size.patch, registers = size.special() - 1;
  list.push_back({"embeddings.cls_token", {1, 1, H}});
  list.push_back({"embeddings.register_tokens", {1, registers, H}});
  list.push_back({"embeddings.patch_embeddings.weight", {H, 3, P, P}});
  list.push_back({"embeddings.patch_embeddings.bias", {H}});
  for (Index i = 0; i < size.layers; ++i) {
    const std::string layer = fmt::format("layer.{}.", i);
    for (const char* part : {"q_proj", "v_proj", "o_proj"})
      add_linear(list, layer + "attention." + part, H, H);
    list.push_back({layer + "attention.k_proj.weight", {H, H}});
    add_norm(list, layer + "norm1", H);
    add_norm(list, layer + "norm2", H);
    add_linear(list, layer + "mlp.up_proj", I, H);
    add_linear(list, layer + "mlp.down_proj", H, I);
    for (const char* scale : {"layer_scale1", "layer_scale2"})
      list.push_back({layer + scale + ".lambda1", {H}, 1.0F});
  }
  add_norm(list, "norm", H);
  write_random(
      directory, list,
      fmt::format(
          R"({{"architectures": ["DINOv3ViTModel"], "model_type": "dinov3_vit", "hidden_size": {}, "num_hidden_layers": {},
 "num_attention_heads": {}, "intermediate_size": {}, "image_size": {}, "patch_size": {}, "num_register_tokens": {}}})",
          H, size.layers, size.heads, I, size.image, P, registers));
}

/// A ViTModel without pooler, a Dinov2Model or a DINOv3ViTModel.
inline void write_random_vit(const std::filesystem::path& directory, const VitSize& size) {
  if (size.kind == VitKind::dinov3) return write_random_dinov3(directory, size);
  std::vector<RandomTensor> list;
  const Index H = size.hidden, I = 4 * H, P = size.patch, grid = size.native() / P;
  const bool dino = size.kind == VitKind::dinov2;
  list.push_back({"embeddings.cls_token", {1, 1, H}});
  list.push_back({"embeddings.position_embeddings", {1, 1 + grid * grid, H}});
  list.push_back({"embeddings.patch_embeddings.projection.weight", {H, 3, P, P}});
  list.push_back({"embeddings.patch_embeddings.projection.bias", {H}});
  for (Index i = 0; i < size.layers; ++i) {
    const std::string layer = fmt::format("encoder.layer.{}.", i);
    for (const char* part : {"query", "key", "value"})
      add_linear(list, layer + "attention.attention." + part, H, H);
    add_linear(list, layer + "attention.output.dense", H, H);
    add_norm(list, layer + (dino ? "norm1" : "layernorm_before"), H);
    add_norm(list, layer + (dino ? "norm2" : "layernorm_after"), H);
    add_linear(list, layer + (dino ? "mlp.fc1" : "intermediate.dense"), I, H);
    add_linear(list, layer + (dino ? "mlp.fc2" : "output.dense"), H, I);
    if (!dino) continue;
    for (const char* scale : {"layer_scale1", "layer_scale2"})
      list.push_back({layer + scale + ".lambda1", {H}, 1.0F});
  }
  add_norm(list, "layernorm", H);
  write_random(
      directory, list,
      fmt::format(
          R"({{"architectures": ["{}"], "model_type": "{}", "hidden_size": {}, "num_hidden_layers": {},
 "num_attention_heads": {}, "intermediate_size": {}, "image_size": {}, "patch_size": {}}})",
          dino ? "Dinov2Model" : "ViTModel", dino ? "dinov2" : "vit", H, size.layers, size.heads, I,
          size.native(), P));
}

struct SwinSize {
  const char* name;
  Index embed_dim, window;
  std::vector<Index> depths, heads;
  bool is_v2 = false;
  Index image = 224, patch = 4;
};

inline const SwinSize kSwinTiny{"Swin-T", 96, 7, {2, 2, 6, 2}, {3, 6, 12, 24}};
inline const SwinSize kSwinV2Tiny{"SwinV2-T", 96, 8, {2, 2, 6, 2}, {3, 6, 12, 24}, true, 256};

/// A SwinModel, or a Swinv2Model.
inline void write_random_swin(const std::filesystem::path& directory, const SwinSize& size) {
  std::vector<RandomTensor> list;
  const Index P = size.patch, span = 2 * size.window - 1;
  list.push_back({"embeddings.patch_embeddings.projection.weight", {size.embed_dim, 3, P, P}});
  list.push_back({"embeddings.patch_embeddings.projection.bias", {size.embed_dim}});
  add_norm(list, "embeddings.norm", size.embed_dim);
  Index C = size.embed_dim;
  for (std::size_t s = 0; s < size.depths.size(); ++s) {
    const std::string stage = fmt::format("encoder.layers.{}.", s);
    for (Index i = 0; i < size.depths[s]; ++i) {
      const std::string block = fmt::format("{}blocks.{}.", stage, i);
      const std::string self = block + "attention.self.";
      add_linear(list, self + "query", C, C);
      list.push_back({self + "key.weight", {C, C}});
      if (!size.is_v2) list.push_back({self + "key.bias", {C}});
      add_linear(list, self + "value", C, C);
      if (size.is_v2) {
        const std::string mlp = self + "continuous_position_bias_mlp.";
        list.push_back({self + "logit_scale", {size.heads[s], 1, 1}, 2.3F});
        add_linear(list, mlp + "0", 512, 2);
        list.push_back({mlp + "2.weight", {size.heads[s], 512}});
      } else {
        list.push_back({self + "relative_position_bias_table", {span * span, size.heads[s]}});
      }
      add_linear(list, block + "attention.output.dense", C, C);
      add_norm(list, block + "layernorm_before", C);
      add_linear(list, block + "intermediate.dense", 4 * C, C);
      add_linear(list, block + "output.dense", C, 4 * C);
      add_norm(list, block + "layernorm_after", C);
    }
    if (s + 1 == size.depths.size()) break;
    list.push_back({stage + "downsample.reduction.weight", {2 * C, 4 * C}});
    add_norm(list, stage + "downsample.norm", size.is_v2 ? 2 * C : 4 * C);
    C *= 2;
  }
  add_norm(list, "layernorm", C);
  write_random(
      directory, list,
      fmt::format(R"({{"architectures": ["{}"], "model_type": "{}", "embed_dim": {}, "depths": [{}],
 "num_heads": [{}], "window_size": {}, "image_size": {}, "patch_size": {}}})",
                  size.is_v2 ? "Swinv2Model" : "SwinModel", size.is_v2 ? "swinv2" : "swin",
                  size.embed_dim, fmt::join(size.depths, ", "), fmt::join(size.heads, ", "),
                  size.window, size.image, P));
}

/// timm's EfficientViT (MSRA) with a classifier; sizes by stage, kernels by head.
struct EfficientVitSize {
  const char* name;
  const char* architecture;
  Index embed_dim[3], depth[3], heads[3], kernels[4];
  Index key_dim = 16, window = 7, image = 224, classes = 1000;
};

inline constexpr EfficientVitSize kEfficientVits[]{
    {"EfficientViT-M0", "efficientvit_m0", {64, 128, 192}, {1, 2, 3}, {4, 4, 4}, {5, 5, 5, 5}},
    {"EfficientViT-M1", "efficientvit_m1", {128, 144, 192}, {1, 2, 3}, {2, 3, 3}, {7, 5, 3, 3}},
    {"EfficientViT-M2", "efficientvit_m2", {128, 192, 224}, {1, 2, 3}, {4, 3, 2}, {7, 5, 3, 3}},
    {"EfficientViT-M3", "efficientvit_m3", {128, 240, 320}, {1, 2, 3}, {4, 3, 4}, {5, 5, 5, 5}},
    {"EfficientViT-M4", "efficientvit_m4", {128, 256, 384}, {1, 2, 3}, {4, 4, 4}, {7, 5, 3, 3}},
    {"EfficientViT-M5", "efficientvit_m5", {192, 288, 384}, {1, 3, 4}, {3, 3, 4}, {7, 5, 3, 3}}};

class RandomEfficientVit {
 public:
  explicit RandomEfficientVit(const EfficientVitSize& size) : size_(size) {
    for (Index i = 1, K = 3; i <= 4; ++i) {
      const Index N = size.embed_dim[0] / (Index{16} >> i);
      conv(fmt::format("patch_embed.conv{}", i), N, K, 3);
      K = N;
    }
    for (Index i = 0, map = size.image / 16; i < 3; ++i) {
      const Index D = size.embed_dim[i];
      const std::string stage = fmt::format("stages.{}.", i);
      if (i > 0) {
        const Index before = size.embed_dim[i - 1], inner = 4 * before;
        const std::string down = stage + "downsample.", merge = down + "patchmerge.";
        residuals(down + "res1.0", down + "res1.1", before);
        conv(merge + "conv1", inner, before, 1);
        conv(merge + "conv2", inner, 1, 3);
        const Index squeezed = std::max<Index>(8, (before + 4) / 8 * 8);
        add("se.fc1", merge, {squeezed, inner, 1, 1}, squeezed);
        add("se.fc2", merge, {inner, squeezed, 1, 1}, inner);
        conv(merge + "conv3", D, inner, 1);
        residuals(down + "res2.0", down + "res2.1", D);
        map = (map - 1) / 2 + 1;
      }
      for (Index d = 0; d < size.depth[i]; ++d) {
        const std::string block = fmt::format("{}blocks.{}.", stage, d);
        residuals(block + "dw0", block + "ffn0", D);
        mixer(block + "mixer.m.attn.", i, std::min(map, size.window));
        residuals(block + "dw1", block + "ffn1", D);
      }
    }
    norm("head.bn", size.embed_dim[2]);
    add_linear(list_, "head.linear", size.classes, size.embed_dim[2]);
  }

  void write(const std::filesystem::path& directory) const {
    write_random(directory, list_,
                 fmt::format(R"({{"architecture": "{}", "num_classes": {}, "num_features": {},
 "global_pool": "avg", "pretrained_cfg": {{"input_size": [3, {}, {}], "crop_pct": 0.875,
 "interpolation": "bicubic", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}}}})",
                             size_.architecture, size_.classes, size_.embed_dim[2], size_.image,
                             size_.image));
  }

 private:
  void norm(const std::string& name, Index N) {
    add_norm(list_, name, N);
    list_.push_back({name + ".running_mean", {N}});
    list_.push_back({name + ".running_var", {N}, 1.0F});
  }
  void conv(const std::string& name, Index N, Index K, Index taps) {
    list_.push_back({name + ".conv.weight", {N, K, taps, taps}});
    norm(name + ".bn", N);
  }
  void add(const char* name, const std::string& module, std::vector<std::int64_t> shape, Index N) {
    list_.push_back({module + name + ".weight", std::move(shape)});
    list_.push_back({module + name + ".bias", {N}});
  }
  void residuals(const std::string& depthwise, const std::string& ffn, Index D) {
    conv(depthwise + ".m", D, 1, 3);
    conv(ffn + ".m.pw1", 2 * D, D, 1);
    conv(ffn + ".m.pw2", D, 2 * D, 1);
  }
  void mixer(const std::string& attention, Index stage, Index side) {
    const Index D = size_.embed_dim[stage], heads = size_.heads[stage];
    list_.push_back({attention + "attention_biases", {heads, side * side}});
    for (Index h = 0; h < heads; ++h) {
      conv(fmt::format("{}qkvs.{}", attention, h), 2 * size_.key_dim + D / heads, D / heads, 1);
      conv(fmt::format("{}dws.{}", attention, h), size_.key_dim, 1, size_.kernels[h]);
    }
    conv(attention + "proj.1", D, D, 1);
  }

  const EfficientVitSize& size_;
  std::vector<RandomTensor> list_;
};

}  // namespace tessera::bench
