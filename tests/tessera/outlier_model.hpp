// SPDX-License-Identifier: Apache-2.0
//
// A BERT with channels that are 60 to 100 times the others behind norms, in several ways. Weights are
// N(0, scale²), and where the outliers are not, every channel of a norm is of size 1.
//
//   gamma     the first norm of each layer multiplies these channels by f, the second takes f back
//   beta      the first norm adds ±f, the same in every row, the second takes it back
//   residual  the words have them; every norm keeps them by a γ that is the same for all channels, so that
//             neither γ nor β tells of them
//
// "compensated": the columns that read the channels are divided by f, as in a network that was trained so.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/tensors.hpp"

namespace tessera::test {

enum class Outliers : std::uint8_t { none, gamma, beta, residual };

inline constexpr std::int64_t kOutlierHidden = 128, kOutlierInner = 256, kOutlierWords = 60;
inline constexpr int kOutlierLayers = 3;
struct OutlierChannel {
  std::size_t channel;
  float factor;
};
inline constexpr OutlierChannel kOutlierChannels[] = {{5, 60.0F}, {40, 80.0F}, {77, 100.0F}};

inline void write_outlier_model(const std::filesystem::path& directory, Outliers kind,
                                bool compensated, float scale = 0.05F) {
  constexpr std::int64_t H = kOutlierHidden, F = kOutlierInner;
  Tensors t;
  const auto linear = [&](const std::string& name, std::int64_t out, std::int64_t in, bool reads) {
    add_random(t, name + ".weight", {out, in}, scale);
    add_random(t, name + ".bias", {out}, 0.05F);
    if (!compensated || !reads) return;
    std::vector<float>& w = t[name + ".weight"].data;
    for (const auto& [channel, factor] : kOutlierChannels) {
      for (std::size_t n = 0; n < static_cast<std::size_t>(out); ++n) {
        w[n * static_cast<std::size_t>(in) + channel] /= factor;
      }
    }
  };
  // What a row is divided by whose outliers are ±f, and whose others have variance 1.
  double squares = H;
  for (const OutlierChannel& each : kOutlierChannels)
    squares += std::pow(static_cast<double>(each.factor), 2);
  const auto deviation = static_cast<float>(std::sqrt(squares / H));
  const bool keeps = kind == Outliers::residual;
  const auto norm = [&](const std::string& name, bool makes, bool takes) {
    add_random_norm(t, name, H);
    std::vector<float>&gamma = t[name + ".weight"].data, &beta = t[name + ".bias"].data;
    for (float& each : gamma) each *= keeps || takes ? deviation : 1.0F;
    for (const auto& [channel, factor] : kOutlierChannels) {
      if (makes && kind == Outliers::gamma) gamma[channel] *= factor;
      if (makes && kind == Outliers::beta) beta[channel] = channel % 2 == 0 ? factor : -factor;
      if (takes) gamma[channel] /= factor;
    }
  };
  add_random(t, "embeddings.word_embeddings.weight", {kOutlierWords, H}, 1.0F);
  add_random(t, "embeddings.position_embeddings.weight", {32, H}, 0.3F);
  add_random(t, "embeddings.token_type_embeddings.weight", {2, H}, 0.1F);
  std::vector<float>& words = t["embeddings.word_embeddings.weight"].data;
  for (std::size_t row = 0; row < words.size() && kind == Outliers::residual; row += H) {
    for (const auto& [channel, factor] : kOutlierChannels) words[row + channel] *= factor;
  }
  const bool makes = kind == Outliers::gamma || kind == Outliers::beta;
  norm("embeddings.LayerNorm", false, false);
  for (int i = 0; i < kOutlierLayers; ++i) {
    const std::string layer = fmt::format("encoder.layer.{}.", i);
    for (const char* part : {"query", "key", "value"}) {
      linear(layer + "attention.self." + part, H, H, keeps);
    }
    linear(layer + "attention.output.dense", H, H, false);
    norm(layer + "attention.output.LayerNorm", makes, false);
    linear(layer + "intermediate.dense", F, H, true);
    linear(layer + "output.dense", H, F, false);
    norm(layer + "output.LayerNorm", false, makes);
  }
  std::filesystem::create_directories(directory);
  write_tensors(directory / "model.safetensors", t);
  std::ofstream(directory / "config.json") << fmt::format(
      R"({{"model_type": "bert", "architectures": ["BertModel"], "vocab_size": {}, "hidden_size": {},
      "num_hidden_layers": {}, "num_attention_heads": 4, "intermediate_size": {}, "hidden_act": "gelu",
      "max_position_embeddings": 32, "type_vocab_size": 2, "layer_norm_eps": 1e-12, "pad_token_id": 0}})",
      kOutlierWords, H, kOutlierLayers, F);
}

}  // namespace tessera::test
